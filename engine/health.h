/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health - in one word how a cluster's source is, and which turns of it are worth an event. Pure: `now` comes in.
 *
 * Two things that change on their own: the way to the API, and whether removals are held. Trouble that is over before
 * `stale_after` makes no event; what is applied stays right meanwhile.
 */
#pragma once

#include "nodewall/event.h"
#include "nodewall/policy.h"
#include "nodewall/watch.h"

enum health_state {
    HEALTH_STARTING,        /* no list yet */
    HEALTH_SYNCED,
    HEALTH_HELD,            /* synced, and removals are held */
    HEALTH_UNREACHABLE,     /* trouble, not long enough for stale */
    HEALTH_STALE,
    HEALTH_UNAUTHORIZED,
    HEALTH_MISCONFIGURED,   /* the kubeconfig is no good, or the store: nothing was tried */
    HEALTH_DROPPED,         /* not configured any more; what it has stays until it is released */
};
const char *health_state_name(enum health_state state);

struct health {
    enum health_state link;         /* STARTING, SYNCED, UNREACHABLE, STALE, UNAUTHORIZED, MISCONFIGURED, DROPPED */
    msec link_since;
    char detail[640];               /* of the link; "" when all is well */
    bool held;
    msec held_since;
    char held_detail[400];
    size_t released;                /* addresses that an operator let go, not told yet */
    char refusals[512];             /* as last told */
    msec refusals_told;             /* when */
    enum health_state told;         /* link as last told on the bus: STARTING (nothing), SYNCED, STALE, UNAUTHORIZED */
};

/* What is worth telling; `n` of them. */
struct health_turn {
    enum event_health what;
    msec since;
    char detail[640];
};
#define HEALTH_TURNS 2

/* `trouble` NULL: none now. */
void health_link(struct health *health, enum health_state link, const char *detail, msec now);
void health_trouble(struct health *health, const struct watch_event *trouble, msec now);
/* Looks at the clock and at the hold. `heard`: when the API last said anything (-1: never). */
size_t health_look(struct health *health, const struct policy_hold *hold, msec heard, msec stale_after, msec now,
                   struct health_turn turns[HEALTH_TURNS]);
#define HEALTH_REFUSALS_EVERY 60000     /* ms; a node can write another refused address each second */
/* Addresses of living nodes that are not let in, and why. True: it is worth an event. */
bool health_refusals(struct health *health, size_t n, const char *text, msec now, struct health_turn *ret);
/* An operator let so many addresses go: the next end of a hold is his. */
void health_released(struct health *health, size_t n);
enum health_state health_state(const struct health *health);
const char *health_detail(const struct health *health);
