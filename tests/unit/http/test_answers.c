/* SPDX-License-Identifier: Apache-2.0 */
/* What a server may answer, well or badly, and what it is told as. */
#include "bed.h"

#include "../unit.h"

#include <time.h>

#define SOON 3000       /* ms; what is noticed at once must not wait for the idle time */

static const struct http_options patient = {.idle = 60000};

/* fetch, and the outcome came by itself, not by a time limit. */
static void fetch_soon(struct loop *loop, struct answer *answer, const char *path) {
    msec start = clock_now();

    fetch(loop, answer, "plain", path, &patient);
    assert_true(clock_now() - start < SOON);
}

static void test_complete(void **state) {
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "ok", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_true(answer.end.connected);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello");
    assert_string_equal(answer.type, "application/json");
    assert_int_equal(answer.retry_after, -1);
    assert_false(answer.reused);

    fetch(&loop, &answer, "plain", "chunked", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_string_equal(answer.body, "onetwo");
    assert_true(answer.reused);

    fetch(&loop, &answer, "plain", "empty", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_int_equal(answer.n_headers, 1);
    assert_null(answer.body);
    assert_string_equal(answer.type, "");

    fetch(&loop, &answer, "plain", "until-close", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_string_equal(answer.body, "hello");
    answer_done(&answer);
    loop_close(&loop);
}

static void test_only_the_last_response_counts(void **state) {
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "continue", NULL);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.n_headers, 1);
    assert_string_equal(answer.body, "hello");
    fetch(&loop, &answer, "plain", "trailers", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_string_equal(answer.body, "one");
    fetch(&loop, &answer, "plain", "redirect", NULL);
    assert_int_equal(answer.status, 302);
    assert_null(answer.body);
    fetch(&loop, &answer, "plain", "status/503", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_int_equal(answer.status, 503);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_headers_are_sent_as_given(void **state) {
    static const char *const headers[] = {"Authorization: Bearer secret", "Accept: application/json", NULL};
    static const char *const two_lines[] = {"Accept: a\r\nX-Other: b", NULL};
    struct http_options options = {.headers = headers};
    struct http_callbacks callbacks = {0};
    struct http_request *request = NULL;
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "echo?limit=500&continue=a%2Fb", &options);
    assert_non_null(strstr(answer.body, "GET /echo?limit=500&continue=a%2Fb HTTP/1.1\r\n"));
    assert_non_null(strstr(answer.body, "\r\nAuthorization: Bearer secret\r\n"));
    assert_non_null(strstr(answer.body, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(answer.body, "\r\nUser-Agent: nodewall/"));
    assert_null(strstr(answer.body, "Accept-Encoding"));

    options.headers = two_lines;
    assert_int_equal(http_get(&request, loop.http, "http://127.0.0.1/", &options, &callbacks, NULL), -EINVAL);
    options.headers = NULL;
    assert_int_equal(http_get(&request, loop.http, "ftp://127.0.0.1/", &options, &callbacks, NULL), 0);
    request = http_request_free(request);
    assert_int_equal(http_get(&request, loop.http, "http://user:password@127.0.0.1/", &options, &callbacks, NULL),
                     -EINVAL);
    assert_int_equal(http_get(&request, loop.http, "no URL", &options, &callbacks, NULL), -EINVAL);
    assert_null(request);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_truncated(void **state) {
    static const char *const paths[] = {"cut", "cut-chunk", "bad-chunk", "cut-reset", "cut-gzip", "bad-gzip",
                                        "corrupt-gzip"};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct http_options options = {.gzip = strstr(paths[i], "gzip"), .idle = 60000};
        msec start = clock_now();

        fetch(&loop, &answer, "plain", paths[i], &options);
        if (answer.end.outcome != HTTP_TRUNCATED)
            fail_msg("%s: %s %s", paths[i], http_outcome_name(answer.end.outcome), answer.text);
        assert_int_equal(answer.status, 200);
        assert_true(answer.end.connected);
        assert_true(clock_now() - start < SOON);
    }
    answer_done(&answer);
    loop_close(&loop);
}

/* Data and reset lie in the kernel together: what is told is what came, not that nothing did. */
static void test_what_came_before_a_reset(void **state) {
    static const struct timespec while_it_comes = {.tv_nsec = 400 * 1000 * 1000};
    struct answer answer = {0};
    struct http_request *request;
    struct loop loop;
    msec start;

    loop_open(&loop);
    request = ask(&loop, &answer, "plain", "late-reset", &patient);
    loop_turn_for(&loop, 50);
    nanosleep(&while_it_comes, NULL);
    start = clock_now();
    loop_until(&loop, &answer.ended);
    assert_true(clock_now() - start < SOON);
    assert_int_equal(answer.end.outcome, HTTP_TRUNCATED);
    assert_int_equal(answer.status, 200);
    assert_true(answer.size > 40000);
    http_request_free(request);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_no_answer(void **state) {
    static const struct {
        const char *path;
        enum http_outcome outcome;
    } cases[] = {
        {"nothing", HTTP_REFUSED},
        {"cut-header", HTTP_TRUNCATED},
        {"only-continue", HTTP_REFUSED},
        {"garbage", HTTP_PROTOCOL},
        {"headers", HTTP_PROTOCOL},
        {"header", HTTP_PROTOCOL},
    };
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fetch_soon(&loop, &answer, cases[i].path);
        if (answer.end.outcome != cases[i].outcome)
            fail_msg("%s: %s %s", cases[i].path, http_outcome_name(answer.end.outcome), answer.text);
        assert_int_equal(answer.n_headers, 0);
        assert_true(answer.end.connected);
    }
    answer_done(&answer);
    loop_close(&loop);
}

static void test_refused(void **state) {
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "refused", "", &patient);
    assert_int_equal(answer.end.outcome, HTTP_REFUSED);
    assert_false(answer.end.connected);
    assert_non_null(strstr(answer.text, "Connection refused"));
    answer_done(&answer);
    loop_close(&loop);
}

/* A label of more than 63 letters is refused by the resolver itself: no question leaves this machine. */
static void test_dns(void **state) {
    static const struct http_options options = {
        .connect_host = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid",
        .connect_port = 443,
    };
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "ok", &options);
    assert_int_equal(answer.end.outcome, HTTP_DNS);
    assert_false(answer.end.connected);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_idle(void **state) {
    struct http_options options = {.idle = 500};
    struct answer answer = {0};
    struct loop loop;
    msec start = clock_now(), taken;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "silent", &options);
    taken = clock_now() - start;
    assert_int_equal(answer.end.outcome, HTTP_IDLE);
    assert_true(answer.end.connected);
    assert_string_equal(answer.body, "x");
    assert_true(taken >= 490 && taken < SOON);
    options.gzip = true;        /* bytes that unpack to nothing are no silence */
    fetch(&loop, &answer, "plain", "slow-gzip", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_true(answer.size > 10000);
    fetch(&loop, &answer, "plain", "mute", &options);
    assert_int_equal(answer.end.outcome, HTTP_IDLE);
    assert_true(answer.end.connected);
    assert_int_equal(answer.n_headers, 0);
    answer_done(&answer);
    loop_close(&loop);
}

/* Bytes come all the time, so it is not silent; and still it ends. */
static void test_deadline(void **state) {
    static const struct http_options options = {.idle = 400, .deadline = 1000};
    struct answer answer = {0};
    struct loop loop;
    msec start = clock_now(), taken;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "drip", &options);
    taken = clock_now() - start;
    assert_int_equal(answer.end.outcome, HTTP_DEADLINE);
    assert_true(answer.size > 5);
    assert_true(taken >= 990 && taken < SOON);
    answer_done(&answer);
    loop_close(&loop);
}

/* The kernel takes the connection, nobody ever does the handshake. */
static void test_connect_timeout(void **state) {
    static const struct http_options options = {.insecure = true, .idle = 300};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "deaf", "", &options);
    assert_int_equal(answer.end.outcome, HTTP_CONNECT_TIMEOUT);
    assert_false(answer.end.connected);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_gzip(void **state) {
    struct http_options options = {.gzip = true};
    struct answer plain = {0}, answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &plain, "plain", "gzip", NULL);
    assert_true(plain.size > 10000);
    fetch(&loop, &answer, "plain", "gzip", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_int_equal(answer.size, plain.size);
    assert_memory_equal(answer.body, plain.body, plain.size);
    fetch(&loop, &answer, "plain", "echo", &options);
    assert_non_null(strstr(answer.body, "\r\nAccept-Encoding: gzip\r\n"));

    options.limit = plain.size - 1;     /* of what it is unpacked: a small bomb is a bomb */
    fetch(&loop, &answer, "plain", "gzip", &options);
    assert_int_equal(answer.end.outcome, HTTP_TOO_LARGE);
    options.limit = plain.size;
    fetch(&loop, &answer, "plain", "gzip", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    answer_done(&plain);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_too_large(void **state) {
    static const struct http_options options = {.limit = 100000};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "large/100000", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_int_equal(answer.size, 100000);
    fetch(&loop, &answer, "plain", "large/100001", &options);
    assert_int_equal(answer.end.outcome, HTTP_TOO_LARGE);
    assert_true(answer.size <= 100000);
    fetch(&loop, &answer, "plain", "large/10000000", &options);
    assert_int_equal(answer.end.outcome, HTTP_TOO_LARGE);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_retry_after(void **state) {
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "retry/7", NULL);
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.retry_after, 7000);
    fetch(&loop, &answer, "plain", "date", NULL);
    assert_int_equal(answer.status, 503);
    assert_true(answer.retry_after > 80000 && answer.retry_after <= 100000);
    fetch(&loop, &answer, "plain", "retry/99999999999", NULL);
    assert_int_equal(answer.retry_after, 6 * 3600 * 1000);
    fetch(&loop, &answer, "plain", "retry/soon", NULL);
    assert_int_equal(answer.retry_after, -1);
    fetch(&loop, &answer, "plain", "retry/-5", NULL);
    assert_int_equal(answer.retry_after, -1);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_fresh(void **state) {
    static const struct http_options options = {.fresh = true};
    struct answer answer = {0};
    struct loop loop;

    loop_open(&loop);
    fetch(&loop, &answer, "plain", "ok", NULL);
    fetch(&loop, &answer, "plain", "ok", NULL);
    assert_true(answer.reused);
    fetch(&loop, &answer, "plain", "ok", &options);
    assert_false(answer.reused);
    answer_done(&answer);
    loop_close(&loop);
}

static void test_proxy(void **state) {
    static const char *const headers[] = {"Authorization: Bearer secret", NULL};
    CLEANUP(cleanup_free) char *ca = NULL, *path = NULL, *heard = NULL, *ca_path = NULL;
    struct http_options options = {.headers = headers, .connect_host = "127.0.0.1"};
    struct answer answer = {0};
    char proxy[64];
    struct loop loop;
    size_t size;

    loop_open(&loop);
    ca_path = bed_path("ca.crt");
    assert_int_equal(file_read(&ca, &size, ca_path, 100000), 0);
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", bed_port("proxy"));
    options.ca = (struct http_blob){ca, size};
    options.proxy = proxy;
    options.connect_port = (uint16_t)bed_port("good");
    fetch(&loop, &answer, "good", "echo", &options);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_int_equal(answer.n_headers, 1);
    assert_non_null(strstr(answer.body, "Bearer secret"));
    path = bed_path("proxied");
    assert_int_equal(file_read(&heard, NULL, path, 100000), 0);
    assert_non_null(strstr(heard, "CONNECT 127.0.0.1:"));
    assert_null(strstr(heard, "secret"));

    options.connect_host = "refused.test";
    fetch(&loop, &answer, "good", "echo", &options);
    assert_int_equal(answer.end.outcome, HTTP_PROXY);
    assert_non_null(strstr(answer.text, "403"));
    assert_int_equal(answer.n_headers, 0);

    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", bed_port("refused"));
    fetch(&loop, &answer, "good", "echo", &options);
    assert_int_equal(answer.end.outcome, HTTP_PROXY);
    assert_non_null(strstr(answer.text, "Connection refused"));

    /* The environment's is not for this machine's own servers. */
    setenv("http_proxy", proxy, 1);
    fetch(&loop, &answer, "plain", "ok", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    unsetenv("http_proxy");
    answer_done(&answer);
    loop_close(&loop);
}

static void test_names(void **state) {
    assert_string_equal(http_outcome_name(HTTP_COMPLETE), "complete");
    for (enum http_outcome outcome = 0; outcome < HTTP_OUTCOME_MAX; outcome++)
        assert_string_not_equal(http_outcome_name(outcome), "unknown");
    assert_string_equal(http_outcome_name(HTTP_OUTCOME_MAX), "unknown");
}

RUN(cmocka_unit_test(test_complete), cmocka_unit_test(test_only_the_last_response_counts),
    cmocka_unit_test(test_headers_are_sent_as_given), cmocka_unit_test(test_truncated),
    cmocka_unit_test(test_what_came_before_a_reset), cmocka_unit_test(test_no_answer), cmocka_unit_test(test_refused),
    cmocka_unit_test(test_dns), cmocka_unit_test(test_idle), cmocka_unit_test(test_deadline),
    cmocka_unit_test(test_connect_timeout), cmocka_unit_test(test_gzip), cmocka_unit_test(test_too_large),
    cmocka_unit_test(test_retry_after), cmocka_unit_test(test_fresh), cmocka_unit_test(test_proxy),
    cmocka_unit_test(test_names))
