/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/json.h"
#include "nodewall/pack.h"

#include <math.h>

static int pack(const char *tag, const char *json, uint8_t **ret, size_t *size) {
    CLEANUP(json_putp) json_object *data = json_tokener_parse(json);
    struct problem problem = {0};
    int r = pack_event(ret, size, tag, data, &problem);

    if (r < 0 && r != -ENOMEM)
        assert_true(problem.what[0]); /* a refusal says why */
    return r;
}

static void assert_body(const char *tag, const char *json, const void *expected, size_t n) {
    CLEANUP(cleanup_free) uint8_t *body = NULL;
    size_t size = 0;

    assert_int_equal(pack(tag, json, &body, &size), 0);
    assert_int_equal(size, n);
    assert_memory_equal(body, expected, n);
}
#define ASSERT_BODY(tag, json, literal) assert_body(tag, json, literal, sizeof(literal) - 1)

static void bytes(void **state) {
    /* What Salt itself writes for my/tag with {a: 1}. */
    ASSERT_BODY("my/tag", "{\"a\": 1, \"_stamp\": \"2026-11-23T15:12:26.144984\"}",
                "my/tag\n\n\x82\xa1"
                "a\x01\xa6_stamp\xba"
                "2026-11-23T15:12:26.144984");
    ASSERT_BODY("t", "{}", "t\n\n\x80");
    ASSERT_BODY("t", "{\"n\": null, \"t\": true, \"f\": false}",
                "t\n\n\x83\xa1n\xc0\xa1t\xc3\xa1"
                "f\xc2");
    ASSERT_BODY(
        "t", "{\"i\": [-1, 127, 128, -129, 65536, 4294967296]}",
        "t\n\n\x81\xa1i\x96\xff\x7f\xcc\x80\xd1\xff\x7f\xce\x00\x01\x00\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00");
    ASSERT_BODY("t", "{\"u\": 18446744073709551615, \"i\": 9223372036854775807}",
                "t\n\n\x82\xa1u\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1i\xcf\x7f\xff\xff\xff\xff\xff\xff\xff");
    ASSERT_BODY("t", "{\"d\": 1.5}",
                "t\n\n\x81\xa1"
                "d\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    ASSERT_BODY("caf\xc3\xa9", "{\"\xc3\xa9\": \"\"}", "caf\xc3\xa9\n\n\x81\xa2\xc3\xa9\xa0");
}

static void long_text_is_str_not_bin(void **state) {
    CLEANUP(json_putp) json_object *data = json_object_new_object();
    CLEANUP(cleanup_free) uint8_t *body = NULL;
    char text[70001];
    size_t size;

    memset(text, 'x', sizeof(text));
    json_object_object_add(data, "a", json_object_new_string_len(text, 300));
    json_object_object_add(data, "b", json_object_new_string_len(text, 70000));
    assert_int_equal(pack_event(&body, &size, "t", data, NULL), 0);
    assert_memory_equal(body,
                        "t\n\n\x82\xa1"
                        "a\xda\x01\x2c",
                        9);
    assert_memory_equal(body + 9 + 300,
                        "\xa1"
                        "b\xdb\x00\x01\x11\x70",
                        7);
    assert_int_equal(size, 9 + 300 + 7 + 70000);
}

static void tags(void **state) {
    static const char *const good[] = {
        "a",         "my/own/tag",          "nodewall/prod/addresses", "salty/x", "clusters", "caf\xc3\xa9",
        "minions/x", "1234567890123456789", "12345678901234567890x"};
    static const char *const bad[] = {"",
                                      "a\n\nb",
                                      "a\x01",
                                      "a\x7f",
                                      "a\xc2\x85",
                                      "\xff",
                                      "\xed\xa0\x80",
                                      "salt",
                                      "salt/x",
                                      "salt/job/1/ret/m",
                                      "cluster/peer",
                                      "cluster",
                                      "minion/refresh/x",
                                      "syndic/x",
                                      "rotate_cluster_aes_key",
                                      "fire_master",
                                      "12345678901234567890"};
    char text[PACK_TAG_MAX + 2];
    struct problem problem;

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        if (pack_check_tag(good[i], NULL) != 0)
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        problem = (struct problem){0};
        if (pack_check_tag(bad[i], &problem) != -EINVAL || !problem.what[0])
            fail_msg("taken: %s", bad[i]);
    }
    memset(text, 'a', sizeof(text));
    text[PACK_TAG_MAX + 1] = 0;
    assert_int_equal(pack_check_tag(text, NULL), -EINVAL);
    text[PACK_TAG_MAX] = 0;
    assert_int_equal(pack_check_tag(text, NULL), 0);
}

/* Each of these stops or confuses a master that gets it. */
static void weapons(void **state) {
    uint8_t *body = NULL;
    size_t size;

    assert_int_equal(pack("t", "[1]", &body, &size), -EINVAL);
    assert_int_equal(pack("t", "\"x\"", &body, &size), -EINVAL);
    assert_int_equal(pack("t", "null", &body, &size), -EINVAL);
    assert_int_equal(pack("salt/event/exit", "{}", &body, &size), -EINVAL);
    assert_int_equal(pack("t", "{\"a\": [{\"b\": \"\xff\"}]}", &body, &size), -EINVAL);
    assert_int_equal(pack("t", "{\"a\": {\"\xff\": 1}}", &body, &size), -EINVAL);
    assert_int_equal(pack("t", "{\"a\": NaN}", &body, &size), -EINVAL);
    assert_int_equal(pack("t", "{\"a\": [Infinity]}", &body, &size), -EINVAL);
    assert_null(body);
}

static json_object *nested(unsigned depth) {
    json_object *inner = json_object_new_int(1);

    for (unsigned i = 0; i < depth; i++) {
        json_object *outer = json_object_new_object();

        json_object_object_add(outer, "k", inner);
        inner = outer;
    }
    return inner;
}

static void depth(void **state) {
    CLEANUP(json_putp) json_object *deepest = nested(PACK_DEPTH), *deeper = nested(PACK_DEPTH + 1);
    CLEANUP(json_putp) json_object *again = NULL;
    uint8_t *body = NULL;
    const uint8_t *data;
    const char *tag;
    size_t size, tag_size, data_size;

    assert_int_equal(pack_event(&body, &size, "t", deeper, NULL), -EINVAL);
    assert_null(body);
    assert_int_equal(pack_event(&body, &size, "t", deepest, NULL), 0);
    /* What may go out can be read again. */
    assert_int_equal(unpack_split(&tag, &tag_size, &data, &data_size, body, size), 0);
    assert_int_equal(unpack_data(&again, data, data_size), 0);
    assert_true(json_object_equal(deepest, again));
    free(body);
}

static void size_limit(void **state) {
    CLEANUP(cleanup_free) char *text = malloc(PACK_MAX);
    uint8_t *body = NULL;
    size_t size, overhead = 3 + 1 + 2 + 5; /* tag, map, key, str32 */

    memset(text, 'x', PACK_MAX);
    for (int over = 0; over < 2; over++) {
        CLEANUP(json_putp) json_object *data = json_object_new_object();
        struct problem problem = {0};
        int r;

        json_object_object_add(data, "k", json_object_new_string_len(text, (int)(PACK_MAX - overhead) + over));
        r = pack_event(&body, &size, "t", data, &problem);
        if (over) {
            assert_int_equal(r, -EMSGSIZE);
            assert_true(problem.what[0]);
            assert_null(body);
        } else {
            assert_int_equal(r, 0);
            assert_int_equal(size, PACK_MAX);
            free(TAKE_PTR(body));
        }
    }
}

RUN(cmocka_unit_test(bytes), cmocka_unit_test(long_text_is_str_not_bin), cmocka_unit_test(tags),
    cmocka_unit_test(weapons), cmocka_unit_test(depth), cmocka_unit_test(size_limit))
