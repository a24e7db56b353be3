/* SPDX-License-Identifier: Apache-2.0 */
/* Words - the operator's: what may never be in a set, what always is. Internal to policy. */
#pragma once

#include "nodewall/policy.h"

#define EXTRA_LABEL "extra"

struct words {
    msec grace;
    unsigned max_removal;
    size_t max_total, max_per_node;
    struct address *within, *except;
    size_t n_within, n_except;
    struct set *extra;          /* sealed; what `except` leaves of it */
};
void words_done(struct words *words);
int words_copy(struct words *ret, const struct policy_options *options);
/* A node's address that no set may hold: in `except`, or outside `within`. */
bool words_forbid(const struct words *words, const struct address *address);
bool words_have_extra(const struct words *words, const struct address *address);
