/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/monitor.h"

/* From a copy on the heap, so that the sanitizer sees every byte read beyond the end. */
static int render(struct line *line, enum render_style style, const void *data, size_t size) {
    CLEANUP(cleanup_free) uint8_t *copy = malloc(size ? size : 1);

    if (size)
        memcpy(copy, data, size);
    return render_json(line, style, copy, size);
}

static void assert_rendered(enum render_style style, const void *data, size_t size, const char *expected) {
    CLEANUP(line_done) struct line line = {0};

    assert_int_equal(render(&line, style, data, size), 0);
    assert_int_equal(line_add(&line, "", 1), 0);
    assert_string_equal(line.data, expected);
}
#define COMPACT(literal, expected) assert_rendered(RENDER_COMPACT, literal, sizeof(literal) - 1, expected)
#define SPACED(literal, expected) assert_rendered(RENDER_SPACED, literal, sizeof(literal) - 1, expected)
#define PRETTY(literal, expected) assert_rendered(RENDER_PRETTY, literal, sizeof(literal) - 1, expected)

static void values(void **state) {
    COMPACT("\x93\xc2\xc3\xc0", "[false,true,null]");
    COMPACT("\x94\x00\x7f\xe0\xff", "[0,127,-32,-1]");
    COMPACT("\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
            "[18446744073709551615,-9223372036854775808]");
    SPACED("\x82\xa1"
           "a\x01\xa1"
           "b\x92\x02\x80",
           "{\"a\": 1, \"b\": [2, {}]}");
    COMPACT("\x82\xa1"
            "a\x01\xa1"
            "b\x92\x02\x90",
            "{\"a\":1,\"b\":[2,[]]}");
    PRETTY("\x82\xa1"
           "a\x01\xa1"
           "b\x92\x02\x80",
           "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    {}\n  ]\n}");
}

/* As Python's repr; the last ones are where it changes between the two notations. */
static void floats(void **state) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.1, "[0.1]"},         {1.0, "[1.0]"},         {-0.0, "[-0.0]"},       {1e15, "[1000000000000000.0]"},
        {1e16, "[1e+16]"},      {1.5e300, "[1.5e+300]"}, {0.0001, "[0.0001]"},  {0.00001, "[1e-05]"},
        {5e-324, "[5e-324]"},   {1.7976931348623157e308, "[1.7976931348623157e+308]"}, {0.30000000000000004, "[0.30000000000000004]"},
        {123456.789, "[123456.789]"}, {9007199254740993.0, "[9007199254740992.0]"}, {0.00012345, "[0.00012345]"}, {-2.5, "[-2.5]"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t data[10] = {0x91, 0xcb};
        uint64_t bits;

        memcpy(&bits, &cases[i].value, 8);
        for (int j = 0; j < 8; j++)
            data[2 + j] = (uint8_t)(bits >> (56 - 8 * j));
        assert_rendered(RENDER_COMPACT, data, sizeof(data), cases[i].text);
    }
    COMPACT("\x93\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xca\x7f\x80\x00\x00\xca\xff\x80\x00\x00", "[null,null,null]");
    COMPACT("\xca\x3f\x80\x00\x00", "1.0");
}

static void texts(void **state) {
    COMPACT("\xab"
            "gr\xc3\xb6\xc3\x9f"
            "er\xe2\x82\xac",
            "\"gr\xc3\xb6\xc3\x9f"
            "er\xe2\x82\xac\"");
    COMPACT("\xa8"
            "a\"b\\c\nd\x01",
            "\"a\\\"b\\\\c\\nd\\u0001\"");
    COMPACT("\xd9\x20"
            "plain text of over thirty-two c\"",
            "\"plain text of over thirty-two c\\\"\"");
    COMPACT("\xc4\x03"
            "bin",
            "\"bin\"");
    /* What is no UTF-8: as Salt; to look at: readable. */
    COMPACT("\xc4\x02\xff\xfe", "\"//4=\"");
    COMPACT("\xa3"
            "a\xff\x80",
            "\"Yf+A\"");
    COMPACT("\xc4\x01\xff", "\"/w==\"");
    PRETTY("\xa4"
           "a\xff"
           "b\"",
           "\"a\\\\xffb\\\"\"");
    COMPACT("\x81\xa2k\xff\x01", "{\"k\\\\xff\":1}");
}

/* Each that a terminal may act on, or that ends a line for somebody. */
static void nothing_acts(void **state) {
    COMPACT("\xa6\x1b]0;x\x07", "\"\\u001b]0;x\\u0007\"");
    COMPACT("\xa1\x7f", "\"\\u007f\"");
    COMPACT("\xa2\xc2\x9b", "\"\\u009b\"");
    COMPACT("\xa3\xe2\x80\xae", "\"\\u202e\"");
    COMPACT("\xa3\xe2\x81\xa6", "\"\\u2066\"");
    COMPACT("\xa3\xe2\x80\xa8", "\"\\u2028\"");
    COMPACT("\xa2\xd8\x9c", "\"\\u061c\"");
    COMPACT("\xa2\xc2\xa0", "\"\xc2\xa0\"");
    COMPACT("\xa1\x00", "\"\\u0000\"");
    for (enum render_style style = RENDER_COMPACT; style <= RENDER_PRETTY; style++)
        for (unsigned byte = 0; byte < 256; byte++)
            for (unsigned at = 0; at < 12; at++) {
                CLEANUP(line_done) struct line line = {0};
                uint8_t data[13];

                memset(data, 'x', sizeof(data));
                data[0] = 0xac;
                data[1 + at] = (uint8_t)byte;
                assert_int_equal(render(&line, style, data, sizeof(data)), 0);
                for (size_t i = 0; i < line.size; i++)
                    assert_true((uint8_t)line.data[i] >= 0x20 && (uint8_t)line.data[i] < 0x7f);
            }
}

static void tags(void **state) {
    static const struct {
        const char *tag, *text;
    } cases[] = {{"salt/job/1/ret/db1", "salt/job/1/ret/db1"}, {"a\"b\\c", "a\"b\\c"}, {"a\tb\nc\x1b[2J", "a\\tb\\nc\\u001b[2J"}, {"a\xff", "a\\xff"}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(line_done) struct line line = {0};

        assert_int_equal(render_tag(&line, cases[i].tag, strlen(cases[i].tag)), 0);
        assert_int_equal(line_add(&line, "", 1), 0);
        assert_string_equal(line.data, cases[i].text);
    }
}

static void what_json_lacks(void **state) {
    COMPACT("\x85\x01\xa1"
            "a\xc0\xa1"
            "b\xc3\xa1"
            "c\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa1"
            "d\x91\xa1"
            "e\xa1"
            "f",
            "{\"1\":\"a\",\"null\":\"b\",\"true\":\"c\",\"1.5\":\"d\",\"[\\\"e\\\"]\":\"f\"}");
    COMPACT("\xc7\x18\x4e"
            "20261123T15:12:26.144984",
            "\"20261123T15:12:26.144984\"");
    COMPACT("\xc7\x0a\x4f\x92\xa4WAIT\xa3"
            "abc",
            "\"WAIT\"");
    COMPACT("\xd6\x4f"
            "WAIT",
            "\"WAIT\"");
    COMPACT("\xd6\x05\x00\x01\xfe\xff", "{\"ext\":5,\"hex\":\"0001feff\"}");
    SPACED("\xd4\xff\x07", "{\"ext\": -1, \"hex\": \"07\"}");
}

static void what_is_none(void **state) {
    static const struct {
        const char *data;
        size_t size;
    } cases[] = {{"", 0}, {"\xc1", 1}, {"\x81\xa1k", 3}, {"\xa5" "ab", 3}, {"\x01\x02", 2}, {"\xdd\xff\xff\xff\xff", 5},
                 {"\xdf\xff\xff\xff\xff\x01", 6}, {"\xc6\xff\xff\xff\xff", 5}, {"\x92\x01", 2}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(line_done) struct line line = {0};

        assert_int_equal(line_add(&line, "kept", 4), 0);
        assert_int_equal(render(&line, RENDER_SPACED, cases[i].data, cases[i].size), -EBADMSG);
        assert_int_equal(line.size, 4);
    }
}

static void bounds(void **state) {
    CLEANUP(line_done) struct line line = {0};
    uint8_t deep[MONITOR_DEPTH + 2];
    size_t large = 4 * 1024 * 1024;
    CLEANUP(cleanup_free) uint8_t *controls = calloc(1, large + 5);

    memset(deep, 0x91, sizeof(deep));
    deep[MONITOR_DEPTH] = 0x01;
    assert_int_equal(render(&line, RENDER_COMPACT, deep, MONITOR_DEPTH + 1), 0);
    assert_int_equal(line.size, 2 * MONITOR_DEPTH + 1);
    deep[MONITOR_DEPTH] = 0x91;
    deep[MONITOR_DEPTH + 1] = 0x01;
    assert_int_equal(render(&line, RENDER_COMPACT, deep, MONITOR_DEPTH + 2), -E2BIG);
    /* A key of keys of keys: each would double the backslashes. */
    assert_int_equal(render(&line, RENDER_COMPACT, "\x81\x81\x81\x01\x01\x01\x01", 7), -E2BIG);
    /* Six bytes of each. */
    memcpy(controls, "\xc6\x00\x40\x00\x00", 5);
    assert_int_equal(render(&line, RENDER_COMPACT, controls, large + 5), -E2BIG);
    assert_int_equal(line.size, 2 * MONITOR_DEPTH + 1);
}

RUN(cmocka_unit_test(values), cmocka_unit_test(floats), cmocka_unit_test(texts), cmocka_unit_test(nothing_acts), cmocka_unit_test(tags),
    cmocka_unit_test(what_json_lacks), cmocka_unit_test(what_is_none), cmocka_unit_test(bounds))
