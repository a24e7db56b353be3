/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Voice - turns what happened into an event and hands it to the bus.
 *
 * Does not: decide whether something is worth saying, but for a flood of node events, which is cut: it would tell nobody
 * anything and would push the announcements aside.
 */
#include "voice.h"

#include "nodewall/log.h"

#include <string.h>

enum {
    NODE_EVENTS = 500,              /* of one cluster, within NODE_EVENTS_WINDOW; half of what the outbox keeps */
    NODE_EVENTS_WINDOW = 10000,
};

static void publish(struct voice *voice, enum outbox_kind kind, const char *key, struct event *event, char *ret_id) {
    struct problem problem = {0};
    int r = bus_publish(voice->bus, kind, key, event->tag, event->data, ret_id, &problem);

    if (r < 0)
        log_error("%s: event %s was not published: %s", voice->cluster, event->tag,
                  problem.what[0] ? problem.what : strerror(-r));
}

static void announce(struct voice *voice, const struct event_addresses *from, enum outbox_kind kind, char *ret_id) {
    CLEANUP(event_done) struct event event = {0};
    int r = event_addresses(&event, from);

    if (r < 0)
        log_error("%s: cannot make an event: %s", voice->cluster, strerror(-r));
    else
        publish(voice, kind, voice->cluster, &event, ret_id);
}

void voice_announce(struct voice *voice, const struct set *set, const struct delta *delta, enum event_reason reason,
                    const char *token) {
    const struct event_addresses from = {
        .cluster = voice->cluster,
        .wall = clock_wall(),
        .set = set,
        .delta = delta,
        .reason = reason,
        .token = token,
    };

    voice->announced = set->version;
    if (delta)
        log_info("%s: generation %llu, %zu addresses: %zu added, %zu removed (%s)", voice->cluster,
                 (unsigned long long)set->version.generation, set->n_members, delta->n_added, delta->n_removed,
                 event_reason_name(reason));
    else
        log_info("%s: generation %llu, %zu addresses (%s)", voice->cluster, (unsigned long long)set->version.generation,
                 set->n_members, event_reason_name(reason));
    announce(voice, &from, OUTBOX_ANNOUNCEMENT, voice->announced_id);
}

void voice_repair(struct voice *voice, const struct set *set, const char *token, const char *const *minions, size_t n_minions) {
    const struct event_addresses from = {
        .cluster = voice->cluster,
        .wall = clock_wall(),
        .set = set,
        .reason = EVENT_REPAIR,
        .minions = minions,
        .n_minions = n_minions,
        .token = token,
    };

    log_info("%s: generation %llu again, to %zu without it: %s%s", voice->cluster,
             (unsigned long long)set->version.generation, n_minions, minions[0], n_minions == 1 ? "" : ", …");
    announce(voice, &from, OUTBOX_REPAIR, NULL);
}

static bool flooded(struct voice *voice, msec now) {
    if (now - voice->window >= NODE_EVENTS_WINDOW) {
        voice->window = now;
        voice->in_window = 0;
    }
    if (voice->in_window++ < NODE_EVENTS)
        return false;
    if (voice->in_window == NODE_EVENTS + 1)
        log_warning("%s: more than %d nodes changed within %d s; no more node events until that is over",
                    voice->cluster, NODE_EVENTS, NODE_EVENTS_WINDOW / 1000);
    voice->node_events_cut++;
    return true;
}

void voice_node(struct voice *voice, const struct inventory_change *change, msec now) {
    static const enum event_node_change kinds[] = {
        [INVENTORY_ADDED] = EVENT_NODE_ADDED,
        [INVENTORY_CHANGED] = EVENT_NODE_CHANGED,
        [INVENTORY_REMOVED] = EVENT_NODE_REMOVED,
    };
    CLEANUP(event_done) struct event event = {0};
    CLEANUP(cleanup_free) char *key = NULL;
    const struct event_node from = {
        .cluster = voice->cluster,
        .node = change->name,
        .uid = change->uid,
        .wall = clock_wall(),
        .change = kinds[change->kind],
        .addresses = change->addresses,
        .previous = change->previous,
        .n_addresses = change->n_addresses,
        .n_previous = change->n_previous,
    };

    if (flooded(voice, now))
        return;
    if (event_node(&event, &from) < 0 || asprintf(&key, "%s/%s", voice->cluster, change->name) < 0)
        return; /* a name that has no place in a tag */
    publish(voice, OUTBOX_EVENT, key, &event, NULL);
}

void voice_health(struct voice *voice, const struct health_turn *turn, msec now) {
    CLEANUP(event_done) struct event event = {0};
    const char *name = event_health_name(turn->what);
    msec wall = clock_wall();

    if (turn->what == EVENT_SYNCED || turn->what == EVENT_RELEASED)
        log_info("%s: %s", voice->cluster, name);
    else
        log_warning("%s: %s: %s", voice->cluster, name, turn->detail);
    if (event_health(&event, voice->cluster, turn->what, turn->detail, wall, wall - (now - turn->since)) == 0)
        publish(voice, OUTBOX_EVENT, voice->cluster, &event, NULL);
}
