/* SPDX-License-Identifier: Apache-2.0 */
/* Owners - how many nodes report each address, and which addresses have a place under the total bound. Internal. */
#pragma once

#include "nodewall/inventory.h"

struct owners {
    void *root;                 /* of struct owned, by address */
    size_t n_taken, n_waiting;  /* distinct addresses; waiting ones found no place under `most` */
    size_t most;
    uint64_t next;
};

struct owned {
    struct address address;
    size_t n_owners;
    bool taken;
    uint64_t order;             /* the oldest that waits takes a place that becomes free */
    const char *label;          /* scratch of inventory_living */
};

void owners_done(struct owners *owners);
int owners_add(struct owners *owners, const struct address *address);   /* -ENOMEM: nothing was added */
void owners_drop(struct owners *owners, const struct address *address);
struct owned *owners_find(const struct owners *owners, const struct address *address);
/* By address. */
void owners_each(const struct owners *owners, void (*each)(struct owned *owned, void *userdata), void *userdata);
