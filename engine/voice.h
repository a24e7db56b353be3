/* SPDX-License-Identifier: Apache-2.0 */
/* Voice - what one cluster says: its announcements, its nodes' and its health's events, each with its line in the log. */
#pragma once

#include "health.h"
#include "nodewall/bus.h"
#include "nodewall/event.h"
#include "nodewall/inventory.h"

struct voice {
    const char *cluster;
    struct bus *bus;
    char announced_id[OUTBOX_ID_DIGITS + 1];    /* of the newest announcement for everybody: its echo starts the waiting */
    struct version announced;                   /* that it is of */
    msec window;                                /* begin of the current one, for node events */
    unsigned in_window;
    uint64_t node_events_cut;
};

/* `set` is the confirmed one; `delta` leads to it from the one before, or NULL. */
void voice_announce(struct voice *voice, const struct set *set, const struct delta *delta, enum event_reason reason,
                    const char *token);
void voice_repair(struct voice *voice, const struct set *set, const char *token, const char *const *minions, size_t n_minions);
void voice_node(struct voice *voice, const struct inventory_change *change, msec now);
void voice_health(struct voice *voice, const struct health_turn *turn, msec now);
