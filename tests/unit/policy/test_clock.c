/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks that jump: over restarts and reboots a grace ends no earlier than it should. */
#include "bed.h"

#define THREE "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)"
#define YEAR (365 * 86400000LL)
#define GRACE 30000

/* Writes the state at `now`, and reads it back as the engine does. */
static struct policy *over(struct policy *old, struct policy_clock *clock, msec now, const char *boot, msec new_now, msec new_wall) {
    CLEANUP(json_putp) json_object *state = NULL, *read = NULL;
    struct policy *policy;

    assert_int_equal(policy_state(old, now, policy_clock_at(clock, now), &state), 0);
    assert_int_equal(policy_clock_save(clock, state, now), 0);
    read = json_tokener_parse(json_object_to_json_string(state));
    policy_clock_open(clock, read, boot, new_now, new_wall);
    policy = bed_new(OPTIONS(0), THREE, read, new_now, policy_clock_at(clock, new_now));
    policy_free(old);
    return policy;
}

/* c is gone since 1000; the engine ends at 11000, 20 s before the grace does, and begins at new_now. */
static void assert_ends(const char *boot, msec new_now, msec new_wall, msec end) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);
    struct policy_clock clock;

    policy_clock_open(&clock, NULL, "one", 0, WALL);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 1000);
    assert_settles(policy, 1000, "-");
    policy = over(policy, &clock, 11000, boot, new_now, new_wall);
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", new_now);
    assert_settles(policy, end - 1, "-");
    assert_settles(policy, end, "10.0.0.1(a) 10.0.0.2(b)");
}

static void a_restart(void **state) {
    assert_ends("one", 16000, WALL + 16000, 31000);             /* all is well */
    assert_ends("one", 16000, WALL + 16000 + YEAR, 31000);      /* NTP came, or somebody set the clock */
    assert_ends("one", 16000, WALL - YEAR, 31000);
    assert_ends("one", 16000, 0, 31000);
}

static void a_reboot(void **state) {
    assert_ends("two", 500, WALL + 60000, 500 + 20000);         /* what was left of it then is left of it now */
    assert_ends("two", 500, WALL + 10 * YEAR, 500 + 20000);
    assert_ends("two", 500, 0, 500 + 20000);
    assert_ends("two", 700000, WALL, 700000 + 20000);
    assert_ends("", 16000, WALL + 16000, 16000 + 20000);        /* no boot can be told from another: as if it were one */
    assert_ends("one", 500, WALL, 500 + 20000);                 /* the same name, and a clock that began anew */
}

/* Two in a row: the calendar is handed on, not begun again. */
static void restarts_add_up(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), THREE);
    struct policy_clock clock;

    policy_clock_open(&clock, NULL, "one", 0, WALL);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    policy = over(policy, &clock, 5000, "one", 10000, WALL + YEAR);
    policy = over(policy, &clock, 11000, "two", 100, WALL - YEAR);
    policy = over(policy, &clock, 2100, "two", 7100, 0);
    assert_int_equal(policy_clock_at(&clock, 7100), WALL + 11000 + 7000);
    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 7100);
    assert_settles(policy, 7100 + GRACE - 18000 - 1, "-");
    assert_settles(policy, 7100 + GRACE - 18000, "10.0.0.1(a) 10.0.0.2(b)");
}

/* The guard's ten minutes are not over because a clock says so. */
static void the_window_of_the_guard(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(.grace = 0), THREE " 10.0.0.4(d)");
    struct policy_clock clock;

    policy_clock_open(&clock, NULL, "one", 0, WALL);
    bed_watch(policy, THREE, 0);
    assert_settles(policy, 0, THREE);
    policy = over(policy, &clock, 1000, "two", 100, WALL + YEAR);
    bed_watch(policy, THREE, 100);
    bed_list(policy, "10.0.0.1(a)", 100);
    assert_settles(policy, 40000, "-"); /* three of four */
    assert_int_equal(bed_held(policy), 2);
}

static void nonsense(void **state) {
    static const char *const cases[] = {
        "{}", "[]", "{\"clock\":7}", "{\"clock\":{\"boot\":\"one\",\"now\":\"1\",\"calendar\":1}}",
        "{\"clock\":{\"boot\":\"one\",\"now\":-5,\"calendar\":1}}", "{\"clock\":{\"boot\":\"one\",\"now\":1}}",
        "{\"clock\":{\"boot\":\"one\",\"now\":1,\"calendar\":9223372036854775807}}",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(json_putp) json_object *object = json_tokener_parse(cases[i]);
        struct policy_clock clock;

        policy_clock_open(&clock, object, "one", 1000, WALL);
        assert_int_equal(policy_clock_at(&clock, 1000), WALL);
    }
}

RUN(cmocka_unit_test(a_restart), cmocka_unit_test(a_reboot), cmocka_unit_test(restarts_add_up),
    cmocka_unit_test(the_window_of_the_guard), cmocka_unit_test(nonsense))
