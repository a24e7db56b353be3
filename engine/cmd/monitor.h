/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor - what the files of `nodewall monitor` share: an event comes from the bus (monitor_watch.c) or from a file
 * (monitor_file.c), passes the filter and becomes lines (monitor_show.c), which a reader takes (monitor_output.c).
 */
#pragma once

#include "cmd/cmd.h"
#include "cmd/monitor_format.h"
#include "cmd/monitor_output.h"

#include "nodewall/bus.h"

enum monitor_end { RUNNING, ENOUGH, TIME_OVER, SIGNALLED, READER_GONE, CANNOT_WRITE, CANNOT_RECORD };

struct monitor {
    const struct options *options;
    uv_loop_t loop;
    uv_check_t turn;
    uv_timer_t timeout, flush, view;    /* view: jobs that are silent, the end of an interval */
    uv_signal_t signals[2];
    struct bus *bus;
    enum bus_state state;
    bool was_connected;
    char detail[320];
    struct filter *filter, *until;
    struct output *out, *notices;
    struct line line, safe;
    enum format format;
    bool colour, quiet, secrets, ends_by_tag;
    struct jobs *jobs;                  /* NULL: no such view */
    struct rates *rates;
    msec every, interval_began;         /* of rates; 0: not yet */
    msec wall;                          /* of the last event */
    const char *record_path, *replay_path;
    FILE *record;
    uint64_t shown, told_drops, told_malformed;
    msec tell_drops_at, tell_malformed_at, flushed_at;
    enum monitor_end end;
    int error;
};

void monitor_finish(struct monitor *monitor, enum monitor_end end);
/* A sentence about the events, on stderr. */
void monitor_notice(struct monitor *monitor, const char *format, ...) PRINTF(2, 3);

/* monitor_show.c */
void monitor_event(struct monitor *monitor, const struct recorded *event);
/* Events are missing here, nobody knows how many. */
void monitor_gap(struct monitor *monitor, msec wall, const char *why);
/* What is due by now, or, with `last`, all that there is to say. */
void monitor_tell(struct monitor *monitor, msec wall, bool last);

/* monitor_watch.c, monitor_file.c: until monitor->end; below zero: could not begin. */
int monitor_watch(struct monitor *monitor, const struct bus_options *bus, struct problem *problem);
int monitor_record_open(struct monitor *monitor, struct problem *problem);
void monitor_record(struct monitor *monitor, const struct recorded *event);
int monitor_replay(struct monitor *monitor, struct problem *problem);
