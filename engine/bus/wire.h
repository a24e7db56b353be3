/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wire - a ZeroMQ request socket, as the module (zmq_module.c) gives it to the program. Private to engine/bus.
 *
 * libzmq is in the module alone, so that whoever publishes on the master's own sockets does not load it.
 */
#pragma once

#include "nodewall/base.h"

#define WIRE_ABI 1
#define WIRE_SYMBOL "nodewall_wire"
#define WIRE_FDS 2

struct wire;

struct wire_ops {
    unsigned abi;                       /* WIRE_ABI */
    /* Begins to connect to tcp://address:port; `address` is literal, so that nothing is looked up here. */
    int (*open)(struct wire **ret, const char *address, unsigned port);
    void (*close)(struct wire *wire);   /* drops what is not sent */
    void (*fds)(const struct wire *wire, int ret[WIRE_FDS]);
    /* -EAGAIN: not connected yet. One request at a time. */
    int (*send)(struct wire *wire, const void *data, size_t size);
    /* What came; call it until it says 0 whenever an fd is readable and after each send. 1: a reply, which stays until
     * the next call. 2: it may be that send works now. -ECONNREFUSED: nobody takes the connection. -ECONNRESET: it was
     * lost, and with it the request under way. After an error only close. */
    int (*next)(struct wire *wire, const uint8_t **ret_data, size_t *ret_size);
};

/* Loads the module, once. -ENOENT with *problem when there is none, or another version's. */
int wire_load(const struct wire_ops **ret, struct problem *problem);
