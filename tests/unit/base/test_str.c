/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/base.h"
#include "../unit.h"

static void cluster_names(void **state) {
    assert_true(name_is_cluster("prod") && name_is_cluster("0") && name_is_cluster("eu-1.prod"));
    assert_false(name_is_cluster("") || name_is_cluster("Prod") || name_is_cluster(".prod") || name_is_cluster("a/b") ||
                 name_is_cluster("a b") || name_is_cluster("-a"));
    assert_true(name_is_cluster("a23456789012345678901234567890123456789012345678901234567890123"));
    assert_false(name_is_cluster("a234567890123456789012345678901234567890123456789012345678901234"));
}

static void node_names(void **state) {
    assert_true(name_is_node("ip-10-0-0-1.ec2.internal") && name_is_node("Node_1"));
    assert_false(name_is_node("") || name_is_node("a/b") || name_is_node("a\nb") || name_is_node("a*"));
}

static void decimals_of_any_length(void **state) {
    assert_true(decimal_compare("9", "10") < 0);
    assert_true(decimal_compare("99999999999999999999999", "100000000000000000000000") < 0);
    assert_true(decimal_compare("010", "10") == 0);
    assert_true(decimal_compare("", "1") < 0);
    assert_true(decimal_compare("21", "12") == 1);
    assert_true(decimal_is("1") && decimal_is("0012345678901234567890"));
    assert_false(decimal_is("") || decimal_is("1a") || decimal_is("-1"));
}

static void hex(void **state) {
    char digits[33];

    assert_int_equal(random_hex(digits, 32), 0);
    assert_true(hex_is(digits, 32));
    assert_false(hex_is("ABCD", 4) || hex_is("abc", 4) || hex_is("abcde", 4));
}

static void problem_is_one_line(void **state) {
    struct problem problem;
    char line[256];

    assert_int_equal(problem_set(&problem, "a.yaml:3", "try b", "unknown key '%s'", "x\n\x1b[31m"), -EINVAL);
    assert_string_equal(problem_format(&problem, line, sizeof(line)), "a.yaml:3: unknown key 'x  [31m' (try b)");
}

RUN(cmocka_unit_test(cluster_names), cmocka_unit_test(node_names), cmocka_unit_test(decimals_of_any_length),
    cmocka_unit_test(hex), cmocka_unit_test(problem_is_one_line))
