/* SPDX-License-Identifier: Apache-2.0 */
/* The first set of a store, and the first list after a restart. */
#include "bed.h"

static void two_lists_that_agree(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_new(OPTIONS(0), NULL, NULL, 1000, WALL);
    struct bed_step step;

    assert_int_equal(policy_due(policy, 1000), MSEC_NEVER);
    bed_watch(policy, "10.0.0.9(x)", 1000); /* no list yet: nothing of it counts */
    assert_int_equal(policy_due(policy, 1000), MSEC_NEVER);
    assert_false(policy_wants_list(policy, 1000));
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 2000);
    assert_decides(policy, 2000, "-");
    assert_int_equal(policy_due(policy, 2000), 2000 + POLICY_CONFIRM_AFTER);
    assert_false(policy_wants_list(policy, 2299));
    assert_true(policy_wants_list(policy, 2300));
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 2100); /* too soon: the same moment of the same server */
    assert_decides(policy, 2100, "-");
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 2310);
    assert_false(policy_wants_list(policy, 2310));
    assert_int_equal(policy_due(policy, 2310), 2310);
    step = bed_step(policy, 2310, false);
    assert_string_equal(step.text, "10.0.0.1(a) 10.0.0.2(b)");
    assert_int_equal(step.reason, POLICY_START);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", 9000);
    step = bed_step(policy, 9000, false);
    assert_string_equal(step.text, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    assert_int_equal(step.reason, POLICY_WATCH);
}

static void lists_that_differ_begin_anew(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_new(OPTIONS(0), NULL, NULL, 0, WALL);

    bed_list(policy, "", 0); /* a server that is just starting */
    bed_list(policy, "10.0.0.1(a)", 400);
    assert_decides(policy, 400, "-");
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 800);
    assert_decides(policy, 800, "-");
    assert_int_equal(policy_due(policy, 800), 1100);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 1200); /* a picture of watch events is no second list */
    assert_decides(policy, 1200, "-");
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 1300);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", 1310);
    assert_decides(policy, 1310, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
}

static void an_empty_cluster_may_be_true(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_new(OPTIONS(0), NULL, NULL, 0, WALL);
    struct bed_step step;

    bed_list(policy, "", 0);
    assert_decides(policy, 0, "-");
    bed_list(policy, "", 300);
    step = bed_step(policy, 300, false);
    assert_string_equal(step.text, "");
    bed_watch(policy, "10.0.0.1(a)", 301);
    assert_decides(policy, 301, "-");
    assert_decides(policy, 300 + POLICY_DEBOUNCE_FIRST, "10.0.0.1(a)");
}

static void nothing_goes_before_a_complete_list(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_new(OPTIONS(0), "10.0.0.1(a) 10.0.0.2(b)", NULL, 0, WALL);
    struct bed_step step;

    bed_watch(policy, "10.0.0.1(a)", 0);
    assert_int_equal(policy_due(policy, 0), MSEC_NEVER);
    assert_decides(policy, 3600000, "-");
    step = bed_step(policy, 3600000, true);
    assert_string_equal(step.text, "-");
    /* Away for an hour, and gone meanwhile: the grace begins when we learn of it. One list is enough, what is new goes
     * at once. */
    bed_list(policy, "10.0.0.1(a) 10.0.0.3(c)", 3600000);
    step = bed_step(policy, 3600000, false);
    assert_string_equal(step.text, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    assert_int_equal(step.reason, POLICY_START);
    assert_settles(policy, 3600000 + 29999, "-");
    assert_settles(policy, 3600000 + 30000, "10.0.0.1(a) 10.0.0.3(c)");
}

static void must_decides_an_equal_set(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");

    assert_decides(policy, 10, "-");
    assert_string_equal(bed_step(policy, 10, true).text, "10.0.0.1(a)");
    assert_decides(policy, 20, "-");
}

static void reasons(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");
    struct address extra = {4, 32, {203, 0, 113, 7}};

    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 10000);
    assert_int_equal(bed_step(policy, 10000, false).reason, POLICY_RELIST);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", 20000);
    assert_int_equal(bed_step(policy, 20000, false).reason, POLICY_WATCH);
    assert_int_equal(policy_reload(policy, OPTIONS(.extra = &extra, .n_extra = 1), 30000), 0);
    assert_int_equal(bed_step(policy, 30000, false).reason, POLICY_OPERATOR);
}

RUN(cmocka_unit_test(two_lists_that_agree), cmocka_unit_test(lists_that_differ_begin_anew),
    cmocka_unit_test(an_empty_cluster_may_be_true), cmocka_unit_test(nothing_goes_before_a_complete_list),
    cmocka_unit_test(must_decides_an_equal_set), cmocka_unit_test(reasons))
