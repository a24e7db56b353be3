/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hold - what is kept against the cluster's word, told to people: how much, why, since when, and the way out.
 *
 * Tells what the last plan found; it decides nothing.
 */
#include "plan.h"

#include <string.h>

#define NAMED 2     /* bare nodes that are named; `nodewall nodes` has the others */

static void name_bare(const struct policy *policy, char *buffer, size_t size) {
    const char *named[NAMED];
    size_t n = 0, used = 0;

    buffer[0] = 0;
    for (size_t i = 0; policy->confirmed.set && i < policy->confirmed.set->n_members; i++) {
        const char *label = policy->confirmed.set->members[i].label;
        bool known = false;

        for (size_t j = 0; j < n; j++)
            known |= !strcmp(named[j], label);
        if (known || !policy->confirmed.marks[i].bare)
            continue;
        if (n == NAMED) {
            snprintf(buffer + used, size - used, ", …");
            return;
        }
        named[n++] = label;
        used += (size_t)snprintf(buffer + used, size - used, "%s%.40s", used ? ", " : "", label);
    }
}

void policy_each_held(const struct policy *policy, msec now,
                      void (*each)(void *userdata, const struct member *member, msec since, bool bare), void *userdata) {
    for (size_t i = 0; policy->confirmed.set && i < policy->confirmed.set->n_members; i++) {
        const struct mark *mark = &policy->confirmed.marks[i];

        if (!plan_holds(policy, i, now))
            continue;
        if (mark->bare)
            each(userdata, &policy->confirmed.set->members[i], MIN(policy->bare_since, now), true);
        else
            each(userdata, &policy->confirmed.set->members[i], mark->gone, false);
    }
}

enum policy_standing policy_standing(const struct policy *policy, const struct address *address, msec now) {
    const struct mark *mark = policy->confirmed.set ? marked_find(&policy->confirmed, address) : NULL;

    if (!mark)
        return POLICY_ABSENT;
    if (plan_holds(policy, (size_t)(mark - policy->confirmed.marks), now))
        return POLICY_HELD;
    return mark->gone == LIVES ? POLICY_LIVES : POLICY_IN_GRACE;
}

void policy_hold(const struct policy *policy, struct policy_hold *ret) {
    const struct counts *counts = &policy->counts;
    const char *gap = counts->held && counts->bare ? "; " : "";
    char guard[208] = "", bare[170] = "", names[96];
    struct policy_hold hold = {.addresses = counts->held + counts->bare, .bare = counts->bare};

    if (counts->held) {
        hold.lost = policy->guard.lost;
        hold.before = policy->guard.before.addresses;
        hold.since = policy->guard.since;
        snprintf(guard, sizeof(guard),
                "%zu of %zu addresses went within ten minutes, more than max_removal (%u%%): %zu stay; "
                "if that is right, 'nodewall release' lets them go",
                hold.lost, hold.before, policy->words.max_removal, counts->held);
    }
    if (counts->bare) {
        hold.since = counts->held ? MIN(hold.since, policy->bare_since) : policy->bare_since;
        name_bare(policy, names, sizeof(names));
        snprintf(bare, sizeof(bare), "%zu stay of living nodes that report none (%s)",
                 counts->bare, names);
    }
    snprintf(hold.text, sizeof(hold.text), "%s%s%s", guard, gap, bare);
    *ret = hold;
}

struct policy_stats policy_stats(const struct policy *policy) {
    return (struct policy_stats){.in_grace = policy->counts.in_grace, .over_limit = policy->counts.over_limit};
}
