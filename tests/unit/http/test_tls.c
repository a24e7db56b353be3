/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end, and whether it is told rightly why not. */
#include "bed.h"

#include "../unit.h"

#include <curl/curl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

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
    CLEANUP(cleanup_free) char *directory = NULL;
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
    directory = bed_path("twin");
    assert_int_equal(mkdir(directory, 0700), 0);
    authority_free(authority_new(directory, "ca")); /* the CA was renewed, and kept its name */
    options.ca = pem("twin/ca.crt");
    fetch(&loop, &answer, "good", "ok", &options);
    expect(&answer, HTTP_TLS_UNTRUSTED, "does not lead to the CA: it was signed by another of the same name");
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
    CLEANUP(cleanup_free) char *directory = NULL;
    struct authority *twin;
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    bed_directory();
    directory = bed_path("renewed");
    assert_int_equal(mkdir(directory, 0700), 0);
    twin = authority_new(directory, "ca"); /* of the same name, with another key */
    authority_issue(twin, "client", NULL, 0, 10);
    authority_free(twin);
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
        options.certificate = pem("renewed/client.crt");
        options.key = pem("renewed/client.key");
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

/* The system's directory of CAs becomes, for this process alone, one that has `ca.crt`. False: not allowed here. */
static bool replace_system_directory(void) {
    const char *system = curl_version_info(CURLVERSION_NOW)->capath;
    CLEANUP(cleanup_free) char *directory = NULL, *data = NULL, *bundle = NULL, *path = NULL, *other = NULL;
    char name[40];

    assert_non_null(system);
    bed_directory();
    directory = bed_path("system");
    assert_int_equal(mkdir(directory, 0700), 0);
    path = bed_path("ca.crt");
    assert_int_equal(file_read(&data, NULL, path, 100000), 0);
    snprintf(name, sizeof(name), "system/%08lx.0", authority_hash(bed_authority()));
    bed_write(name, data);
    other = bed_path("stranger.crt");       /* the bundle that must be there, and is no help */
    assert_int_equal(file_read(&bundle, NULL, other, 100000), 0);
    bed_write("system/ca-certificates.crt", bundle);
    if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) < 0)
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) >= 0 && mount(directory, system, NULL, MS_BIND, NULL) >= 0;
}

/* A CA that is given is the only one: a certificate of one of the hundred others must not do. Last, for what it mounts
 * stays until the program ends. */
static void test_only_the_given_ca(void **state) {
    struct http_options options = {.idle = 5000};
    struct answer answer = {0};
    struct http_request *request;
    struct loop loop;
    char url[100];

    if (!replace_system_directory()) {
        print_message("# no mount namespace here: %s\n", strerror(errno));
        skip();
    }
    loop_open(&loop);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/ok", bed_port("good"));
    request = ask_url(&loop, &answer, url, &options);
    loop_until(&loop, &answer.ended);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE); /* the system has it … */
    http_request_free(request);
    options.ca = pem("stranger.crt");
    fetch(&loop, &answer, "good", "ok", &options);
    expect(&answer, HTTP_TLS_UNTRUSTED, "does not lead to the CA"); /* … and it does not count */
    answer_done(&answer);
    loop_close(&loop);
}

RUN(cmocka_unit_test(test_trusted), cmocka_unit_test(test_untrusted), cmocka_unit_test(test_other_name),
    cmocka_unit_test(test_times), cmocka_unit_test(test_not_tls), cmocka_unit_test(test_insecure),
    cmocka_unit_test(test_client_certificate), cmocka_unit_test(test_unusable_ca),
    cmocka_unit_test(test_only_the_given_ca))
