/* SPDX-License-Identifier: Apache-2.0 */
#include "master.h"
#include "../unit.h"
#include "probe.h"

static void on_closed(uv_handle_t *handle) {
    struct master_peer *peer = handle->data;

    stream_done(&peer->in);
    free(peer);
}

static void peer_close(struct master_peer *peer) {
    for (size_t i = 0; i < MASTER_PEERS; i++)
        if (peer->master->peers[i] == peer)
            peer->master->peers[i] = NULL;
    uv_close((uv_handle_t *)&peer->uv.stream, on_closed);
}

static void on_written(uv_write_t *request, int status) {
    free(request->data);
    free(request);
}

void master_publish_raw(struct master *master, const void *bytes, size_t size) {
    for (size_t i = 0; i < MASTER_PEERS; i++) {
        struct master_peer *peer = master->peers[i];
        uv_write_t *request;
        uv_buf_t buffer;

        if (!peer || peer->pushes)
            continue;
        request = calloc(1, sizeof(*request));
        request->data = malloc(size);
        memcpy(request->data, bytes, size);
        buffer = uv_buf_init(request->data, (unsigned)size);
        assert_int_equal(uv_write(request, &peer->uv.stream, &buffer, 1, on_written), 0);
    }
}

static void publish_body(struct master *master, const uint8_t *body, size_t size) {
    CLEANUP(cleanup_free) uint8_t *frame = NULL;
    size_t frame_size;

    assert_int_equal(frame_make(&frame, &frame_size, master->gives, body, size), 0);
    master_publish_raw(master, frame, frame_size);
}

void master_publish(struct master *master, const char *tag, const void *data, size_t size) {
    size_t n = strlen(tag);
    CLEANUP(cleanup_free) uint8_t *body = malloc(n + 2 + size);

    memcpy(body, tag, n);
    memcpy(body + n, "\n\n", 2);
    memcpy(body + n + 2, data, size);
    publish_body(master, body, n + 2 + size);
}

static void take(struct master *master, const struct bus_message *message) {
    const uint8_t *body = (const uint8_t *)message->tag;
    bool probe = message->tag_size == strlen(PROBE_TAG) && !memcmp(message->tag, PROBE_TAG, message->tag_size);

    if (!probe) {
        snprintf(master->last_tag, sizeof(master->last_tag), "%.*s", (int)message->tag_size, message->tag);
        master->taken++;
    }
    if (!probe && master->lose) {
        master->lose--;
        return;
    }
    for (unsigned i = 0; i <= master->repeat && !master->muffled; i++)
        publish_body(master, body, message->tag_size + 2 + message->data_size);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret) {
    struct master_peer *peer = handle->data;

    *ret = uv_buf_init(peer->buffer, sizeof(peer->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    struct master_peer *peer = stream->data;
    struct bus_message message;
    bool first = peer->in.framing == BUS_FRAMING_AUTO;

    if (n < 0) {
        peer_close(peer);
        return;
    }
    if (n == 0 || !peer->pushes || peer->deaf)
        return;
    if (first && (buffer->base[0] == 0) != (peer->master->takes == BUS_FRAMING_LEN32)) {
        peer->deaf = true;
        peer->master->wrong++;
        return;
    }
    peer->in.framing = peer->master->takes;
    stream_feed(&peer->in, (const uint8_t *)buffer->base, (size_t)n);
    while (stream_next(&peer->in, &message) > 0)
        take(peer->master, &message);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct master *master = listener->data;
    struct master_peer *peer = calloc(1, sizeof(*peer));
    size_t i = 0;

    assert_int_equal(status, 0);
    while (i < MASTER_PEERS && master->peers[i])
        i++;
    assert_true(i < MASTER_PEERS);
    master->peers[i] = peer;
    peer->master = master;
    peer->pushes = listener == &master->listeners[1].stream;
    master->pushers += peer->pushes;
    if (master->tcp)
        uv_tcp_init(master->loop, &peer->uv.tcp);
    else
        uv_pipe_init(master->loop, &peer->uv.pipe, 0);
    peer->uv.stream.data = peer;
    assert_int_equal(uv_accept(listener, &peer->uv.stream), 0);
    assert_int_equal(uv_read_start(&peer->uv.stream, on_allocate, on_read), 0);
}

static void listen_tcp(struct master *master, int i) {
    struct sockaddr_in address;
    int size = sizeof(address);

    uv_ip4_addr("127.0.0.1", (int)master->ports[i], &address);
    uv_tcp_init(master->loop, &master->listeners[i].tcp);
    assert_int_equal(uv_tcp_bind(&master->listeners[i].tcp, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_tcp_getsockname(&master->listeners[i].tcp, (struct sockaddr *)&address, &size), 0);
    master->ports[i] = ntohs(address.sin_port);
}

void master_start(struct master *master, uv_loop_t *loop) {
    static const char *const names[] = {"pub", "pull"};
    char path[128];

    master->loop = loop;
    for (int i = 0; i < 2; i++) {
        if (master->tcp) {
            listen_tcp(master, i);
        } else {
            snprintf(path, sizeof(path), "%s/master_event_%s.ipc", master->dir, names[i]);
            unlink(path);
            uv_pipe_init(loop, &master->listeners[i].pipe, 0);
            assert_int_equal(uv_pipe_bind(&master->listeners[i].pipe, path), 0);
        }
        master->listeners[i].stream.data = master;
        assert_int_equal(uv_listen(&master->listeners[i].stream, 16, on_connection), 0);
    }
}

void master_stop(struct master *master) {
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&master->listeners[i].stream, NULL);
    for (size_t i = 0; i < MASTER_PEERS; i++)
        if (master->peers[i])
            peer_close(master->peers[i]);
}

unsigned master_subscribers(const struct master *master) {
    unsigned n = 0;

    for (size_t i = 0; i < MASTER_PEERS; i++)
        n += master->peers[i] && !master->peers[i]->pushes;
    return n;
}
