/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/frame.h"
#include "../unit.h"

/* What comes out, as text: "kind[ key]:data;" of each piece, then "!error" or "?" if partial. */
struct transcript {
    char text[8192];
    size_t n;
};

static void put(struct transcript *transcript, const char *data, size_t size) {
    assert_true(transcript->n + size < sizeof(transcript->text));
    memcpy(transcript->text + transcript->n, data, size);
    transcript->n += size;
    transcript->text[transcript->n] = '\0';
}

static int drain(struct frame *frame, struct transcript *transcript) {
    for (;;) {
        struct frame_piece piece;
        int r = frame_next(frame, &piece);

        if (r == FRAME_NEED_MORE)
            return 0;
        if (r < 0) {
            put(transcript,
                r == -E2BIG     ? "!big"
                : r == -EBADMSG ? "!bad"
                                : "!other",
                r == -E2BIG || r == -EBADMSG ? 4 : 6);
            assert_true(frame_next(frame, &piece) < 0);
            return r;
        }
        if (r == FRAME_END) {
            put(transcript, "end;", 4);
            continue;
        }
        if (r == FRAME_MEMBER) {
            put(transcript, piece.key, piece.key_size);
            put(transcript, "=", 1);
        }
        put(transcript, piece.data, piece.size);
        put(transcript, ";", 1);
    }
}

/* Each fed part is a copy of its own, freed at once: reading behind what was promised shows under the sanitizer. */
static int feed_copy(struct frame *frame, const char *data, size_t size, struct transcript *transcript) {
    char *copy = malloc(size ? size : 1);
    int r;

    assert_non_null(copy);
    memcpy(copy, data, size);
    frame_feed(frame, copy, size);
    r = drain(frame, transcript);
    free(copy);
    return r;
}

static void run(struct transcript *transcript, enum frame_shape shape, size_t limit, const char *data, size_t size,
                size_t cut, size_t second) {
    CLEANUP(frame_freep) struct frame *frame = NULL;

    memset(transcript, 0, sizeof(*transcript));
    assert_int_equal(frame_new(&frame, shape, limit), 0);
    if (feed_copy(frame, data, cut, transcript) < 0 || feed_copy(frame, data + cut, second - cut, transcript) < 0 ||
        feed_copy(frame, data + second, size - second, transcript) < 0)
        return;
    if (frame_is_partial(frame))
        put(transcript, "?", 1);
}

/* The same, wherever two cuts fall. */
static void expect(enum frame_shape shape, const char *text, const char *expected) {
    size_t size = strlen(text);

    for (size_t cut = 0; cut <= size; cut++)
        for (size_t second = cut; second <= size; second++) {
            struct transcript transcript;

            run(&transcript, shape, 0, text, size, cut, second);
            assert_string_equal(transcript.text, expected);
        }
}

static void lines(void **state) {
    expect(FRAME_LINES, "{\"a\":1}\n\n{\"b\":\"\xc3\xa4\xf0\x9f\x99\x82\"}\r\n  \n{\"c\"",
           "{\"a\":1};{\"b\":\"\xc3\xa4\xf0\x9f\x99\x82\"};?");
    expect(FRAME_LINES, "a\nb\n", "a;b;");
    expect(FRAME_LINES, "\r\n \n\n", "");
}

static void list(void **state) {
    expect(FRAME_LIST,
           "{\"kind\":\"NodeList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{\"a\":[1,{}]},{\"b\":\"]},"
           "\\\"\\\\\"}]}\n",
           "kind=\"NodeList\";metadata={\"resourceVersion\":\"5\"};{\"a\":[1,{}]};{\"b\":\"]},\\\"\\\\\"};end;");
    expect(FRAME_LIST, " { \"items\" : [ ] , \"n\" : 12 , \"t\":true } ", "n=12;t=true;end;");
    expect(FRAME_LIST, "{}", "end;");
    expect(FRAME_LIST, "{\"items\":[\"x\",null,3]}", "\"x\";null;3;end;");
    expect(FRAME_LIST, "{\"metadata\":{\"items\":[1]}}",
           "metadata={\"items\":[1]};end;"); /* the outermost alone counts */
    expect(FRAME_LIST, "{\"a\\\"b\":1}", "a\\\"b=1;end;");
}

static void cut_list_is_partial(void **state) {
    expect(FRAME_LIST, "", "");
    expect(FRAME_LIST, "{", "?");
    expect(FRAME_LIST, "{\"items\":[{\"a\":1}", "{\"a\":1};?");
    expect(FRAME_LIST, "{\"items\":[{\"a\":1}]", "{\"a\":1};?");
    expect(FRAME_LIST, "{\"kind\":\"No", "?");
}

static void no_list_is_refused(void **state) {
    static const char *const texts[] = {"<html>", "[]", "\"a\"", "{\"items\":null}", "{\"items\":{}}", "{,}",
                                        "{\"a\" 1}", "{a:1}", "{\"a\":}", "{\"items\":[,]}", "{\"items\":[}"};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        expect(FRAME_LIST, texts[i], "!bad");
    expect(FRAME_LIST, "{\"a\":1,}", "a=1;!bad");
    expect(FRAME_LIST, "{\"items\":[1,]}", "1;!bad");
    expect(FRAME_LIST, "{\"items\":[1 2]}", "1;!bad");
    expect(FRAME_LIST, "{\"items\":[],\"items\":[]}", "!bad"); /* which one counts? */
    expect(FRAME_LIST, "{}{", "end;!bad");
    expect(FRAME_LIST, "{\"items\":[]}]", "end;!bad");
}

static void nul_bytes_are_refused(void **state) {
    struct transcript transcript;

    run(&transcript, FRAME_LIST, 0, "{\"items\":[\0]}", 13, 0, 3);
    assert_string_equal(transcript.text, "!bad");
}

static void tells_whether_there_were_items(void **state) {
    static const struct {
        const char *text;
        bool has;
    } cases[] = {{"{\"items\":[]}", true}, {"{\"metadata\":{\"items\":[]}}", false}, {"{}", false}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(frame_freep) struct frame *frame = NULL;
        struct transcript transcript = {.n = 0};

        assert_int_equal(frame_new(&frame, FRAME_LIST, 0), 0);
        assert_int_equal(feed_copy(frame, cases[i].text, strlen(cases[i].text), &transcript), 0);
        assert_int_equal(frame_has_items(frame), cases[i].has);
    }
}

static void the_limit_is_of_one_object(void **state) {
    const char *const text = "{\"k\":\"12345678\",\"items\":[\"12345678\",\"12345678\",\"123456789\"]}";
    struct transcript transcript;

    for (size_t cut = 0; cut <= strlen(text); cut++) {
        run(&transcript, FRAME_LIST, 10, text, strlen(text), cut, cut);
        assert_string_equal(transcript.text, "k=\"12345678\";\"12345678\";\"12345678\";!big");
    }
    for (size_t cut = 0; cut <= 12; cut++) {
        run(&transcript, FRAME_LINES, 4, "1234\n12345\n1", 12, cut, cut);
        assert_string_equal(transcript.text, "1234;!big");
    }
    run(&transcript, FRAME_LINES, 4, "12345", 5, 3, 3); /* refused before its newline came */
    assert_string_equal(transcript.text, "!big");
    run(&transcript, FRAME_LIST, 4, "{\"items\":[\"12345", 16, 12, 14);
    assert_string_equal(transcript.text, "!big");
}

/* A megabyte in small parts, then small ones: put together rightly, and its memory is given back (the sanitizer's
 * heap). */
static void a_large_object_between_small_ones(void **state) {
    enum { LARGE = 1024 * 1024, PART = 1000 };
    CLEANUP(frame_freep) struct frame *frame = NULL;
    CLEANUP(cleanup_free) char *text = malloc(LARGE + 16);
    size_t n = 4, n_objects = 0;

    assert_non_null(text);
    memcpy(text, "{}\n\"", n);
    memset(text + n, 'x', LARGE);
    memcpy(text + n + LARGE, "\"\n{}\n", 5);
    n += LARGE + 5;
    assert_int_equal(frame_new(&frame, FRAME_LINES, 0), 0);
    for (size_t at = 0; at < n; at += PART) {
        struct frame_piece piece;

        frame_feed(frame, text + at, MIN((size_t)PART, n - at));
        while (frame_next(frame, &piece) == FRAME_OBJECT)
            assert_int_equal(piece.size, n_objects++ == 1 ? LARGE + 2 : 2);
    }
    assert_int_equal(n_objects, 3);
    assert_false(frame_is_partial(frame));
}

RUN(cmocka_unit_test(lines), cmocka_unit_test(list), cmocka_unit_test(cut_list_is_partial),
    cmocka_unit_test(no_list_is_refused), cmocka_unit_test(nul_bytes_are_refused),
    cmocka_unit_test(tells_whether_there_were_items), cmocka_unit_test(the_limit_is_of_one_object),
    cmocka_unit_test(a_large_object_between_small_ones))
