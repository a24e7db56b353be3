/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plan - from what lives, what was confirmed and what the operator says to the next set.
 *
 * Each confirmed address has a fate, in this order: an extra one stays; a forbidden one goes; one that lives stays; a
 * released one goes; one of a bare node stays; one that was only extra goes; then grace; then what one list alone has missed
 * waits for a second; and what is due asks the guard.
 *
 * A node writes its own status. One that lives and reports other addresses each second would fill grace, hold and set with
 * its former ones, until nobody else has room; so of a living node's former addresses only the newest max_per_node stay.
 *
 * Keeps: whatever a living node reports and the operator allows is in the plan if it was confirmed, and if it is new
 * as long as max_total has room. Only FATE_DUE passes the guard, so no hold can delay an addition.
 */
#include "plan.h"

#include <string.h>

enum fate { FATE_EXTRA, FATE_LIVES, FATE_BARE, FATE_GRACE, FATE_DOUBT, FATE_DUE, FATE_OUT };

void plan_done(struct plan *plan) {
    marked_done(&plan->next);
    free(plan->lost);
    *plan = (struct plan){0};
}

static enum fate fate_of(const struct policy *policy, size_t i, msec now) {
    const struct member *member = &policy->confirmed.set->members[i];
    const struct mark *mark = &policy->confirmed.marks[i];

    if (words_have_extra(&policy->words, &member->address))
        return FATE_EXTRA;
    if (words_forbid(&policy->words, &member->address))
        return FATE_OUT;
    if (set_find(policy->living, &member->address))
        return FATE_LIVES;
    if (mark->released)
        return FATE_OUT;
    if (mark->bare)
        return FATE_BARE;
    if (marked_is_extra(&policy->confirmed, i))
        return FATE_OUT;
    if (mark->gone == LIVES || now - mark->gone < policy->words.grace)
        return FATE_GRACE;
    return mark->doubt == AGREED ? FATE_DUE : FATE_DOUBT;
}

bool plan_holds(const struct policy *policy, size_t i, msec now) {
    enum fate fate = fate_of(policy, i, now);

    return fate == FATE_BARE || (fate == FATE_DUE && policy->guard.holds);
}

static int compare_labels(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t count_distinct(const char **labels, size_t n) {
    size_t distinct = 0;

    if (n)
        qsort(labels, n, sizeof(*labels), compare_labels);
    for (size_t i = 0; i < n; i++)
        distinct += i == 0 || strcmp(labels[i - 1], labels[i]);
    return distinct;
}

struct review {
    enum fate *fates;           /* of the confirmed members */
    size_t n_due, n_departed;
    struct guard_size size;     /* of what nodes have in the confirmed set */
    struct counts counts;
    msec wake, doubt_due;
};

static void review_done(struct review *review) {
    free(review->fates);
    review->fates = NULL;
}

static void review_member(struct review *review, const struct policy *policy, size_t i, msec now) {
    const struct mark *mark = &policy->confirmed.marks[i];
    msec end = mark->gone == LIVES ? now + policy->words.grace : mark->gone + policy->words.grace;
    enum fate fate = review->fates[i];

    if (fate == FATE_BARE) {
        review->counts.bare++;
    } else if (fate == FATE_GRACE) {
        review->counts.in_grace++;
        review->wake = MIN(review->wake, end);
        review->n_departed += end <= now + POLICY_GUARD_WINDOW; /* of the same loss, only not due yet */
    } else if (fate == FATE_DOUBT) {
        review->counts.in_grace++;
        review->n_departed++;
        review->doubt_due = MIN(review->doubt_due, mark->doubt + POLICY_CONFIRM_AFTER);
    } else if (fate == FATE_DUE) {
        review->n_due++;
        review->n_departed++;
    }
}

/* An address that is gone, and whose it was. */
struct former {
    const char *label;
    msec gone;
    size_t i;
};

static int by_label_newest_first(const void *a, const void *b) {
    const struct former *x = a, *y = b;
    int r = strcmp(x->label, y->label);

    return r ? r : (x->gone < y->gone) - (x->gone > y->gone);
}

static int living_labels(const struct policy *policy, const char ***ret) {
    const struct set *living = policy->living;
    const char **labels = calloc(living->n_members + 1, sizeof(*labels));

    if (!labels)
        return -ENOMEM;
    for (size_t i = 0; i < living->n_members; i++)
        labels[i] = living->members[i].label;
    if (living->n_members)
        qsort(labels, living->n_members, sizeof(*labels), compare_labels);
    *ret = labels;
    return 0;
}

/* `former`: sorted. A label of full length may stand for several nodes, and is left alone. */
static int cut_former(struct review *review, const struct policy *policy, const struct former *former, size_t n) {
    CLEANUP(cleanup_free) const char **labels = NULL;
    size_t most = policy->words.max_per_node, rank = 0;

    for (size_t i = 0; i < n; i++) {
        int r;

        rank = i && !strcmp(former[i - 1].label, former[i].label) ? rank + 1 : 0;
        if (rank < most || strlen(former[i].label) == LABEL_MAX)
            continue;
        r = labels ? 0 : living_labels(policy, &labels);
        if (r < 0)
            return r;
        if (bsearch(&former[i].label, labels, policy->living->n_members, sizeof(*labels), compare_labels))
            review->fates[former[i].i] = FATE_OUT;
    }
    return 0;
}

static int bound_former(struct review *review, const struct policy *policy, msec now) {
    const struct set *set = policy->confirmed.set;
    CLEANUP(cleanup_free) struct former *former = NULL;
    size_t n = 0;

    if (!set || !policy->words.max_per_node)
        return 0;
    former = calloc(set->n_members + 1, sizeof(*former));
    if (!former)
        return -ENOMEM;
    for (size_t i = 0; i < set->n_members; i++)
        if (review->fates[i] == FATE_GRACE || review->fates[i] == FATE_DOUBT || review->fates[i] == FATE_DUE) {
            msec gone = policy->confirmed.marks[i].gone;

            former[n++] = (struct former){set->members[i].label, gone == LIVES ? now : gone, i};
        }
    if (n <= policy->words.max_per_node)
        return 0;
    qsort(former, n, sizeof(*former), by_label_newest_first);
    return cut_former(review, policy, former, n);
}

static int review_make(struct review *ret, const struct policy *policy, msec now) {
    CLEANUP(review_done) struct review review = {.wake = MSEC_NEVER, .doubt_due = MSEC_NEVER};
    CLEANUP(cleanup_free) const char **labels = NULL;
    const struct set *set = policy->confirmed.set;
    size_t n = set ? set->n_members : 0, n_nodes = 0;
    int r;

    review.fates = calloc(n + 1, sizeof(*review.fates));
    labels = calloc(n + 1, sizeof(*labels));
    if (!review.fates || !labels)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        review.fates[i] = fate_of(policy, i, now);
    r = bound_former(&review, policy, now);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        review_member(&review, policy, i, now);
        if (review.fates[i] != FATE_EXTRA && review.fates[i] != FATE_OUT)
            labels[n_nodes++] = set->members[i].label;
    }
    review.size = (struct guard_size){.addresses = n_nodes, .nodes = count_distinct(labels, n_nodes)};
    *ret = review;
    review = (struct review){0};
    return 0;
}

static void judge(struct policy *policy, struct review *review, msec now) {
    bool held = policy->guard.holds;

    guard_look(&policy->guard, policy->living, now);
    if (review->n_due == 0)
        guard_release(&policy->guard);
    else if (guard_judge(&policy->guard, policy->words.max_removal, review->size, review->n_departed, now))
        review->counts.held = review->n_due;
    if (held != policy->guard.holds)
        policy->state++;
    if ((review->counts.bare > 0) != (policy->bare_since != MSEC_NEVER)) {
        policy->bare_since = review->counts.bare ? now : MSEC_NEVER;
        policy->state++;
    }
}

static int append(struct set *set, const struct member *member, const char *label, size_t most, size_t *over) {
    if (set->n_members >= most) {
        (*over)++;
        return 0;
    }
    return set_append(set, &member->address, label);
}

/* The label of a configured address is its node's while one reports it, or lives without any. */
static const char *label_of_extra(const struct policy *policy, const struct member *extra) {
    const struct member *living = set_find(policy->living, &extra->address);
    const struct member *confirmed = set_find(policy->confirmed.set, &extra->address);

    if (living)
        return living->label;
    if (confirmed && policy->confirmed.marks[confirmed - policy->confirmed.set->members].bare)
        return confirmed->label;
    return EXTRA_LABEL;
}

static int fill(const struct policy *policy, struct review *review, struct set *set, struct plan *plan) {
    const struct set *confirmed = policy->confirmed.set, *extra = policy->words.extra, *living = policy->living;
    int r = 0;

    for (size_t i = 0; confirmed && i < confirmed->n_members && r == 0; i++) {
        const struct member *member = &confirmed->members[i];
        enum fate fate = review->fates[i];

        if (fate == FATE_DUE && !review->counts.held)
            plan->lost[plan->n_lost++] = member->address;
        else if (fate != FATE_EXTRA && fate != FATE_OUT)
            r = set_append(set, &member->address, member->label);
    }
    for (size_t i = 0; i < extra->n_members && r == 0; i++)
        r = append(set, &extra->members[i], label_of_extra(policy, &extra->members[i]), SET_LIMIT,
                &review->counts.over_limit);
    for (size_t i = 0; i < living->n_members && r == 0; i++) {
        const struct member *member = &living->members[i];

        if (!set_find(confirmed, &member->address) && !words_forbid(&policy->words, &member->address) &&
            !words_have_extra(&policy->words, &member->address))
            r = append(set, member, member->label, policy->words.max_total, &review->counts.over_limit);
    }
    return r < 0 ? r : set_seal(set);
}

/* Marks go over to the next set; labels are published with it. */
static int mark_next(struct plan *plan, const struct policy *policy, const struct set *set) {
    int r = marked_new(&plan->next, set);

    if (r < 0)
        return r;
    for (size_t i = 0; i < set->n_members; i++) {
        const struct mark *before =
                policy->confirmed.set ? marked_find(&policy->confirmed, &set->members[i].address) : NULL;
        struct mark *mark = &plan->next.marks[i];

        if (before)
            *mark = *before;
        mark->relabelled = false;
        mark->extra = words_have_extra(&policy->words, &set->members[i].address);
    }
    return 0;
}

int plan_make(struct policy *policy, msec now, bool *ret_differs) {
    CLEANUP(plan_done) struct plan plan = {0};
    CLEANUP(review_done) struct review review = {0};
    CLEANUP(set_freep) struct set *set = NULL;
    int r;

    r = review_make(&review, policy, now);
    if (r < 0)
        return r;
    judge(policy, &review, now);
    plan.lost = calloc(review.n_due + 1, sizeof(*plan.lost));
    if (!plan.lost)
        return -ENOMEM;
    r = guard_reserve(&policy->guard, review.n_due);
    if (r < 0)
        return r;
    r = set_new(&set);
    if (r < 0)
        return r;
    r = fill(policy, &review, set, &plan);
    if (r < 0)
        return r;
    r = mark_next(&plan, policy, set);
    if (r < 0)
        return r;

    *ret_differs = !policy->confirmed.set || strcmp(set->version.digest, policy->confirmed.set->version.digest) != 0;
    plan.was = review.size;
    policy->counts = review.counts;
    policy->wake = review.wake;
    policy->doubt_due = review.doubt_due;
    policy->plan = plan;
    plan = (struct plan){0};
    return 0;
}
