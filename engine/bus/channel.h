/* SPDX-License-Identifier: Apache-2.0 */
/* Channel - one request socket to one master, on the loop. Private to engine/bus. */
#pragma once

#include "nodewall/minion.h"
#include "wire.h"

#include <uv.h>

struct channel;

/* Callbacks come from the loop, never from within a call of these functions, and none after channel_free. */
struct channel_handler {
    void (*on_reply)(void *userdata, const uint8_t *data, size_t size);
    void (*on_lost)(void *userdata, const char *why);       /* once; the channel is good for nothing but to be freed */
};

/* Looks the master up and begins to connect. */
int channel_new(struct channel **ret, uv_loop_t *loop, const struct wire_ops *ops, const struct minion_master *master,
                const struct channel_handler *handler, void *userdata);
/* Closes at once; the memory goes when the loop has run the closing callbacks. Returns NULL. */
struct channel *channel_free(struct channel *channel);

/* Takes `data` in any case. One at a time: not before the reply to the one before. It goes when connected. */
void channel_send(struct channel *channel, uint8_t *data, size_t size);
