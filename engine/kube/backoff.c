/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backoff - the arithmetic of waiting; backoff.h has the figures and where they come from.
 *
 * Keeps: a wait is at least the delay and less than twice it, so that clients which failed together do not come back
 * together, and never zero. Does not: know what failed, or whether a slow failure was calm; whoever calls it moves
 * `last`.
 * Owns: nothing.
 */
#include "nodewall/backoff.h"

msec backoff_next(struct backoff *backoff, msec now, uint32_t random) {
    msec delay = backoff->delay;

    if (delay <= 0 || now - backoff->last >= backoff->calm)
        delay = backoff->first;
    backoff->delay = MIN(2 * delay, backoff->most);
    backoff->last = now;
    return delay + (msec)(((uint64_t)delay * random) >> 32);
}
