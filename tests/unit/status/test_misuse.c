/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that are slow, silent, many, broken or gone, and servers that are for the blocking client. */
#include "bed.h"

#include <fcntl.h>

static void byte_by_byte(void **state) {
    static const char request[] = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
    struct bed bed;
    char answer[512];
    int fd;

    bed_listen(&bed);
    fd = bed_connect(&bed, false);
    for (size_t i = 0; i < strlen(request); i++) {
        bed_send(fd, request + i, 1);
        poll(NULL, 0, 1);
    }
    assert_true(bed_receive(fd, answer, sizeof(answer)) > 0);
    assert_non_null(strstr(answer, "\r\n\r\nss"));
    close(fd);
    bed_done(&bed);
}

/* `printf … | nc -N`: the client's end is shut before the answer is there. */
static void who_shuts_its_end_still_hears(void **state) {
    struct bed bed;
    char answer[512];

    bed_listen(&bed);
    bed.status_size = 4 << 20;
    for (int tcp = 0; tcp < 2; tcp++) {
        int fd = bed_connect(&bed, tcp);
        ssize_t n;

        bed_send(fd, tcp ? "GET /metrics HTTP/1.1\r\n\r\n" : "GET /status HTTP/1.1\r\n\r\n", tcp ? 25 : 24);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        n = bed_receive(fd, answer, sizeof(answer));
        assert_true(tcp ? n > 14 : n > 4 << 20);
        close(fd);
    }
    bed_done(&bed);
}

static void garbage_and_floods(void **state) {
    static char flood[1 << 20];
    struct bed bed;
    char answer[512];
    int fd;

    bed_listen(&bed);
    bed_ask(&bed, true, "\x16\x03\x01 hello\r\n\r\n", answer, sizeof(answer));
    assert_memory_equal(answer, "HTTP/1.1 400 ", 13);
    memset(flood, 'a', sizeof(flood));
    memcpy(flood, "GET / HTTP/1.1\r\nX: ", 19);
    fd = bed_connect(&bed, true);
    /* All of it is read away, so the answer arrives whole and no reset takes it. */
    bed_send(fd, flood, sizeof(flood));
    assert_true(bed_receive(fd, answer, sizeof(answer)) > 0);
    assert_memory_equal(answer, "HTTP/1.1 431 ", 13);
    close(fd);
    memset(flood, 'a', 5000);
    fd = bed_connect(&bed, true);
    bed_send(fd, flood, 5000);
    assert_true(bed_receive(fd, answer, sizeof(answer)) > 0);
    assert_memory_equal(answer, "HTTP/1.1 431 ", 13);
    close(fd);
    bed_done(&bed);
}

/* Whoever holds all places of TCP doesn't keep `nodewall status` waiting, and a place that is given back is used. */
static void tcp_cannot_take_all_places(void **state) {
    struct bed bed;
    CLEANUP(cleanup_free) char *text = NULL;
    int idle[STATUS_CONNECTIONS], waiting;
    struct pollfd one;
    char answer[512];
    size_t size;

    bed_listen(&bed);
    for (int i = 0; i < STATUS_CONNECTIONS; i++)
        idle[i] = bed_connect(&bed, true);
    waiting = bed_connect(&bed, true);
    bed_send(waiting, "GET /metrics HTTP/1.1\r\n\r\n", 25);
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 2000), 0);
    one = (struct pollfd){.fd = waiting, .events = POLLIN};
    assert_int_equal(poll(&one, 1, 100), 0); /* no place for it yet */
    for (int i = 0; i < STATUS_CONNECTIONS; i++)
        close(idle[i]);
    assert_int_equal(poll(&one, 1, 2000), 1);
    assert_true(bed_receive(waiting, answer, sizeof(answer)) > 0);
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    close(waiting);
    bed_done(&bed);
}

/* Two who do nothing: one doesn't ask, one doesn't read. */
static void patience_ends(void **state) {
    struct bed bed;
    char answer[512];
    msec begin = clock_now(), took;
    int silent, deaf, small = 4096;

    bed_listen(&bed);
    bed.status_size = 32 << 20;
    silent = bed_connect(&bed, true);
    deaf = bed_connect(&bed, false);
    assert_int_equal(setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    bed_send(deaf, "GET /status HTTP/1.1\r\n\r\n", 24);
    assert_int_equal(bed_receive(silent, answer, sizeof(answer)), 0);
    took = clock_now() - begin;
    assert_in_range(took, STATUS_TIMEOUT - 100, STATUS_TIMEOUT + 3000);
    poll(NULL, 0, 300);
    assert_true(bed_receive(deaf, answer, sizeof(answer)) < 32 << 20);
    close(silent);
    close(deaf);
    bed_done(&bed);
}

static void freed_with_clients_in_every_state(void **state) {
    struct bed bed;
    int fds[6];

    bed_listen(&bed);
    bed.status_size = 8 << 20;
    for (int i = 0; i < 6; i++)
        fds[i] = bed_connect(&bed, i & 1);
    bed_send(fds[2], "GET /sta", 8);
    bed_send(fds[4], "GET /status HTTP/1.1\r\n\r\n", 24); /* an answer that is never read */
    poll(NULL, 0, 50);
    bed_done(&bed);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
}

static void freed_by_the_handler(void **state) {
    struct bed bed;
    CLEANUP(cleanup_free) char *text = NULL;
    size_t size;

    bed_listen(&bed);
    bed.free_in_handler = true;
    assert_true(status_get(&text, &size, bed.path, "/status", 5000) < 0);
    bed_done(&bed);
}

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Requests with bytes changed, cut or repeated; the seed is fixed, so a failure comes again. */
static void mutated_requests(void **state) {
    static const char request[] = "GET /status HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";
    CLEANUP(cleanup_free) char *text = NULL;
    uint32_t seed = 4505;
    struct bed bed;
    size_t size;

    bed_listen(&bed);
    for (int i = 0; i < 300; i++) {
        char data[sizeof(request)], answer[256];
        size_t n = sizeof(request) - 1;
        int fd = bed_connect(&bed, i & 1);

        memcpy(data, request, sizeof(request));
        for (uint32_t j = next_random(&seed) % 4; j; j--)
            data[next_random(&seed) % n] = (char)next_random(&seed);
        if (next_random(&seed) % 4 == 0)
            n = next_random(&seed) % n;
        (void)send(fd, data, n, MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        (void)bed_receive(fd, answer, sizeof(answer));
        if (*answer)
            assert_memory_equal(answer, "HTTP/1.1 ", 9);
        close(fd);
    }
    assert_int_equal(status_get(&text, &size, bed.path, "/status", 5000), 0);
    bed_done(&bed);
}

struct server {
    int fd;
    const char *says;
};

static void *serve_once(void *data) {
    struct server *server = data;
    int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    char request[512];

    (void)!recv(fd, request, sizeof(request), 0);
    if (server->says)
        (void)!send(fd, server->says, strlen(server->says), MSG_NOSIGNAL);
    else
        poll(NULL, 0, 400); /* longer than the client's patience */
    close(fd);
    return NULL;
}

static void the_client_believes_only_what_is_whole(void **state) {
    static const struct {
        const char *says;
        int expect;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", -EPROTO},
        {"HTTP/1.1 200 OK\r\n\r\nContent-Length: 2\r\n\r\n{}", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Le", -EPROTO},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", -ENXIO},
        {"", -EPROTO},
        {NULL, -ETIMEDOUT},
    };
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/nodewall-client.XXXXXX";
    struct server server = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    assert_non_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", directory);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.fd, 4), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(cleanup_free) char *text = NULL;
        pthread_t thread;
        size_t size;

        server.says = cases[i].says;
        assert_int_equal(pthread_create(&thread, NULL, serve_once, &server), 0);
        assert_int_equal(status_get(&text, &size, address.sun_path, "/status", 200), cases[i].expect);
        pthread_join(thread, NULL);
        assert_true(cases[i].expect < 0 ? !text : !strcmp(text, "{}"));
    }
    close(server.fd);
    unlink(address.sun_path);
    rmdir(directory);
}

RUN(cmocka_unit_test(byte_by_byte), cmocka_unit_test(who_shuts_its_end_still_hears),
    cmocka_unit_test(garbage_and_floods), cmocka_unit_test(tcp_cannot_take_all_places), cmocka_unit_test(patience_ends),
    cmocka_unit_test(freed_with_clients_in_every_state), cmocka_unit_test(freed_by_the_handler),
    cmocka_unit_test(mutated_requests), cmocka_unit_test(the_client_believes_only_what_is_whole))
