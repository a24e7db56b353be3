/* SPDX-License-Identifier: Apache-2.0 */
/* What is gone stays for a while; what lives without an address stays altogether. */
#include "bed.h"

#define THREE "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)"

static void gone_stays_for_the_grace(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 5000);
    assert_decides(policy, 5000, "save"); /* a restart must not begin the grace anew */
    assert_int_equal(policy_stats(policy).in_grace, 1);
    assert_int_equal(policy_due(policy, 5000), 35000);
    assert_decides(policy, 34999, "-");
    assert_decides(policy, 35000, "10.0.0.1(a) 10.0.0.2(b)");
    assert_decides(policy, 35000, "-");
    assert_int_equal(policy_stats(policy).in_grace, 0);
    assert_int_equal(bed_held(policy), 0);
}

static void back_within_the_grace(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 5000);
    bed_watch(policy, THREE, 30000);
    assert_settles(policy, 40000, "-");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 50000); /* and gone again: a grace of its own */
    assert_settles(policy, 79999, "-");
    assert_settles(policy, 80000, "10.0.0.1(a) 10.0.0.2(b)");
}

static void additions_go_before_removals(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.30(c)", 0); /* c has another address */
    assert_decides(policy, 0, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.30(c)");
    assert_settles(policy, 30000, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.30(c)");
}

static void no_grace_at_all(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.grace = 0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_decides(policy, 0, "10.0.0.1(a) 10.0.0.2(b)");
}

/* The address goes to another node: no set, for nobody's rules change; but who owns it is known from then on. */
static void a_new_owner(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(d)", 5000);
    assert_decides(policy, 5000, "save");
    bed_observe_bare(policy, "10.0.0.1(a) 10.0.0.2(b)", "d", false, 10000);
    assert_settles(policy, 100000, "-");
    assert_int_equal(bed_held(policy), 1);
    policy = bed_restart(policy, OPTIONS(0), THREE, 100000, 0, WALL + 200000);
    bed_observe_bare(policy, "10.0.0.1(a) 10.0.0.2(b)", "d", true, 0);
    assert_settles(policy, 100000, "-");
}

static void a_living_node_without_an_address(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.max_removal = 100), THREE " 10.0.1.3(c)");
    struct policy_hold hold;

    bed_observe_bare(policy, "10.0.0.1(a) 10.0.0.2(b)", "c", false, 7000);
    assert_decides(policy, 7000, "save");
    assert_settles(policy, 3600000, "-");
    policy_hold(policy, &hold);
    assert_int_equal(hold.addresses, 2);
    assert_int_equal(hold.bare, 2);
    assert_int_equal(hold.lost, 0);
    assert_int_equal(hold.since, 7000);
    assert_string_equal(hold.text, "2 stay of living nodes that report none (c)");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.1.3(c)", 4000000); /* one is back: the other begins its grace */
    assert_settles(policy, 4000000, "-");
    assert_int_equal(bed_held(policy), 0);
    assert_settles(policy, 4029999, "-");
    assert_settles(policy, 4030000, "10.0.0.1(a) 10.0.0.2(b) 10.0.1.3(c)");
}

static void a_bare_node_that_goes(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_observe_bare(policy, "10.0.0.1(a) 10.0.0.2(b)", "c", false, 0);
    assert_settles(policy, 1000000, "-");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 1000000);
    assert_settles(policy, 1029999, "-");
    assert_settles(policy, 1030000, "10.0.0.1(a) 10.0.0.2(b)");
}

/* Deleted, and made again under the same name: first without an address, as clouds do it. */
static void a_node_that_is_made_again(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    bed_observe_bare(policy, "10.0.0.1(a) 10.0.0.2(b)", "c", false, 20000);
    assert_settles(policy, 400000, "-");
    bed_watch(policy, THREE, 400000);
    assert_settles(policy, 400000, "-");
    assert_int_equal(bed_held(policy), 0);
}

/* Bare from the first moment, and new ones beside it: those flow. */
static void additions_beside_a_hold(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_observe_bare(policy, "10.0.0.1(a) 10.0.0.4(d)", "b c", false, 0);
    assert_decides(policy, 0, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d)");
    assert_settles(policy, 1000000, "-");
    assert_int_equal(bed_held(policy), 2);
}

RUN(cmocka_unit_test(gone_stays_for_the_grace), cmocka_unit_test(back_within_the_grace),
    cmocka_unit_test(additions_go_before_removals), cmocka_unit_test(no_grace_at_all), cmocka_unit_test(a_new_owner),
    cmocka_unit_test(a_living_node_without_an_address), cmocka_unit_test(a_bare_node_that_goes),
    cmocka_unit_test(a_node_that_is_made_again), cmocka_unit_test(additions_beside_a_hold))
