/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backoff - how long to wait before the next try. Pure: `now` and the random number come in.
 *
 * client-go's figures (k8s.io/client-go tools/cache/reflector.go): 800 ms, doubled up to 30 s, and jitter that adds up
 * to the whole delay; forgotten after two minutes in which no try was needed.
 */
#pragma once

#include "nodewall/base.h"

struct backoff {
    msec first, most;       /* delays without jitter */
    msec calm;              /* forgets after so long without a failure */
    msec delay;             /* of the next failure; 0: `first` */
    msec last;              /* `now` of the last failure */
};

#define BACKOFF_KUBE ((struct backoff){.first = 800, .most = 30000, .calm = 120000})

/* Takes note of a failure; returns how long to wait. `random` is any 32 random bits. */
msec backoff_next(struct backoff *backoff, msec now, uint32_t random);
