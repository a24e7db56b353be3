/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event - the tags and the data of what nodewall says on the bus. Pure: times and tokens come in.
 *
 * An event is a hint. Everything that a minion acts on is in the store; see the reactor.
 */
#pragma once

#include "nodewall/set.h"

struct json_object;

#define EVENT_VERSION 1
#define EVENT_TAG_MAX 352           /* nodewall/<63>/node/<253>/removed */
#define EVENT_ADDRESSES_MAX 200     /* added and removed of one event; above, the event says `truncated` */

struct event {
    char tag[EVENT_TAG_MAX];
    struct json_object *data;       /* owned */
};

void event_done(struct event *event);       /* frees the data; for CLEANUP */

enum event_reason { EVENT_WATCH, EVENT_RELIST, EVENT_START, EVENT_OPERATOR, EVENT_REPAIR };
const char *event_reason_name(enum event_reason reason);

/* nodewall/<cluster>/addresses. Without `delta`, or when it is too long, base, added and removed stay out (too long:
 * `truncated` instead of the addresses). `minions` only with EVENT_REPAIR. */
struct event_addresses {
    const char *cluster;
    msec wall;
    const struct set *set;          /* the confirmed one; its version and its count are told */
    const struct delta *delta;      /* or NULL */
    enum event_reason reason;
    const char *const *minions;     /* or NULL: everybody */
    size_t n_minions;
    const char *token;
};
int event_addresses(struct event *ret, const struct event_addresses *from);

/* nodewall/<cluster>/node/<name>/added|changed|removed. -EINVAL: a node's name that has no place in a tag. */
enum event_node_change { EVENT_NODE_ADDED, EVENT_NODE_CHANGED, EVENT_NODE_REMOVED };
struct event_node {
    const char *cluster, *node, *uid;
    msec wall;
    enum event_node_change change;
    const struct address *addresses, *previous;
    size_t n_addresses, n_previous;
};
int event_node(struct event *ret, const struct event_node *from);

/* nodewall/<cluster>/health */
enum event_health { EVENT_SYNCED, EVENT_STALE, EVENT_UNAUTHORIZED, EVENT_HELD, EVENT_RELEASED, EVENT_CONFLICT, EVENT_REFUSED };
const char *event_health_name(enum event_health health);
int event_health(struct event *ret, const char *cluster, enum event_health health, const char *detail, msec wall,
                 msec since_wall);

/* Whether it is one of ours, and whose. `tag` need not be NUL-terminated. *ret_cluster gets the name. */
bool event_tag_is_ours(const char *tag, size_t size);
bool event_tag_cluster(const char *tag, size_t size, char ret_cluster[64]);
