/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end, and whether it is told rightly why not. */
#include "bed.h"

#include "../unit.h"

/* A PEM of bed_directory, kept for the life of the program. */
static struct http_blob pem(const char *file) {
    static char *kept[40];
    static size_t n_kept;
    CLEANUP(cleanup_free) char *path = NULL;
    struct http_blob blob;
    char *data;

    bed_directory();
    path = bed_path(file);
    assert_int_equal(file_read(&data, &blob.size, path, 100000), 0);
    assert_true(n_kept < ARRAY_LENGTH(kept));
    kept[n_kept++] = data; /* reachable, so no leak */
    blob.data = data;
    return blob;
}

static void expect(const struct answer *answer, enum http_tls tls, const char *words) {
    if (answer->end.outcome != HTTP_TLS || answer->end.tls != tls || !strstr(answer->text, words))
        fail_msg("%s %d: %s", http_outcome_name(answer->end.outcome), answer->end.tls, answer->text);
    assert_int_equal(answer->n_headers, 0);
}

static void test_trusted(void **state) {
    struct http_options options = {.ca = pem("ca.crt")};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "good", "ok", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_string_equal(answer.body, "hello");
    fetch(&loop, &answer, "good", "ok", &options);
    assert_true(answer.reused);

    /* The name in the URL counts, wherever the connection goes. */
    options.connect_host = "127.0.0.1";
    options.connect_port = (uint16_t)bed_port("good");
    fetch(&loop, &answer, "good", "echo", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_non_null(strstr(answer.body, "\r\nHost: kube.test:"));
    answer_done(&answer);
    loop_close(&loop);
}

static void test_untrusted(void **state) {
    struct http_options options = {.ca = pem("ca.crt")};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "good", "ok", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    options.ca = pem("stranger.crt");   /* the pooled connection is that of another trust */
    fetch(&loop, &answer, "good", "ok", &options);
    expect(&answer, HTTP_TLS_UNTRUSTED, "does not lead to the CA");
    assert_false(answer.end.connected);
    options.ca = pem("ca.crt");
    fetch(&loop, &answer, "good", "ok", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_other_name(void **state) {
    struct http_options options = {.ca = pem("ca.crt")};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "other", "ok", &options);
    expect(&answer, HTTP_TLS_NAME, "another name");
    options.connect_host = "127.0.0.1";
    options.connect_port = (uint16_t)bed_port("other");
    fetch(&loop, &answer, "other", "ok", &options);
    expect(&answer, HTTP_TLS_NAME, "another name");
    answer_done(&answer);
    loop_close(&loop);
}

static void test_times(void **state) {
    struct http_options options = {.ca = pem("ca.crt")};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "expired", "ok", &options);
    expect(&answer, HTTP_TLS_EXPIRED, "has expired");
    fetch(&loop, &answer, "future", "ok", &options);
    expect(&answer, HTTP_TLS_EXPIRED, "not valid yet");
    answer_done(&answer);
    loop_close(&loop);
}

static void test_not_tls(void **state) {
    struct http_options options = {.ca = pem("ca.crt"), .idle = 2000};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "ok", &options);
    expect(&answer, HTTP_TLS_NOT_TLS, "does not speak TLS");
    /* And the other way round: a TLS server answers plain HTTP with an alert, or closes. */
    options.ca.data = NULL;
    fetch(&loop, &answer, "good", "ok", &options);
    assert_true(answer.end.outcome == HTTP_PROTOCOL || answer.end.outcome == HTTP_REFUSED);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_insecure(void **state) {
    struct http_options options = {.insecure = true};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "other", "ok", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    /* What was not verified is not taken over by who wants it verified. */
    options = (struct http_options){.ca = pem("ca.crt")};
    fetch(&loop, &answer, "other", "ok", &options);
    expect(&answer, HTTP_TLS_NAME, "another name");
    answer_done(&answer);
    loop_close(&loop);
}

static void fetch_without_certificate(struct loop *loop, struct answer *answer, const char *listener) {
    struct http_options options = {.ca = pem("ca.crt")};

    fetch(loop, answer, listener, "ok", &options);
    /* OpenSSL's servers have no alert of its own for this in TLS 1.2. */
    expect(answer, strcmp(listener, "mutual") == 0 ? HTTP_TLS_CLIENT : HTTP_TLS_OTHER, "");
}

static void test_client_certificate(void **state) {
    static const char *const listeners[] = {"mutual", "mutual12"};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    for (size_t i = 0; i < ARRAY_LENGTH(listeners); i++) {
        struct http_options options = {.ca = pem("ca.crt"), .certificate = pem("client.crt"), .key = pem("client.key")};

        fetch_without_certificate(&loop, &answer, listeners[i]);
        fetch(&loop, &answer, listeners[i], "ok", &options);
        assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
        fetch_without_certificate(&loop, &answer, listeners[i]);    /* the connection that stands is somebody's */
        options.certificate = pem("stray.crt");
        options.key = pem("stray.key");
        fetch(&loop, &answer, listeners[i], "ok", &options);
        expect(&answer, HTTP_TLS_CLIENT, "does not take our client certificate");
        options.key = pem("client.key");
        fetch(&loop, &answer, listeners[i], "ok", &options);
        expect(&answer, HTTP_TLS_CLIENT, "cannot be used");
        assert_false(answer.end.connected);
    }
    answer_done(&answer);
    loop_close(&loop);
}

static void test_unusable_ca(void **state) {
    struct http_options options = {.ca = {"no PEM", 6}};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "good", "ok", &options);
    assert_int_equal(answer.end.outcome, HTTP_LOCAL);
    answer_done(&answer);
    loop_close(&loop);
}

RUN(cmocka_unit_test(test_trusted), cmocka_unit_test(test_untrusted), cmocka_unit_test(test_other_name),
    cmocka_unit_test(test_times), cmocka_unit_test(test_not_tls), cmocka_unit_test(test_insecure),
    cmocka_unit_test(test_client_certificate), cmocka_unit_test(test_unusable_ca))
