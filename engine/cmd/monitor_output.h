/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor output - lines to a descriptor that may be slow, may be closed, and is never waited for.
 */
#pragma once

#include "nodewall/monitor.h"

#include <uv.h>

struct output;
struct output_handler {
    /* Once; nothing is written any more. 0: the reader is gone; else -errno. */
    void (*on_closed)(void *userdata, int error);
    /* So many events were dropped at this place: what stands there instead. May leave it empty. */
    void (*on_gap)(void *userdata, struct line *line, uint64_t lost);
};
int output_new(struct output **ret, uv_loop_t *loop, int fd, size_t limit, const struct output_handler *handler,
               void *userdata);
/* Closes; the memory goes when the loop has run. Returns NULL. */
struct output *output_free(struct output *output);
DEFINE_CLEANUP(struct output, output_free)

void output_push(struct output *output, const struct line *line, unsigned weight);
/* Writes as much as goes now; goes on by itself when there is room again. */
void output_flush(struct output *output);
/* The last flush: waits up to `patience`. False: something is left unwritten. */
bool output_drain(struct output *output, msec patience);
uint64_t output_dropped(const struct output *output);
size_t output_waiting(const struct output *output);      /* bytes */
