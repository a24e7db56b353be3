/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's words: within, extra, except, max_total. */
#include "bed.h"

#define THREE "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)"

static void except_goes_at_once(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);
    struct address except[] = {{4, 31, {10, 0, 0, 2}}};

    bed_watch(policy, THREE " 10.0.0.4(d)", 0);
    assert_decides(policy, 0, THREE " 10.0.0.4(d)");
    /* No grace, no guard, no window; also those that live. */
    assert_int_equal(policy_reload(policy, OPTIONS(.except = except, .n_except = 1, .max_removal = 0), 10), 0);
    assert_int_equal(policy_due(policy, 10), 10);
    assert_decides(policy, 10, "10.0.0.1(a) 10.0.0.4(d)");
    bed_list(policy, THREE " 10.0.0.4(d)", 20);
    assert_settles(policy, 20000, "-");
    assert_int_equal(policy_reload(policy, OPTIONS(0), 30000), 0);
    assert_decides(policy, 30000, THREE " 10.0.0.4(d)");
}

static void within(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE " 172.16.0.1(d)");
    struct address within[] = {{4, 12, {172, 16}}}, extra[] = {{4, 32, {203, 0, 113, 7}}};

    assert_int_equal(
            policy_reload(policy, OPTIONS(.within = within, .n_within = 1, .extra = extra, .n_extra = 1), 0), 0);
    assert_decides(policy, 0, "172.16.0.1(d) 203.0.113.7(extra)");
    bed_watch(policy, "10.0.0.9(e) 172.16.0.1(d) 172.31.255.255(e)", 10000);
    assert_decides(policy, 10000, "172.16.0.1(d) 172.31.255.255(e) 203.0.113.7(extra)");
}

/* What an operator took out makes no loss, and no base for one. */
static void except_is_no_loss(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE " 10.0.1.1(d) 10.0.1.2(e) 10.0.1.3(f)");
    struct address except[] = {{4, 24, {10, 0, 1, 0}}};

    assert_int_equal(policy_reload(policy, OPTIONS(.except = except, .n_except = 1), 0), 0);
    assert_decides(policy, 0, THREE);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 10000); /* 1 of 3 */
    assert_settles(policy, 40000, "10.0.0.1(a) 10.0.0.2(b)");
    bed_watch(policy, "10.0.0.1(a)", 50000); /* 2 of 3 */
    assert_settles(policy, 80000, "-");
    assert_int_equal(bed_held(policy), 1);
}

static void extra_comes_and_goes_at_once(void **state) {
    struct address extra[] = {{4, 32, {203, 0, 113, 7}}, {4, 24, {198, 51, 100, 0}}};
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    assert_int_equal(policy_reload(policy, OPTIONS(.extra = extra, .n_extra = 2), 0), 0);
    assert_decides(policy, 0, THREE " 198.51.100.0/24(extra) 203.0.113.7(extra)");
    bed_list(policy, "", 10); /* nodes are one thing, configured addresses another */
    assert_settles(policy, 60000, "-");
    bed_list(policy, THREE, 60000);
    assert_settles(policy, 60000, "-");
    policy = bed_restart(policy, OPTIONS(.extra = extra, .n_extra = 1),
            THREE " 198.51.100.0/24(extra) 203.0.113.7(extra)", 70000, 0, WALL + 70000);
    bed_list(policy, THREE, 0); /* the file changed while the engine was away */
    assert_decides(policy, 0, THREE " 203.0.113.7(extra)");
}

/* A node may be called so, and its address is no configured one. */
static void a_node_named_extra(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(extra)");

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_settles(policy, 29999, "-");
    assert_settles(policy, 30000, "10.0.0.1(a) 10.0.0.2(b)");
}

static void extra_that_a_node_reports(void **state) {
    struct address extra[] = {{4, 32, {10, 0, 0, 3}}};
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.extra = extra, .n_extra = 1), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_settles(policy, 3600000, "-");
    bed_watch(policy, THREE, 3600000);
    assert_settles(policy, 3600000, "-");
    assert_int_equal(policy_reload(policy, OPTIONS(0), 3700000), 0); /* it lives, so it stays */
    assert_settles(policy, 3700000, "-");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 3800000);
    assert_settles(policy, 3829999, "-");
    assert_settles(policy, 3830000, "10.0.0.1(a) 10.0.0.2(b)");
}

static void except_is_cut_out_of_extra(void **state) {
    struct address extra[] = {{4, 29, {203, 0, 113, 8}}, {4, 32, {10, 9, 9, 9}}};
    struct address except[] = {{4, 32, {203, 0, 113, 10}}, {4, 32, {10, 9, 9, 9}}};
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");

    assert_int_equal(
            policy_reload(policy, OPTIONS(.extra = extra, .n_extra = 2, .except = except, .n_except = 2), 0), 0);
    assert_decides(policy, 0, "10.0.0.1(a) 203.0.113.8/31(extra) 203.0.113.11(extra) 203.0.113.12/30(extra)");
}

static void more_than_max_total(void **state) {
    struct address extra[] = {{4, 32, {203, 0, 113, 7}}};
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.max_total = 4), THREE);

    bed_watch(policy, "10.0.0.0(0) 10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e)", 0);
    assert_decides(policy, 0, "10.0.0.0(0) 10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    assert_int_equal(policy_stats(policy).over_limit, 2);
    /* What lives and is confirmed stays, whatever the bound becomes. */
    assert_int_equal(policy_reload(policy, OPTIONS(.max_total = 1, .extra = extra, .n_extra = 1), 10000), 0);
    assert_decides(policy, 10000, "10.0.0.0(0) 10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 203.0.113.7(extra)");
    assert_int_equal(policy_reload(policy, OPTIONS(.max_total = 4), 20000), 0);
    assert_decides(policy, 20000, "10.0.0.0(0) 10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d) 10.0.0.5(e)", 30000);
    assert_settles(policy, 59999, "-");
    assert_settles(policy, 60000, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d)"); /* one's place is another's */
    assert_int_equal(policy_stats(policy).over_limit, 1);
}

RUN(cmocka_unit_test(except_goes_at_once), cmocka_unit_test(within), cmocka_unit_test(except_is_no_loss),
    cmocka_unit_test(extra_comes_and_goes_at_once), cmocka_unit_test(a_node_named_extra),
    cmocka_unit_test(extra_that_a_node_reports), cmocka_unit_test(except_is_cut_out_of_extra),
    cmocka_unit_test(more_than_max_total))
