/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/base.h"
#include "prune.h"

/* From a copy on the heap and into memory of just its size, so that the sanitizer sees every byte too many. */
static void assert_pruned(const char *from, const char *expected) {
    size_t size = strlen(from), cut, n;
    CLEANUP(cleanup_free) char *copy = malloc(size + 1), *to = malloc(size + 1), *shorter = NULL;

    memcpy(copy, from, size);
    shorter = realloc(copy, size ? size : 1);
    copy = NULL;
    assert_non_null(shorter);
    n = prune(to, shorter, size, &cut);
    assert_true(n <= size);
    to[n] = 0;
    assert_string_equal(to, expected);
    assert_int_equal(cut, 0);
}

static void what_is_ours_stays(void **state) {
    assert_pruned("", "");
    assert_pruned("\"NodeList\"", "\"NodeList\"");
    assert_pruned("{\"kind\" : \"Node\", \"spec\":{\"taints\":[1,{\"a\":\"]}\"}]},\"metadata\":{\"name\":\"n\"}}",
                  "{\"kind\" : \"Node\", \"spec\":0,\"metadata\":{\"name\":\"n\"}}");
    assert_pruned("{\"x\":-1.5e3 ,\"y\": true,\"z\":null}", "{\"x\":0 ,\"y\": 0,\"z\":0}");
    assert_pruned("{\"object\":{\"status\":{\"images\":[{},{}],\"addresses\":[{\"type\":\"A\",\"address\":\"1\"} , {}]}}}",
                  "{\"object\":{\"status\":{\"images\":0,\"addresses\":[{\"type\":\"A\",\"address\":\"1\"} , {}]}}}");
    assert_pruned("{\"annotations\":{\"a\\\"}\":\"{\\\"addresses\\\":[\"},\"addresses\":[]}", "{\"annotations\":0,\"addresses\":[]}");
    assert_pruned("{\"\\u006bind\":{\"a\":1}}", "{\"\\u006bind\":{\"a\":0}}"); /* perhaps one of ours */
}

static void what_is_no_json_is_none_afterwards(void **state) {
    static const char *const texts[] = {"{",        "[1,",       "{\"kind\":",         "{\"kind\"",     "\"",     "{\"addresses\":[1,]}", "}",
                                        "{\"x\":}", "{\"x\":,}", "{\"addresses\":[1 2]}", "{\"addresses\":[", "{:}", "{\"addresses\":]}"};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_pruned(texts[i], texts[i]);
    assert_pruned("{\"x\":[1", "{\"x\":0"); /* no end: still none */
    assert_pruned("{\"x\":\"a", "{\"x\":0");
}

static void addresses_beyond_the_bound_are_counted(void **state) {
    enum { MANY = PRUNE_ADDRESSES + 5 };
    const size_t size = 3 * MANY + 32;
    CLEANUP(cleanup_free) char *text = malloc(size), *to = malloc(size);
    size_t used = (size_t)snprintf(text, size, "{\"addresses\":["), cut = 0, n;

    for (size_t i = 0; i < MANY; i++, used += 3)
        memcpy(text + used, i ? " ,7" : "  7", 3);
    memcpy(text + used, "]}", 2);
    n = prune(to, text, used + 2, &cut);
    assert_int_equal(cut, 5);
    assert_int_equal(n, used + 2 - 15);
    assert_memory_equal(to + n - 4, ",7]}", 4);
}

RUN(cmocka_unit_test(what_is_ours_stays), cmocka_unit_test(what_is_no_json_is_none_afterwards),
    cmocka_unit_test(addresses_beyond_the_bound_are_counted))
