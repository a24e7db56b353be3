/* SPDX-License-Identifier: Apache-2.0 */
/* Events in a box, and the answers of recorded masters to one. */
#include "fields.h"
#include "load.h"
#include "nodewall/pack.h"
#include "recorded.h"

struct session {
    struct crypticle crypticle;
    struct load load;
};

static void session_of(struct session *ret, json_object *one, enum minion_hash hash) {
    const char *text = text_in(one, "session");

    assert_int_equal(crypticle_parse(&ret->crypticle, text, strlen(text)), 0);
    ret->load = (struct load){.id = text_in(recorded, "id"), .hash = hash, .crypticle = &ret->crypticle,
                              .proof = (const uint8_t *)"proof", .proof_size = 5, .wall = 1700000000123};
    memcpy(ret->load.nonce, text_in(recorded, "nonce"), LOAD_NONCE + 1);
}

static int read_case(const struct session *session, json_object *one, const char *key) {
    size_t size;
    CLEANUP(cleanup_free) uint8_t *reply = bytes_in(one, key, &size);

    return load_read(&session->load, reply, size);
}

static void answers(void **state) {
    for (size_t i = 0; i < n_releases() * 2; i++) {
        enum minion_hash hash = i % 2 ? MINION_HASH_SHA224 : MINION_HASH_SHA1;
        json_object *one = case_of(release_of(i / 2), "accepted", hash);
        struct session session;

        session_of(&session, one, hash);
        assert_int_equal(read_case(&session, one, "answer"), LOAD_TAKEN);
        assert_int_equal(read_case(&session, one, "failed"), LOAD_FAILED);
        assert_int_equal(read_case(&session, one, "bad"), LOAD_BAD);
        session.load.nonce[0] ^= 1;
        assert_int_equal(read_case(&session, one, "answer"), LOAD_FORGED);
        session.load.nonce[0] ^= 1;
        session.crypticle.mac[0] ^= 1;
        assert_int_equal(read_case(&session, one, "answer"), LOAD_FORGED);
    }
}

static void answers_that_are_none(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
        int outcome;
    } cases[] = {
        {"", 0, LOAD_FORGED},
        {"\xc0", 1, LOAD_FORGED}, /* nil in the clear is no acknowledgement */
        {"\xa8" "bad load", 9, LOAD_BAD},
        {"\xa8" "bad loaf", 9, LOAD_FORGED},
        {"\xb9" "bad load: id is no string", 26, LOAD_BAD},
        {"\xa8" "bad loa", 8, LOAD_FORGED},
        {"\x80", 1, LOAD_NOT_READY},
        {"\xdb\xff\xff\xff\xff", 5, LOAD_FORGED},
    };
    struct session session;

    session_of(&session, case_of(release_of(0), "accepted", MINION_HASH_SHA1), MINION_HASH_SHA1);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(cleanup_free) uint8_t *copy = malloc(cases[i].size + !cases[i].size);

        memcpy(copy, cases[i].bytes, cases[i].size);
        assert_int_equal(load_read(&session.load, copy, cases[i].size), cases[i].outcome);
    }
}

static void each_byte_counts(void **state) {
    json_object *one = case_of(release_of(n_releases() - 1), "accepted", MINION_HASH_SHA224);
    struct session session;
    size_t size;
    CLEANUP(cleanup_free) uint8_t *reply = bytes_in(one, "answer", &size);

    session_of(&session, one, MINION_HASH_SHA224);
    for (size_t at = 0; at < size; at++) {
        reply[at] ^= 1;
        assert_int_not_equal(load_read(&session.load, reply, size), LOAD_TAKEN);
        reply[at] ^= 1;
        assert_int_not_equal(load_read(&session.load, reply, at), LOAD_TAKEN);
    }
}

static struct load_event event_of(const char *tag, const char *json) {
    CLEANUP(json_putp) json_object *data = json_tokener_parse(json);
    struct load_event event = {.tag = tag};

    assert_int_equal(pack_event((uint8_t **)&event.body, &event.size, tag, data, NULL), 0);
    return event;
}

static void assert_text(const struct value *map, const char *key, const char *expected) {
    struct value value;

    assert_int_equal(fields_find(&value, map->data, map->size, key), 0);
    assert_true(value_is_text(&value));
    assert_int_equal(value.size, strlen(expected));
    assert_memory_equal(value.data, expected, value.size);
}

/* The box of a request, opened. */
static uint8_t *inner_of(const struct load *load, const uint8_t *request, size_t size, struct value *ret) {
    struct value top, box;
    uint8_t *plain = NULL;
    size_t n;

    assert_int_equal(value_read(&top, request, size), 0);
    assert_text(&top, "enc", "aes");
    assert_text(&top, "id", load->id);
    assert_text(&top, "sig_algo", "PKCS1v15-SHA1");
    assert_int_equal(fields_find(&box, top.data, top.size, "load"), 0);
    assert_int_equal(crypticle_open(&plain, &n, load->crypticle, box.data, box.size), 0);
    assert_int_equal(value_read(ret, plain, n), 0);
    return plain;
}

static void what_is_sent(void **state) {
    struct load_event events[] = {event_of("my/tag", "{\"a\": 1}"), event_of("caf\xc3\xa9", "{}")};
    CLEANUP(cleanup_free) uint8_t *request = NULL, *plain = NULL;
    struct session session;
    struct value inner, value;
    size_t n;

    session_of(&session, case_of(release_of(0), "accepted", MINION_HASH_SHA1), MINION_HASH_SHA1);
    assert_int_equal(load_pack(&request, &n, &session.load, events, ARRAY_LENGTH(events)), 0);
    plain = inner_of(&session.load, request, n, &inner);
    assert_text(&inner, "cmd", "_minion_event");
    assert_text(&inner, "id", session.load.id); /* without it a worker of the master hangs for ever */
    assert_text(&inner, "nonce", session.load.nonce);
    assert_text(&inner, "tok", "proof");
    assert_int_equal(fields_find(&value, inner.data, inner.size, "ts"), 0);
    assert_int_equal(value.head.number.i, 1700000000);
    assert_int_equal(fields_find(&value, inner.data, inner.size, "events"), 0);
    assert_int_equal(value.size, sizeof("\x92\x82\xa3tag\xa6my/tag\xa4" "data\x81\xa1" "a\x01\x82\xa3tag\xa5" "caf\xc3\xa9\xa4" "data\x80") - 1);
    assert_memory_equal(value.data, "\x92\x82\xa3tag\xa6my/tag\xa4" "data\x81\xa1" "a\x01\x82\xa3tag\xa5" "caf\xc3\xa9\xa4" "data\x80", value.size);
    for (size_t i = 0; i < ARRAY_LENGTH(events); i++)
        free((uint8_t *)events[i].body);
}

static void nothing_is_a_question(void **state) {
    CLEANUP(cleanup_free) uint8_t *request = NULL, *plain = NULL;
    struct session session;
    struct value inner, value;
    size_t n;

    session_of(&session, case_of(release_of(0), "accepted", MINION_HASH_SHA1), MINION_HASH_SHA1);
    assert_int_equal(load_pack(&request, &n, &session.load, NULL, 0), 0);
    plain = inner_of(&session.load, request, n, &inner);
    assert_text(&inner, "id", session.load.id);
    assert_int_equal(fields_find(&value, inner.data, inner.size, "events"), 0);
    assert_int_equal(value.head.kind, TOKEN_ARRAY);
    assert_int_equal(value.head.count, 0);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(answers),      cmocka_unit_test(answers_that_are_none), cmocka_unit_test(each_byte_counts),
        cmocka_unit_test(what_is_sent), cmocka_unit_test(nothing_is_a_question),
    };

    return cmocka_run_group_tests(cases, recorded_load, recorded_unload);
}
