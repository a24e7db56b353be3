/* SPDX-License-Identifier: Apache-2.0 */
/* Sets in one line, "10.0.0.1(a) 10.0.0.2(b)", and a driver that carries out every decision at once. */
#pragma once

#include "nodewall/json.h"
#include "nodewall/policy.h"
#include "../unit.h"

#define WALL 1700000000000      /* wall clock at now 0 */

static bool bed_lists;           /* the server answers when a list is wanted; not while the first set is made */
static char bed_living[4096], bed_bare[4096];    /* as last observed: what the server says when it is asked again */

static struct set *bed_set(const char *text) {
    char *copy = strdup(text), *rest = NULL;
    struct set *set = NULL;

    assert_int_equal(set_new(&set), 0);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *label = strchr(word, '(');
        struct address address;

        *label++ = 0;
        label[strlen(label) - 1] = 0;
        assert_int_equal(address_parse(&address, word, strlen(word)), 0);
        assert_int_equal(set_append(set, &address, label), 0);
    }
    assert_int_equal(set_seal(set), 0);
    free(copy);
    return set;
}

static const char *bed_text(const struct set *set, char *buffer, size_t size) {
    char text[ADDRESS_TEXT_MAX];
    size_t used = 0;

    buffer[0] = 0;
    for (size_t i = 0; i < set->n_members; i++)
        used += (size_t)snprintf(buffer + used, size - used, "%s%s(%s)", i ? " " : "",
                                 address_format(&set->members[i].address, text), set->members[i].label);
    return buffer;
}

__attribute__((unused)) static struct policy *bed_new(const struct policy_options *options, const char *confirmed,
                                                      struct json_object *state, msec now, msec wall) {
    CLEANUP(set_freep) struct set *set = confirmed ? bed_set(confirmed) : NULL;
    struct policy *policy = NULL;

    assert_int_equal(policy_new(&policy, options, set, state, now, wall), 0);
    bed_lists = confirmed != NULL;
    return policy;
}
#pragma GCC diagnostic ignored "-Woverride-init"    /* defaults, and what a case says otherwise */
#define OPTIONS(...) (&(struct policy_options){.grace = 30000, .max_removal = 50, __VA_ARGS__})

/* "a b": labels. */
static void bed_observe_bare(struct policy *policy, const char *living, const char *bare, bool complete, msec now) {
    char *copy = strdup(bare), *rest = NULL;
    const char *labels[65];
    size_t n = 0;

    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        labels[n++] = word;
    labels[n] = NULL;
    assert_int_equal(policy_observe(policy, bed_set(living), labels, complete, now), 0);
    free(copy);
    if (living != bed_living)
        snprintf(bed_living, sizeof(bed_living), "%s", living);
    if (bare != bed_bare)
        snprintf(bed_bare, sizeof(bed_bare), "%s", bare);
}

__attribute__((unused)) static void bed_watch(struct policy *policy, const char *living, msec now) {
    bed_observe_bare(policy, living, "", false, now);
}

__attribute__((unused)) static void bed_list(struct policy *policy, const char *living, msec now) {
    bed_observe_bare(policy, living, "", true, now);
}

struct bed_step {
    char text[4096];            /* the set, or "save", or "-" */
    enum policy_reason reason;
};

/* Decides; confirms what is decided. A list that is wanted comes by at once, and says what was seen last. */
__attribute__((unused)) static struct bed_step bed_step(struct policy *policy, msec now, bool must) {
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};
    struct bed_step step = {.text = "-"};

    assert_int_equal(policy_decide(policy, now, must, &decision), 0);
    if (!decision.set && !decision.save && policy_wants_list(policy, now) && bed_lists) {
        bed_observe_bare(policy, bed_living, bed_bare, true, now);
        assert_int_equal(policy_decide(policy, now, must, &decision), 0);
    }
    step.reason = decision.reason;
    if (decision.set)
        bed_text(decision.set, step.text, sizeof(step.text));
    else if (decision.save)
        snprintf(step.text, sizeof(step.text), "save");
    if (decision.set || decision.save)
        assert_int_equal(policy_confirmed(policy, decision.set, now), 0);
    return step;
}
#define assert_decides(policy, now, text_) assert_string_equal(bed_step(policy, now, false).text, text_)

/* Until there is nothing to do at `now` any more: the last set, or "-". */
__attribute__((unused)) static const char *bed_settle(struct policy *policy, msec now, char buffer[4096]) {
    snprintf(buffer, 4096, "-");
    for (unsigned i = 0; i < 10; i++) {
        struct bed_step step = bed_step(policy, now, false);

        if (!strcmp(step.text, "-"))
            return buffer;
        if (strcmp(step.text, "save"))
            snprintf(buffer, 4096, "%s", step.text);
    }
    fail_msg("it never settles");
    return buffer;
}
#define assert_settles(policy, now, text_)                                                                             \
    do {                                                                                                               \
        char settled_[4096];                                                                                           \
        assert_string_equal(bed_settle(policy, now, settled_), text_);                                                 \
    } while (0)

/* A policy that has confirmed `set` before `now` 0 and has had its first list, which said the same. */
__attribute__((unused)) static struct policy *bed_running(const struct policy_options *options, const char *set) {
    struct policy *policy = bed_new(options, set, NULL, 0, WALL);

    bed_list(policy, set, 0);
    assert_settles(policy, 0, "-");
    return policy;
}

__attribute__((unused)) static struct policy *bed_restart(struct policy *old, const struct policy_options *options,
        const char *confirmed, msec now, msec new_now, msec new_wall) {
    CLEANUP(json_putp) json_object *state = NULL, *read = NULL;
    struct policy *policy;

    assert_int_equal(policy_state(old, now, WALL + now, &state), 0);
    read = json_tokener_parse(json_object_to_json_string(state));
    assert_non_null(read);
    policy = bed_new(options, confirmed, read, new_now, new_wall);
    policy_free(old);
    return policy;
}

static inline size_t bed_held(const struct policy *policy) {
    struct policy_hold hold;

    policy_hold(policy, &hold);
    assert_true((hold.addresses > 0) == (hold.text[0] != 0));
    return hold.addresses;
}
