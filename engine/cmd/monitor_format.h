/* SPDX-License-Identifier: Apache-2.0 */
/* Monitor format - one event, or one gap, as the lines that are printed of it. */
#pragma once

#include "nodewall/monitor.h"

enum format { FORMAT_PRETTY, FORMAT_TEXT, FORMAT_JSON };

/* Adds to *line, its newline too. What cannot be read is said in it; below zero only when there is no memory. */
int format_event(struct line *line, enum format format, bool colour, const struct recorded *event);
/* A place where events are missing: `lost` of them, 0 for nobody knows how many. Nothing in text, which has no words
 * for it. */
int format_gap(struct line *line, enum format format, msec wall, uint64_t lost, const char *why);

/* monitor_views.c: a line of a job, a table of the kinds of events in the last `took` milliseconds. */
int format_job(struct line *line, enum format format, msec wall, const struct job *job);
int format_rates(struct line *line, enum format format, msec wall, const struct rates *rates, msec took);
