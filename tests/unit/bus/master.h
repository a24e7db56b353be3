/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Master - a stand-in for Salt's event publisher on the test's own loop: what comes to the pulling socket goes to all
 * who listen.
 *
 * It is as unforgiving about framing as Salt is: in the wrong one it swallows everything of that connection.
 */
#pragma once

#include "nodewall/pack.h"
#include "stream.h"

#include <uv.h>

#define MASTER_PEERS 16

struct master_peer {
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } uv;
    struct master *master;
    struct stream in;           /* of a pusher */
    bool pushes, deaf;
    char buffer[65536];
};

struct master {
    uv_loop_t *loop;
    char dir[64];
    bool tcp;
    unsigned ports[2];          /* pub, pull */
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } listeners[2];
    struct master_peer *peers[MASTER_PEERS];
    enum bus_framing takes, gives;
    bool muffled;               /* events get lost: nothing is published */
    unsigned lose;              /* the next so many, but for probes, get lost */
    unsigned repeat;            /* each is published so many times more */
    unsigned pushers, taken, wrong;     /* connections seen; events taken; connections in the wrong framing */
    char last_tag[128];
};

void master_start(struct master *master, uv_loop_t *loop);      /* dir, tcp, takes, gives are set */
void master_stop(struct master *master);                        /* closes all; a unix socket's file stays */
void master_publish_raw(struct master *master, const void *bytes, size_t size);
void master_publish(struct master *master, const char *tag, const void *data, size_t size);
unsigned master_subscribers(const struct master *master);
