/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/monitor.h"

static int run(struct line *ret, const void *data, size_t size) {
    CLEANUP(cleanup_free) uint8_t *copy = malloc(size ? size : 1);

    if (size)
        memcpy(copy, data, size);
    return redact(ret, copy, size);
}

static void assert_redacted(const void *data, size_t size, const char *expected) {
    CLEANUP(line_done) struct line out = {0}, json = {0};
    int r = run(&out, data, size);

    assert_int_equal(r, strstr(expected, "(redacted)") ? 1 : 0);
    if (r == 1)
        assert_int_equal(render_json(&json, RENDER_COMPACT, (uint8_t *)out.data, out.size), 0);
    else
        assert_int_equal(render_json(&json, RENDER_COMPACT, data, size), 0);
    assert_int_equal(line_add(&json, "", 1), 0);
    assert_string_equal(json.data, expected);
}
#define REDACTED(literal, expected) assert_redacted(literal, sizeof(literal) - 1, expected)

static void names(void **state) {
    REDACTED("\x82\xa3"
             "pub\xa3"
             "PEM\xa2id\xa1m",
             "{\"pub\":\"(redacted)\",\"id\":\"m\"}");
    REDACTED("\x81\xa6pillar\x81\xa1"
             "a\x92\x01\x02",
             "{\"pillar\":\"(redacted)\"}");
    REDACTED("\x81\xa3"
             "arg\x92\xa1x\x82\xab__kwarg___x\xc3\xa6Pillar\x80",
             "{\"arg\":[\"x\",{\"__kwarg___x\":true,\"Pillar\":\"(redacted)\"}]}");
    REDACTED("\x84\xa5token\x01\xa8"
             "db_token\xc0\xaa"
             "mypassword\x90\xa9pillarenv\xa4"
             "base",
             "{\"token\":\"(redacted)\",\"db_token\":\"(redacted)\",\"mypassword\":\"(redacted)\",\"pillarenv\":\"base\"}");
    REDACTED("\x81\xa6public\x00", "{\"public\":0}");
}

static void a_secret_in_a_key_that_is_bytes(void **state) {
    REDACTED("\x81\xc4\x03pub\xa1x", "{\"pub\":\"(redacted)\"}");
}

static void what_pillar_functions_return(void **state) {
    REDACTED("\x82\xa3"
             "fun\xacpillar.items\xa6return\x81\xa1"
             "a\x01",
             "{\"fun\":\"pillar.items\",\"return\":\"(redacted)\"}");
    REDACTED("\x82\xa6return\x01\xa3"
             "fun\xaerunner.pillar.",
             "{\"return\":\"(redacted)\",\"fun\":\"runner.pillar.\"}");
    REDACTED("\x82\xa3"
             "fun\xa9test.ping\xa6return\xc3",
             "{\"fun\":\"test.ping\",\"return\":true}");
}

static void what_is_no_event(void **state) {
    CLEANUP(line_done) struct line out = {0};
    uint8_t deep[MONITOR_DEPTH + 2];

    assert_int_equal(run(&out, "\x81\xa3pub", 5), -EBADMSG);
    assert_int_equal(run(&out, "\x82\xa3pub\x01", 6), -EBADMSG);
    assert_int_equal(run(&out, "\x81\xa3pub\xdf\xff\xff\xff\xff", 10), -EBADMSG);
    assert_int_equal(run(&out, "", 0), -EBADMSG);
    memset(deep, 0x91, sizeof(deep));
    assert_int_equal(run(&out, deep, sizeof(deep)), -E2BIG);
}

RUN(cmocka_unit_test(names), cmocka_unit_test(a_secret_in_a_key_that_is_bytes), cmocka_unit_test(what_pillar_functions_return),
    cmocka_unit_test(what_is_no_event))
