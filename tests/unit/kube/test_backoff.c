/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/backoff.h"
#include "../unit.h"

static void doubles_up_to_the_cap(void **state) {
    struct backoff backoff = BACKOFF_KUBE;
    static const msec expected[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};

    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        assert_int_equal(backoff_next(&backoff, 1000 * (msec)i, 0), expected[i]);
}

static void jitter_adds_up_to_the_delay_again(void **state) {
    struct backoff half = BACKOFF_KUBE, most = BACKOFF_KUBE;

    assert_int_equal(backoff_next(&half, 0, UINT32_C(0x80000000)), 1200);
    assert_int_equal(backoff_next(&most, 0, UINT32_MAX), 1599);
    for (unsigned i = 0; i < 8; i++)
        backoff_next(&most, 0, 0);
    assert_int_equal(backoff_next(&most, 0, UINT32_MAX), 59999);
}

static void forgets_after_calm_only(void **state) {
    struct backoff backoff = BACKOFF_KUBE;

    assert_int_equal(backoff_next(&backoff, 0, 0), 800);
    assert_int_equal(backoff_next(&backoff, 119999, 0), 1600);
    assert_int_equal(backoff_next(&backoff, 119999 + 120000, 0), 800);
    assert_int_equal(backoff_next(&backoff, 119999 + 120000, 0), 1600);
}

static void a_late_first_failure_is_a_first_one(void **state) {
    struct backoff backoff = BACKOFF_KUBE;

    assert_int_equal(backoff_next(&backoff, 50, 0), 800); /* `last` 0 is no failure at time 0 */
}

RUN(cmocka_unit_test(doubles_up_to_the_cap), cmocka_unit_test(jitter_adds_up_to_the_delay_again),
    cmocka_unit_test(forgets_after_calm_only), cmocka_unit_test(a_late_first_failure_is_a_first_one))
