/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debounce - a first change goes at once, a burst goes in few sets.
 *
 * One machine that joins is waited for by somebody; of five hundred that join, nobody needs each alone, and every set costs a write,
 * an event, a reaction of Salt's (which does 34 to 69 a second, of all clusters together) and a firewall transaction on each minion.
 *
 * What is rationed is therefore sets, not minutes: POLICY_BURST of them may follow each other POLICY_DEBOUNCE_FIRST apart, and one
 * more is earned in each POLICY_DEBOUNCE_MOST. So in a minute in which a machine joins every second none waits, fifty at once are
 * four sets, and a storm is one set a second. (Before, the wait grew with the time that changes went on, up to 2 s, and hit the lone
 * machine in a busy minute as hard as the storm.) The window opens behind a set, never before it.
 */
#include "debounce.h"

/* A state without a set is a write that nobody waits for. */
#define SAVE_EVERY 1000
#define RETRY_FIRST 1000
#define RETRY_MOST 30000

msec debounce_next_set(const struct debounce *debounce) {
    msec next = INT64_MIN;

    if (debounce->has_sent)
        next = MAX(debounce->sent + POLICY_DEBOUNCE_FIRST, debounce->paid - (msec)POLICY_BURST * POLICY_DEBOUNCE_MOST);
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
    debounce->paid = (debounce->has_sent ? MAX(debounce->paid, now) : now) + POLICY_DEBOUNCE_MOST;
    debounce->has_sent = true;
    debounce->sent = now;
}

void debounce_failed(struct debounce *debounce, msec now) {
    debounce->retry = now + MIN((msec)RETRY_FIRST << MIN(debounce->n_failures, 5u), (msec)RETRY_MOST);
    debounce->n_failures++;
}
