/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners - every address that living nodes report, with the number of nodes that report it.
 *
 * A cloud gives a freed address to a new node before the old Node object is deleted, so an address lives until its
 * last owner is gone. Beyond `most` distinct addresses a new one waits; what has a place keeps it as long as it has
 * an owner.
 *
 * Does not: know nodes. The caller adds and drops each address of each node exactly once.
 * Owns: its tree (glibc's tsearch, a balanced one).
 */
#include "owners.h"

#include <assert.h>
#include <search.h>

static int compare(const void *a, const void *b) {
    return address_compare(&((const struct owned *)a)->address, &((const struct owned *)b)->address);
}

void owners_done(struct owners *owners) {
    tdestroy(owners->root, free);
    owners->root = NULL;
    owners->n_taken = owners->n_waiting = 0;
}

struct owned *owners_find(const struct owners *owners, const struct address *address) {
    struct owned key = {.address = *address};
    struct owned *const *found = tfind(&key, &owners->root, compare);

    return found ? *found : NULL;
}

int owners_add(struct owners *owners, const struct address *address) {
    struct owned *owned = owners_find(owners, address);

    if (owned) {
        owned->n_owners++;
        return 0;
    }
    owned = malloc(sizeof(*owned));
    if (!owned)
        return -ENOMEM;
    *owned = (struct owned){.address = *address, .n_owners = 1, .order = owners->next};
    if (!tsearch(owned, &owners->root, compare)) {
        free(owned);
        return -ENOMEM;
    }
    owners->next++;
    owned->taken = owners->n_taken < owners->most;
    if (owned->taken)
        owners->n_taken++;
    else
        owners->n_waiting++;
    return 0;
}

static void find_oldest(struct owned *owned, void *userdata) {
    struct owned **oldest = userdata;

    if (!owned->taken && (!*oldest || owned->order < (*oldest)->order))
        *oldest = owned;
}

void owners_drop(struct owners *owners, const struct address *address) {
    struct owned *owned = owners_find(owners, address), *oldest = NULL;

    assert(owned);
    if (--owned->n_owners)
        return;
    if (owned->taken)
        owners->n_taken--;
    else
        owners->n_waiting--;
    tdelete(owned, &owners->root, compare);
    free(owned);
    if (owners->n_waiting == 0 || owners->n_taken >= owners->most)
        return;
    owners_each(owners, find_oldest, &oldest);
    oldest->taken = true;
    owners->n_taken++;
    owners->n_waiting--;
}

struct walk {
    void (*each)(struct owned *owned, void *userdata);
    void *userdata;
};

static void step(const void *node, VISIT visit, void *closure) {
    const struct walk *walk = closure;

    if (visit == postorder || visit == leaf) /* the moment between both subtrees: in order */
        walk->each(*(struct owned *const *)node, walk->userdata);
}

void owners_each(const struct owners *owners, void (*each)(struct owned *owned, void *userdata), void *userdata) {
    twalk_r(owners->root, step, &(struct walk){each, userdata});
}
