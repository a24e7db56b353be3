/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZeroMQ module - the only file that knows libzmq; built as a shared module and loaded by wire.c on demand.
 *
 * A context of its own per socket: its threads live as long as the connection, and closing it leaves nothing behind.
 * The socket's monitor tells what REQ keeps to itself: that nobody answers the connection, or that it broke with a
 * request under way. Keeps: ZMQ_IMMEDIATE, so that nothing is queued for a master that is not there; replies are
 * bounded.
 * Does not: resolve names (closing would wait for that), block.
 */
#include "wire.h"

#include <string.h>
#include <zmq.h>

#define REPLY_MAX (256 * 1024)
#define MONITOR "inproc://monitor"

struct wire {
    void *context, *socket, *monitor;
    zmq_msg_t reply;
    bool has_reply;
    bool writable;          /* said so once; asked again after a send that could not */
};

extern const struct wire_ops nodewall_wire;

static void wire_close(struct wire *wire) {
    if (!wire)
        return;
    if (wire->has_reply)
        zmq_msg_close(&wire->reply);
    if (wire->socket)
        zmq_socket_monitor(wire->socket, NULL, 0);
    if (wire->monitor)
        zmq_close(wire->monitor);
    if (wire->socket)
        zmq_close(wire->socket);
    if (wire->context)
        while (zmq_ctx_term(wire->context) < 0 && errno == EINTR)
            ;
    free(wire);
}

static void cleanup_wire(struct wire **wire) {
    wire_close(*wire);
}

static int set_options(void *socket) {
    static const struct {
        int option, value;
    } options[] = {{ZMQ_LINGER, 0}, {ZMQ_IMMEDIATE, 1}, {ZMQ_IPV6, 1}, {ZMQ_TCP_KEEPALIVE, 1},
                   {ZMQ_TCP_KEEPALIVE_IDLE, 30}, {ZMQ_TCP_KEEPALIVE_INTVL, 10}, {ZMQ_TCP_KEEPALIVE_CNT, 3}};
    const int64_t most = REPLY_MAX;

    for (size_t i = 0; i < ARRAY_LENGTH(options); i++)
        if (zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof(options[i].value)) < 0)
            return -errno;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof(most)) < 0 ? -errno : 0;
}

static int wire_open(struct wire **ret, const char *address, unsigned port) {
    CLEANUP(cleanup_wire) struct wire *wire = calloc(1, sizeof(*wire));
    char endpoint[128];
    int r;

    if (!wire)
        return -ENOMEM;
    snprintf(endpoint, sizeof(endpoint), strchr(address, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u", address, port);
    wire->context = zmq_ctx_new();
    wire->socket = wire->context ? zmq_socket(wire->context, ZMQ_REQ) : NULL;
    wire->monitor = wire->socket ? zmq_socket(wire->context, ZMQ_PAIR) : NULL;
    if (!wire->monitor)
        return errno ? -errno : -ENOMEM;
    r = set_options(wire->socket);
    if (r < 0)
        return r;
    if (zmq_socket_monitor(wire->socket, MONITOR, ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED) < 0 ||
        zmq_connect(wire->monitor, MONITOR) < 0 || zmq_connect(wire->socket, endpoint) < 0)
        return -errno;
    *ret = TAKE_PTR(wire);
    return 0;
}

static void wire_fds(const struct wire *wire, int ret[WIRE_FDS]) {
    void *const sockets[WIRE_FDS] = {wire->socket, wire->monitor};

    for (size_t i = 0; i < WIRE_FDS; i++) {
        size_t size = sizeof(ret[i]);

        if (zmq_getsockopt(sockets[i], ZMQ_FD, &ret[i], &size) < 0)
            ret[i] = -1;
    }
}

static int wire_send(struct wire *wire, const void *data, size_t size) {
    if (zmq_send(wire->socket, data, size, ZMQ_DONTWAIT) >= 0)
        return 0;
    if (errno == EAGAIN)
        wire->writable = false;
    return -errno;
}

/* What the monitor has to say: 0, or the error that it is. */
static int look_at_monitor(struct wire *wire) {
    for (;;) {
        uint8_t event[6];
        uint16_t what;
        char address[128];

        if (zmq_recv(wire->monitor, event, sizeof(event), ZMQ_DONTWAIT) < (int)sizeof(event))
            return 0;
        (void)zmq_recv(wire->monitor, address, sizeof(address), ZMQ_DONTWAIT); /* the second part, always there */
        memcpy(&what, event, sizeof(what));
        if (what == ZMQ_EVENT_DISCONNECTED)
            return -ECONNRESET;
        if (what == ZMQ_EVENT_CONNECT_RETRIED)
            return -ECONNREFUSED;
    }
}

static int wire_next(struct wire *wire, const uint8_t **ret_data, size_t *ret_size) {
    int events = 0, r;
    size_t size = sizeof(events);

    if (wire->has_reply)
        zmq_msg_close(&wire->reply);
    wire->has_reply = false;
    /* The fd of a ZeroMQ socket tells that something happened, and only asking this way makes it tell the next. */
    if (zmq_getsockopt(wire->socket, ZMQ_EVENTS, &events, &size) < 0)
        return -errno;
    if (events & ZMQ_POLLIN) {
        zmq_msg_init(&wire->reply);
        if (zmq_msg_recv(&wire->reply, wire->socket, ZMQ_DONTWAIT) >= 0) {
            wire->has_reply = true;
            *ret_data = zmq_msg_data(&wire->reply);
            *ret_size = zmq_msg_size(&wire->reply);
            return 1;
        }
        zmq_msg_close(&wire->reply);
    }
    r = look_at_monitor(wire);
    if (r < 0)
        return r;
    if ((events & ZMQ_POLLOUT) && !wire->writable) {
        wire->writable = true;
        return 2;
    }
    return 0;
}

const struct wire_ops nodewall_wire = {
    .abi = WIRE_ABI,
    .open = wire_open,
    .close = wire_close,
    .fds = wire_fds,
    .send = wire_send,
    .next = wire_next,
};
