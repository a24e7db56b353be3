/* SPDX-License-Identifier: Apache-2.0 */
/* When a plugin is run. Both clocks are values. */
#include "login.h"
#include "../unit.h"

enum { MINUTE = 60000, NOON = 1000000000 };

static void nothing_yet(void **state) {
    struct login login = {0};

    assert_int_equal(login_need(&login, NOON), LOGIN_NOW);
    assert_true(login_may_run(&login, 0));
}

static void a_minute_before_the_end(void **state) {
    struct login login = {0};

    login_got(&login, NOON + 15 * MINUTE, 0, NOON);
    assert_int_equal(login_need(&login, NOON + 14 * MINUTE - 1), LOGIN_FRESH);
    assert_int_equal(login_need(&login, NOON + 14 * MINUTE), LOGIN_SOON);
    assert_int_equal(login_need(&login, NOON + 15 * MINUTE), LOGIN_NOW);
    assert_int_equal(login_need(&login, NOON - 60 * MINUTE), LOGIN_FRESH); /* a clock that jumps back */
    login_got(&login, NOON + 2 * MINUTE, 0, NOON); /* what is short-lived is not renewed at half time */
    assert_int_equal(login_need(&login, NOON + 2 * MINUTE - 30001), LOGIN_FRESH);
    assert_int_equal(login_need(&login, NOON + 2 * MINUTE - 30000), LOGIN_SOON);
    login_got(&login, MSEC_NEVER, 0, NOON);
    assert_int_equal(login_need(&login, INT64_MAX - 1), LOGIN_FRESH);
}

/* kubernetes#106768: a clock that is an hour ahead must not run the plugin with every request. */
static void ended_on_arrival(void **state) {
    struct login login = {0};

    login_got(&login, NOON - 1, 0, NOON);
    assert_int_equal(login_need(&login, NOON), LOGIN_FRESH);
    login_refused(&login);
    assert_int_equal(login_need(&login, NOON), LOGIN_NOW);
}

static void failures_are_spaced_out(void **state) {
    static const msec delays[] = {5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000};
    struct login login = {0};
    msec now = 7;

    for (size_t i = 0; i < ARRAY_LENGTH(delays); i++) {
        login_failed(&login, now);
        assert_false(login_may_run(&login, now + delays[i] - 1));
        now += delays[i];
        assert_true(login_may_run(&login, now));
        assert_int_equal(login_need(&login, NOON), LOGIN_NOW);
    }
    login_got(&login, MSEC_NEVER, now, NOON);
    login_failed(&login, now);
    assert_true(login_may_run(&login, now + 5000)); /* forgotten with the first success */
    assert_int_equal(login_need(&login, NOON), LOGIN_FRESH); /* and the old stays */
}

/* A server that refuses whatever the plugin gives. */
static void refusals_are_spaced_out(void **state) {
    static const msec delays[] = {10000, 10000, 20000, 40000, 80000, 160000, 300000, 300000};
    struct login login = {0};
    msec now = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(delays); i++) {
        login_got(&login, MSEC_NEVER, now, NOON);
        for (unsigned n = 0; n < 5; n++) /* of one and the same */
            login_refused(&login);
        assert_int_equal(login_need(&login, NOON), LOGIN_NOW);
        assert_false(login_may_run(&login, now + delays[i] - 1));
        now += delays[i];
        assert_true(login_may_run(&login, now));
    }
    login_accepted(&login);
    assert_int_equal(login_need(&login, NOON), LOGIN_FRESH); /* it was the server that had changed its mind */
    login_refused(&login);
    login_got(&login, MSEC_NEVER, now, NOON);
    assert_true(login_may_run(&login, now + 10000));
}

RUN(cmocka_unit_test(nothing_yet), cmocka_unit_test(a_minute_before_the_end), cmocka_unit_test(ended_on_arrival),
    cmocka_unit_test(failures_are_spaced_out), cmocka_unit_test(refusals_are_spaced_out))
