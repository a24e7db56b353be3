/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/status.h"
#include "../unit.h"

#include <math.h>

static void families_have_one_head(void **state) {
    CLEANUP(metrics_done) struct metrics metrics = {0};
    CLEANUP(cleanup_free) char *text = NULL;
    const char *const prod[] = {"cluster", "prod", NULL}, *const test[] = {"cluster", "test", "state", "held", NULL};
    size_t size;

    metrics_add(&metrics, METRIC_GAUGE, "nodewall_addresses", "Addresses of the set.", prod, 3);
    metrics_add(&metrics, METRIC_GAUGE, "nodewall_addresses", "Addresses of the set.", test, 0);
    metrics_add(&metrics, METRIC_COUNTER, "nodewall_events_total", "Events sent.", NULL, 12345678901);
    assert_int_equal(metrics_take(&metrics, &text, &size), 0);
    assert_string_equal(text, "# HELP nodewall_addresses Addresses of the set.\n"
                              "# TYPE nodewall_addresses gauge\n"
                              "nodewall_addresses{cluster=\"prod\"} 3\n"
                              "nodewall_addresses{cluster=\"test\",state=\"held\"} 0\n"
                              "# HELP nodewall_events_total Events sent.\n"
                              "# TYPE nodewall_events_total counter\n"
                              "nodewall_events_total 12345678901\n");
    assert_int_equal(size, strlen(text));
}

static void names_are_escaped(void **state) {
    CLEANUP(metrics_done) struct metrics metrics = {0};
    CLEANUP(cleanup_free) char *text = NULL;
    const char *const odd[] = {"node", "a\"b\\c\nd\xc3\xa9", NULL}, *const broken[] = {"node", "x\xff\xc3\xa9", NULL};
    size_t size;

    metrics_add(&metrics, METRIC_GAUGE, "m", "a \"b\" \\ c\nd", odd, 1);
    metrics_add(&metrics, METRIC_GAUGE, "m", "ignored", broken, 2);
    assert_int_equal(metrics_take(&metrics, &text, &size), 0);
    assert_string_equal(text, "# HELP m a \"b\" \\\\ c\\nd\n# TYPE m gauge\n"
                              "m{node=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 1\nm{node=\"x???\"} 2\n");
}

static void value(double number, const char *expect) {
    CLEANUP(metrics_done) struct metrics metrics = {0};
    CLEANUP(cleanup_free) char *text = NULL;
    size_t size;

    metrics_add(&metrics, METRIC_GAUGE, "m", "h", NULL, number);
    assert_int_equal(metrics_take(&metrics, &text, &size), 0);
    assert_string_equal(strstr(text, "\nm ") + 3, expect);
}

static void numbers_read_back(void **state) {
    value(0, "0\n");
    value(-1, "-1\n");
    value(0.1, "0.1\n");
    value(1.0 / 3, "0.3333333333333333\n");
    value(1700000000.123, "1700000000.123\n");
    value(9007199254740991, "9007199254740991\n");
    value(NAN, "NaN\n");
    value(INFINITY, "+Inf\n");
    value(-INFINITY, "-Inf\n");
}

static void nothing_is_an_empty_page(void **state) {
    CLEANUP(metrics_done) struct metrics metrics = {0};
    CLEANUP(cleanup_free) char *text = NULL;
    size_t size;

    assert_int_equal(metrics_take(&metrics, &text, &size), 0);
    assert_string_equal(text, "");
    assert_int_equal(size, 0);
}

static void a_failure_sticks(void **state) {
    CLEANUP(metrics_done) struct metrics metrics = {.error = -ENOMEM};
    char *text = NULL;
    size_t size;

    metrics_add(&metrics, METRIC_GAUGE, "m", "h", NULL, 1);
    assert_int_equal(metrics_take(&metrics, &text, &size), -ENOMEM);
    assert_null(text);
}

RUN(cmocka_unit_test(families_have_one_head), cmocka_unit_test(names_are_escaped), cmocka_unit_test(numbers_read_back),
    cmocka_unit_test(nothing_is_an_empty_page), cmocka_unit_test(a_failure_sticks))
