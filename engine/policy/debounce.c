/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debounce - a first change goes at once, a burst goes in few sets.
 *
 * One machine that joins is waited for by somebody; of five hundred that join, nobody needs each alone, and every set
 * costs a write, a message and a firewall transaction on each minion. So the window opens behind a set, never before
 * it, and doubles while sets follow each other.
 */
#include "debounce.h"

/* A state without a set is a write that nobody waits for. */
#define SAVE_EVERY 1000
#define RETRY_FIRST 1000
#define RETRY_MOST 30000

msec debounce_next_set(const struct debounce *debounce) {
    msec next = debounce->window ? debounce->sent + debounce->window : INT64_MIN;

    return debounce->n_failures ? MAX(next, debounce->retry) : next;
}

msec debounce_next_save(const struct debounce *debounce) {
    msec next = debounce->has_saved ? debounce->saved + SAVE_EVERY : INT64_MIN;

    return debounce->n_failures ? MAX(next, debounce->retry) : next;
}

void debounce_sent(struct debounce *debounce, bool set, msec now) {
    debounce->n_failures = 0;
    debounce->saved = now;
    debounce->has_saved = true;
    if (!set)
        return;
    if (debounce->window == 0 || now - debounce->sent >= POLICY_CALM)
        debounce->window = POLICY_DEBOUNCE_FIRST;
    else
        debounce->window = MIN(2 * debounce->window, (msec)POLICY_DEBOUNCE_MOST);
    debounce->sent = now;
}

void debounce_failed(struct debounce *debounce, msec now) {
    debounce->retry = now + MIN((msec)RETRY_FIRST << MIN(debounce->n_failures, 5u), (msec)RETRY_MOST);
    debounce->n_failures++;
}
