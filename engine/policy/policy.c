/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy - the order of things: observe, decide, confirm.
 *
 *   observe ──▶ grace (marks) ──▶ plan (fates, guard) ──decision──▶ driver ──▶ confirmed: the plan is in force
 *                                   ▲ debounce: when                     └───▶ failed: nothing happened, later again
 *
 * Keeps: between a decision and its answer nothing is decided, and what is observed meanwhile is not lost; memory
 * that runs out leaves the confirmed set and its marks as they were.
 * Does not: order sets or write them (store), nor know where a picture comes from.
 * Owns: one copy of the confirmed set, of what lives, and of the plan under way.
 */
#include "plan.h"

#include <string.h>

int policy_new(struct policy **ret, const struct policy_options *options, const struct set *confirmed,
               struct json_object *state, msec now, msec wall) {
    CLEANUP(policy_freep) struct policy *policy = calloc(1, sizeof(*policy));
    int r;

    if (!policy)
        return -ENOMEM;
    policy->wake = policy->bare_since = policy->doubt_due = MSEC_NEVER;
    r = words_copy(&policy->words, options);
    if (r < 0)
        return r;
    if (confirmed) {
        r = marked_new(&policy->confirmed, confirmed);
        if (r < 0)
            return r;
        r = state_load(policy, state, now, wall);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(policy);
    return 0;
}

struct policy *policy_free(struct policy *policy) {
    if (policy) {
        words_done(&policy->words);
        set_free(policy->living);
        free(policy->bare);
        marked_done(&policy->confirmed);
        guard_done(&policy->guard);
        plan_done(&policy->plan);
        free(policy);
    }
    return NULL;
}

static bool same_addresses(const struct address *a, size_t n_a, const struct address *b, size_t n_b) {
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (address_compare(&a[i], &b[i]))
            return false;
    return true;
}

/* Operator's words make sizes of before mean nothing, also that of a decision under way; and a crash must not bring them back. */
static void forget_sizes(struct policy *policy) {
    guard_forget_sizes(&policy->guard);
    policy->plan.was = (struct guard_size){0};
    policy->state++;
}

int policy_reload(struct policy *policy, const struct policy_options *options, msec now) {
    struct words words, old = policy->words;
    int r = words_copy(&words, options);

    if (r < 0)
        return r;
    if (!same_addresses(words.within, words.n_within, old.within, old.n_within) ||
        !same_addresses(words.except, words.n_except, old.except, old.n_except))
        forget_sizes(policy);
    words_done(&policy->words);
    policy->words = words;
    policy->reasons |= 1u << POLICY_OPERATOR;
    policy->dirty = true;
    return 0;
}

void policy_select(struct policy *policy) {
    policy->selecting = SELECTING;
}

void policy_release(struct policy *policy, msec now) {
    for (size_t i = 0; policy->confirmed.set && i < policy->confirmed.set->n_members; i++) {
        struct mark *planned;

        if (!plan_holds(policy, i, now))
            continue;
        policy->confirmed.marks[i].released = true;
        planned = policy->plan.next.set ? marked_find(&policy->plan.next, &policy->confirmed.set->members[i].address) : NULL;
        if (planned) /* a decision is under way, and its marks will be in force */
            planned->released = true;
    }
    guard_release(&policy->guard);
    forget_sizes(policy); /* or what was let go would make room for as large a loss again */
    policy->reasons |= 1u << POLICY_OPERATOR;
    policy->dirty = true;
}

static int compare_labels(const void *a, const void *b) {
    return strcmp(a, b);
}

static int copy_bare(char (**ret)[LABEL_MAX + 1], size_t *ret_n, const char *const *bare) {
    char(*copy)[LABEL_MAX + 1];
    size_t n = 0;

    while (bare && bare[n])
        n++;
    copy = calloc(n + 1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        label_make(copy[i], bare[i]);
    if (n)
        qsort(copy, n, sizeof(*copy), compare_labels);
    *ret = copy;
    *ret_n = n;
    return 0;
}

static void look(struct policy *policy, enum look how, msec now) {
    if (marked_look(&policy->confirmed, policy->living, (const char(*)[LABEL_MAX + 1]) policy->bare, policy->n_bare, how, now))
        policy->state++;
}

/* What the first list of another selection lacked and the second lacks too was taken out by the operator: no grace, no guard. A
 * selection of nothing is more likely a mistake, and a loss like any other. */
static void look_at_selection(struct policy *policy, msec now) {
    if (policy->selecting == SELECTING) {
        policy->selecting = SELECTING_ONCE;
        policy->selecting_at = now;
        return;
    }
    if (now - policy->selecting_at < POLICY_CONFIRM_AFTER)
        return;
    policy->selecting = SELECTED;
    for (size_t i = 0; policy->living->n_members && policy->confirmed.set && i < policy->confirmed.set->n_members; i++) {
        struct mark *mark = &policy->confirmed.marks[i];

        if (mark->gone != policy->selecting_at || mark->bare)
            continue;
        mark->released = true;
        policy->reasons |= 1u << POLICY_OPERATOR;
        policy->state++;
    }
    forget_sizes(policy);
}

/* Of a store that has no set yet, the first must not come from one answer alone: a server that is just starting, or a
 * proxy in front of another, may give a list that is well-formed and short. */
static void look_for_agreement(struct policy *policy, msec now) {
    const char *digest = policy->living->version.digest;

    if (!policy->has_candidate || strcmp(policy->candidate, digest)) {
        memcpy(policy->candidate, digest, sizeof(policy->candidate));
        policy->candidate_at = now;
        policy->has_candidate = true;
    } else if (now - policy->candidate_at >= POLICY_CONFIRM_AFTER) {
        policy->agreed = true;
    }
}

int policy_observe(struct policy *policy, struct set *living, const char *const *bare, bool complete_list, msec now) {
    CLEANUP(set_freep) struct set *taken = living;
    char(*copy)[LABEL_MAX + 1];
    size_t n_bare;
    bool changed;
    int r;

    if (!policy->listed && !complete_list)
        return 0;
    r = copy_bare(&copy, &n_bare, bare);
    if (r < 0)
        return r;
    free(policy->bare);
    policy->bare = copy;
    policy->n_bare = n_bare;
    changed = !policy->living || strcmp(policy->living->version.digest, taken->version.digest);
    set_free(policy->living);
    policy->living = TAKE_PTR(taken);

    if (!policy->listed)
        policy->reasons |= 1u << POLICY_START;
    else if (changed)
        policy->reasons |= 1u << (complete_list ? POLICY_RELIST : POLICY_WATCH);
    policy->listed = true;
    if (!policy->confirmed.set && complete_list)
        look_for_agreement(policy, now);
    look(policy, complete_list ? LOOK_LIST : LOOK_EVENT, now);
    if (complete_list && policy->selecting != SELECTED)
        look_at_selection(policy, now);
    if (complete_list)
        policy->doubt_due = MSEC_NEVER; /* the next plan sees what is left of it */
    policy->listed_in_flight |= complete_list;
    policy->dirty = true;
    return 0;
}

static enum policy_reason main_reason(unsigned reasons) {
    static const enum policy_reason order[] = {POLICY_START, POLICY_OPERATOR, POLICY_RELIST};

    for (size_t i = 0; i < ARRAY_LENGTH(order); i++)
        if (reasons & 1u << order[i])
            return order[i];
    return POLICY_WATCH;
}

static bool may_decide(const struct policy *policy) {
    return policy->listed && !policy->in_flight && (policy->confirmed.set || policy->agreed);
}

/* An operator waits for nothing but a disk that failed. */
static msec earliest(const struct policy *policy) {
    if (policy->reasons & 1u << POLICY_OPERATOR)
        return policy->debounce.n_failures ? policy->debounce.retry : INT64_MIN;
    return debounce_next_set(&policy->debounce);
}

void policy_decision_done(struct policy_decision *decision) {
    decision->set = set_free(decision->set);
}

static int decide_set(struct policy *policy, struct policy_decision *ret) {
    CLEANUP(set_freep) struct set *set = NULL;
    int r = set_copy(&set, policy->plan.next.set);

    if (r < 0)
        return r;
    ret->reason = main_reason(policy->reasons);
    ret->set = TAKE_PTR(set);
    return 0;
}

int policy_decide(struct policy *policy, msec now, bool must, struct policy_decision *ret) {
    struct policy_decision decision = {0};
    bool differs = false;
    int r;

    if (!may_decide(policy) || now < earliest(policy) || (!policy->dirty && !must && now < policy->wake)) {
        *ret = decision;
        return 0;
    }
    r = plan_make(policy, now, &differs);
    if (r < 0)
        return r;
    if (differs || must) {
        r = decide_set(policy, &decision);
        if (r < 0) {
            plan_done(&policy->plan);
            return r;
        }
    } else {
        marked_done(&policy->plan.next);
        decision.save = policy->state != policy->saved && now >= debounce_next_save(&policy->debounce);
        if (policy->state != policy->saved && !decision.save)
            policy->wake = MIN(policy->wake, debounce_next_save(&policy->debounce));
    }
    policy->in_flight = decision.set || decision.save;
    policy->listed_in_flight = false;
    if (!policy->in_flight)
        plan_done(&policy->plan);
    policy->plan.reasons = policy->reasons;
    policy->plan.state = policy->state;
    policy->reasons = 0;
    policy->dirty = false;
    *ret = decision;
    return 0;
}

int policy_confirmed(struct policy *policy, const struct set *set, msec now) {
    struct plan *plan = &policy->plan;

    if (!policy->in_flight)
        return -EINVAL;
    if (!set != !plan->next.set || (set && strcmp(set->version.digest, plan->next.set->version.digest))) {
        policy_failed(policy, now); /* not what was decided */
        return -EINVAL;
    }
    policy->in_flight = false;
    policy->saved = plan->state;
    debounce_sent(&policy->debounce, set != NULL, now);
    if (set) {
        if (policy->confirmed.set)
            guard_remember(&policy->guard, plan->was, now);
        for (size_t i = 0; i < plan->n_lost; i++)
            guard_lose(&policy->guard, &plan->lost[i], now);
        marked_done(&policy->confirmed);
        policy->confirmed = plan->next;
        plan->next = (struct marked){0};
        policy->confirmed.set->version = set->version;
        /* Decided from an older picture: what went meanwhile begins its grace now. */
        look(policy, policy->listed_in_flight ? LOOK_AGAIN : LOOK_EVENT, now);
    }
    plan_done(plan);
    return 0;
}

void policy_failed(struct policy *policy, msec now) {
    policy->reasons |= policy->plan.reasons;
    policy->in_flight = false;
    policy->dirty = true;
    plan_done(&policy->plan);
    debounce_failed(&policy->debounce, now);
}

/* When a list may settle something; MSEC_NEVER if nothing is in doubt, or the moment has passed and the list is awaited. */
static msec next_list(const struct policy *policy, msec now) {
    msec selection = policy->selecting == SELECTING_ONCE ? policy->selecting_at + POLICY_CONFIRM_AFTER : MSEC_NEVER;
    msec next = policy->doubt_due > now ? policy->doubt_due : MSEC_NEVER;

    return selection > now ? MIN(next, selection) : next;
}

msec policy_due(const struct policy *policy, msec now) {
    msec due = policy->dirty ? now : policy->wake;

    if (policy->listed && !policy->in_flight && !may_decide(policy))
        return policy->candidate_at + POLICY_CONFIRM_AFTER;
    if (!may_decide(policy))
        return MSEC_NEVER;
    if (due != MSEC_NEVER)
        due = MAX(due, earliest(policy));
    return MIN(due, next_list(policy, now));
}

bool policy_wants_list(const struct policy *policy, msec now) {
    if (!policy->confirmed.set)
        return !policy->agreed && policy->has_candidate && now >= policy->candidate_at + POLICY_CONFIRM_AFTER;
    return (policy->doubt_due != MSEC_NEVER && now >= policy->doubt_due) ||
           (policy->selecting == SELECTING_ONCE && now >= policy->selecting_at + POLICY_CONFIRM_AFTER);
}
