/* SPDX-License-Identifier: Apache-2.0 */
/* Losses that are not believed. */
#include "bed.h"

#define SIX "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)"

static void a_large_loss_is_held_for_good(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);
    struct policy_hold hold;

    bed_list(policy, "", 1000);
    assert_settles(policy, 31000, "-");
    policy_hold(policy, &hold);
    assert_int_equal(hold.addresses, 6);
    assert_int_equal(hold.lost, 6);
    assert_int_equal(hold.before, 6);
    assert_int_equal(hold.since, 31000);
    assert_string_equal(hold.text, "6 of 6 addresses went within ten minutes, more than max_removal (50%): 6 stay; "
                                   "if that is right, 'nodewall release' lets them go");
    for (msec now = 40000; now < 5 * POLICY_GUARD_WINDOW; now += 60000) { /* time is no reason */
        bed_list(policy, "", now);
        assert_settles(policy, now, "-");
    }
    assert_int_equal(bed_held(policy), 6);
    assert_int_equal(policy_due(policy, 5 * POLICY_GUARD_WINDOW), MSEC_NEVER); /* and no reason to be awake */
}

static void half_is_not_more_than_half(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", 0);
    assert_settles(policy, 30000, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    assert_int_equal(bed_held(policy), 0);
}

static void two_nodes_are_too_few(void **state) {
    CLEANUP(policy_freep)
    struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(b) 10.0.0.4(b)");

    bed_watch(policy, "", 0);
    assert_settles(policy, 30000, "");
}

static void additions_flow_beside_it(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_list(policy, "10.1.0.1(x) 10.1.0.2(y)", 0); /* another cluster altogether */
    assert_decides(policy, 0, SIX " 10.1.0.1(x) 10.1.0.2(y)");
    assert_settles(policy, 60000, "-");
    assert_int_equal(bed_held(policy), 6);
    bed_watch(policy, "10.1.0.1(x) 10.1.0.2(y) 10.1.0.3(z)", 70000);
    assert_decides(policy, 70000, SIX " 10.1.0.1(x) 10.1.0.2(y) 10.1.0.3(z)");
    bed_watch(policy, "10.1.0.2(y) 10.1.0.3(z)", 80000); /* what goes meanwhile waits with the others */
    assert_settles(policy, 120000, "-");
    assert_int_equal(bed_held(policy), 7);
}

/* The first drop is held, not only the one with which it has become too much. */
static void drop_by_drop(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_watch(policy, "10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 0);
    bed_watch(policy, "10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 10000);
    bed_watch(policy, "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 20000);
    bed_watch(policy, "10.0.0.5(e) 10.0.0.6(f)", 29000);
    assert_settles(policy, 30000, "-");
    assert_int_equal(bed_held(policy), 1);
    assert_settles(policy, 59000, "-");
    assert_int_equal(bed_held(policy), 4);
}

static void slowly_within_the_window(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);
    struct policy_hold hold;

    bed_watch(policy, "10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 0);
    assert_settles(policy, 30000, "10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)");
    bed_watch(policy, "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 200000);
    assert_settles(policy, 230000, "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)");
    bed_watch(policy, "10.0.0.5(e) 10.0.0.6(f)", 400000); /* the fourth of six, although but one of three */
    assert_settles(policy, 430000, "-");
    policy_hold(policy, &hold);
    assert_int_equal(hold.addresses, 1);
    assert_int_equal(hold.lost, 4);
    assert_int_equal(hold.before, 6);
    assert_settles(policy, 430000 + 2 * POLICY_GUARD_WINDOW, "-");
}

static void slower_than_the_window(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_watch(policy, "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 0);
    assert_settles(policy, 30000, "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)");
    bed_watch(policy, "10.0.0.5(e) 10.0.0.6(f)", 30001 + POLICY_GUARD_WINDOW);
    assert_settles(policy, 60001 + POLICY_GUARD_WINDOW, "10.0.0.5(e) 10.0.0.6(f)");
}

static void what_lives_again_is_no_loss(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_list(policy, "", 0);
    assert_settles(policy, 30000, "-");
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 40000); /* four of six are still too many */
    assert_settles(policy, 40000, "-");
    assert_int_equal(bed_held(policy), 4);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", 50000); /* three are not */
    assert_settles(policy, 50000, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    assert_int_equal(bed_held(policy), 0);
}

static void all_are_back(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_list(policy, "", 0);
    assert_settles(policy, 30000, "-");
    bed_list(policy, SIX, 2 * POLICY_GUARD_WINDOW);
    assert_settles(policy, 2 * POLICY_GUARD_WINDOW, "-");
    assert_int_equal(bed_held(policy), 0);
    bed_list(policy, "10.0.0.1(a)", 3 * POLICY_GUARD_WINDOW);
    assert_settles(policy, 3 * POLICY_GUARD_WINDOW + 30000, "-");
    assert_int_equal(bed_held(policy), 5);
}

static void an_operator_lets_it_go(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);
    struct bed_step step;

    bed_list(policy, "10.0.0.1(a)", 0);
    assert_settles(policy, 30000, "-");
    assert_int_equal(policy_reload(policy, OPTIONS(0), 40000), 0); /* a reload for another reason */
    assert_settles(policy, 40000, "-");
    assert_int_equal(policy_reload(policy, OPTIONS(.max_removal = 80), 50000), 0); /* not enough: 5 of 6 */
    assert_settles(policy, 50000, "-");
    assert_int_equal(bed_held(policy), 5);
    assert_int_equal(policy_reload(policy, OPTIONS(.max_removal = 90), 2 * POLICY_GUARD_WINDOW), 0);
    step = bed_step(policy, 2 * POLICY_GUARD_WINDOW, false);
    assert_string_equal(step.text, "10.0.0.1(a)");
    assert_int_equal(step.reason, POLICY_OPERATOR);
    assert_settles(policy, 2 * POLICY_GUARD_WINDOW, "-");
    assert_int_equal(bed_held(policy), 0);
}

static void released(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_observe_bare(policy, "10.0.0.1(a)", "f", true, 0);
    assert_settles(policy, 30000, "-");
    assert_int_equal(bed_held(policy), 5);
    bed_observe_bare(policy, "", "f", true, 31000); /* in grace: nobody has been asked about it yet */
    policy_release(policy, 32000);
    assert_decides(policy, 32000, "10.0.0.1(a)");
    assert_int_equal(bed_held(policy), 0);
}

static void never_and_always(void **state) {
    CLEANUP(policy_freep) struct policy *never = bed_running(OPTIONS(.max_removal = 100), SIX);
    CLEANUP(policy_freep) struct policy *always = bed_running(OPTIONS(.max_removal = 0), SIX);

    bed_list(never, "", 0);
    assert_settles(never, 30000, "");
    bed_watch(always, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e)", 0);
    assert_settles(always, 30000, "-");
    assert_int_equal(bed_held(always), 1);
}

static void it_survives_a_restart(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);
    struct policy_hold hold;

    bed_list(policy, "", 0);
    assert_settles(policy, 30000, "-");
    /* The machine was off for a day; its monotonic clock begins anew. */
    policy = bed_restart(policy, OPTIONS(0), SIX, 30000, 77, WALL + 30000 + 86400000);
    assert_settles(policy, 77, "-");
    bed_list(policy, "", 1000);
    assert_settles(policy, 1000, "-");
    policy_hold(policy, &hold);
    assert_int_equal(hold.addresses, 6);
    assert_int_equal(hold.since, 77 - 86400000);
    assert_settles(policy, 1000 + 2 * POLICY_GUARD_WINDOW, "-");
}

static void losses_survive_a_restart(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), SIX);

    bed_watch(policy, "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 0);
    assert_settles(policy, 30000, "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)");
    policy = bed_restart(policy, OPTIONS(0), "10.0.0.4(d) 10.0.0.5(e) 10.0.0.6(f)", 40000, 0, WALL + 50000);
    bed_list(policy, "10.0.0.5(e) 10.0.0.6(f)", 0); /* the fourth of six */
    assert_settles(policy, 30000, "-");
    assert_int_equal(bed_held(policy), 1);
}

RUN(cmocka_unit_test(a_large_loss_is_held_for_good), cmocka_unit_test(half_is_not_more_than_half),
        cmocka_unit_test(two_nodes_are_too_few), cmocka_unit_test(additions_flow_beside_it),
        cmocka_unit_test(drop_by_drop), cmocka_unit_test(slowly_within_the_window),
        cmocka_unit_test(slower_than_the_window), cmocka_unit_test(what_lives_again_is_no_loss),
        cmocka_unit_test(all_are_back), cmocka_unit_test(an_operator_lets_it_go), cmocka_unit_test(released),
        cmocka_unit_test(never_and_always), cmocka_unit_test(it_survives_a_restart),
        cmocka_unit_test(losses_survive_a_restart))
