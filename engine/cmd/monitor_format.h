/* SPDX-License-Identifier: Apache-2.0 */
/* Monitor format - one event, or one gap, as the lines that are printed of it. */
#pragma once

#include "nodewall/monitor.h"

enum format { FORMAT_PRETTY, FORMAT_TEXT, FORMAT_JSON };

struct format_event {
    msec wall;              /* of its arrival */
    const char *tag;
    size_t tag_size;
    const uint8_t *data;
    size_t data_size;
};
/* Adds to *line, its newline too. What cannot be read is said in it; below zero only when there is no memory. */
int format_event(struct line *line, enum format format, bool colour, const struct format_event *event);
/* A place where events are missing: `lost` of them, 0 for nobody knows how many. Nothing in text, which has no words
 * for it. */
int format_gap(struct line *line, enum format format, bool colour, msec wall, uint64_t lost, const char *why);
