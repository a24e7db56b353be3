/* SPDX-License-Identifier: Apache-2.0 */
/* Plan - the next set, made but not yet confirmed; and the policy itself. Internal. */
#pragma once

#include "debounce.h"
#include "grace.h"
#include "guard.h"
#include "words.h"

/* What a decision leads to, kept until the driver says how it went. */
struct plan {
    struct marked next;         /* set NULL: the state alone is saved */
    struct address *lost;       /* what it removes as a loss, for the guard */
    size_t n_lost;
    struct guard_size was;      /* the set that it replaces */
    unsigned reasons;
    uint64_t state;
};
void plan_done(struct plan *plan);

struct counts {
    size_t in_grace, held, bare, over_limit;
};

struct policy {
    struct words words;
    struct set *living;                 /* as last observed; NULL before the first list */
    char (*bare)[LABEL_MAX + 1];        /* sorted */
    size_t n_bare;
    struct marked confirmed;            /* set NULL: nothing is confirmed yet */
    struct guard guard;
    struct debounce debounce;

    bool listed;                        /* a complete list came */
    bool has_candidate, agreed;         /* first set: of one list, of two */
    char candidate[DIGEST_DIGITS + 1];
    msec candidate_at;

    struct plan plan;
    bool listed_in_flight;              /* a complete list was observed meanwhile */
    bool in_flight;                     /* decided, and neither confirmed nor failed yet */
    unsigned reasons;                   /* bits by enum policy_reason, since the last decision */
    enum { SELECTED, SELECTING, SELECTING_ONCE } selecting;     /* an operator's other selection: lists seen of it */
    msec selecting_at;                  /* the first of them */
    bool dirty;                         /* a plan might differ from what is confirmed */
    msec wake;                          /* when it might although nothing comes */
    msec doubt_due;                     /* a second list may settle what is in doubt; MSEC_NEVER: nothing is */
    uint64_t state, saved;              /* versions of what policy_state tells */
    struct counts counts;               /* of the last plan */
    msec bare_since;                    /* MSEC_NEVER: no bare node holds anything */
};

/* Fills policy->plan, counts, wake, and lets the guard judge. *ret_differs: plan.next is another set than the confirmed
 * one. -errno: nothing is planned. */
int plan_make(struct policy *policy, msec now, bool *ret_differs);

/* Whether this confirmed address stays only because the guard, or its node's bareness, holds it. */
bool plan_holds(const struct policy *policy, size_t i, msec now);

/* state.c: brings back what policy_state wrote. Whatever is no sense is left out. */
int state_load(struct policy *policy, struct json_object *state, msec now, msec wall);
