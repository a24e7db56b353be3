/* SPDX-License-Identifier: Apache-2.0 */
/* Both encodings of the same answers of a real kube-apiserver (tests/vectors/kube.py), and protobuf that is none. */
#include "nodewall/decode.h"
#include "nodewall/frame.h"
#include "nodewall/watch.h"
#include "../unit.h"

static char *vector(const char *name, size_t *ret_size) {
    char path[4096], *data = NULL;

    snprintf(path, sizeof(path), "%s/vectors/kube/%s", getenv("NODEWALL_TESTS"), name);
    if (file_read(&data, ret_size, path, 1024 * 1024) < 0)
        fail_msg("%s cannot be read", path);
    return data;
}

/* All that an answer says, as a text. */
struct account {
    char *text;
    size_t size;
    int error;
};

static void account_done(struct account *account) {
    free(account->text);
}

static void tell_node(FILE *to, const struct node *node) {
    fprintf(to, "%s %s %s%s", node->name, node->uid, node->rv, node->leaving ? " leaving" : "");
    for (size_t i = 0; i < node->n_addresses; i++)
        fprintf(to, " %s=%s", node->addresses[i].type, node->addresses[i].text);
    fputc('\n', to);
}

static int tell_piece(FILE *to, const struct decoder *decoder, struct list_head *head, const struct frame_piece *piece,
                      enum frame_kind kind, bool is_list) {
    CLEANUP(node_freep) struct node *node = NULL;
    CLEANUP(watch_line_done) struct watch_line line = {0};
    int r;

    if (kind == FRAME_MEMBER)
        return decoder->list_member(head, piece->key, piece->key_size, piece->data, piece->size);
    if (is_list) {
        r = decoder->node(&node, piece->data, piece->size);
        if (r >= 0)
            tell_node(to, node);
        return r;
    }
    r = decoder->watch_line(&line, piece->data, piece->size);
    if (r < 0)
        return r;
    fprintf(to, "%d %s: ", line.type, line.rv);
    if (line.node)
        tell_node(to, line.node);
    if (line.type == WATCH_ERROR)
        fprintf(to, "%u %s %s %lld %d\n", line.status.code, line.status.reason, line.status.message,
                (long long)line.status.retry_after, line.status.too_large);
    return 0;
}

/* In parts of `part` bytes, each in memory of its own, so that a sanitizer sees every step too far. */
static struct account read_answer(const char *data, size_t size, size_t part, bool protobuf, bool is_list) {
    enum frame_shape shape = protobuf ? (is_list ? FRAME_PROTOBUF_LIST : FRAME_PROTOBUF_EVENTS)
                                      : (is_list ? FRAME_LIST : FRAME_LINES);
    CLEANUP(frame_freep) struct frame *frame = NULL;
    struct account account = {.error = 0};
    struct list_head head = {.remaining = -1};
    FILE *to = open_memstream(&account.text, &account.size);

    assert_int_equal(frame_new(&frame, shape, 1024 * 1024), 0);
    for (size_t at = 0; at < size && account.error >= 0; at += part) {
        size_t n = MIN(part, size - at);
        CLEANUP(cleanup_free) char *copy = malloc(n);
        int r;

        memcpy(copy, data + at, n);
        frame_feed(frame, copy, n);
        do {
            struct frame_piece piece;

            r = frame_next(frame, &piece);
            if (r == FRAME_OBJECT || r == FRAME_MEMBER)
                account.error = tell_piece(to, protobuf ? &decode_protobuf : &decode_json, &head, &piece,
                                           (enum frame_kind)r, is_list);
            else if (r < 0)
                account.error = r;
            else if (r == FRAME_END)
                fprintf(to, "end\n");
        } while (r > 0 && account.error >= 0);
    }
    if (is_list)
        fprintf(to, "%d %s %d %lld\n%s", head.is_node_list, head.rv, head.next[0] != '\0',
                (long long)head.remaining, frame_has_items(frame) ? "has items\n" : "");
    fprintf(to, "%s", frame_is_partial(frame) ? "partial\n" : "");
    fclose(to);
    return account;
}

static struct account read_vector(const char *name, size_t part) {
    size_t size;
    CLEANUP(cleanup_free) char *data = vector(name, &size);

    return read_answer(data, size, part, strstr(name, ".protobuf") != NULL, strncmp(name, "list", 4) == 0 ||
                                                                              strncmp(name, "page", 4) == 0);
}

static void both_encodings_say_the_same(void **state) {
    static const char *const pairs[][3] = {
        {"list.json", "list.protobuf", "ExternalIP=203.0.113.7"},
        {"page.json", "page.protobuf", "end"},
        {"watch.json", "watch.protobuf", "InternalIP=192.168.1.6"},
        {"gone.json", "gone.protobuf", "410 Expired"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        CLEANUP(account_done) struct account json = read_vector(pairs[i][0], 65536);

        assert_int_equal(json.error, 0);
        assert_non_null(strstr(json.text, pairs[i][2]));
        assert_null(strstr(json.text, "partial"));
        for (size_t part = 1; part < 1000; part += 1 + part / 3) {
            CLEANUP(account_done) struct account protobuf = read_vector(pairs[i][1], part);

            assert_int_equal(protobuf.error, 0);
            assert_string_equal(protobuf.text, json.text);
        }
    }
}

static void a_refusal_says_the_same(void **state) {
    struct kube_status one, other;
    size_t size;
    CLEANUP(cleanup_free) char *json = vector("refused.json", &size);

    assert_int_equal(decode_status(&one, json, size), 0);
    CLEANUP(cleanup_free) char *protobuf = vector("refused.protobuf", &size);

    assert_int_equal(decode_protobuf.status(&other, protobuf, size), 0);
    assert_int_equal(one.code, 403);
    assert_int_equal(other.code, one.code);
    assert_string_equal(other.reason, "Forbidden");
    assert_string_equal(other.message, one.message);
    assert_int_equal(other.retry_after, one.retry_after);
}

/* Wherever it ends: never an error before its end, never whole, and never something that was not there. */
static void cut_anywhere(void **state) {
    static const char *const names[] = {"list.protobuf", "watch.protobuf"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        size_t size;
        CLEANUP(cleanup_free) char *data = vector(names[i], &size);
        CLEANUP(account_done) struct account whole = read_answer(data, size, size, true, i == 0);

        for (size_t n = 1; n + 5 < size; n++) { /* the last four bytes of a list say nothing */
            CLEANUP(account_done) struct account cut = read_answer(data, n, 64, true, i == 0);

            assert_int_equal(cut.error, 0);
            assert_true(strcmp(cut.text, whole.text) != 0);
            assert_true(i == 0 ? !strstr(cut.text, "end\n") : cut.size < whole.size);
        }
    }
}

/* Each byte of an answer becomes another one: nothing is read behind the end, nothing worse than -EBADMSG. */
static void any_byte_may_be_wrong(void **state) {
    static const char *const names[] = {"list.protobuf", "watch.protobuf", "gone.protobuf"};
    static const unsigned char bits[] = {0x01, 0x04, 0x80, 0xff};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        size_t size;
        CLEANUP(cleanup_free) char *data = vector(names[i], &size);

        for (size_t at = 0; at < size; at++)
            for (size_t bit = 0; bit < ARRAY_LENGTH(bits); bit++) {
                data[at] = (char)((unsigned char)data[at] ^ bits[bit]);
                CLEANUP(account_done) struct account account = read_answer(data, size, 97, true, i == 0);

                assert_true(account.error == 0 || account.error == -EBADMSG || account.error == -E2BIG);
                data[at] = (char)((unsigned char)data[at] ^ bits[bit]);
            }
    }
}

static void refused_lists(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
        int error;
    } cases[] = {
        {"k8s", 4, 0},                                          /* nothing more */
        {"k9s", 4, -EBADMSG},
        {"{\"kind\":", 8, -EBADMSG},                            /* JSON, whatever the header says */
        {"k8s\0\x12\x02\x12\x09", 8, -EBADMSG},                 /* an item that ends behind its list */
        {"k8s\0\x12\x00\x12\x00", 8, -EBADMSG},                 /* two lists */
        {"k8s\0\x10\x01", 6, -EBADMSG},                         /* a raw that is a number */
        {"k8s\0\x12\x80\x80\x80\x80\x01\x12\x81\x80\x80\x01", 15, -E2BIG},
        {"k8s\0\x0b", 5, -EBADMSG},                             /* a group */
        {"k8s\0\x00", 5, -EBADMSG},                             /* field 0 */
        {"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 15, -EBADMSG},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(account_done) struct account account = read_answer(cases[i].bytes, cases[i].size, 3, true, true);

        if (account.error != cases[i].error)
            fail_msg("case %zu: %d", i, account.error);
    }
}

static void a_node_must_be_one(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"", 0},
        {"\x0a\x00", 2},                                        /* no name */
        {"\x0a\x03\x0a\x01n", 5},                               /* no uid */
        {"\x0a\x06\x0a\x01/\x2a\x01u", 8},                      /* a name that is a path */
        {"\x0a\x07\x0a\x02n\0\x2a\x01u", 9},                    /* a name with a NUL */
        {"\x0a\x09\x0a\x01n\x2a\x01u\x32\x01" "0", 11},         /* an rv that is "any" */
        {"\x0a\x08\x0a\x01n\x2a\x01u\x30\x05", 10},             /* an rv that is a number */
        {"\x0a\x06\x0a\x01n\x2a\x01u\x1a\x02\x28\x01", 12},     /* addresses that are a number */
    };
    CLEANUP(node_freep) struct node *good = NULL;

    assert_int_equal(decode_protobuf.node(&good, "\x0a\x06\x0a\x01n\x2a\x01u\x1a\x05\x2a\x03\x12\x01x", 15), 0);
    assert_int_equal(good->n_addresses, 1);
    assert_string_equal(good->addresses[0].text, "x");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct node *node = NULL;

        if (decode_protobuf.node(&node, cases[i].bytes, cases[i].size) != -EBADMSG)
            fail_msg("case %zu was taken", i);
        assert_null(node);
    }
}

/* Go's protobuf does not look at strings: a node can write this into its status. */
static void an_address_that_is_no_text(void **state) {
    CLEANUP(node_freep) struct node *node = NULL;

    assert_int_equal(decode_protobuf.node(&node, "\x0a\x06\x0a\x01n\x2a\x01u\x1a\x0b\x2a\x04\x12\x02\xff\x31"
                                                 "\x2a\x03\x12\x01\0", 21), 0);
    assert_int_equal(node->n_addresses, 2);
    assert_string_equal(node->addresses[0].text, "?1");
    assert_string_equal(node->addresses[1].text, "?");
}

static int ask(struct watch *watch, msec *now, struct watch_want *want) {
    for (;;) {
        int r = watch_next(watch, *now, want);

        if (r < 0 || want->action == WATCH_START)
            return r;
        if (want->action == WATCH_WAIT)
            *now = want->due;
    }
}

static void what_cannot_be_read_is_asked_for_in_json(void **state) {
    CLEANUP(watch_freep) struct watch *watch = NULL;
    struct watch_want want;
    msec now = 1000;

    assert_int_equal(watch_new(&watch, &(struct watch_options){.seed = 1}), 0);
    assert_int_equal(ask(watch, &now, &want), 0);
    assert_false(want.json);
    assert_int_equal(watch_headers(watch, now, 200, "application/vnd.kubernetes.protobuf", -1), 0);
    assert_int_equal(watch_body(watch, now, "k8s\0\x12\x02\x12\x00", 8), 0); /* a node without a name */
    assert_int_equal(ask(watch, &now, &want), 0);
    assert_true(want.is_list);
    assert_true(want.json);
}

static void one_that_does_not_know_protobuf(void **state) {
    CLEANUP(watch_freep) struct watch *watch = NULL;
    struct watch_want want;
    msec now = 1000;

    assert_int_equal(watch_new(&watch, &(struct watch_options){.seed = 1}), 0);
    assert_int_equal(ask(watch, &now, &want), 0);
    assert_int_equal(watch_headers(watch, now, 406, "text/plain", -1), 0);
    assert_int_equal(watch_end(watch, now, WATCH_COMPLETE, ""), 0);
    assert_int_equal(ask(watch, &now, &want), 0);
    assert_true(want.json);
}

RUN(cmocka_unit_test(both_encodings_say_the_same),
    cmocka_unit_test(a_refusal_says_the_same),
    cmocka_unit_test(cut_anywhere),
    cmocka_unit_test(any_byte_may_be_wrong),
    cmocka_unit_test(refused_lists),
    cmocka_unit_test(a_node_must_be_one),
    cmocka_unit_test(an_address_that_is_no_text),
    cmocka_unit_test(what_cannot_be_read_is_asked_for_in_json),
    cmocka_unit_test(one_that_does_not_know_protobuf))
