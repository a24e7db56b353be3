/* SPDX-License-Identifier: Apache-2.0 */
/* What is told, to whom, and where the listener stands. */
#include "bed.h"

static bool begins(const char *text, const char *with) {
    return !strncmp(text, with, strlen(with));
}

static void told_on_the_socket(void **state) {
    struct bed bed;
    CLEANUP(cleanup_free) char *text = NULL, *metrics = NULL;
    struct stat st;
    size_t size;

    bed_listen(&bed);
    assert_int_equal(stat(bed.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 5000), 0);
    assert_string_equal(text, "ss");
    assert_int_equal(size, 2);
    assert_int_equal(status_get(&metrics, &size, bed.path, "/metrics", 5000), 0);
    assert_string_equal(metrics, "nodewall_up 1\n");
    bed_done(&bed);
}

static void any_user_reaches_tcp_so_less_is_told(void **state) {
    struct bed bed;
    char answer[1024];

    bed_listen(&bed);
    bed_ask(&bed, true, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
    assert_true(begins(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Length: 14\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nnodewall_up 1\n"));
    bed_ask(&bed, true, "GET /status HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
    assert_true(begins(answer, "HTTP/1.1 404 "));
    bed_ask(&bed, true, "GET /page HTTP/1.1\r\n\r\n", answer, sizeof(answer));
    assert_true(begins(answer, "HTTP/1.1 404 "));
    bed_ask(&bed, true, "GET /status?x=/metrics HTTP/1.1\r\n\r\n", answer, sizeof(answer));
    assert_true(begins(answer, "HTTP/1.1 404 "));
    bed_done(&bed);
}

static void get_and_head_and_nothing_else(void **state) {
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "GETX"};
    struct bed bed;
    char request[256], answer[1024];

    bed_listen(&bed);
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        snprintf(request, sizeof(request), "%s /status HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", methods[i]);
        bed_ask(&bed, false, request, answer, sizeof(answer));
        assert_true(begins(answer, "HTTP/1.1 405 "));
        assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
    }
    bed_ask(&bed, false, "HEAD /status HTTP/1.1\r\n\r\n", answer, sizeof(answer));
    assert_true(begins(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Length: 2\r\n"));
    assert_non_null(strstr(answer, "\r\nContent-Type: application/json\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    bed_ask(&bed, false, "GET / HTTP/1.1\r\n\r\n", answer, sizeof(answer));
    assert_true(begins(answer, "HTTP/1.1 404 "));
    bed_done(&bed);
}

static void an_error_is_a_500(void **state) {
    struct bed bed;
    char answer[512], *text = NULL;
    size_t size;

    bed_listen(&bed);
    bed.status_error = -ENOMEM;
    bed_ask(&bed, false, "GET /status HTTP/1.1\r\n\r\n", answer, sizeof(answer));
    assert_true(begins(answer, "HTTP/1.1 500 "));
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 5000), -EPROTO);
    assert_int_equal(status_get(&text, &size, bed.path, "/else", 5000), -ENXIO);
    assert_null(text);
    assert_int_equal(status_get(&text, &size, bed.path, "/page", 5000), 0);
    assert_string_equal(text, "/page");
    free(text);
    bed_done(&bed);
}

static void a_large_answer_comes_whole(void **state) {
    struct bed bed;
    CLEANUP(cleanup_free) char *text = NULL;
    size_t size;

    bed_listen(&bed);
    bed.status_size = 12 << 20;
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 20000), 0);
    assert_int_equal(size, 12 << 20);
    assert_true(text[0] == 's' && text[size - 1] == 's' && !text[size]);
    bed_done(&bed);
}

static void a_socket_left_behind_is_replaced(void **state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP(cleanup_free) char *text = NULL;
    struct bed bed;
    struct problem problem;
    size_t size;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bed_open(&bed);
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 1000), -ENOENT);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", bed.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd); /* what a killed engine leaves */
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 1000), -ECONNREFUSED);
    assert_int_equal(status_listen_unix(bed.status, bed.path, &problem), 0);
    assert_int_equal(status_listen_unix(bed.status, bed.path, &problem), -EALREADY);
    assert_int_equal(pthread_create(&bed.thread, NULL, bed_run, &bed), 0);
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 5000), 0);
    bed_done(&bed);
}

static void a_living_engine_is_not(void **state) {
    struct bed bed, second;
    CLEANUP(cleanup_free) char *text = NULL;
    struct problem problem;
    size_t size;

    bed_listen(&bed);
    bed_open(&second);
    assert_int_equal(status_listen_unix(second.status, bed.path, &problem), -EADDRINUSE);
    assert_non_null(strstr(problem.hint, "another engine"));
    assert_int_equal(status_listen_tcp(second.status, bed.address, &problem), -EADDRINUSE);
    assert_string_equal(problem.where, bed.address);
    bed_done(&second);
    /* The second one's end has not taken the first one's socket away. */
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 5000), 0);
    bed_done(&bed);
}

static void what_is_no_socket_is_left_alone(void **state) {
    char long_path[256];
    struct bed bed;
    struct problem problem;

    bed_open(&bed);
    assert_int_equal(file_write_atomic(bed.path, "mine", 4, 0640, false), 0);
    assert_int_equal(status_listen_unix(bed.status, bed.path, &problem), -EEXIST);
    assert_int_equal(access(bed.path, F_OK), 0);
    assert_int_equal(unlink(bed.path), 0);
    snprintf(long_path, sizeof(long_path), "%s/%0150d", bed.directory, 0);
    assert_int_equal(status_listen_unix(bed.status, long_path, &problem), -ENAMETOOLONG);
    snprintf(long_path, sizeof(long_path), "%s/none/status.sock", bed.directory);
    assert_int_equal(status_listen_unix(bed.status, long_path, &problem), -ENOENT);
    bed_done(&bed);
}

static void addresses_are_literal(void **state) {
    static const char *const bad[] = {"", ":", "9798", ":9798", "localhost:9798", "127.0.0.1", "127.0.0.1:", "::1:9798",
                                      "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999999999999999999",
                                      "127.0.0.1:9798x", "127.0.0.1: 9798", "[127.0.0.1]:9798", "[::1:9798", "[]:9798"};
    struct bed bed;
    struct problem problem;
    char address[32];

    bed_open(&bed);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        if (status_listen_tcp(bed.status, bad[i], &problem) != -EINVAL)
            fail_msg("taken for an address: %s", bad[i]);
    assert_true(status_listen_tcp(bed.status, "192.0.2.1:9798", &problem) < 0); /* nobody's address */
    assert_string_equal(problem.where, "192.0.2.1:9798");
    uv_run(&bed.loop, UV_RUN_NOWAIT); /* the failed listener's handle goes; then it may be tried again */
    snprintf(address, sizeof(address), "[::1]:%u", bed.port);
    if (access("/proc/net/if_inet6", F_OK) == 0)
        assert_int_equal(status_listen_tcp(bed.status, address, &problem), 0);
    bed_done(&bed);
}

RUN(cmocka_unit_test(told_on_the_socket), cmocka_unit_test(any_user_reaches_tcp_so_less_is_told),
    cmocka_unit_test(get_and_head_and_nothing_else), cmocka_unit_test(an_error_is_a_500),
    cmocka_unit_test(a_large_answer_comes_whole), cmocka_unit_test(a_socket_left_behind_is_replaced),
    cmocka_unit_test(a_living_engine_is_not), cmocka_unit_test(what_is_no_socket_is_left_alone),
    cmocka_unit_test(addresses_are_literal))
