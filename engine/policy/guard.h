/* SPDX-License-Identifier: Apache-2.0 */
/* Guard - whether a loss is believed. Internal to policy. */
#pragma once

#include "nodewall/policy.h"

#define GUARD_SIZES 512         /* remembered; at the debounce's pace ten minutes make fewer */

struct guard_size {             /* a set that was in force until then */
    msec until;
    size_t addresses, nodes;
};
struct guard_loss {
    struct address address;
    msec when;
};
struct guard {
    struct guard_size sizes[GUARD_SIZES];   /* oldest first */
    size_t n_sizes;
    struct guard_loss *losses;              /* removed within the window, each address once */
    size_t n_losses, capacity;
    bool holds;
    msec since;                             /* while it holds */
    struct guard_size before;               /* while it holds: what the loss is measured against, frozen; no `until` */
    size_t lost;                            /* of the last judgement */
};
void guard_done(struct guard *guard);

/* `departed`: addresses of `now_in_force` that are gone, in grace or due. True: what is due must stay. */
bool guard_judge(struct guard *guard, unsigned max_removal, struct guard_size now_in_force, size_t departed, msec now);
/* Nothing is due any more, or an operator let it go. */
void guard_release(struct guard *guard);
/* A new set is in force, and another until now. */
void guard_remember(struct guard *guard, struct guard_size was, msec now);
/* Operator's words changed what can be in a set: sizes of before tell nothing any more. */
void guard_forget_sizes(struct guard *guard);
int guard_reserve(struct guard *guard, size_t n);                       /* room for n more losses; -ENOMEM */
void guard_lose(struct guard *guard, const struct address *address, msec now);      /* after guard_reserve */
/* Forgets losses of what lives again, and of what is too long ago. */
void guard_look(struct guard *guard, const struct set *living, msec now);
