/* SPDX-License-Identifier: Apache-2.0 */
/* Stream - Salt's frames, out of what a subscription carries and around what is sent. Private to engine/bus. */
#pragma once

#include "nodewall/bus.h"
#include "nodewall/pack.h"

#define STREAM_FRAME_MAX (UNPACK_MAX + 64)  /* a body with its head and map */

/* Start with {.framing = …}; AUTO becomes what the first byte says. */
struct stream {
    enum bus_framing framing;
    const uint8_t *in;          /* what stream_feed was given, borrowed until it is used up */
    size_t n_in;
    uint8_t *buffer;            /* the begin of a frame whose end is still to come */
    size_t size, capacity;
    bool used;                  /* the buffer's frame was handed out */
    uint8_t length[4];          /* len32: the part of a length that came */
    size_t n_length;
    uint64_t left;              /* len32: bytes of the frame still to come */
    struct unpack_skip object;  /* bare: how far the object at hand went */
    bool too_long;              /* the frame at hand is passed over */
    uint64_t malformed, oversized;
};
void stream_done(struct stream *stream);

/* `data` must stay until stream_next has returned 0. */
void stream_feed(struct stream *stream, const uint8_t *data, size_t size);
/* 1 and an event, which stays until the next call; 0: all is read; -EBADMSG: nothing can be made of this stream any
 * more; -ENOMEM. */
int stream_next(struct stream *stream, struct bus_message *ret);

/* A body as the pulling socket wants it. */
int frame_make(uint8_t **ret, size_t *ret_size, enum bus_framing framing, const uint8_t *body, size_t size);
