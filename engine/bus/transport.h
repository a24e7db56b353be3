/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport - a way to Salt's bus: local.c or minion.c. Private to engine/bus.
 *
 * The bus has the outbox, the states and the one timer; a transport has connections, and when it tries again.
 */
#pragma once

#include "nodewall/bus.h"

struct transport {
    const struct transport_ops *ops;
    struct bus *bus;
    uv_loop_t *loop;
};

struct transport_ops {
    bool one_way;       /* nothing is heard there: delivered is what the other side acknowledges */
    /* When `turn` has something to do, whatever the state. MSEC_NEVER: only when something comes. */
    msec (*due)(const struct transport *transport);
    void (*turn)(struct transport *transport, msec now);
    /* Only while connected: whether one more can be handed over; hand it over; that was the last one for now. */
    bool (*takes)(const struct transport *transport);
    void (*send)(struct transport *transport, const struct outbox_entry *entry);
    void (*flush)(struct transport *transport);         /* or NULL */
    void (*stuck)(struct transport *transport);         /* what was sent is not delivered any more; begin anew */
    void (*stats)(const struct transport *transport, struct bus_stats *ret);
    /* Closes at once, no call of the bus comes after it; the memory goes with `free`, in a later turn of the loop. */
    void (*stop)(struct transport *transport);
    void (*free)(struct transport *transport);
};

int local_new(struct transport **ret, const struct bus_options *options);
int minion_new(struct transport **ret, const struct bus_options *options);
struct minion_options *minion_options_free(struct minion_options *options);
DEFINE_CLEANUP(struct minion_options, minion_options_free)
int minion_options_copy(struct minion_options **ret, const struct minion_options *from);     /* owns all of it */

/* For transports. Whatever tells the user may end in bus_free: be done before, or look at bus_is_freed after it. */
bool bus_is_freed(const struct bus *bus);
void bus_schedule(struct bus *bus);                     /* due, takes or the outbox changed */
void bus_enter(struct bus *bus, enum bus_state state, const char *detail);
void bus_enter_connected(struct bus *bus);              /* and everything undelivered is due again */
void bus_heard(struct bus *bus, const struct bus_message *message);     /* somebody's event */
/* One of ours is there; false: it was not waited for. */
bool bus_delivered(struct bus *bus, const char *tag, const char *id);
/* The event_id of an event that may be one of ours; false when it has none. */
bool bus_event_id(const struct bus_message *message, char ret[OUTBOX_ID_DIGITS + 1]);
