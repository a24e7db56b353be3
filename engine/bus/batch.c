/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch - copies of what the outbox gave to be sent, since the outbox may change while the answer is on its way.
 */
#include "batch.h"

#include <string.h>

int batch_add(struct batch *batch, const struct outbox_entry *entry) {
    CLEANUP(cleanup_free) char *tag = strdup(entry->tag);
    CLEANUP(cleanup_free) uint8_t *body = malloc(entry->size);

    if (!tag || !body)
        return -ENOMEM;
    memcpy(body, entry->body, entry->size);
    snprintf(batch->ids[batch->n], sizeof(batch->ids[0]), "%s", entry->id);
    batch->events[batch->n++] = (struct load_event){.tag = TAKE_PTR(tag), .body = TAKE_PTR(body), .size = entry->size};
    batch->bytes += entry->size;
    return 0;
}

void batch_clear(struct batch *batch) {
    for (size_t i = 0; i < batch->n; i++) {
        free((char *)batch->events[i].tag);
        free((uint8_t *)batch->events[i].body);
    }
    batch->n = batch->bytes = 0;
}
