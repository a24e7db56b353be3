/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster's hold - what stays although the cluster does not have it any more, shown to an operator and let go by him.
 *
 * Keeps: what goes is what was shown. The digest is over the held addresses and nothing else, so that a change of anything
 * beside them does not make him look again, and a change of one of them does.
 * Does not: judge (policy), or read requests (requests.c).
 */
#include "cluster_parts.h"

#include "nodewall/log.h"

#include <string.h>

void cluster_hold(const struct cluster *cluster, msec now, struct policy_hold *ret) {
    *ret = (struct policy_hold){0};
    if (!cluster->open)
        return;
    if (!cluster_is_dropped(cluster)) {
        policy_hold(cluster->policy, ret);
        return;
    }
    if (!cluster_has_addresses(cluster) || cluster->empty_due != MSEC_NEVER)
        return;
    ret->addresses = store_set(cluster->publication.store)->n_members;
    ret->since = MIN(cluster->dropped, now);
    snprintf(ret->text, sizeof(ret->text),
             "it is not configured any more: its %zu addresses stay; if that is right, 'nodewall release' lets them go",
             ret->addresses);
}

struct held {
    struct set *set;                /* for the digest */
    json_object *list;              /* NULL: nobody wants it */
    msec now, wall;
    int r;
};

static int put(json_object *into, const char *key, json_object *value) {
    if (value && json_object_object_add(into, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static int put_text(json_object *into, const char *key, const char *text) {
    return put(into, key, json_object_new_string(text));
}

static int describe(json_object *list, const struct member *member, const char *since, const char *why) {
    CLEANUP(json_putp) json_object *entry = json_object_new_object();
    char address[ADDRESS_TEXT_MAX];

    if (!entry || put_text(entry, "address", address_format(&member->address, address)) < 0 ||
        put_text(entry, "node", member->label) < 0 || put_text(entry, "since", since) < 0 ||
        put_text(entry, "why", why) < 0 || json_object_array_add(list, entry) < 0)
        return -ENOMEM;
    (void)TAKE_PTR(entry);
    return 0;
}

static void note(struct held *held, const struct member *member, msec since, const char *why) {
    char text[TIME_TEXT_MAX];

    if (held->r == 0)
        held->r = set_append(held->set, &member->address, member->label);
    if (held->r == 0 && held->list)
        held->r = describe(held->list, member, time_format(held->wall - (held->now - since), text), why);
}

static void note_held(void *userdata, const struct member *member, msec since, bool bare) {
    note(userdata, member, since, bare ? "its node lives and reports no address" : "more would go than max_removal allows");
}

/* Seals held->set, so that its version has the digest. */
static int collect(const struct cluster *cluster, struct held *held) {
    const struct set *set = cluster->open ? store_set(cluster->publication.store) : NULL;

    held->r = set_new(&held->set);
    if (held->r < 0)
        return held->r;
    held->now = clock_now();
    held->wall = clock_wall();
    if (cluster->open && !cluster_is_dropped(cluster))
        policy_each_held(cluster->policy, held->now, note_held, held);
    else if (cluster->empty_due == MSEC_NEVER)
        for (size_t i = 0; set && i < set->n_members; i++)
            note(held, &set->members[i], cluster->dropped, "its cluster is not configured any more");
    return held->r < 0 ? held->r : set_seal(held->set);
}

int cluster_held(const struct cluster *cluster, json_object **ret) {
    CLEANUP(json_putp) json_object *out = json_object_new_object(), *list = json_object_new_array();
    struct held held = {.list = list};
    int r = out && list ? collect(cluster, &held) : -ENOMEM;

    if (r == 0 && (put_text(out, "cluster", cluster->name) < 0 ||
                   put_text(out, "state", health_state_name(health_state(&cluster->health))) < 0 ||
                   put_text(out, "detail", health_detail(&cluster->health)) < 0 ||
                   put_text(out, "digest", held.set->version.digest) < 0 ||
                   put(out, "count", json_object_new_int64((int64_t)held.set->n_members)) < 0 ||
                   put(out, "held", json_object_get(list)) < 0))
        r = -ENOMEM;
    set_free(held.set);
    if (r == 0)
        *ret = TAKE_PTR(out);
    return r;
}

bool cluster_may_release(const struct cluster *cluster) {
    return cluster->open && publication_is_free(&cluster->publication) && (cluster_is_dropped(cluster) || cluster->listed);
}

enum cluster_release cluster_release(struct cluster *cluster, const char *digest) {
    struct held held = {0};
    bool same;
    int r = collect(cluster, &held);

    same = r == 0 && held.set->n_members > 0 && !strcmp(held.set->version.digest, digest);
    if (same) {
        log_warning("%s: released: %zu addresses that were held go now", cluster->name, held.set->n_members);
        health_released(&cluster->health, held.set->n_members);
        if (cluster_is_dropped(cluster))
            cluster->empty_due = held.now;
        else
            policy_release(cluster->policy, held.now);
    }
    set_free(held.set);
    if (same)
        cluster_step(cluster);
    return same ? CLUSTER_RELEASED : CLUSTER_CHANGED;
}
