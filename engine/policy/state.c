/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State - what must survive a restart: since when addresses are gone, what the guard remembers and holds, which
 * addresses are there by the operator's word, and labels that are newer than the published ones.
 *
 * Times in the file are of a calendar (see clock.c), for the monotonic clock begins anew with the machine. A calendar that went
 * back makes times of the future; those are taken as now, so that it can lengthen a grace and never skip one.
 *
 * While a decision is under way the state is that after it: it is written in the same file as the set, so what the
 * set lost is counted there, once.
 *
 * The file has its own checksum, and still nothing in it is believed: wrong types, addresses that are not in the set
 * and counts that cannot be are left out.
 */
#include "nodewall/json.h"
#include "plan.h"

#include <string.h>

struct times {
    msec now, wall;
};

static int put(json_object *object, const char *key, json_object *value) {
    if (!value || json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

static int put_number(json_object *object, const char *key, int64_t value) {
    return put(object, key, json_object_new_int64(value));
}

static int put_time(json_object *object, const struct address *address, const struct times *times, msec when) {
    char text[ADDRESS_TEXT_MAX];

    return put_number(object, address_format(address, text), times->wall - (times->now - when));
}

static int put_marks(json_object *state, const struct marked *marked, const struct times *times) {
    CLEANUP(json_putp) json_object *gone = json_object_new_object(), *labels = json_object_new_object();
    CLEANUP(json_putp) json_object *extra = json_object_new_object(), *released = json_object_new_object();
    char text[ADDRESS_TEXT_MAX];
    int r = gone && labels && extra && released ? 0 : -ENOMEM;

    for (size_t i = 0; marked->set && i < marked->set->n_members && r == 0; i++) {
        const struct member *member = &marked->set->members[i];
        const struct mark *mark = &marked->marks[i];

        address_format(&member->address, text);
        if (mark->gone != LIVES)
            r = put_time(gone, &member->address, times, mark->gone);
        if (r == 0 && mark->relabelled)
            r = put(labels, text, json_object_new_string(member->label));
        if (r == 0 && mark->extra)
            r = put_number(extra, text, 1);
        if (r == 0 && mark->released)
            r = put_number(released, text, 1);
    }
    if (r == 0)
        r = put(state, "gone", json_object_get(gone));
    if (r == 0)
        r = put(state, "labels", json_object_get(labels));
    if (r == 0)
        r = put(state, "extra", json_object_get(extra));
    return r == 0 ? put(state, "released", json_object_get(released)) : r;
}

static int put_size(json_object *sizes, const struct guard_size *size, const struct times *times) {
    CLEANUP(json_putp) json_object *object = json_object_new_object();
    int r = object ? put_number(object, "until", times->wall - (times->now - size->until)) : -ENOMEM;

    if (r == 0)
        r = put_number(object, "addresses", (int64_t)size->addresses);
    if (r == 0)
        r = put_number(object, "nodes", (int64_t)size->nodes);
    if (r == 0 && json_object_array_add(sizes, json_object_get(object)) < 0) {
        json_object_put(object);
        r = -ENOMEM;
    }
    return r;
}

static int put_sizes(json_object *state, const struct policy *policy, const struct times *times) {
    CLEANUP(json_putp) json_object *sizes = json_object_new_array();
    struct guard_size was = policy->plan.was;
    int r = sizes ? 0 : -ENOMEM;

    for (size_t i = 0; i < policy->guard.n_sizes && r == 0; i++)
        r = put_size(sizes, &policy->guard.sizes[i], times);
    was.until = times->now;
    if (r == 0 && policy->in_flight && policy->plan.next.set && policy->confirmed.set)
        r = put_size(sizes, &was, times);
    return r == 0 ? put(state, "sizes", json_object_get(sizes)) : r;
}

static int put_losses(json_object *state, const struct policy *policy, const struct times *times) {
    CLEANUP(json_putp) json_object *losses = json_object_new_object();
    int r = losses ? 0 : -ENOMEM;

    for (size_t i = 0; i < policy->guard.n_losses && r == 0; i++)
        r = put_time(losses, &policy->guard.losses[i].address, times, policy->guard.losses[i].when);
    for (size_t i = 0; policy->in_flight && i < policy->plan.n_lost && r == 0; i++)
        r = put_time(losses, &policy->plan.lost[i], times, times->now);
    return r == 0 ? put(state, "losses", json_object_get(losses)) : r;
}

static int put_hold(json_object *state, const struct policy *policy, const struct times *times) {
    CLEANUP(json_putp) json_object *hold = json_object_new_object();
    int r = hold ? 0 : -ENOMEM;

    if (r == 0 && policy->bare_since != MSEC_NEVER)
        r = put_number(state, "bare_since", times->wall - (times->now - policy->bare_since));
    if (r < 0 || !policy->guard.holds)
        return r;
    r = put_number(hold, "since", times->wall - (times->now - policy->guard.since));
    if (r == 0)
        r = put_number(hold, "addresses", (int64_t)policy->guard.before.addresses);
    if (r == 0)
        r = put_number(hold, "nodes", (int64_t)policy->guard.before.nodes);
    return r == 0 ? put(state, "hold", json_object_get(hold)) : r;
}

int policy_state(const struct policy *policy, msec now, msec wall, struct json_object **ret) {
    CLEANUP(json_putp) json_object *state = json_object_new_object();
    const struct marked *marked = policy->in_flight && policy->plan.next.set ? &policy->plan.next : &policy->confirmed;
    const struct times times = {now, wall};
    int r = state ? put_marks(state, marked, &times) : -ENOMEM;

    if (r == 0)
        r = put_sizes(state, policy, &times);
    if (r == 0)
        r = put_losses(state, policy, &times);
    if (r == 0)
        r = put_hold(state, policy, &times);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(state);
    return 0;
}

/* A time of the wall clock as `now`; of the future: now; before all that matters: as long ago as any time may be. */
static bool get_time(msec *ret, json_object *value, const struct times *times) {
    const msec most = INT64_MAX / 4;
    msec when;

    if (!json_object_is_type(value, json_type_int))
        return false;
    when = json_object_get_int64(value);
    when = MAX(MIN(when, times->wall), -most);
    *ret = times->now - MIN(times->wall - when, most);
    return true;
}

static bool get_count(size_t *ret, json_object *value) {
    int64_t count = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;

    if (count < 0 || count > SET_LIMIT)
        return false;
    *ret = (size_t)count;
    return true;
}

static struct mark *find(struct policy *policy, const char *text) {
    struct address address;

    return address_parse(&address, text, strlen(text)) < 0 ? NULL : marked_find(&policy->confirmed, &address);
}

static json_object *get_map(json_object *from, const char *key) {
    json_object *value = json_get(from, key);

    return json_object_is_type(value, json_type_object) ? value : NULL;
}

typedef int load_one(struct policy *policy, const char *text, json_object *value, const struct times *times);

static int load_map(struct policy *policy, json_object *map, const struct times *times, load_one *one) {
    if (!map)
        return 0;
    json_object_object_foreach(map, text, value) {
        int r = one(policy, text, value, times);

        if (r < 0)
            return r;
    }
    return 0;
}

static int load_gone(struct policy *policy, const char *text, json_object *value, const struct times *times) {
    struct mark *mark = find(policy, text);

    if (mark && get_time(&mark->gone, value, times))
        mark->doubt = LONG_AGO; /* whatever said so: the first list after a restart is the second word */
    return 0;
}

static int load_label(struct policy *policy, const char *text, json_object *value, const struct times *times) {
    struct mark *mark = find(policy, text);

    if (mark && json_object_is_type(value, json_type_string)) {
        label_make(policy->confirmed.set->members[mark - policy->confirmed.marks].label, json_object_get_string(value));
        mark->relabelled = true;
    }
    return 0;
}

static int load_extra(struct policy *policy, const char *text, json_object *value, const struct times *times) {
    struct mark *mark = find(policy, text);

    if (mark && json_object_is_type(value, json_type_int))
        mark->extra = true;
    return 0;
}

static int load_released(struct policy *policy, const char *text, json_object *value, const struct times *times) {
    struct mark *mark = find(policy, text);

    if (mark && json_object_is_type(value, json_type_int))
        mark->released = true;
    return 0;
}

static int load_loss(struct policy *policy, const char *text, json_object *value, const struct times *times) {
    struct address address;
    msec when;
    int r;

    if (address_parse(&address, text, strlen(text)) < 0 || !get_time(&when, value, times) ||
        policy->guard.n_losses >= SET_LIMIT)
        return 0;
    r = guard_reserve(&policy->guard, 1);
    if (r == 0)
        guard_lose(&policy->guard, &address, when);
    return r;
}

static void load_sizes(struct policy *policy, json_object *sizes, const struct times *times) {
    size_t n = json_object_is_type(sizes, json_type_array) ? json_object_array_length(sizes) : 0;

    for (size_t i = 0; i < n && policy->guard.n_sizes < GUARD_SIZES; i++) {
        json_object *object = json_object_array_get_idx(sizes, i);
        struct guard_size size;

        if (get_time(&size.until, json_get(object, "until"), times) &&
                get_count(&size.addresses, json_get(object, "addresses")) &&
                get_count(&size.nodes, json_get(object, "nodes")))
            policy->guard.sizes[policy->guard.n_sizes++] = size;
    }
}

static void load_hold(struct policy *policy, json_object *state, const struct times *times) {
    json_object *hold = get_map(state, "hold");
    struct guard_size before = {0};
    msec since;

    if (get_time(&since, json_get(state, "bare_since"), times))
        policy->bare_since = since;
    if (!hold || !get_time(&since, json_get(hold, "since"), times) ||
            !get_count(&before.addresses, json_get(hold, "addresses")) ||
            !get_count(&before.nodes, json_get(hold, "nodes")))
        return;
    policy->guard.holds = true;
    policy->guard.since = since;
    policy->guard.before = before;
}

int state_load(struct policy *policy, struct json_object *state, msec now, msec wall) {
    const struct times times = {now, wall};
    int r = load_map(policy, get_map(state, "gone"), &times, load_gone);

    if (r == 0)
        r = load_map(policy, get_map(state, "labels"), &times, load_label);
    if (r == 0)
        r = load_map(policy, get_map(state, "extra"), &times, load_extra);
    if (r == 0)
        r = load_map(policy, get_map(state, "released"), &times, load_released);
    if (r == 0)
        r = load_map(policy, get_map(state, "losses"), &times, load_loss);
    load_sizes(policy, json_get(state, "sizes"), &times);
    load_hold(policy, state, &times);
    return r;
}
