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

#define UTF8(text) utf8_is(text, sizeof(text) - 1)

static void utf8_is_well_formed(void **state) {
    assert_true(UTF8("") && UTF8("node-1") && UTF8("a\0b") && UTF8("\xc2\x80") && UTF8("\xdf\xbf"));
    assert_true(UTF8("\xe0\xa0\x80") && UTF8("\xed\x9f\xbf") && UTF8("\xee\x80\x80") && UTF8("\xef\xbf\xbf"));
    assert_true(UTF8("\xf0\x90\x80\x80") && UTF8("\xf4\x8f\xbf\xbf") && UTF8("x\xc3\xa9y"));
    assert_false(UTF8("\x80") || UTF8("\xbf") || UTF8("a\xff") || UTF8("\xfe"));     /* no lead byte */
    assert_false(UTF8("\xc0\x80") || UTF8("\xc1\xbf"));                             /* overlong */
    assert_false(UTF8("\xe0\x9f\xbf") || UTF8("\xf0\x8f\xbf\xbf"));
    assert_false(UTF8("\xed\xa0\x80") || UTF8("\xed\xbf\xbf"));                     /* surrogates */
    assert_false(UTF8("\xf4\x90\x80\x80") || UTF8("\xf5\x80\x80\x80"));             /* above U+10FFFF */
    assert_false(UTF8("\xc3") || UTF8("\xe2\x82") || UTF8("\xf0\x9f\x98") || UTF8("\xc3z") || UTF8("\xe2\x82z"));
    /* Nothing behind `size` is looked at. */
    assert_false(utf8_is("\xc3\xa9", 1));
    assert_true(utf8_is("a\xff", 1));
}

static void whatever_comes_can_be_shown(void **state) {
    char text[] = "a\x1b[2J \xc2\x9b\x7f \xc3\xa9 \xff\xed\xa0\x80 cut \xe2\x82";

    assert_string_equal(text_clean(text), "a [2J    " " \xc3\xa9 ???? cut ??");
    assert_string_equal(text_clean((char[]){""}), "");
}

static void problem_is_one_line(void **state) {
    struct problem problem;
    char line[256];

    assert_int_equal(problem_set(&problem, "a.yaml:3", "try b", "unknown key '%s'", "x\n\x1b[31m"), -EINVAL);
    assert_string_equal(problem_format(&problem, line, sizeof(line)), "a.yaml:3: unknown key 'x  [31m' (try b)");
}

RUN(cmocka_unit_test(cluster_names), cmocka_unit_test(node_names), cmocka_unit_test(decimals_of_any_length),
    cmocka_unit_test(hex), cmocka_unit_test(utf8_is_well_formed), cmocka_unit_test(problem_is_one_line),
    cmocka_unit_test(whatever_comes_can_be_shown))
