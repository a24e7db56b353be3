/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection - one client of the status listener: its request, our answer, the end.
 */
#pragma once

#include "nodewall/status.h"
#include "request.h"

struct answer {
    int code;
    const char *type;               /* of the content */
    char *body;                     /* malloc'ed, taken over by the connection; NULL: none */
    size_t size;
};

struct connection;

struct connection_owner {
    /* The one request of a connection. May close the connection. */
    void (*answer)(void *userdata, const struct request *request, struct answer *ret);
    /* It is over and its memory about to go. */
    void (*closed)(void *userdata, const struct connection *connection);
};

/* A stream of one of the two kinds that are listened on. */
union status_stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct connection {
    union status_stream io;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    const struct connection_owner *owner;
    void *userdata;
    struct connection *next;        /* the owner's list */
    char head[STATUS_REQUEST_MAX];
    size_t n_head;
    char top[512];                  /* of the answer */
    char *body;
    unsigned n_handles;
    bool answered, sent, client_done;
};

/* Takes the connection that waits at `server`. On success `closed` will be called once, from the loop. On failure it
 * is lost or still waiting, and nothing is called. */
int connection_accept(struct connection **ret, union status_stream *server, const struct connection_owner *owner,
                      void *userdata);
/* At once, answered or not; more than one call does no harm. */
void connection_close(struct connection *connection);
