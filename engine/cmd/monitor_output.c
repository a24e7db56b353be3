/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor output - one descriptor and the queue before it.
 *
 * A terminal that is stopped, a pager that waits for a key: none of them may stop the reading of the bus, for a reader
 * that stops starves the others there. So nothing here blocks. O_NONBLOCK on the descriptor that we were given would be
 * a change for everybody who shares it, the shell first; so a pipe or a terminal is opened once more by its name in
 * /proc, which is ours alone. Where that is not allowed (a terminal of another user), small writes when poll() says that
 * there is room, looked at by a timer, because libuv's poll would set O_NONBLOCK itself. A file is just written.
 * Does not: know what a line says. Owns: its queue, its own opening of the descriptor, and the handles.
 */
#include "cmd/monitor_output.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SMALL_PIPE 4096     /* PIPE_BUF: what a pipe takes whole when poll() says that there is room */
#define SMALL_TERMINAL 256
#define LOOK_AGAIN 20

struct output {
    union {
        uv_handle_t handle;
        uv_poll_t poll;
        uv_timer_t timer;
    } uv;
    int fd;
    bool own;               /* opened by us, not blocking, watched by uv.poll; else uv.timer */
    bool socket, plain;     /* plain: a file, always written */
    size_t small;           /* 0: any size */
    bool waiting, closed, freed;
    struct queue *queue;
    struct output_handler handler;
    void *userdata;
};

static void close_output(struct output *output, int error) {
    if (output->closed)
        return;
    output->closed = true;
    if (output->own)
        uv_poll_stop(&output->uv.poll);
    else
        uv_timer_stop(&output->uv.timer);
    if (output->handler.on_closed)
        output->handler.on_closed(output->userdata, error == -EPIPE || error == -ECONNRESET ? 0 : error);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct output *output = poll->data;

    if (status < 0 || events & UV_DISCONNECT)
        close_output(output, -EPIPE);
    else
        output_flush(output);
}

static void on_timer(uv_timer_t *timer) {
    output_flush(timer->data);
}

/* Told when there is room, and in any case when the reader is gone. */
static void watch(struct output *output, bool waiting) {
    if (output->own && waiting != output->waiting)
        uv_poll_start(&output->uv.poll, UV_DISCONNECT | (waiting ? UV_WRITABLE : 0), on_poll);
    else if (!output->own && waiting)
        uv_timer_start(&output->uv.timer, on_timer, LOOK_AGAIN, 0);
    output->waiting = waiting;
}

static void classify(struct output *output, int fd) {
    struct stat status = {0};
    char path[40];

    output->fd = fd;
    if (fstat(fd, &status) < 0 || S_ISREG(status.st_mode) || (S_ISCHR(status.st_mode) && !isatty(fd))) {
        output->plain = true;
        return;
    }
    output->socket = S_ISSOCK(status.st_mode);
    if (output->socket)
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    output->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    output->own = output->fd >= 0;
    if (!output->own) {
        output->fd = fd;
        output->small = S_ISCHR(status.st_mode) ? SMALL_TERMINAL : SMALL_PIPE;
    }
}

int output_new(struct output **ret, uv_loop_t *loop, int fd, size_t limit, const struct output_handler *handler,
               void *userdata) {
    struct output *output = calloc(1, sizeof(*output));
    int r = output ? queue_new(&output->queue, limit) : -ENOMEM;

    if (r < 0) {
        free(output);
        return r;
    }
    output->handler = *handler;
    output->userdata = userdata;
    classify(output, fd);
    if (output->own) {
        r = uv_poll_init(loop, &output->uv.poll, output->fd);
        if (r == 0)
            r = uv_poll_start(&output->uv.poll, UV_DISCONNECT, on_poll);
    } else {
        r = uv_timer_init(loop, &output->uv.timer);
    }
    if (r < 0) {
        if (output->own)
            close(output->fd);
        queue_free(output->queue);
        free(output);
        return r;
    }
    output->uv.handle.data = output;
    uv_unref(&output->uv.handle);
    *ret = output;
    return 0;
}

static void on_freed(uv_handle_t *handle) {
    struct output *output = handle->data;

    if (output->own)
        close(output->fd);
    queue_free(output->queue);
    free(output);
}

struct output *output_free(struct output *output) {
    if (output && !output->freed) {
        output->freed = true;
        output->closed = true;
        uv_close(&output->uv.handle, on_freed);
    }
    return NULL;
}

/* As many bytes as go without waiting; -EAGAIN: none. */
static ssize_t write_some(const struct output *output, const char *data, size_t size) {
    struct pollfd room = {.fd = output->fd, .events = POLLOUT};
    ssize_t n;

    if (output->socket) {
        n = send(output->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
    }
    if (output->small) {
        if (poll(&room, 1, 0) < 0 || !room.revents)
            return -EAGAIN;
        size = MIN(size, output->small);
    }
    n = write(output->fd, data, size);
    return n < 0 ? -errno : n;
}

static void put_gap(struct output *output, uint64_t lost) {
    CLEANUP(line_done) struct line line = {0};

    if (output->handler.on_gap)
        output->handler.on_gap(output->userdata, &line, lost);
    queue_push_front(output->queue, line.data, line.size, lost);
}

void output_flush(struct output *output) {
    while (!output->closed) {
        const char *data;
        uint64_t lost;
        size_t size = queue_peek(output->queue, &data, &lost);
        ssize_t n;

        if (lost) {
            put_gap(output, lost);
            continue;
        }
        if (size == 0) {
            watch(output, false);
            return;
        }
        n = write_some(output, data, size);
        if (n == -EAGAIN) {
            watch(output, true);
            return;
        }
        if (n < 0 && n != -EINTR)
            close_output(output, (int)n);
        else if (n > 0)
            queue_pass(output->queue, (size_t)n);
    }
}

void output_push(struct output *output, const struct line *line, unsigned weight) {
    if (!output->closed)
        queue_push(output->queue, line->data, line->size, weight);
}

bool output_drain(struct output *output, msec patience) {
    const msec end = patience == MSEC_NEVER ? MSEC_NEVER : clock_now() + patience;
    msec now;

    for (;;) {
        struct pollfd room = {.fd = output->fd, .events = POLLOUT};

        output_flush(output);
        if (output->closed || queue_size(output->queue) == 0)
            return true;
        now = clock_now();
        if (now >= end)
            return false;
        poll(&room, 1, (int)MIN(end - now, LOOK_AGAIN * 5));
    }
}

uint64_t output_dropped(const struct output *output) {
    return queue_dropped(output->queue);
}

size_t output_waiting(const struct output *output) {
    return queue_size(output->queue);
}
