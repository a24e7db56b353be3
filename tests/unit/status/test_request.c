/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"
#include "../unit.h"

static enum request_outcome parse(struct request *ret, const char *text) {
    return request_parse(ret, text, strlen(text));
}

static void the_first_line_says_it(void **state) {
    struct request request;

    assert_int_equal(parse(&request, "GET /status HTTP/1.1\r\nHost: x\r\n\r\n"), REQUEST_WHOLE);
    assert_true(request.is_get && !request.is_head);
    assert_string_equal(request.path, "/status");
    assert_int_equal(parse(&request, "HEAD /metrics?name=a+b HTTP/1.0\r\n\r\n"), REQUEST_WHOLE);
    assert_true(!request.is_get && request.is_head);
    assert_string_equal(request.path, "/metrics");
    assert_int_equal(parse(&request, "GET / HTTP/1.1\n\n"), REQUEST_WHOLE);
    assert_string_equal(request.path, "/");
    assert_int_equal(parse(&request, "DELETE /status HTTP/1.1\r\n\r\nbody"), REQUEST_WHOLE);
    assert_true(!request.is_get && !request.is_head);
}

static void every_prefix_is_partial(void **state) {
    static const char whole[] = "GET /status HTTP/1.1\r\nHost: nodewall\r\nAccept: */*\r\n\r\n";
    struct request request = {.path = "untouched"};

    for (size_t n = 0; n < strlen(whole); n++) {
        CLEANUP(cleanup_free) char *copy = malloc(n + 1); /* exactly, so that ASan sees a read behind the end */

        assert_non_null(copy);
        memcpy(copy, whole, n);
        assert_int_equal(request_parse(&request, copy, n), REQUEST_PARTIAL);
    }
    assert_string_equal(request.path, "untouched");
}

static void what_is_no_http_is_bad(void **state) {
    static const char *const bad[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / \r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
        " / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.x\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET status HTTP/1.1\r\n\r\n",
        "GET http://x/status HTTP/1.1\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
        "AVERYLONGMETHODNAME / HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\n\n",
    };
    struct request request = {.path = "untouched"};

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        if (parse(&request, bad[i]) != REQUEST_BAD)
            fail_msg("taken for HTTP: %s", bad[i]);
    assert_int_equal(request_parse(&request, "GET /a\0b HTTP/1.1\r\n\r\n", 23), REQUEST_BAD);
    assert_string_equal(request.path, "untouched");
}

static void long_paths_are_nobodys(void **state) {
    struct request request;
    char text[256], path[REQUEST_PATH_MAX + 1];

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = 0;
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n\r\n", path);
    assert_int_equal(parse(&request, text), REQUEST_WHOLE);
    assert_string_equal(request.path, "");
    path[sizeof(path) - 2] = 0;
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n\r\n", path);
    assert_int_equal(parse(&request, text), REQUEST_WHOLE);
    assert_string_equal(request.path, path);
}

RUN(cmocka_unit_test(the_first_line_says_it), cmocka_unit_test(every_prefix_is_partial),
    cmocka_unit_test(what_is_no_http_is_bad), cmocka_unit_test(long_paths_are_nobodys))
