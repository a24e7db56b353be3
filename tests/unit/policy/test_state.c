/* SPDX-License-Identifier: Apache-2.0 */
/* What a restart brings back, and what it survives. */
#include "bed.h"

#define THREE "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)"

static void the_grace_goes_on(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    policy = bed_restart(policy, OPTIONS(0), THREE, 10000, 500000, WALL + 20000);
    assert_settles(policy, 500000, "-");
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 505000);
    assert_settles(policy, 509999, "-");
    assert_settles(policy, 510000, "10.0.0.1(a) 10.0.0.2(b)");
}

/* It came back while the engine was away. */
static void what_lives_again(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    policy = bed_restart(policy, OPTIONS(0), THREE, 10000, 0, WALL + 100000);
    bed_list(policy, THREE, 0);
    assert_settles(policy, 0, "-");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 1000);
    assert_settles(policy, 30999, "-");
    assert_settles(policy, 31000, "10.0.0.1(a) 10.0.0.2(b)");
}

/* A board without a clock battery: 1970 until NTP answers. The grace is longer then, never shorter. */
static void a_wall_clock_that_went_back(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    policy = bed_restart(policy, OPTIONS(0), THREE, 20000, 1000, 5000);
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 1000);
    assert_settles(policy, 30999, "-");
    assert_settles(policy, 31000, "10.0.0.1(a) 10.0.0.2(b)");
}

/* The state that is written with a set is that after it: a loss is counted once, wherever the engine dies. */
static void the_state_of_a_decision(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.grace = 0), THREE " 10.0.0.4(d)");
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_int_equal(policy_decide(policy, 0, false, &decision), 0);
    assert_int_equal(decision.set->n_members, 2);
    policy = bed_restart(
            policy, OPTIONS(.grace = 0), "10.0.0.1(a) 10.0.0.2(b)", 0, 0, WALL + 1000); /* written, then died */
    bed_list(policy, "10.0.0.1(a)", 0);
    assert_settles(policy, 0, "-");
    assert_settles(policy, POLICY_CONFIRM_AFTER, "-"); /* the third of four */
    assert_int_equal(bed_held(policy), 1);
}

/* The marks that are written with a set are its own: what is extra in it is so after a restart. */
static void the_marks_of_a_decision(void **state) {
    struct address extra = {4, 32, {203, 0, 113, 7}};
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};

    assert_int_equal(policy_reload(policy, OPTIONS(.extra = &extra, .n_extra = 1), 0), 0);
    assert_int_equal(policy_decide(policy, 0, false, &decision), 0);
    assert_int_equal(decision.set->n_members, 4);
    policy = bed_restart(policy, OPTIONS(0), THREE " 203.0.113.7(extra)", 0, 0, WALL + 1000);
    bed_list(policy, THREE, 0);
    assert_decides(policy, 0, THREE);
}

/* Released, and then the disk was full, and then the engine died. */
static void a_release_survives(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE " 10.0.0.4(d)");
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};

    bed_list(policy, "10.0.0.1(a)", 0);
    assert_settles(policy, 30000, "-");
    assert_int_equal(bed_held(policy), 3);
    policy_release(policy, 40000);
    assert_int_equal(policy_decide(policy, 40000, false, &decision), 0);
    assert_int_equal(decision.set->n_members, 1);
    policy_failed(policy, 40000);
    policy = bed_restart(policy, OPTIONS(0), THREE " 10.0.0.4(d)", 40000, 0, WALL + 50000);
    bed_list(policy, "10.0.0.1(a)", 0);
    assert_decides(policy, 0, "10.0.0.1(a)");
}

/* What is older than the window is no burden for ever. */
static void the_state_does_not_grow(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.max_removal = 100, .grace = 0), "10.0.0.1(a)");
    char living[64];

    for (unsigned i = 0; i < 2000; i++) {
        msec now = (msec)i * 10000;

        snprintf(living, sizeof(living), "10.0.%u.%u(a)", i / 256, i % 256);
        bed_watch(policy, living, now);
        assert_settles(policy, now, living);
    }
    {
        CLEANUP(json_putp) json_object *object = NULL;

        assert_int_equal(policy_state(policy, 20000000, WALL, &object), 0);
        assert_in_range(json_object_object_length(json_get(object, "losses")), 1, 61);
        assert_in_range(json_object_array_length(json_get(object, "sizes")), 1, 61);
    }
}

static void changes_are_saved_but_not_each_alone(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_decides(policy, 0, "save");
    bed_watch(policy, THREE, 100);
    assert_decides(policy, 100, "-");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 200);
    assert_decides(policy, 200, "-");
    assert_int_equal(policy_due(policy, 200), 1000);
    assert_decides(policy, 1000, "save");
    assert_int_equal(policy_due(policy, 1000), 30200);
}

static void a_save_that_failed_comes_again(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_int_equal(policy_decide(policy, 0, false, &decision), 0);
    assert_true(decision.save);
    policy_failed(policy, 0);
    assert_decides(policy, 999, "-");
    assert_decides(policy, 1000, "save");
}

static void nonsense_is_survived(void **state) {
    static const char *const cases[] = {
        "null", "7", "[]", "\"gone\"", "{}",
        "{\"gone\":7,\"labels\":[],\"extra\":null,\"released\":\"x\",\"sizes\":{},\"losses\":[1],\"hold\":true}",
        "{\"gone\":{\"10.0.0.1\":\"x\",\"nonsense\":5,\"10.9.9.9\":5,\"10.0.0.2\":null,\"10.0.0.3\":1.5}}",
        "{\"gone\":{\"10.0.0.1\":9223372036854775807,\"10.0.0.2\":-9223372036854775807,\"10.0.0.3\":0}}",
        "{\"labels\":{\"10.0.0.1\":7,\"10.0.0.2\":\"\\n\\u0000\",\"10.0.0.3\":\"a very long label, much longer "
        "than sixty-three characters, with blanks and \\\" quotes\"}}",
        "{\"sizes\":[1,null,{},{\"until\":1},{\"until\":-9223372036854775807,\"addresses\":-1,\"nodes\":1},"
        "{\"until\":9223372036854775807,\"addresses\":99999999999,\"nodes\":0}]}",
        "{\"losses\":{\"x\":1,\"10.0.0.1\":null,\"10.0.0.2\":9223372036854775807,\"::1\":-9223372036854775807}}",
        "{\"hold\":{}}", "{\"hold\":{\"since\":1,\"addresses\":-5,\"nodes\":3}}",
        "{\"hold\":{\"since\":-9223372036854775807,\"addresses\":0,\"nodes\":0},\"bare_since\":-9223372036854775807}",
        "{\"hold\":{\"since\":9223372036854775807,\"addresses\":262144,\"nodes\":262144}}",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(json_putp) json_object *object = json_tokener_parse(cases[i]), *again = NULL;
        CLEANUP(policy_freep) struct policy *policy = bed_new(OPTIONS(0), THREE, object, 1000, WALL);

        assert_int_equal(bed_held(policy), 0);
        bed_list(policy, THREE, 1000); /* what lives stays, whatever the file says */
        assert_settles(policy, 1000, "-");
        bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 2000);
        assert_settles(policy, 31999, "-");
        assert_settles(policy, 32000, "10.0.0.1(a) 10.0.0.2(b)");
        assert_int_equal(policy_state(policy, 40000, WALL, &again), 0);
    }
}

RUN(cmocka_unit_test(the_grace_goes_on), cmocka_unit_test(what_lives_again),
        cmocka_unit_test(a_wall_clock_that_went_back), cmocka_unit_test(the_state_of_a_decision),
        cmocka_unit_test(the_marks_of_a_decision), cmocka_unit_test(a_release_survives),
        cmocka_unit_test(the_state_does_not_grow), cmocka_unit_test(changes_are_saved_but_not_each_alone),
        cmocka_unit_test(a_save_that_failed_comes_again), cmocka_unit_test(nonsense_is_survived))
