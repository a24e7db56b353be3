/* SPDX-License-Identifier: Apache-2.0 */
/* Batch - the events of one request, kept until it is answered. Private to engine/bus. */
#pragma once

#include "load.h"
#include "nodewall/outbox.h"

/* What a master's worker does in some 0.1 s, so that a batch keeps no other minion waiting. */
#define BATCH_EVENTS 100
#define BATCH_BYTES (256 * 1024)        /* or one event, however large */

struct batch {
    struct load_event events[BATCH_EVENTS];
    char ids[BATCH_EVENTS][OUTBOX_ID_DIGITS + 1];
    size_t n, bytes;
};

static inline bool batch_is_full(const struct batch *batch) {
    return batch->n == BATCH_EVENTS || batch->bytes >= BATCH_BYTES;
}
/* Copies. -ENOMEM: it is not in. */
int batch_add(struct batch *batch, const struct outbox_entry *entry);
void batch_clear(struct batch *batch);          /* for CLEANUP, too */
