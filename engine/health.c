/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health - see health.h.
 *
 *   STARTING ──list──▶ SYNCED ──trouble──▶ UNREACHABLE ──stale_after──▶ STALE
 *                        ▲ ╰──401, 403──▶ UNAUTHORIZED ◀──401, 403──────────╯
 *                        ╰────────────────── resumed ── from each of them
 *   MISCONFIGURED: nothing could be tried. DROPPED: nothing is to be tried any more.
 *
 * Keeps: a state that was told is told again only after another one was.
 */
#include "health.h"

#include <string.h>

const char *health_state_name(enum health_state state) {
    static const char *const names[] = {"starting", "synced",       "held",         "unreachable",
                                        "stale",    "unauthorized", "misconfigured", "dropped"};

    return names[state];
}

void health_link(struct health *health, enum health_state link, const char *detail, msec now) {
    if (health->link != link)
        health->link_since = now;
    health->link = link;
    if (detail != health->detail)
        snprintf(health->detail, sizeof(health->detail), "%s", detail);
}

void health_trouble(struct health *health, const struct watch_event *trouble, msec now) {
    if (trouble->kind == WATCH_EVENT_RESUMED)
        health_link(health, HEALTH_SYNCED, "", now);
    else if (trouble->trouble == WATCH_TROUBLE_UNAUTHORIZED || trouble->trouble == WATCH_TROUBLE_FORBIDDEN)
        health_link(health, HEALTH_UNAUTHORIZED, trouble->text, now);
    else if (health->link == HEALTH_STALE)
        snprintf(health->detail, sizeof(health->detail), "%s", trouble->text);
    else
        health_link(health, HEALTH_UNREACHABLE, trouble->text, now);
}

static bool turn_link(struct health *health, struct health_turn *ret) {
    static const enum event_health events[] = {
        [HEALTH_SYNCED] = EVENT_SYNCED,
        [HEALTH_STALE] = EVENT_STALE,
        [HEALTH_UNAUTHORIZED] = EVENT_UNAUTHORIZED,
    };

    if (health->link == health->told || (health->link != HEALTH_SYNCED && health->link != HEALTH_STALE &&
                                         health->link != HEALTH_UNAUTHORIZED))
        return false;
    health->told = health->link;
    ret->what = events[health->link];
    ret->since = health->link_since;
    snprintf(ret->detail, sizeof(ret->detail), "%s", health->detail);
    return true;
}

static bool turn_hold(struct health *health, const struct policy_hold *hold, msec now, struct health_turn *ret) {
    bool held = hold->addresses > 0;

    snprintf(health->held_detail, sizeof(health->held_detail), "%s", hold->text);
    if (held == health->held)
        return false;
    health->held = held;
    health->held_since = held ? hold->since : now;
    ret->what = held ? EVENT_HELD : EVENT_RELEASED;
    ret->since = health->held_since;
    if (held)
        snprintf(ret->detail, sizeof(ret->detail), "%s", hold->text);
    else if (health->released)
        snprintf(ret->detail, sizeof(ret->detail), "an operator let %zu addresses go", health->released);
    else
        snprintf(ret->detail, sizeof(ret->detail), "what was held lives again, or is no large loss any more");
    health->released = 0;
    return true;
}

size_t health_look(struct health *health, const struct policy_hold *hold, msec heard, msec stale_after, msec now,
                   struct health_turn turns[HEALTH_TURNS]) {
    msec since = heard >= 0 ? heard : health->link_since;
    size_t n = 0;

    /* An answer that is an error is no news of the cluster. A link that is called synced and says nothing is as stale as
     * one in trouble. */
    if (health->link == HEALTH_UNREACHABLE)
        since = MIN(since, health->link_since);
    if ((health->link == HEALTH_UNREACHABLE || health->link == HEALTH_SYNCED) && now - since >= stale_after)
        health_link(health, HEALTH_STALE, health->detail[0] ? health->detail : "the API server says nothing", now);
    else if (health->link == HEALTH_STALE && heard >= 0 && now - heard < stale_after && !strcmp(health->detail, "the API server says nothing"))
        health_link(health, HEALTH_SYNCED, "", now);
    n += turn_link(health, &turns[n]);
    n += turn_hold(health, hold, now, &turns[n]);
    return n;
}

bool health_refusals(struct health *health, size_t n, const char *text, msec now, struct health_turn *ret) {
    bool ever = health->refusals_told != 0;

    if (n == 0) {
        health->refusals[0] = '\0';
        return false;
    }
    if (!strncmp(health->refusals, text, sizeof(health->refusals) - 1) ||
        (ever && now - health->refusals_told < HEALTH_REFUSALS_EVERY))
        return false;
    snprintf(health->refusals, sizeof(health->refusals), "%s", text);
    health->refusals_told = now;
    ret->what = EVENT_REFUSED;
    ret->since = now;
    snprintf(ret->detail, sizeof(ret->detail), "%zu not let in: %s", n, health->refusals);
    return true;
}

void health_released(struct health *health, size_t n) {
    health->released = n;
}

static bool tells_hold(const struct health *health) {
    return health->held && (health->link == HEALTH_SYNCED || health->link == HEALTH_DROPPED);
}

enum health_state health_state(const struct health *health) {
    return health->link == HEALTH_SYNCED && health->held ? HEALTH_HELD : health->link;
}

const char *health_detail(const struct health *health) {
    return tells_hold(health) ? health->held_detail : health->detail;
}
