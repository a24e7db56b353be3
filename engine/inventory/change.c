/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Change - the queue between what happened to nodes and who tells it on.
 *
 * A change owns copies of everything, so that the node may go before anybody looks. The queue is as long as its
 * reader lets it become; inventory_pop empties it after each call of the driver.
 */
#include "change.h"

#include "known.h"

#include <string.h>

struct queued {
    struct inventory_change change;
    struct queued *next;
};

void inventory_change_done(struct inventory_change *change) {
    free(change->addresses);
    free(change->previous);
    *change = (struct inventory_change){0};
}

static struct queued *queued_free(struct queued *queued) {
    if (queued) {
        inventory_change_done(&queued->change);
        free(queued);
    }
    return NULL;
}
DEFINE_CLEANUP(struct queued, queued_free)

void changes_done(struct changes *changes) {
    while (changes->first) {
        struct queued *next = changes->first->next;

        queued_free(changes->first);
        changes->first = next;
    }
    changes->last = NULL;
}

static int copy_addresses(struct address **ret, size_t *ret_n, const struct known *known) {
    struct address *copy = NULL;

    if (!known || known->n_addresses == 0)
        return 0;
    copy = malloc(known->n_addresses * sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    memcpy(copy, known->addresses, known->n_addresses * sizeof(*copy));
    *ret = copy;
    *ret_n = known->n_addresses;
    return 0;
}

int changes_push(struct changes *changes, const struct known *now, const struct known *before, bool listed) {
    CLEANUP(queued_freep) struct queued *queued = calloc(1, sizeof(*queued));
    const struct known *who = now ? now : before;
    struct inventory_change *change;
    int r;

    if (!queued)
        return -ENOMEM;
    change = &queued->change;
    change->kind = !before ? INVENTORY_ADDED : now ? INVENTORY_CHANGED : INVENTORY_REMOVED;
    change->listed = listed;
    snprintf(change->name, sizeof(change->name), "%s", who->name);
    snprintf(change->uid, sizeof(change->uid), "%s", who->uid);
    r = copy_addresses(&change->addresses, &change->n_addresses, now);
    if (r < 0)
        return r;
    r = copy_addresses(&change->previous, &change->n_previous, before);
    if (r < 0)
        return r;
    changes_move(changes, &(struct changes){queued, queued});
    queued = NULL;
    return 0;
}

void changes_move(struct changes *to, struct changes *from) {
    if (!from->first)
        return;
    if (to->last)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    *from = (struct changes){0};
}

bool changes_pop(struct changes *changes, struct inventory_change *ret) {
    struct queued *queued = changes->first;

    if (!queued)
        return false;
    changes->first = queued->next;
    if (!changes->first)
        changes->last = NULL;
    *ret = queued->change;
    free(queued);
    return true;
}
