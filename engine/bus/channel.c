/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channel - a wire on libuv: look the name up, open, send, hear the reply or the end.
 *
 * Names are looked up by libuv's worker and not by libzmq, whose closing would wait for a slow resolver.
 * Keeps: after each event on an fd the wire is asked until it has no more to say, for its fds tell only of news; no
 * on_lost or on_reply inside channel_new or channel_send. Does not: time out, try again, know what is sent.
 * Owns: the wire, its polls, a request that waits for the connection; freed by the loop after channel_free.
 */
#include "channel.h"

#include <netdb.h>
#include <string.h>

struct channel {
    uv_loop_t *loop;
    uv_getaddrinfo_t lookup;
    uv_poll_t polls[WIRE_FDS];
    uv_timer_t soon;            /* looks at the wire in the next turn of the loop */
    const struct wire_ops *ops;
    struct wire *wire;
    struct minion_master master;
    struct channel_handler handler;
    void *userdata;
    uint8_t *request;
    size_t size;
    size_t n_alive;             /* handles and lookups that the loop still has */
    bool looking, lost, freed;
};

static void let_go(struct channel *channel) {
    if (--channel->n_alive > 0)
        return;
    if (channel->wire)
        channel->ops->close(channel->wire);
    free(channel->request);
    free(channel);
}

static void on_closed(uv_handle_t *handle) {
    let_go(handle->data);
}

static void lose(struct channel *channel, const char *why) {
    if (channel->lost || channel->freed)
        return;
    channel->lost = true;
    for (size_t i = 0; i < WIRE_FDS; i++)
        if (channel->polls[i].data)
            uv_poll_stop(&channel->polls[i]); /* nobody reads any more, so they would wake us for ever */
    channel->handler.on_lost(channel->userdata, why);
}

static void try_send(struct channel *channel) {
    int r;

    if (!channel->request || !channel->wire)
        return;
    r = channel->ops->send(channel->wire, channel->request, channel->size);
    if (r == -EAGAIN)
        return;
    free(TAKE_PTR(channel->request));
    if (r < 0)
        lose(channel, strerror(-r));
}

/* What is called here may free the channel, whose memory stays until the loop has closed its handles. */
static void look(struct channel *channel) {
    while (!channel->freed && !channel->lost) {
        const uint8_t *data;
        size_t size;
        int r = channel->ops->next(channel->wire, &data, &size);

        if (r == 1)
            channel->handler.on_reply(channel->userdata, data, size);
        else if (r == 2)
            try_send(channel);
        else if (r < 0)
            lose(channel, r == -ECONNREFUSED ? "nobody takes the connection"
                          : r == -ECONNRESET ? "the connection is lost"
                                             : strerror(-r));
        else
            return;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    look(poll->data);
}

static void on_soon(uv_timer_t *timer) {
    struct channel *channel = timer->data;

    if (channel->freed || channel->lost || !channel->wire)
        return;
    try_send(channel);
    look(channel);
}

static int start_wire(struct channel *channel, const struct sockaddr *address) {
    char text[64];
    socklen_t size = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fds[WIRE_FDS], r;

    if (getnameinfo(address, size, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
        return -EINVAL;
    r = channel->ops->open(&channel->wire, text, channel->master.port);
    if (r < 0)
        return r;
    channel->ops->fds(channel->wire, fds);
    for (size_t i = 0; i < WIRE_FDS; i++) {
        r = uv_poll_init(channel->loop, &channel->polls[i], fds[i]);
        if (r < 0)
            return r;
        channel->polls[i].data = channel;
        channel->n_alive++;
        uv_poll_start(&channel->polls[i], UV_READABLE, on_poll);
    }
    uv_timer_start(&channel->soon, on_soon, 0, 0);
    return 0;
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found) {
    struct channel *channel = lookup->data;
    int r = status;

    channel->looking = false;
    if (!channel->freed) {
        if (r == 0)
            r = start_wire(channel, found->ai_addr);
        if (r < 0)
            lose(channel, uv_strerror(r));
    }
    uv_freeaddrinfo(found);
    let_go(channel);
}

int channel_new(struct channel **ret, uv_loop_t *loop, const struct wire_ops *ops, const struct minion_master *master,
                const struct channel_handler *handler, void *userdata) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct channel *channel = calloc(1, sizeof(*channel));
    int r;

    if (!channel)
        return -ENOMEM;
    *channel = (struct channel){.loop = loop, .ops = ops, .master = *master, .handler = *handler, .userdata = userdata,
                                .n_alive = 2, .looking = true};
    channel->lookup.data = channel;
    r = uv_getaddrinfo(loop, &channel->lookup, on_looked_up, master->host, NULL, &hints);
    if (r < 0) {
        free(channel);
        return r;
    }
    uv_timer_init(loop, &channel->soon);
    channel->soon.data = channel;
    *ret = channel;
    return 0;
}

struct channel *channel_free(struct channel *channel) {
    if (!channel)
        return NULL;
    channel->freed = true;
    if (channel->looking)
        uv_cancel((uv_req_t *)&channel->lookup);
    for (size_t i = 0; i < WIRE_FDS; i++)
        if (channel->polls[i].data)
            uv_close((uv_handle_t *)&channel->polls[i], on_closed);
    uv_close((uv_handle_t *)&channel->soon, on_closed);
    return NULL;
}

void channel_send(struct channel *channel, uint8_t *data, size_t size) {
    free(channel->request);
    channel->request = data;
    channel->size = size;
    if (channel->wire && !channel->lost)
        uv_timer_start(&channel->soon, on_soon, 0, 0);
}
