/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection - one client of the status listener.
 *
 *   accepted ──head──▶ answered ──written──▶ our end shut ──client's end──▶ closed
 *       └───────────────── timer, error, connection_close ─────────────────▶ closed
 *
 * Our end is shut first and the rest of what the client says is read away: closing with unread bytes in the kernel
 * would reset the connection and could take the answer with it.
 *
 * Keeps: whatever a client does, it is gone after STATUS_TIMEOUT and holds a few KiB until then.
 * Does not: know what is asked for; see status.c. No keep-alive: one request, one answer.
 * Owns: its two handles and the answer's body.
 */
#include "connection.h"

#include <string.h>

static void handle_closed(uv_handle_t *handle) {
    struct connection *connection = handle->data;

    if (--connection->n_handles > 0)
        return;
    if (connection->owner)
        connection->owner->closed(connection->userdata, connection);
    free(connection->body);
    free(connection);
}

void connection_close(struct connection *connection) {
    if (uv_is_closing(&connection->io.handle))
        return;
    uv_close(&connection->io.handle, handle_closed);
    uv_close((uv_handle_t *)&connection->timer, handle_closed);
}

static void on_timeout(uv_timer_t *timer) {
    connection_close(timer->data);
}

static void on_shutdown(uv_shutdown_t *request, int status) {
    struct connection *connection = request->data;

    connection->sent = true;
    if (status < 0 || connection->client_done)
        connection_close(connection);
}

static void on_written(uv_write_t *request, int status) {
    struct connection *connection = request->data;

    if (status < 0 || uv_shutdown(&connection->shutdown, &connection->io.stream, on_shutdown) < 0)
        connection_close(connection);
}

static const char *reason(int code) {
    switch (code) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Internal Server Error";
    }
}

/* `with_body`: HEAD gets the length of a body that it does not get. */
static void answer(struct connection *connection, const struct answer *what, bool with_body) {
    uv_buf_t buffers[2];
    int n;

    connection->answered = true;
    connection->body = what->body;
    n = snprintf(connection->top, sizeof(connection->top),
                 "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                 "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                 what->code, reason(what->code), what->type ? what->type : "text/plain", what->size,
                 what->code == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof(connection->top) || what->size > UINT32_MAX) {
        connection_close(connection);
        return;
    }
    buffers[0] = uv_buf_init(connection->top, (unsigned)n);
    buffers[1] = uv_buf_init(connection->body, (unsigned)what->size);
    connection->write.data = connection->shutdown.data = connection;
    if (uv_write(&connection->write, &connection->io.stream, buffers, with_body && what->size ? 2 : 1, on_written) < 0)
        connection_close(connection);
}

static void consider(struct connection *connection) {
    struct answer what = {0};
    struct request request = {0};

    switch (request_parse(&request, connection->head, connection->n_head)) {
    case REQUEST_WHOLE:
        connection->owner->answer(connection->userdata, &request, &what);
        if (uv_is_closing(&connection->io.handle)) { /* whoever was asked has ended it all */
            free(what.body);
            return;
        }
        break;
    case REQUEST_PARTIAL:
        if (connection->n_head < sizeof(connection->head))
            return;
        what.code = 431;
        break;
    case REQUEST_BAD:
        what.code = 400;
        break;
    }
    answer(connection, &what, !request.is_head);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret) {
    struct connection *connection = handle->data;

    if (connection->answered)
        connection->n_head = 0; /* read away */
    *ret = uv_buf_init(connection->head + connection->n_head,
                       (unsigned)(sizeof(connection->head) - connection->n_head));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    struct connection *connection = stream->data;

    if (n == UV_EOF && connection->answered && !connection->sent) {
        connection->client_done = true; /* a client that shuts its end after asking still gets its answer */
    } else if (n < 0) {
        connection_close(connection);
    } else if (!connection->answered && n > 0) {
        connection->n_head += (size_t)n;
        consider(connection);
    }
}

static int start(struct connection *connection, union status_stream *server) {
    int r = uv_accept(&server->stream, &connection->io.stream);

    if (r < 0)
        return r;
    r = uv_read_start(&connection->io.stream, on_alloc, on_read);
    return r < 0 ? r : uv_timer_start(&connection->timer, on_timeout, STATUS_TIMEOUT, 0);
}

int connection_accept(struct connection **ret, union status_stream *server, const struct connection_owner *owner,
                      void *userdata) {
    uv_loop_t *loop = server->handle.loop;
    struct connection *connection = calloc(1, sizeof(*connection));
    int r;

    if (!connection)
        return -ENOMEM;
    r = server->handle.type == UV_TCP ? uv_tcp_init(loop, &connection->io.tcp)
                                      : uv_pipe_init(loop, &connection->io.pipe, 0);
    if (r < 0) {
        free(connection);
        return r;
    }
    (void)uv_timer_init(loop, &connection->timer); /* cannot fail */
    connection->io.handle.data = connection->timer.data = connection;
    connection->n_handles = 2;
    r = start(connection, server);
    if (r < 0) {
        connection_close(connection); /* without an owner, so nobody is told */
        return r;
    }
    connection->owner = owner;
    connection->userdata = userdata;
    *ret = connection;
    return 0;
}
