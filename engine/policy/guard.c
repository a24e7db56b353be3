/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guard - refuses plausible disasters.
 *
 * An API server restored from an old backup, a kubeconfig that points to another cluster, a controller gone wild:
 * each says in well-formed JSON that most nodes are gone. A cluster does not lose more than half of itself in ten
 * minutes without somebody who knows; believing it would cut every node off at once. So such a loss waits for that
 * somebody.
 *
 *                        ╭──────────────────────────────────────────────────────────────╮
 *                        │ addresses live again, so that the rest is not too large;     │
 *                        │ nothing is due any more; max_removal raised; released        │
 *                        ▼                                                              │
 *    set ──addresses──▶ BELIEVES ──grace over, and the loss is too large──▶ HOLDS ──────╯
 *           gone         │    ▲                                              │  ▲
 *                        ╰────╯ grace over: removed, and remembered for      ╰──╯ time passes: never a reason
 *                               ten minutes as a loss
 *
 * The loss is what was removed within the window and what is gone by now, in grace as well: of a disaster that comes
 * drop by drop the first drop is held. It is measured against the largest set in force within the window. While it
 * holds, both stand still: were they allowed to age, waiting ten minutes would release everything.
 *
 * Keeps: additions are no concern of it. Does not: know labels, grace, or what an operator forbids; those never come
 * here.
 */
#include "guard.h"

#include <string.h>

void guard_done(struct guard *guard) {
    free(guard->losses);
    *guard = (struct guard){0};
}

static msec window_begin(const struct guard *guard, msec now) {
    return (guard->holds ? MIN(guard->since, now) : now) - POLICY_GUARD_WINDOW;
}

static struct guard_size largest(const struct guard *guard, struct guard_size now_in_force, msec begin) {
    struct guard_size most = now_in_force;

    for (size_t i = 0; i < guard->n_sizes; i++)
        if (guard->sizes[i].until >= begin) {
            most.addresses = MAX(most.addresses, guard->sizes[i].addresses);
            most.nodes = MAX(most.nodes, guard->sizes[i].nodes);
        }
    return most;
}

static size_t count_losses(const struct guard *guard, msec begin) {
    size_t n = 0;

    for (size_t i = 0; i < guard->n_losses; i++)
        n += guard->losses[i].when >= begin;
    return n;
}

bool guard_judge(struct guard *guard, unsigned max_removal, struct guard_size now_in_force, size_t departed, msec now) {
    msec begin = window_begin(guard, now);
    struct guard_size before =
            guard->holds && guard->before.addresses ? guard->before : largest(guard, now_in_force, begin);
    bool holds;

    guard->lost = count_losses(guard, begin) + departed;
    holds = max_removal < 100 && before.nodes >= POLICY_GUARD_NODES &&
            (uint64_t)guard->lost * 100 > (uint64_t)max_removal * before.addresses;
    if (holds && !guard->holds)
        guard->since = now;
    guard->before = before;
    guard->holds = holds;
    return holds;
}

void guard_release(struct guard *guard) {
    guard->holds = false;
    guard->lost = 0;
}

void guard_forget_sizes(struct guard *guard) {
    guard->n_sizes = 0;
    guard->before = (struct guard_size){0};
}

void guard_remember(struct guard *guard, struct guard_size was, msec now) {
    msec begin = window_begin(guard, now);
    size_t kept = 0;

    was.until = now;
    /* One that was no larger and ended earlier can never be the largest. */
    for (size_t i = 0; i < guard->n_sizes; i++) {
        const struct guard_size *size = &guard->sizes[i];

        if (size->until >= begin && (size->addresses > was.addresses || size->nodes > was.nodes))
            guard->sizes[kept++] = *size;
    }
    if (kept == GUARD_SIZES) { /* without the oldest it is stricter, never laxer */
        kept--;
        memmove(guard->sizes, guard->sizes + 1, kept * sizeof(*guard->sizes));
    }
    guard->sizes[kept++] = was;
    guard->n_sizes = kept;
}

int guard_reserve(struct guard *guard, size_t n) {
    size_t capacity = MAX(guard->capacity, (size_t)16);
    struct guard_loss *losses;

    while (capacity < guard->n_losses + n)
        capacity *= 2;
    if (capacity == guard->capacity)
        return 0;
    losses = reallocarray(guard->losses, capacity, sizeof(*losses));
    if (!losses)
        return -ENOMEM;
    guard->losses = losses;
    guard->capacity = capacity;
    return 0;
}

void guard_lose(struct guard *guard, const struct address *address, msec now) {
    guard->losses[guard->n_losses++] = (struct guard_loss){*address, now};
}

void guard_look(struct guard *guard, const struct set *living, msec now) {
    msec begin = window_begin(guard, now);
    size_t kept = 0;

    for (size_t i = 0; i < guard->n_losses; i++)
        if (guard->losses[i].when >= begin && !(living && set_has(living, &guard->losses[i].address)))
            guard->losses[kept++] = guard->losses[i];
    guard->n_losses = kept;
}
