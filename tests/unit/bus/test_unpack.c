/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/json.h"
#include "nodewall/pack.h"

/* From a copy on the heap, so that the sanitizer sees every byte read beyond the end. */
static int unpack(json_object **ret, const void *data, size_t size) {
    CLEANUP(cleanup_free) uint8_t *copy = malloc(size ? size : 1);

    memcpy(copy, data, size);
    return unpack_data(ret, copy, size);
}

static void assert_json(const void *data, size_t size, const char *expected) {
    CLEANUP(json_putp) json_object *value = NULL;

    assert_int_equal(unpack(&value, data, size), 0);
    assert_string_equal(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                        expected);
}
#define ASSERT_JSON(literal, expected) assert_json(literal, sizeof(literal) - 1, expected)

static void values(void **state) {
    ASSERT_JSON("\xc0", "null");
    ASSERT_JSON("\x93\xc2\xc3\xc0", "[false,true,null]");
    ASSERT_JSON("\x94\x00\x7f\xe0\xff", "[0,127,-32,-1]");
    ASSERT_JSON("\x94\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                "[255,65535,4294967295,18446744073709551615]");
    ASSERT_JSON("\x94\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
                "[-128,-32768,-2147483648,-9223372036854775808]");
    ASSERT_JSON("\x92\xca\x3f\xc0\x00\x00\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00", "[1.5,-1.5]");
    ASSERT_JSON("\x93\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xca\x7f\x80\x00\x00\xca\xff\x80\x00\x00", "[null,null,null]");
    ASSERT_JSON("\x94\xa1x\xd9\x01y\xda\x00\x01z\xdb\x00\x00\x00\x01w", "[\"x\",\"y\",\"z\",\"w\"]");
    ASSERT_JSON("\x93\xc4\x01x\xc5\x00\x01y\xc6\x00\x00\x00\x01z", "[\"x\",\"y\",\"z\"]");
    ASSERT_JSON("\xdc\x00\x01\xdd\x00\x00\x00\x01\xde\x00\x01\xa1k\xdf\x00\x00\x00\x00", "[[{\"k\":{}}]]");
}

/* {{{…: 0}: 0}: 0}, a few bytes a level: as JSON each level's quotes are escaped again, twice as many every time. */
static void keys_in_keys_do_not_explode(void **state) {
    uint8_t data[256];
    size_t n = 0;
    json_object *value = NULL;

    for (unsigned level = 0; level < 60; level++)
        data[n++] = 0x81;
    data[n++] = 0xa1;
    data[n++] = '"';
    for (unsigned level = 0; level < 60; level++)
        data[n++] = 0;
    assert_int_equal(unpack(&value, data, n), -E2BIG);
    assert_null(value);
    ASSERT_JSON("\x81\x81\xa1k\x01\x02", "{\"{\\\"k\\\":1}\":2}");
}

static void what_json_lacks(void **state) {
    ASSERT_JSON("\xa3"
                "a\xff"
                "b",
                "\"a\\\\xffb\"");
    ASSERT_JSON("\xc4\x04\xe2\x82\xac\xe2", "\"\xe2\x82\xac\\\\xe2\"");
    ASSERT_JSON("\xa3"
                "a\x00"
                "b",
                "\"a\\u0000b\"");
    ASSERT_JSON("\x85\x01\xa1"
                "a\xc0\xa1"
                "b\xc3\xa1"
                "c\xc4\x01k\xa1"
                "d\x91\x02\xa1"
                "e",
                "{\"1\":\"a\",\"null\":\"b\",\"true\":\"c\",\"k\":\"d\",\"[2]\":\"e\"}");
    ASSERT_JSON("\xc7\x18\x4e"
                "20261123T15:12:26.144984",
                "\"20261123T15:12:26.144984\"");
    ASSERT_JSON("\xd6\x4f"
                "WAIT",
                "\"WAIT\"");
    ASSERT_JSON("\xd5\xff\xab\x01", "{\"ext\":-1,\"hex\":\"ab01\"}");
    ASSERT_JSON("\xc8\x00\x03\x05\x01\x02\x03", "{\"ext\":5,\"hex\":\"010203\"}");
    ASSERT_JSON("\xc9\x00\x00\x00\x00\x05", "{\"ext\":5,\"hex\":\"\"}");
    ASSERT_JSON("\x82\xa1k\x01\xa1k\x02", "{\"k\":2}");
}

/* "id" and "id\0x" are two keys in msgpack, and must not be one in C. */
static void keys_keep_apart(void **state) {
    ASSERT_JSON("\x82\xa2id\x01\xa4id\x00x\x02", "{\"id\":1,\"id\\\\x00x\":2}");
}

static void broken(void **state) {
    static const struct {
        const char *data;
        size_t size;
    } cases[] = {
#define CASE(literal) {literal, sizeof(literal) - 1}
        CASE(""),
        CASE("\xc1"),
        CASE("\xc0\xc0"),
        CASE("\x80\x80"),
        CASE("\xa2x"),
        CASE("\xd9"),
        CASE("\xdb\xff\xff\xff\xff"),
        CASE("\xdd\xff\xff\xff\xff"),
        CASE("\xdf\xff\xff\xff\xff"),
        CASE("\xdf\xff\xff\xff\xff\xa1k\x01"),
        CASE("\xc6\xff\xff\xff\xffx"),
        CASE("\xc9\xff\xff\xff\xff\x05x"),
        CASE("\x81\xa1k"),
        CASE("\x81\xa1k\xc1"),
        CASE("\x81\xc1\x01"),
        CASE("\x91"),
        CASE("\xcf\x00\x00\x00\x00\x00\x00\x00"),
        CASE("\xd4\x05"),
        CASE("\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff"),
#undef CASE
    };
    json_object *value = NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (unpack(&value, cases[i].data, cases[i].size) != -EBADMSG)
            fail_msg("case %zu", i);
    assert_null(value);
}

static void too_deep(void **state) {
    CLEANUP(json_putp) json_object *value = NULL;
    uint8_t data[PACK_DEPTH + 2];

    memset(data, 0x91, sizeof(data));
    data[PACK_DEPTH] = 0xc0;
    assert_int_equal(unpack(&value, data, PACK_DEPTH + 1), 0);
    value = json_put(value);
    data[PACK_DEPTH] = 0x91;
    data[PACK_DEPTH + 1] = 0xc0;
    assert_int_equal(unpack(&value, data, PACK_DEPTH + 2), -E2BIG);
    assert_null(value);
    /* Keys are objects as well. */
    memset(data, 0x81, sizeof(data));
    assert_int_equal(unpack(&value, data, PACK_DEPTH + 2), -E2BIG);
}

static void too_many(void **state) {
    const size_t n = 3 * 1024 * 1024;
    CLEANUP(cleanup_free) uint8_t *data = malloc(n);
    json_object *value = NULL;

    memset(data, 0x80, n); /* three million maps in three million bytes would be gigabytes of JSON */
    data[0] = 0xdd;
    data[1] = 0;
    data[2] = (uint8_t)((n - 5) >> 16);
    data[3] = (uint8_t)((n - 5) >> 8);
    data[4] = (uint8_t)(n - 5);
    assert_int_equal(unpack(&value, data, n), -E2BIG);
    assert_null(value);
    memset(data + 5, 0xc0, n - 5); /* nor so many of nothing */
    assert_int_equal(unpack(&value, data, n), -E2BIG);
    assert_null(value);
}

static void split(void **state) {
    static const uint8_t body[] = "a/b\n\n\x80\n\n";
    const uint8_t *data;
    const char *tag;
    size_t tag_size, data_size;

    assert_int_equal(unpack_split(&tag, &tag_size, &data, &data_size, body, sizeof(body) - 1), 0);
    assert_int_equal(tag_size, 3);
    assert_memory_equal(tag, "a/b", 3);
    assert_int_equal(data_size, 3);
    assert_int_equal(*data, 0x80);
    assert_int_equal(unpack_split(&tag, &tag_size, &data, &data_size, (const uint8_t *)"\n\n", 2), 0);
    assert_int_equal(tag_size, 0);
    assert_int_equal(data_size, 0);
    assert_int_equal(unpack_split(&tag, &tag_size, &data, &data_size, (const uint8_t *)"a\n", 2), -EBADMSG);
    assert_int_equal(unpack_split(&tag, &tag_size, &data, &data_size, NULL, 0), -EBADMSG);
}

static const uint8_t object[] = "\x85\xa1k\xcf\x01\x02\x03\x04\x05\x06\x07\x08\xa1l\x93\x01\xc0\x81\xa1x\xd9\x20"
                                "01234567890123456789012345678901\xa1m\xc7\x03\x05"
                                "abc\xa1n\x80\xda\x00\x01o\x90";
#define OBJECT_SIZE (sizeof(object) - 1)

/* However the stream is cut, an object ends where it ends. */
static void skip_in_pieces(void **state) {
    CLEANUP(json_putp) json_object *value = NULL;

    assert_int_equal(unpack(&value, object, OBJECT_SIZE), 0); /* the sample itself is whole */
    for (size_t piece = 1; piece <= OBJECT_SIZE + 3; piece++) {
        CLEANUP(cleanup_free) uint8_t *stream = malloc(OBJECT_SIZE * 3);
        struct unpack_skip skip = {0};
        size_t at = 0, ends = 0;

        for (int i = 0; i < 3; i++)
            memcpy(stream + OBJECT_SIZE * (size_t)i, object, OBJECT_SIZE);
        while (at < OBJECT_SIZE * 3) {
            size_t n = MIN(piece, OBJECT_SIZE * 3 - at), used = 99;
            int r = unpack_skip(&skip, stream + at, n, 1000, &used);

            assert_true(r >= 0);
            at += used;
            if (r == 1)
                assert_int_equal(at, OBJECT_SIZE * ++ends);
            else
                assert_int_equal(used, n);
        }
        assert_int_equal(ends, 3);
    }
}

static void skip_refuses(void **state) {
    struct unpack_skip skip = {0};
    size_t used;

    assert_int_equal(unpack_skip(&skip, (const uint8_t *)"\xc1", 1, 1000, &used), -EBADMSG);
    skip = (struct unpack_skip){0};
    assert_int_equal(unpack_skip(&skip, (const uint8_t *)"\xdc\x03\xe9", 3, 1000, &used), -EBADMSG);
    skip = (struct unpack_skip){0};
    assert_int_equal(unpack_skip(&skip, (const uint8_t *)"\xdc\x03\xe8", 3, 1000, &used), 0);
    skip = (struct unpack_skip){0};
    assert_int_equal(unpack_skip(&skip, (const uint8_t *)"\xdf\xff\xff\xff\xff", 5, 1000, &used), -EBADMSG);
    /* Many modest claims are one immodest claim. */
    skip = (struct unpack_skip){0};
    assert_int_equal(unpack_skip(&skip, (const uint8_t *)"\xdc\x03\x00\xdc\x03\x00", 6, 1000, &used), -EBADMSG);
    skip = (struct unpack_skip){0};
    assert_int_equal(unpack_skip(&skip, (const uint8_t *)"\xc0", 1, 0, &used), 1);
    assert_int_equal(used, 1);
}

RUN(cmocka_unit_test(values), cmocka_unit_test(what_json_lacks), cmocka_unit_test(keys_keep_apart),
    cmocka_unit_test(keys_in_keys_do_not_explode),
    cmocka_unit_test(broken), cmocka_unit_test(too_deep), cmocka_unit_test(too_many), cmocka_unit_test(split),
    cmocka_unit_test(skip_in_pieces), cmocka_unit_test(skip_refuses))
