/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor show - from an event to what is shown of it: the filter, then redaction, then a line, a job or a count.
 *
 * Keeps: what is redacted on the screen is redacted in a recording, too. The filter looks at the event as it came.
 * `wall` is the time of the event, or of its recording: jobs and rates of a replay are those of then.
 */
#include "cmd/monitor.h"

#include <string.h>

#define LINE_KEPT (1024 * 1024)     /* what a huge event has made larger is given back */

static void push(struct monitor *monitor, unsigned weight) {
    if (!monitor->quiet)
        output_push(monitor->out, &monitor->line, weight);
    if (monitor->line.capacity > LINE_KEPT)
        line_done(&monitor->line);
}

static void count(struct monitor *monitor) {
    monitor->shown++;
    if (monitor->shown == monitor->options->count)
        monitor_finish(monitor, ENOUGH);
}

static void show(struct monitor *monitor, const struct recorded *event) {
    struct recorded shown = *event;

    if (monitor->quiet && !monitor->record)
        return;
    if (!monitor->secrets) {
        int r = redact(&monitor->safe, event->data, event->data_size);

        if (r == 1) {
            shown.data = (const uint8_t *)monitor->safe.data;
            shown.data_size = monitor->safe.size;
        } else if (r < 0) {
            shown.data_size = 0; /* not to be read, and so not to be trusted to hold no secret */
        }
    }
    monitor_record(monitor, &shown);
    if (!monitor->quiet) {
        monitor->line.size = 0;
        if (format_event(&monitor->line, monitor->format, monitor->colour, &shown) < 0)
            monitor->line.size = 0; /* no memory: counted as dropped */
        push(monitor, 1);
    }
    if (monitor->safe.capacity > LINE_KEPT)
        line_done(&monitor->safe);
}

static void tell_jobs(struct monitor *monitor, msec wall, bool last) {
    const struct job *job;

    while (monitor->end == RUNNING || last) {
        job = jobs_next(monitor->jobs, last ? MSEC_NEVER : wall);
        if (!job)
            return;
        monitor->line.size = 0;
        if (format_job(&monitor->line, monitor->format, wall, job) < 0)
            monitor->line.size = 0;
        push(monitor, 1);
        if (job_is_complete(job))
            count(monitor);
    }
}

static void tell_rates(struct monitor *monitor, msec wall, bool last) {
    msec took = wall - monitor->interval_began;

    if (!monitor->interval_began || took < 0) { /* the first, or the clock was set back */
        monitor->interval_began = wall;
        return;
    }
    if (last ? monitor->rates->total.events == 0 : took < monitor->every)
        return;
    rates_sort(monitor->rates);
    monitor->line.size = 0;
    if (format_rates(&monitor->line, monitor->format, wall, monitor->rates, took) == 0) {
        push(monitor, 1);
        count(monitor);
    }
    rates_clear(monitor->rates);
    monitor->interval_began = wall;
}

void monitor_tell(struct monitor *monitor, msec wall, bool last) {
    if (monitor->jobs)
        tell_jobs(monitor, wall, last);
    if (monitor->rates)
        tell_rates(monitor, wall, last);
}

void monitor_event(struct monitor *monitor, const struct recorded *event) {
    bool last = monitor->ends_by_tag && filter_tag(monitor->until, event->tag, event->tag_size);

    monitor->wall = event->wall;
    if (monitor->end != RUNNING || (!last && !filter_tag(monitor->filter, event->tag, event->tag_size)) ||
        !filter_fields(monitor->filter, event->tag, event->tag_size, event->data, event->data_size))
        return;
    if (monitor->jobs) {
        if (jobs_feed(monitor->jobs, event->tag, event->tag_size, event->data, event->data_size, event->wall) < 0)
            monitor_notice(monitor, "no memory for a job");
        tell_jobs(monitor, event->wall, false);
    } else if (monitor->rates) {
        rates_feed(monitor->rates, event->tag, event->tag_size, event->data_size);
    } else {
        show(monitor, event);
        count(monitor);
    }
    if (last)
        monitor_finish(monitor, ENOUGH);
}

void monitor_gap(struct monitor *monitor, msec wall, const char *why) {
    const struct recorded mark = {.wall = wall};

    monitor_record(monitor, &mark);
    monitor->line.size = 0;
    if (format_gap(&monitor->line, monitor->format, wall, 0, why) == 0 && monitor->line.size)
        push(monitor, 0);
}
