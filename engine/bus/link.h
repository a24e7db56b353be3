/* SPDX-License-Identifier: Apache-2.0 */
/* Link - one connection to one of the master's sockets. Private to engine/bus. */
#pragma once

#include "nodewall/base.h"

#include <uv.h>

struct link;

/* Callbacks come from the loop, never from within a call of these functions, and none after link_free. */
struct link_handler {
    void (*on_open)(void *userdata, struct link *link);
    void (*on_data)(void *userdata, struct link *link, const uint8_t *data, size_t size);
    void (*on_written)(void *userdata, struct link *link);              /* one link_write is in the kernel */
    void (*on_lost)(void *userdata, struct link *link, int error);      /* once; -errno; 0: closed by the other side */
};

/* Begins to connect. `path`, or when it is NULL `port` on this machine. -ENAMETOOLONG: no unix socket can be there. */
int link_new(struct link **ret, uv_loop_t *loop, const char *path, unsigned port, bool ipv6,
             const struct link_handler *handler, void *userdata);
/* Closes at once; what is not in the kernel yet is not sent. Returns NULL. */
struct link *link_free(struct link *link);
DEFINE_CLEANUP(struct link, link_free)

bool link_is_open(const struct link *link);             /* connected, and not lost since; NULL is not */
/* Takes `data` in any case. An error comes as on_lost. */
void link_write(struct link *link, uint8_t *data, size_t size);
size_t link_queued(const struct link *link);            /* bytes that the kernel has not taken yet */
