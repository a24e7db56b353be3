/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client - asking a running engine over its unix socket.
 *
 * Blocking, for a command line has nothing else to do. What comes is checked for being whole: half of a JSON text would
 * be a riddle to whoever reads it.
 */
#include "nodewall/status.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ANSWER_MAX (64 * 1024 * 1024)   /* a status of thousands of minions has a few MiB */

struct buffer {
    char *data;
    size_t size, capacity;
};

static void buffer_done(struct buffer *buffer) {
    free(buffer->data);
}

static int wait_for(int fd, short events, msec deadline) {
    struct pollfd one = {.fd = fd, .events = events};

    for (;;) {
        msec left = deadline - clock_now();
        int n;

        if (left <= 0)
            return -ETIMEDOUT;
        n = poll(&one, 1, (int)MIN(left, (msec)INT32_MAX));
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static int connect_to(int *ret, const char *path, msec timeout) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000};
    CLEANUP(cleanup_close) int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A full backlog makes connect(2) wait, and only this limit bounds that. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    *ret = TAKE_FD(fd);
    return 0;
}

static int send_request(int fd, const char *page, msec deadline) {
    CLEANUP(cleanup_free) char *text = NULL;
    size_t size, sent = 0;
    int r;

    if (asprintf(&text, "GET %s HTTP/1.1\r\nHost: nodewall\r\nConnection: close\r\n\r\n", page) < 0) {
        text = NULL;
        return -ENOMEM;
    }
    size = strlen(text);
    while (sent < size) {
        ssize_t n = send(fd, text + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        r = wait_for(fd, POLLOUT, deadline);
        if (r < 0)
            return r;
    }
    return 0;
}

static int grow(struct buffer *buffer) {
    size_t capacity = buffer->capacity ? buffer->capacity * 2 : 16384;
    char *data;

    if (capacity > ANSWER_MAX)
        return -EFBIG;
    data = realloc(buffer->data, capacity);
    if (!data)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

static int receive(struct buffer *buffer, int fd, msec deadline) {
    int r;

    for (;;) {
        ssize_t n;

        if (buffer->size + 1 >= buffer->capacity) {
            r = grow(buffer);
            if (r < 0)
                return r;
        }
        r = wait_for(fd, POLLIN, deadline);
        if (r < 0)
            return r;
        n = recv(fd, buffer->data + buffer->size, buffer->capacity - buffer->size - 1, MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n > 0)
            buffer->size += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    buffer->data[buffer->size] = 0;
    return 0;
}

/* What our own listener writes: a 200 with a Content-Length that is true. */
static int check(const char **ret_body, size_t *ret_size, const char *data, size_t size) {
    static const char ok[] = "HTTP/1.1 200 ", missing[] = "HTTP/1.1 404 ", length[] = "\r\nContent-Length: ";
    const char *end = memmem(data, size, "\r\n\r\n", 4), *field;
    unsigned long long n;
    char *digits_end;

    if (end && !strncmp(data, missing, strlen(missing)))
        return -ENXIO;
    if (!end || strncmp(data, ok, strlen(ok)))
        return -EPROTO;
    field = memmem(data, (size_t)(end - data), length, strlen(length));
    if (!field || field[strlen(length)] < '0' || field[strlen(length)] > '9')
        return -EPROTO;
    n = strtoull(field + strlen(length), &digits_end, 10);
    if (*digits_end != '\r' || n != size - (size_t)(end + 4 - data))
        return -EPROTO;
    *ret_body = end + 4;
    *ret_size = (size_t)n;
    return 0;
}

int status_get(char **ret, size_t *ret_size, const char *socket_path, const char *page, msec timeout) {
    CLEANUP(buffer_done) struct buffer buffer = {0};
    CLEANUP(cleanup_close) int fd = -1;
    msec deadline = clock_now() + timeout;
    const char *body;
    size_t size;
    char *copy;
    int r = connect_to(&fd, socket_path, timeout);

    if (r < 0)
        return r;
    r = send_request(fd, page, deadline);
    if (r < 0)
        return r;
    r = receive(&buffer, fd, deadline);
    if (r < 0)
        return r;
    r = check(&body, &size, buffer.data, buffer.size);
    if (r < 0)
        return r;
    copy = malloc(size + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, body, size);
    copy[size] = 0;
    *ret = copy;
    *ret_size = size;
    return 0;
}
