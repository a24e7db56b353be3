/* SPDX-License-Identifier: Apache-2.0 */
/* Change - what became of nodes, queued until the driver asks. Internal to the inventory. */
#pragma once

#include "nodewall/inventory.h"

struct known;

struct queued;
struct changes {
    struct queued *first, *last;
};
void changes_done(struct changes *changes);
/* Either of `now` and `before` may be NULL: the node is new, or gone. -ENOMEM: nothing was queued. */
int changes_push(struct changes *changes, const struct known *now, const struct known *before, bool listed);
/* Appends all of `from` and leaves it empty. */
void changes_move(struct changes *to, struct changes *from);
bool changes_pop(struct changes *changes, struct inventory_change *ret);
