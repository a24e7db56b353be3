/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link - a libuv stream with an end: connecting, open, lost.
 *
 * Reads always, on the pushing side too, where Salt never says anything: an end of file is the only word of a master
 * that stops. Never half-closes: Salt's publisher drops whoever does.
 * Keeps: one on_lost, then silence. Does not: reconnect, frame, bound its queue (the bus looks at link_queued).
 * Owns: the handle and the writes under way; freed by the loop after link_free.
 */
#include "link.h"

#include <string.h>
#include <sys/un.h>

#define READ_SIZE 65536

struct link {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } uv;
    uv_connect_t connect;
    struct link_handler handler;
    void *userdata;
    bool open, lost, freed;
    char buffer[READ_SIZE];
};

struct write {
    uv_write_t request;
    uint8_t *data;
};

static void lose(struct link *link, int error) {
    if (link->lost || link->freed)
        return;
    link->lost = true;
    link->open = false;
    link->handler.on_lost(link->userdata, link, error == UV_EOF ? 0 : error);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret) {
    struct link *link = handle->data;

    *ret = uv_buf_init(link->buffer, sizeof(link->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    struct link *link = stream->data;

    if (n < 0)
        lose(link, (int)n);
    else if (n > 0 && !link->lost && !link->freed)
        link->handler.on_data(link->userdata, link, (const uint8_t *)buffer->base, (size_t)n);
}

static void on_connected(uv_connect_t *request, int status) {
    struct link *link = request->data;
    int r = status;

    if (link->freed)
        return;
    if (r == 0)
        r = uv_read_start(&link->uv.stream, on_allocate, on_read);
    if (r < 0) {
        lose(link, r);
        return;
    }
    link->open = true;
    link->handler.on_open(link->userdata, link);
}

static int connect_tcp(struct link *link, unsigned port, bool ipv6) {
    struct sockaddr_storage address = {0};
    int r = ipv6 ? uv_ip6_addr("::1", (int)port, (struct sockaddr_in6 *)&address)
                 : uv_ip4_addr("127.0.0.1", (int)port, (struct sockaddr_in *)&address);

    if (r < 0)
        return r;
    uv_tcp_nodelay(&link->uv.tcp, 1);
    return uv_tcp_connect(&link->connect, &link->uv.tcp, (const struct sockaddr *)&address, on_connected);
}

int link_new(struct link **ret, uv_loop_t *loop, const char *path, unsigned port, bool ipv6,
             const struct link_handler *handler, void *userdata) {
    struct link *link;
    int r;

    /* libuv would cut it, and connect to somebody else. */
    if (path && strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return -ENAMETOOLONG;
    link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    r = path ? uv_pipe_init(loop, &link->uv.pipe, 0) : uv_tcp_init(loop, &link->uv.tcp);
    if (r < 0) {
        free(link);
        return r;
    }
    link->handler = *handler;
    link->userdata = userdata;
    link->uv.handle.data = link;
    link->connect.data = link;
    if (path) {
        uv_pipe_connect(&link->connect, &link->uv.pipe, path, on_connected);
    } else {
        r = connect_tcp(link, port, ipv6);
        if (r < 0) {
            link_free(link);
            return r;
        }
    }
    *ret = link;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

struct link *link_free(struct link *link) {
    if (link) {
        link->freed = true;
        link->open = false;
        uv_close(&link->uv.handle, on_closed);
    }
    return NULL;
}

bool link_is_open(const struct link *link) {
    return link && link->open;
}

static void on_write_done(uv_write_t *request, int status) {
    struct write *write = request->data;
    struct link *link = request->handle->data;

    free(write->data);
    free(write);
    if (link->freed || link->lost)
        return;
    if (status < 0)
        lose(link, status);
    else
        link->handler.on_written(link->userdata, link);
}

void link_write(struct link *link, uint8_t *data, size_t size) {
    struct write *write = link->open ? calloc(1, sizeof(*write)) : NULL;
    uv_buf_t buffer = uv_buf_init((char *)data, (unsigned)size);

    if (!write) { /* the outbox has it still, and sends it again */
        free(data);
        return;
    }
    write->data = data;
    write->request.data = write;
    /* An error here is the same as one that comes later: on_read will see the end of a connection that is broken. */
    if (uv_write(&write->request, &link->uv.stream, &buffer, 1, on_write_done) < 0) {
        free(write->data);
        free(write);
    }
}

size_t link_queued(const struct link *link) {
    return uv_stream_get_write_queue_size(&link->uv.stream);
}
