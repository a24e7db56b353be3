/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster, told - what status, metrics and people's questions get of it. Changes nothing.
 */
#include "cluster_parts.h"

#include <string.h>

const char *cluster_name(const struct cluster *cluster) {
    return cluster->name;
}

bool cluster_is_dropped(const struct cluster *cluster) {
    return cluster->dropped != MSEC_NEVER;
}

bool cluster_has_addresses(const struct cluster *cluster) {
    const struct set *set = cluster->open ? store_set(cluster->publication.store) : NULL;

    return !cluster->open || (set && set->n_members > 0);
}

static void report_source(const struct cluster *cluster, struct cluster_report *ret) {
    struct inventory *inventory = source_inventory(cluster->source);

    ret->server = kube_client_endpoint(source_client(cluster->source))->server;
    ret->inventory = inventory_stats(inventory);
    ret->watch = source_stats(cluster->source);
    inventory_refusals(inventory, ret->refusals, sizeof(ret->refusals));
}

void cluster_report(const struct cluster *cluster, struct cluster_report *ret) {
    const struct publication *publication = &cluster->publication;

    *ret = (struct cluster_report){
        .state = health_state(&cluster->health),
        .detail = cluster->problem[0] ? cluster->problem : health_detail(&cluster->health),
        .server = "",
        .epoch = "",
        .watch = {.last_byte = -1, .last_list = -1, .last_event = -1},
        .publications = publication->n_published,
        .write_failures = publication->n_failed,
        .node_events_cut = publication->voice.node_events_cut,
    };
    cluster_hold(cluster, clock_now(), &ret->hold);
    if (cluster->source)
        report_source(cluster, ret);
    if (!cluster->open)
        return;
    ret->set = store_set(publication->store);
    ret->epoch = store_epoch(publication->store);
    ret->minions = followup_summary(cluster->minions.followup);
    if (!cluster_is_dropped(cluster)) {
        struct policy_stats policy = policy_stats(cluster->policy);

        ret->in_grace = policy.in_grace;
        ret->over_limit = policy.over_limit;
    }
}

int cluster_minions(const struct cluster *cluster, json_object **ret) {
    if (cluster->open)
        return followup_status(cluster->minions.followup, clock_now(), ret);
    *ret = json_object_new_object();
    return *ret ? 0 : -ENOMEM;
}
