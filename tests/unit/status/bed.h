/* SPDX-License-Identifier: Apache-2.0 */
/* A listener whose loop runs in a thread, so that a case may ask it with blocking calls, as its clients do. */
#pragma once

#include "nodewall/status.h"
#include "../unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct bed {
    char directory[64], path[96], address[32];
    uint16_t port;
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    struct status *status;
    size_t status_size;         /* of what the handler tells */
    int status_error;
    bool free_in_handler;
};

static inline int bed_status(void *userdata, char **ret, size_t *ret_size) {
    struct bed *bed = userdata;

    if (bed->free_in_handler)
        bed->status = status_free(bed->status);
    if (bed->status_error < 0)
        return bed->status_error;
    *ret = malloc(bed->status_size + 1);
    assert_non_null(*ret);
    memset(*ret, 's', bed->status_size);
    *ret_size = bed->status_size;
    return 0;
}

static inline int bed_metrics(void *userdata, char **ret, size_t *ret_size) {
    *ret = strdup("nodewall_up 1\n");
    *ret_size = strlen(*ret);
    return 0;
}

/* One page, which tells its own name. */
static inline int bed_page(void *userdata, const char *path, char **ret, size_t *ret_size) {
    if (strcmp(path, "/page"))
        return -ENOENT;
    *ret = strdup(path);
    *ret_size = strlen(*ret);
    return 0;
}

static inline void bed_on_stop(uv_async_t *async) {
    struct bed *bed = async->data;

    bed->status = status_free(bed->status);
    uv_close((uv_handle_t *)async, NULL);
}

static inline void *bed_run(void *data) {
    struct bed *bed = data;

    assert_int_equal(uv_run(&bed->loop, UV_RUN_DEFAULT), 0);
    return NULL;
}

/* A port that was free a moment ago. */
static inline uint16_t bed_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static inline void bed_open(struct bed *bed) {
    static const struct status_handler handler = {.status_json = bed_status, .metrics_text = bed_metrics, .page_json = bed_page};

    *bed = (struct bed){.status_size = 2};
    snprintf(bed->directory, sizeof(bed->directory), "/tmp/nodewall-status.XXXXXX");
    assert_non_null(mkdtemp(bed->directory));
    snprintf(bed->path, sizeof(bed->path), "%s/status.sock", bed->directory);
    bed->port = bed_free_port();
    snprintf(bed->address, sizeof(bed->address), "127.0.0.1:%u", bed->port);
    assert_int_equal(uv_loop_init(&bed->loop), 0);
    assert_int_equal(uv_async_init(&bed->loop, &bed->stop, bed_on_stop), 0);
    bed->stop.data = bed;
    assert_int_equal(status_new(&bed->status, &bed->loop, &handler, bed), 0);
}

static inline void bed_listen(struct bed *bed) {
    struct problem problem;

    bed_open(bed);
    if (status_listen_unix(bed->status, bed->path, &problem) < 0 ||
        status_listen_tcp(bed->status, bed->address, &problem) < 0)
        fail_msg("%s %s", problem.where, problem.what);
    assert_int_equal(pthread_create(&bed->thread, NULL, bed_run, bed), 0);
}

/* The loop ends by itself once all is freed: a handle that somebody forgot would hang here. */
static inline void bed_done(struct bed *bed) {
    if (bed->thread) {
        uv_async_send(&bed->stop);
        pthread_join(bed->thread, NULL);
    } else {
        bed_on_stop(&bed->stop);
        uv_run(&bed->loop, UV_RUN_DEFAULT);
    }
    assert_int_equal(uv_loop_close(&bed->loop), 0);
    assert_int_equal(access(bed->path, F_OK), -1);
    assert_int_equal(rmdir(bed->directory), 0);
}

static inline int bed_connect(const struct bed *bed, bool tcp) {
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(bed->port)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(local.sun_path, sizeof(local.sun_path), "%s", bed->path);
    assert_int_equal(tcp ? connect(fd, (struct sockaddr *)&inet, sizeof(inet))
                         : connect(fd, (struct sockaddr *)&local, sizeof(local)),
                     0);
    return fd;
}

static inline void bed_send(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

        assert_true(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

/* All until the other end closes; what fits in `size`. -1 as its length: reset. */
static inline ssize_t bed_receive(int fd, char *data, size_t size) {
    size_t n = 0;

    for (;;) {
        char rest[65536];
        ssize_t m = recv(fd, rest, sizeof(rest), 0);

        if (m <= 0) {
            data[MIN(n, size - 1)] = 0;
            return m < 0 ? -1 : (ssize_t)n;
        }
        for (ssize_t i = 0; i < m; i++, n++)
            if (n < size - 1)
                data[n] = rest[i];
    }
}

static inline void bed_ask(const struct bed *bed, bool tcp, const char *request, char *answer, size_t size) {
    int fd = bed_connect(bed, tcp);

    bed_send(fd, request, strlen(request));
    if (bed_receive(fd, answer, size) < 0)
        snprintf(answer, size, "(reset)");
    close(fd);
}
