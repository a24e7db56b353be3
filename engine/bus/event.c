/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event - what nodewall says on the bus, as tag and data.
 *
 * Of an announcement the reactor reads the tag's cluster and the token, no more; versions and addresses are there for
 * people and for whoever listens besides. Keeps: names are checked before they become a part of a tag, and a tag has
 * exactly the segments that it says. Does not: ask clocks, make tokens, send.
 */
#include "nodewall/event.h"
#include "nodewall/json.h"

#include <string.h>

static const char prefix[] = "nodewall/";

void event_done(struct event *event) {
    event->data = json_put(event->data);
}

const char *event_reason_name(enum event_reason reason) {
    static const char *const names[] = {
        [EVENT_WATCH] = "watch",       [EVENT_RELIST] = "relist", [EVENT_START] = "start",
        [EVENT_OPERATOR] = "operator", [EVENT_REPAIR] = "repair",
    };

    return names[reason];
}

const char *event_health_name(enum event_health health) {
    static const char *const names[] = {
        [EVENT_SYNCED] = "synced", [EVENT_STALE] = "stale",       [EVENT_UNAUTHORIZED] = "unauthorized",
        [EVENT_HELD] = "held",     [EVENT_RELEASED] = "released", [EVENT_CONFLICT] = "conflict",
        [EVENT_REFUSED] = "refused",
    };

    return names[health];
}

/* Gives `value` away, also when it fails; a NULL value is one that could not be made. */
static int add(json_object *map, const char *key, json_object *value) {
    if (!value)
        return -ENOMEM;
    if (json_object_object_add(map, key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

static int add_text(json_object *map, const char *key, const char *text) {
    return add(map, key, json_object_new_string(text));
}

static int add_time(json_object *map, const char *key, msec wall) {
    char time[TIME_TEXT_MAX];

    return add_text(map, key, time_format(wall, time));
}

static json_object *address_text(const struct address *address) {
    char text[ADDRESS_TEXT_MAX];

    return json_object_new_string(address_format(address, text));
}

/* An array of texts; NULL when memory ran out. `item` makes the i-th. */
static json_object *new_array(size_t n, json_object *(*item)(const void *from, size_t i), const void *from) {
    json_object *array = json_object_new_array_ext((int)MAX(n, 1));

    for (size_t i = 0; array && i < n; i++) {
        json_object *value = item(from, i);

        if (!value || json_object_array_add(array, value) < 0) {
            json_object_put(value);
            array = json_put(array);
        }
    }
    return array;
}

static json_object *address_item(const void *from, size_t i) {
    return address_text((const struct address *)from + i);
}

static json_object *member_item(const void *from, size_t i) {
    return address_text(&((const struct member *)from)[i].address);
}

static json_object *name_item(const void *from, size_t i) {
    return json_object_new_string(((const char *const *)from)[i]);
}

/* What all of them have. */
static int begin(json_object **ret, const char *cluster, msec wall) {
    CLEANUP(json_putp) json_object *data = json_object_new_object();
    int r;

    if (!name_is_cluster(cluster))
        return -EINVAL;
    if (!data)
        return -ENOMEM;
    if ((r = add(data, "v", json_object_new_int(EVENT_VERSION))) < 0 || (r = add_text(data, "cluster", cluster)) < 0 ||
        (r = add_time(data, "time", wall)) < 0)
        return r;
    *ret = TAKE_PTR(data);
    return 0;
}

static int add_version(json_object *data, const struct set *set) {
    const struct version *version = &set->version;
    int r;

    if ((r = add_text(data, "epoch", version->epoch)) < 0 ||
        (r = add(data, "generation", json_object_new_uint64(version->generation))) < 0 ||
        (r = add_text(data, "rv", version->rv)) < 0 || (r = add_text(data, "digest", version->digest)) < 0)
        return r;
    return add(data, "count", json_object_new_uint64(set->n_members));
}

static int add_delta(json_object *data, const struct delta *delta) {
    int r;

    if (delta->n_added + delta->n_removed > EVENT_ADDRESSES_MAX)
        return add(data, "truncated", json_object_new_boolean(true));
    if ((r = add_text(data, "base", delta->base)) < 0 ||
        (r = add(data, "added", new_array(delta->n_added, member_item, delta->added))) < 0)
        return r;
    return add(data, "removed", new_array(delta->n_removed, address_item, delta->removed));
}

int event_addresses(struct event *ret, const struct event_addresses *from) {
    CLEANUP(json_putp) json_object *data = NULL;
    int r = begin(&data, from->cluster, from->wall);

    if (r < 0)
        return r;
    if ((r = add_version(data, from->set)) < 0 || (r = add_text(data, "reason", event_reason_name(from->reason))) < 0)
        return r;
    if (from->delta && (r = add_delta(data, from->delta)) < 0)
        return r;
    if (from->reason == EVENT_REPAIR && from->minions &&
        (r = add(data, "minions", new_array(from->n_minions, name_item, from->minions))) < 0)
        return r;
    r = add_text(data, "token", from->token);
    if (r < 0)
        return r;
    snprintf(ret->tag, sizeof(ret->tag), "%s%s/addresses", prefix, from->cluster);
    ret->data = TAKE_PTR(data);
    return 0;
}

int event_node(struct event *ret, const struct event_node *from) {
    static const char *const changes[] = {
        [EVENT_NODE_ADDED] = "added",
        [EVENT_NODE_CHANGED] = "changed",
        [EVENT_NODE_REMOVED] = "removed",
    };
    CLEANUP(json_putp) json_object *data = NULL;
    int r;

    if (!name_is_node(from->node))
        return -EINVAL;
    r = begin(&data, from->cluster, from->wall);
    if (r < 0)
        return r;
    if ((r = add_text(data, "node", from->node)) < 0 || (r = add_text(data, "uid", from->uid ? from->uid : "")) < 0 ||
        (r = add(data, "addresses", new_array(from->n_addresses, address_item, from->addresses))) < 0 ||
        (r = add(data, "previous", new_array(from->n_previous, address_item, from->previous))) < 0)
        return r;
    snprintf(ret->tag, sizeof(ret->tag), "%s%s/node/%s/%s", prefix, from->cluster, from->node, changes[from->change]);
    ret->data = TAKE_PTR(data);
    return 0;
}

int event_health(struct event *ret, const char *cluster, enum event_health health, const char *detail, msec wall,
                 msec since_wall) {
    CLEANUP(json_putp) json_object *data = NULL;
    CLEANUP(cleanup_free) char *clean = strdup(detail ? detail : "");
    int r = clean ? begin(&data, cluster, wall) : -ENOMEM;

    if (r < 0)
        return r;
    if ((r = add_text(data, "state", event_health_name(health))) < 0 ||
        (r = add_text(data, "detail", text_clean(clean))) < 0 || (r = add_time(data, "since", since_wall)) < 0)
        return r;
    snprintf(ret->tag, sizeof(ret->tag), "%s%s/health", prefix, cluster);
    ret->data = TAKE_PTR(data);
    return 0;
}

bool event_tag_is_ours(const char *tag, size_t size) {
    return size >= sizeof(prefix) - 1 && !memcmp(tag, prefix, sizeof(prefix) - 1);
}

bool event_tag_cluster(const char *tag, size_t size, char ret_cluster[64]) {
    const char *begin_of_name = tag + sizeof(prefix) - 1, *end;
    char name[64] = "";
    size_t n;

    if (!event_tag_is_ours(tag, size))
        return false;
    size -= sizeof(prefix) - 1;
    end = memchr(begin_of_name, '/', size);
    n = end ? (size_t)(end - begin_of_name) : 0;
    if (n == 0 || n >= sizeof(name))
        return false;
    memcpy(name, begin_of_name, n);
    if (strlen(name) != n || !name_is_cluster(name))
        return false;
    memcpy(ret_cluster, name, sizeof(name));
    return true;
}
