/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grace - what the cluster says now, held against what is confirmed.
 *
 * A machine that reboots, a Node that is made anew, a list of a cloud controller that flaps: an address comes back
 * within seconds far more often than it stays away. So an address that is missing is first only marked, with the
 * time.
 *
 * A node that lives and reports no address is a controller's hiccup, not a machine without a network: the addresses
 * that stood for it, by label, are marked bare and stay. For that the labels are kept fresh here, also where a new
 * owner of an address is no reason to publish a set.
 *
 * A list that lacks an address says less than a DELETED event: a server that is restored, or a proxy in front of another one, gives
 * well-formed lists that are short. So such a loss is in doubt until a second list, later than the grace, lacks it too.
 *
 * Keeps: an address that a living node reports is never marked gone.
 */
#include "grace.h"

#include "words.h"

#include <string.h>

void marked_done(struct marked *marked) {
    marked->set = set_free(marked->set);
    free(marked->marks);
    marked->marks = NULL;
}

int marked_new(struct marked *ret, const struct set *set) {
    CLEANUP(marked_done) struct marked marked = {0};
    int r = set_copy(&marked.set, set);

    if (r < 0)
        return r;
    marked.marks = calloc(set->n_members + 1, sizeof(*marked.marks));
    if (!marked.marks)
        return -ENOMEM;
    for (size_t i = 0; i < set->n_members; i++)
        marked.marks[i].gone = LIVES, marked.marks[i].doubt = AGREED;
    *ret = marked;
    marked = (struct marked){0};
    return 0;
}

static int compare_member(const void *address, const void *member) {
    return address_compare(address, &((const struct member *)member)->address);
}

const struct member *set_find(const struct set *set, const struct address *address) {
    if (!set || set->n_members == 0)
        return NULL;
    return bsearch(address, set->members, set->n_members, sizeof(*set->members), compare_member);
}

struct mark *marked_find(const struct marked *marked, const struct address *address) {
    const struct member *member = set_find(marked->set, address);

    return member ? &marked->marks[member - marked->set->members] : NULL;
}

bool marked_is_extra(const struct marked *marked, size_t i) {
    return marked->marks[i].extra && !strcmp(marked->set->members[i].label, EXTRA_LABEL);
}

static int compare_label(const void *label, const void *element) {
    return strcmp(label, element);
}

static bool look_living(struct mark *mark, struct member *member, const char *label) {
    bool changed = mark->gone != LIVES || mark->bare;

    mark->gone = LIVES;
    mark->bare = mark->released = false;
    if (!strcmp(member->label, label))
        return changed;
    memcpy(member->label, label, sizeof(member->label));
    mark->relabelled = true;
    return true;
}

/* Two lists that are too close are one answer of one server. */
static bool look_doubtful(struct mark *mark, enum look how, msec now) {
    if (mark->doubt == AGREED || how != LOOK_LIST || now - mark->doubt < POLICY_CONFIRM_AFTER)
        return false;
    mark->doubt = AGREED;
    return true;
}

static bool look_missing(struct mark *mark, bool bare, enum look how, msec now) {
    bool changed = mark->bare != bare || (mark->gone == LIVES) != bare;

    if (mark->bare != bare)
        mark->released = false;
    mark->bare = bare;
    if (bare) {
        mark->gone = LIVES; /* its grace begins when the node has an address again, or is gone itself */
    } else if (mark->gone == LIVES) {
        mark->gone = now;
        mark->doubt = how == LOOK_EVENT ? AGREED : now;
    } else {
        changed |= look_doubtful(mark, how, now);
    }
    return changed;
}

bool marked_look(
        struct marked *marked, const struct set *living, const char (*bare)[LABEL_MAX + 1], size_t n_bare, enum look how,
        msec now) {
    bool changed = false;

    for (size_t i = 0; marked->set && i < marked->set->n_members; i++) {
        struct member *member = &marked->set->members[i];
        const struct member *found = set_find(living, &member->address);
        bool is_bare = n_bare && bsearch(member->label, bare, n_bare, sizeof(*bare), compare_label);

        if (found)
            changed |= look_living(&marked->marks[i], member, found->label);
        else if (!marked_is_extra(marked, i) || is_bare)
            changed |= look_missing(&marked->marks[i], is_bare, how, now);
    }
    return changed;
}
