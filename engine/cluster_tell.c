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

size_t cluster_refusals(const struct cluster *cluster, char *buffer, size_t size) {
    struct inventory *inventory = cluster->source ? source_inventory(cluster->source) : NULL;
    size_t over = cluster->open && !cluster_is_dropped(cluster) ? policy_stats(cluster->policy).over_limit : 0, used = 0;

    buffer[0] = '\0';
    if (over)
        used = (size_t)snprintf(buffer, size, "%zu addresses are over max_addresses%s", over,
                                inventory && inventory_stats(inventory).refused ? "; " : "");
    if (!inventory)
        return over;
    inventory_refusals(inventory, buffer + used, size - used);
    return over + inventory_stats(inventory).refused;
}

static void report_source(const struct cluster *cluster, struct cluster_report *ret) {
    struct inventory *inventory = source_inventory(cluster->source);

    ret->server = kube_client_endpoint(source_client(cluster->source))->server;
    ret->inventory = inventory_stats(inventory);
    ret->watch = source_stats(cluster->source);
    cluster_refusals(cluster, ret->refusals, sizeof(ret->refusals));
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

static int put(json_object *into, const char *key, json_object *value) {
    if (value && json_object_object_add(into, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static const char *standing_of(const struct cluster *cluster, const struct address *address) {
    if (cluster_is_dropped(cluster))
        return "held";
    switch (policy_standing(cluster->policy, address, clock_now())) {
    case POLICY_IN_GRACE:
        return "grace";
    case POLICY_HELD:
        return "held";
    default:
        return "in";
    }
}

static int who_member(const struct cluster *cluster, const struct member *member, json_object *list) {
    CLEANUP(json_putp) json_object *entry = json_object_new_object();
    char address[ADDRESS_TEXT_MAX], when[TIME_TEXT_MAX];
    msec since = store_since(cluster->publication.store, &member->address);

    if (!entry || put(entry, "address", json_object_new_string(address_format(&member->address, address))) < 0 ||
        put(entry, "node", json_object_new_string(member->label)) < 0 ||
        put(entry, "since", json_object_new_string(since ? time_format(since, when) : "")) < 0 ||
        put(entry, "state", json_object_new_string(standing_of(cluster, &member->address))) < 0 ||
        json_object_array_add(list, entry) < 0)
        return -ENOMEM;
    (void)TAKE_PTR(entry);
    return 0;
}

int cluster_who(const struct cluster *cluster, const struct address *address, json_object *into) {
    const struct set *set = cluster->open ? store_set(cluster->publication.store) : NULL;
    CLEANUP(json_putp) json_object *out = json_object_new_object(), *list = json_object_new_array(), *minions = NULL;
    bool any = false;
    int r = out && list ? 0 : -ENOMEM;

    for (size_t i = 0; set && i < set->n_members && r == 0; i++) {
        const struct member *member = &set->members[i];

        if (!address_within(address, &member->address) && !address_within(&member->address, address))
            continue;
        any = true;
        r = who_member(cluster, member, list);
    }
    if (!any || r < 0)
        return r;
    if (cluster_minions(cluster, &minions) < 0 || put(out, "cluster", json_object_new_string(cluster->name)) < 0 ||
        put(out, "generation", json_object_new_int64((int64_t)set->version.generation)) < 0 ||
        put(out, "addresses", json_object_get(list)) < 0 ||
        put(out, "minions", json_object_get(json_get(minions, "list"))) < 0 || json_object_array_add(into, out) < 0)
        return -ENOMEM;
    (void)TAKE_PTR(out);
    return 0;
}
