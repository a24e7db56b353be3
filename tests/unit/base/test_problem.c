/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/base.h"
#include "../unit.h"

static void several_are_one_sentence(void **state) {
    struct problem all = {0}, one = {0};
    char text[1400];

    problem_set(&one, "/a:5", "do x", "p is wrong");
    problem_add(&all, &one);
    assert_string_equal(problem_format(&all, text, sizeof(text)), "/a:5: p is wrong (do x)");
    problem_set(&one, "/a:5", "do x", "q is wrong");
    problem_add(&all, &one);
    problem_set(&one, "/a:12", "do y", "r is wrong");
    problem_add(&all, &one);
    problem_set(&one, "/ab:12", "", "s is wrong");
    problem_add(&all, &one);
    assert_string_equal(problem_format(&all, text, sizeof(text)),
                        "/a:5: p is wrong; q is wrong; line 12: r is wrong; /ab:12: s is wrong (do x; do y)");
    for (unsigned i = 0; i < 200; i++)
        problem_add(&all, &one);
    assert_int_equal(strlen(all.what), sizeof(all.what) - 1);
}

RUN(cmocka_unit_test(several_are_one_sentence))
