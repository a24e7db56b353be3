/* SPDX-License-Identifier: Apache-2.0 */
/* Against what Salt's own functions wrote: tests/vectors/bus.json. */
#include "../unit.h"
#include "nodewall/json.h"
#include "stream.h"

static json_object *vectors;

static int load(void **state) {
    char path[512];

    snprintf(path, sizeof(path), "%s/vectors/bus.json", getenv("NODEWALL_TESTS"));
    vectors = json_object_from_file(path);
    return vectors ? 0 : -1;
}

static int unload(void **state) {
    json_object_put(vectors);
    return 0;
}

static uint8_t *from_hex(json_object *event, const char *key, size_t *size) {
    const char *hex = json_object_get_string(json_get(event, key));
    uint8_t *bytes;

    assert_non_null(hex);
    *size = strlen(hex) / 2;
    bytes = malloc(*size);
    for (size_t i = 0; i < *size; i++) {
        unsigned value;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (uint8_t)value;
    }
    return bytes;
}

static void assert_event(const struct bus_message *message, json_object *event) {
    CLEANUP(json_putp)
    json_object *data = NULL,
                *expected = json_tokener_parse(json_object_get_string(json_get(event, "json")));
    const char *tag = json_object_get_string(json_get(event, "tag"));

    assert_int_equal(message->tag_size, strlen(tag));
    assert_memory_equal(message->tag, tag, message->tag_size);
    assert_int_equal(unpack_data(&data, message->data, message->data_size), 0);
    if (!json_object_equal(data, expected))
        fail_msg("%s\nis not %s", json_object_to_json_string(data), json_object_to_json_string(expected));
}

/* Feeds `piece` bytes at a time, each piece a heap block of its own. */
static size_t feed(struct stream *stream, const uint8_t *bytes, size_t size, size_t piece, json_object *events,
                   size_t first) {
    for (size_t at = 0; at < size;) {
        size_t n = MIN(piece, size - at);
        CLEANUP(cleanup_free) uint8_t *copy = malloc(n);
        struct bus_message message;
        int r;

        memcpy(copy, bytes + at, n);
        at += n;
        stream_feed(stream, copy, n);
        while ((r = stream_next(stream, &message)) > 0)
            assert_event(&message, json_object_array_get_idx(events, first++));
        assert_int_equal(r, 0);
    }
    return first;
}

static void what_salt_publishes(void **state) {
    for (size_t i = 0; i < json_object_array_length(vectors); i++) {
        json_object *events = json_get(json_object_array_get_idx(vectors, i), "events");
        size_t n = json_object_array_length(events), total = 0;
        CLEANUP(cleanup_free) uint8_t *all = malloc(1 << 16);

        for (size_t j = 0; j < n; j++) {
            size_t size;
            CLEANUP(cleanup_free) uint8_t *bytes = from_hex(json_object_array_get_idx(events, j), "published", &size);

            memcpy(all + total, bytes, size);
            total += size;
        }
        for (size_t piece = 1; piece <= total; piece = piece < 64 ? piece + 1 : piece * 2) {
            CLEANUP(stream_done) struct stream stream = {0};

            assert_int_equal(feed(&stream, all, total, piece, events, 0), n);
            assert_int_equal(stream.framing, all[0] ? BUS_FRAMING_BARE : BUS_FRAMING_LEN32);
            assert_int_equal(stream.malformed + stream.oversized, 0);
        }
    }
}

static void what_salt_pushes(void **state) {
    for (size_t i = 0; i < json_object_array_length(vectors); i++) {
        json_object *events = json_get(json_object_array_get_idx(vectors, i), "events");

        for (size_t j = 0; j < json_object_array_length(events); j++) {
            json_object *event = json_object_array_get_idx(events, j);
            size_t body_size, pushed_size, size;
            CLEANUP(cleanup_free)
            uint8_t *body = from_hex(event, "body", &body_size),
                    *pushed = from_hex(event, "pushed", &pushed_size);
            CLEANUP(cleanup_free) uint8_t *frame = NULL;

            assert_int_equal(
                frame_make(&frame, &size, pushed[0] ? BUS_FRAMING_BARE : BUS_FRAMING_LEN32, body, body_size), 0);
            assert_int_equal(size, pushed_size);
            assert_memory_equal(frame, pushed, size);
        }
    }
}

/* The bodies, too: but for reserved tags and what has no form in JSON, ours are Salt's byte for byte. */
static void what_salt_packs(void **state) {
    json_object *events = json_get(json_object_array_get_idx(vectors, 0), "events");
    size_t n = 0;

    for (size_t j = 0; j < json_object_array_length(events); j++) {
        json_object *event = json_object_array_get_idx(events, j);
        const char *tag = json_object_get_string(json_get(event, "tag"));
        CLEANUP(json_putp) json_object *data = json_tokener_parse(json_object_get_string(json_get(event, "json")));
        size_t expected_size, size;
        CLEANUP(cleanup_free) uint8_t *expected = from_hex(event, "body", &expected_size), *body = NULL;

        if (!strncmp(tag, "salt/", 5)) {
            assert_int_equal(pack_event(&body, &size, tag, data, NULL), -EINVAL);
            continue;
        }
        assert_int_equal(pack_event(&body, &size, tag, data, NULL), 0);
        assert_int_equal(size, expected_size);
        assert_memory_equal(body, expected, size);
        n++;
    }
    assert_int_equal(n, 4);
}

static const uint8_t good[] = "\x82\xa4head\x80\xa4"
                              "body\xc4\x04t\n\n\x80";

static size_t count(struct stream *stream, const uint8_t *bytes, size_t size, int *ret_r) {
    struct bus_message message;
    size_t n = 0;

    stream_feed(stream, bytes, size);
    while ((*ret_r = stream_next(stream, &message)) > 0)
        n++;
    return n;
}

/* Whatever is no event is passed over, and the next one is read. */
static void passed_over(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
#define CASE(literal) {literal, sizeof(literal) - 1}
        CASE("\x80"),
        CASE("\x05"),
        CASE("\xc0"),
        CASE("\x91\x82"
             "\xa1k\x01\xa1l\x02"),
        CASE("\x81\xa4head\x80"),
        CASE("\x81\xa4"
             "body\x80"),
        CASE("\x81\xa4"
             "body\xc4\x03t\n\x80"), /* no "\n\n" */
        CASE("\x82\xc4\x04head\x80\xc4\x04"
             "body\xc4\x04t\n\n\x80"), /* keys must be text */
        CASE("\x81\x01\x02"),
#undef CASE
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct stream bare = {.framing = BUS_FRAMING_BARE}, len32 = {.framing = BUS_FRAMING_LEN32};
        uint8_t bytes[256] = {0, 0, 0, (uint8_t)cases[i].size};
        size_t n = cases[i].size;
        int r;

        memcpy(bytes + 4, cases[i].bytes, n);
        memcpy(bytes + 4 + n, good, sizeof(good) - 1);
        assert_int_equal(count(&bare, bytes + 4, n + sizeof(good) - 1, &r), 1);
        assert_int_equal(bare.malformed, 1);

        memcpy(bytes + 4 + n, "\0\0\0\x14", 4);
        bytes[4 + n + 3] = sizeof(good) - 1;
        memcpy(bytes + 8 + n, good, sizeof(good) - 1);
        assert_int_equal(count(&len32, bytes, 8 + n + sizeof(good) - 1, &r), 1);
        assert_int_equal(len32.malformed, 1);
        stream_done(&bare);
        stream_done(&len32);
    }
}

/* Within a length anything may stand; it must not be read beyond. */
static void broken_in_len32(void **state) {
    static const uint8_t bytes[] = "\0\0\0\x01\xdf"
                                   "\0\0\0\x02\x81\xa9"
                                   "\0\0\0\0"
                                   "\0\0\0\x07\x82\xa4"
                                   "body\xc6";
    struct stream stream = {0};
    uint8_t *copy = malloc(sizeof(bytes) - 1);
    int r;

    memcpy(copy, bytes, sizeof(bytes) - 1);
    assert_int_equal(count(&stream, copy, sizeof(bytes) - 1, &r), 0);
    assert_int_equal(r, 0);
    assert_int_equal(stream.malformed, 4);
    free(copy);
    stream_done(&stream);
}

static void not_a_stream(void **state) {
    static const char *const cases[] = {"HTTP/1.1 400", "\xc1", "\x01\x02\x03\x04"};
    int r;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct stream stream = {0};

        assert_int_equal(count(&stream, (const uint8_t *)cases[i], strlen(cases[i]), &r), 0);
        assert_int_equal(r, -EBADMSG);
    }
    {
        struct stream stream = {.framing = BUS_FRAMING_BARE};

        assert_int_equal(count(&stream, (const uint8_t *)"\x81\xa4head\xc1", 7, &r), 0);
        assert_int_equal(r, -EBADMSG);
        stream_done(&stream);
    }
}

static void assert_too_long_is_passed(enum bus_framing framing) {
    const size_t size = UNPACK_MAX + 100, piece = 65536;
    struct stream stream = {.framing = framing};
    CLEANUP(cleanup_free) uint8_t *body = malloc(size), *frame = NULL;
    size_t frame_size, held = 0;
    int r;

    memset(body, 'x', size);
    assert_int_equal(frame_make(&frame, &frame_size, framing, body, size), 0);
    for (size_t at = 0; at < frame_size; at += piece) {
        assert_int_equal(count(&stream, frame + at, MIN(piece, frame_size - at), &r), 0);
        assert_int_equal(r, 0);
        held = MAX(held, stream.size);
    }
    assert_true(held <= STREAM_FRAME_MAX);
    assert_int_equal(stream.size, 0);
    assert_int_equal(stream.oversized, 1);
    assert_int_equal(stream.malformed, 0);
    if (framing == BUS_FRAMING_BARE) {
        assert_int_equal(count(&stream, good, sizeof(good) - 1, &r), 1);
    } else {
        assert_int_equal(held, 0); /* its length said it before a byte was kept */
        assert_int_equal(count(&stream, (const uint8_t *)"\0\0\0\x12", 4, &r), 0);
        assert_int_equal(count(&stream, good, sizeof(good) - 1, &r), 1);
    }
    stream_done(&stream);
}

static void too_long(void **state) {
    assert_int_equal(sizeof(good) - 1, 0x12);
    assert_too_long_is_passed(BUS_FRAMING_BARE);
    assert_too_long_is_passed(BUS_FRAMING_LEN32);
}

/* The longest that is let through, and the memory of it is given back. */
static void just_short_enough(void **state) {
    for (enum bus_framing framing = BUS_FRAMING_BARE; framing <= BUS_FRAMING_LEN32; framing++) {
        struct stream stream = {0};
        CLEANUP(cleanup_free) uint8_t *body = malloc(UNPACK_MAX), *frame = NULL;
        size_t frame_size, half;
        int r;

        memset(body, 'x', UNPACK_MAX);
        memcpy(body, "t\n\n", 3);
        assert_int_equal(frame_make(&frame, &frame_size, framing, body, UNPACK_MAX), 0);
        if (framing == BUS_FRAMING_LEN32)
            stream.framing = framing; /* longer than what 0 as the first byte stands for */
        half = frame_size / 2;
        assert_int_equal(count(&stream, frame, half, &r), 0);
        assert_int_equal(count(&stream, frame + half, frame_size - half, &r), 1);
        assert_int_equal(stream.oversized, 0);
        assert_true(stream.capacity < UNPACK_MAX);
        stream_done(&stream);
    }
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_salt_publishes),
        cmocka_unit_test(what_salt_pushes),
        cmocka_unit_test(what_salt_packs),
        cmocka_unit_test(passed_over),
        cmocka_unit_test(broken_in_len32),
        cmocka_unit_test(not_a_stream),
        cmocka_unit_test(too_long),
        cmocka_unit_test(just_short_enough),
    };

    return cmocka_run_group_tests(cases, load, unload);
}
