/* SPDX-License-Identifier: Apache-2.0 */
/* Sources - for commands that look at clusters themselves: those of the configuration that were asked for, on one loop. */
#pragma once

#include "cmd/cmd.h"
#include "nodewall/config.h"
#include "source.h"

struct sources;

/* One cluster that is looked at; `mark` is the command's own. */
struct looked_at {
    struct sources *all;
    const struct cluster_config *config;
    struct source *source;
    bool listed;
    bool failed;
    int mark;
};

struct sources {
    uv_loop_t loop;
    uv_timer_t timeout;
    uv_signal_t interrupt, terminate;
    struct config *config;
    struct http *http;
    struct looked_at *items;
    size_t n;
    bool timed_out;
};

/* Loads the configuration and opens a source for the one cluster that is named, or for each. Tells what is wrong on stderr;
 * 0 or an exit code. Interrupt, termination and timeout end uv_run. The handler's userdata is a struct looked_at. */
int sources_open(struct sources *ret, const struct options *options, msec timeout, const struct source_handler *handler);
void sources_close(struct sources *sources);
