/* SPDX-License-Identifier: Apache-2.0 */
/* A loss that a list shows counts only once a second list agrees; and what another selection takes out. */
#include "bed.h"

#define THREE "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)"
#define FOUR THREE " 10.0.0.4(d)"

/* A policy whose server is asked, and answers only when a case says so. */
static struct policy *alone(const struct policy_options *options, const char *set) {
    struct policy *policy = bed_running(options, set);

    bed_lists = false;
    return policy;
}

static void one_list_is_not_enough(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), THREE);

    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 5000);
    assert_settles(policy, 5000, "-");
    assert_false(policy_wants_list(policy, 34999)); /* the second is worth most when the grace is over */
    assert_int_equal(policy_due(policy, 6000), 35000);
    assert_settles(policy, 35000, "-");
    assert_true(policy_wants_list(policy, 35000));
    assert_int_equal(policy_due(policy, 35000), MSEC_NEVER); /* the list is awaited */
    assert_settles(policy, 3600000, "-");                    /* for as long as it takes */
    assert_int_equal(policy_stats(policy).in_grace, 1);
    assert_int_equal(bed_held(policy), 0);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.9(e)", 3600001); /* an event about another one is no list */
    assert_settles(policy, 3600001, THREE " 10.0.0.9(e)");
    assert_true(policy_wants_list(policy, 3600001));
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.9(e)", 3700000);
    assert_false(policy_wants_list(policy, 3700000));
    assert_settles(policy, 3700000, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.9(e)");
}

static void the_second_list_has_it(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), THREE);

    bed_list(policy, "", 5000); /* a proxy before another server */
    assert_settles(policy, 36000, "-");
    bed_list(policy, THREE, 37000);
    assert_settles(policy, 37000, "-");
    assert_false(policy_wants_list(policy, 37000));
    assert_int_equal(policy_due(policy, 37000), MSEC_NEVER);
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 50000); /* and lost again: its doubt begins anew */
    assert_settles(policy, 80000, "-");
    assert_true(policy_wants_list(policy, 80000));
}

static void a_list_in_the_grace_is_a_second_one(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), FOUR);

    bed_list(policy, THREE, 5000);
    bed_list(policy, THREE, 5000 + POLICY_CONFIRM_AFTER - 1); /* the same answer */
    assert_settles(policy, 35000, "-");
    assert_true(policy_wants_list(policy, 35000));
    bed_list(policy, THREE, 35001);
    assert_settles(policy, 35001, THREE);
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 50000);
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 60000);
    assert_settles(policy, 79999, "-");
    assert_settles(policy, 80000, "10.0.0.1(a) 10.0.0.2(b)");
}

static void a_deletion_is_enough(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 5000);
    assert_settles(policy, 35000, "10.0.0.1(a) 10.0.0.2(b)");
}

static void without_grace_the_lists_are_apart(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(.grace = 0), THREE);

    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 5000);
    assert_settles(policy, 5000, "-");
    assert_int_equal(policy_due(policy, 5000), 5000 + POLICY_CONFIRM_AFTER);
    assert_false(policy_wants_list(policy, 5000 + POLICY_CONFIRM_AFTER - 1));
    assert_true(policy_wants_list(policy, 5000 + POLICY_CONFIRM_AFTER));
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 5000 + POLICY_CONFIRM_AFTER);
    assert_settles(policy, 5000 + POLICY_CONFIRM_AFTER, "10.0.0.1(a) 10.0.0.2(b)");
}

/* What was said before the restart and what the first list says are two words. */
static void over_a_restart(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), FOUR);

    bed_list(policy, THREE, 0);
    assert_settles(policy, 1000, "-");
    policy = bed_restart(policy, OPTIONS(0), FOUR, 1000, 0, WALL + 60000);
    bed_lists = false;
    assert_settles(policy, 0, "-");
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 0); /* c is missed for the first time */
    assert_settles(policy, 0, THREE);
    assert_settles(policy, 30000, "-");
    assert_true(policy_wants_list(policy, 30000));
}

/* The guard counts what is in doubt, too: of a disaster in two halves the first half is held. */
static void doubts_are_a_part_of_the_loss(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), FOUR);

    bed_watch(policy, "10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d)", 0);
    bed_list(policy, "10.0.0.4(d)", 1000);
    assert_settles(policy, 30000, "-"); /* a is due, and with the two in doubt it were three of four */
    assert_int_equal(bed_held(policy), 1);
    assert_settles(policy, 31000, "-");
    bed_list(policy, "10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d)", 40000);
    assert_settles(policy, 40000, "10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d)");
}

/* What is missed while a set is written: by an event it is gone, by a list it is in doubt. */
static void missed_during_a_write(void **state) {
    for (int listed = 0; listed < 2; listed++) {
        CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), THREE);
        CLEANUP(policy_decision_done) struct policy_decision decision = {0};

        bed_watch(policy, FOUR, 0);
        assert_int_equal(policy_decide(policy, 0, false, &decision), 0);
        bed_observe_bare(policy, "10.0.0.1(a) 10.0.0.2(b)", "", listed, 10); /* c, and d whose first set is being written */
        assert_int_equal(policy_confirmed(policy, decision.set, 20), 0);
        assert_settles(policy, 40000, listed ? "-" : "10.0.0.1(a) 10.0.0.2(b)");
        assert_int_equal(policy_wants_list(policy, 40000), listed);
    }
}

static void another_selection_goes_at_once(void **state) {
    CLEANUP(policy_freep) struct policy *policy = alone(OPTIONS(0), FOUR);
    struct bed_step step;

    bed_watch(policy, THREE, 1000); /* d is deleted, and has its grace */
    assert_settles(policy, 1000, "-");
    policy_select(policy);
    bed_list(policy, "10.0.0.3(c) 10.0.0.9(e)", 2000);
    assert_decides(policy, 2000, FOUR " 10.0.0.9(e)");
    assert_int_equal(policy_due(policy, 2000), 2000 + POLICY_CONFIRM_AFTER);
    assert_true(policy_wants_list(policy, 2000 + POLICY_CONFIRM_AFTER));
    bed_list(policy, "10.0.0.2(b) 10.0.0.3(c) 10.0.0.9(e)", 2000 + POLICY_CONFIRM_AFTER);
    step = bed_step(policy, 2000 + POLICY_CONFIRM_AFTER, false);
    assert_string_equal(step.text, "10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d) 10.0.0.9(e)"); /* b is there after all */
    assert_int_equal(step.reason, POLICY_OPERATOR);
    assert_settles(policy, 31000, "10.0.0.2(b) 10.0.0.3(c) 10.0.0.9(e)");
}

static void a_selection_of_nothing_is_a_loss(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), FOUR);

    policy_select(policy);
    bed_list(policy, "", 0);
    assert_settles(policy, 0, "-");
    assert_settles(policy, POLICY_CONFIRM_AFTER, "-");
    assert_settles(policy, 40000, "-");
    assert_int_equal(bed_held(policy), 4);
}

/* What an operator let go is not what the next loss is measured against. */
static void a_release_makes_no_room(void **state) {
    CLEANUP(policy_freep)
    struct policy *policy = bed_running(OPTIONS(0), FOUR " 10.0.0.5(e) 10.0.0.6(f) 10.0.0.7(g) 10.0.0.8(h) 10.0.0.9(i)");

    bed_watch(policy, FOUR, 0);
    assert_settles(policy, 30000, "-");
    assert_int_equal(bed_held(policy), 5);
    policy_release(policy, 40000);
    assert_decides(policy, 40000, FOUR);
    bed_watch(policy, "", 50000); /* four of nine, or of four? */
    assert_settles(policy, 80000, "-");
    assert_int_equal(bed_held(policy), 4);
}

/* A release while a set is being written is of the set that will be in force. */
static void a_release_during_a_write(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), FOUR);
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};

    bed_watch(policy, "10.0.0.1(a)", 0);
    assert_settles(policy, 30000, "-");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.9(e)", 40000);
    assert_int_equal(policy_decide(policy, 40000, false, &decision), 0);
    assert_non_null(decision.set);
    policy_release(policy, 40001);
    assert_int_equal(policy_confirmed(policy, decision.set, 40002), 0);
    assert_decides(policy, 40300, "10.0.0.1(a) 10.0.0.9(e)");
}

RUN(cmocka_unit_test(one_list_is_not_enough), cmocka_unit_test(the_second_list_has_it),
    cmocka_unit_test(a_list_in_the_grace_is_a_second_one), cmocka_unit_test(a_deletion_is_enough),
    cmocka_unit_test(without_grace_the_lists_are_apart), cmocka_unit_test(over_a_restart),
    cmocka_unit_test(doubts_are_a_part_of_the_loss), cmocka_unit_test(missed_during_a_write), cmocka_unit_test(another_selection_goes_at_once),
    cmocka_unit_test(a_selection_of_nothing_is_a_loss), cmocka_unit_test(a_release_makes_no_room),
    cmocka_unit_test(a_release_during_a_write))
