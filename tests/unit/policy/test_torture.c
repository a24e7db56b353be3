/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation fails in its turn: what was confirmed stands, and the same again leads to the same sets. */
#include "bed.h"
#include "../torture.h"

static const char *const pictures[] = {
    "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d)", "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.5(e)",
    "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(x) 10.0.0.5(e)", "10.0.0.1(a)", "10.0.0.1(a) 10.0.0.2(b) 10.0.0.6(f)",
};

/* `living` is taken over. Returns the errno that came up. */
static int turn(struct policy *policy, unsigned number, struct set *living, msec now, struct policy_decision *decision) {
    static const char *const bare[] = {"d", NULL};
    CLEANUP(json_putp) json_object *state = NULL;
    struct address except = {4, 32, {10, 0, 0, 2}}, extra = {4, 24, {198, 51, 100, 0}};
    int r;

    r = policy_observe(policy, living, bare, number % 2 == 0, now);
    if (r == 0 && number == 2)
        r = policy_reload(policy, OPTIONS(.except = &except, .n_except = 1, .extra = &extra, .n_extra = 1), now);
    if (r == 0)
        r = policy_decide(policy, now, false, decision);
    if (r == 0)
        r = policy_state(policy, now, WALL, &state);
    return r;
}

static void the_same_again(void **state) {
    size_t n_failures = 0;
    bool failed = true;

    for (size_t at = 1; failed; at++) {
        CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.grace = 1000), pictures[0]);
        struct bed_step last = {.text = "-"};

        failed = false;
        torture_begin(at);
        for (unsigned i = 0; i < ARRAY_LENGTH(pictures); i++) {
            CLEANUP(policy_decision_done) struct policy_decision decision = {0};
            struct set *living = bed_set(pictures[i]), *again = bed_set(pictures[i]);
            msec now = 10000 * (i + 1);
            size_t seen;
            int r;

            seen = torture_go();
            r = turn(policy, i, living, now, &decision);
            if (torture_off(seen)) {
                failed = true;
                assert_int_equal(r, -ENOMEM);
                if (decision.set || decision.save)
                    policy_failed(policy, now);
                policy_decision_done(&decision);
                decision = (struct policy_decision){0};
                now += 2000;
                assert_int_equal(turn(policy, i, TAKE_PTR(again), now, &decision), 0);
            }
            assert_true(r == 0 || !again);
            set_free(again);
            if (decision.set)
                bed_text(decision.set, last.text, sizeof(last.text));
            if (decision.set || decision.save)
                assert_int_equal(policy_confirmed(policy, decision.set, now), 0);
        }
        n_failures += failed;
        assert_string_equal(last.text,
                "10.0.0.1(a) 10.0.0.3(x) 10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f) 198.51.100.0/24(extra)");
    }
    assert_true(n_failures > 30);
}

RUN(cmocka_unit_test(the_same_again))
