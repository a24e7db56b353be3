/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor format - the three forms: json for programs, text for scripts made for salt-run state.event, pretty for eyes.
 *
 * Keeps: an event that cannot be read is a line, too; in json with an "error", in text with null for its data.
 */
#include "cmd/monitor_format.h"

#include <string.h>

#define LITERAL(line, text) line_add(line, text, sizeof(text) - 1)

/* The text of the same millisecond again is the same. */
static const char *time_text(msec wall) {
    static char text[TIME_TEXT_MAX];
    static msec known = -1;

    if (wall != known)
        time_format(wall, text);
    known = wall;
    return text;
}

static const char *reason(int error) {
    return error == -E2BIG ? "too large or too deep to be shown" : "the data is no msgpack";
}

static int add_time(struct line *line, msec wall) {
    const char *time = time_text(wall);
    int r = LITERAL(line, "{\"time\":\"");

    if (r == 0)
        r = line_add(line, time, strlen(time));
    return r < 0 ? r : LITERAL(line, "\",\"");
}

static int format_json(struct line *line, const struct recorded *event) {
    int r = add_time(line, event->wall);

    if (r == 0)
        r = LITERAL(line, "tag\":");
    if (r == 0)
        r = render_string(line, event->tag, event->tag_size);
    if (r == 0)
        r = LITERAL(line, ",\"data\":");
    if (r < 0)
        return r;
    r = render_json(line, RENDER_COMPACT, event->data, event->data_size);
    if (r == -EBADMSG || r == -E2BIG)
        r = line_printf(line, "null,\"error\":\"%s\"", reason(r));
    return r < 0 ? r : LITERAL(line, "}\n");
}

static int format_text(struct line *line, const struct recorded *event) {
    int r = render_tag(line, event->tag, event->tag_size);

    if (r == 0)
        r = LITERAL(line, "\t");
    if (r == 0) {
        r = render_json(line, RENDER_SPACED, event->data, event->data_size);
        if (r == -EBADMSG || r == -E2BIG)
            r = LITERAL(line, "null");
    }
    return r < 0 ? r : LITERAL(line, "\n");
}

static int format_pretty(struct line *line, bool colour, const struct recorded *event) {
    /* 12:34:56.789: who looks on knows the day, and UTC is what Salt's own stamps are in. */
    int r = line_printf(line, "%s%.12sZ%s  %s", colour ? "\x1b[2m" : "", time_text(event->wall) + 11, colour ? "\x1b[0m" : "",
                        colour ? "\x1b[1m" : "");

    if (r == 0)
        r = render_tag(line, event->tag, event->tag_size);
    if (r == 0 && colour)
        r = LITERAL(line, "\x1b[0m");
    if (r == 0)
        r = LITERAL(line, "\n");
    if (r < 0)
        return r;
    r = render_json(line, colour ? RENDER_COLOUR : RENDER_PRETTY, event->data, event->data_size);
    if (r == -EBADMSG || r == -E2BIG)
        r = line_printf(line, "--- %s (%zu bytes) ---", reason(r), event->data_size);
    return r < 0 ? r : LITERAL(line, "\n");
}

int format_event(struct line *line, enum format format, bool colour, const struct recorded *event) {
    struct recorded shortened = *event;
    size_t before = line->size;
    int r = format == FORMAT_JSON   ? format_json(line, event)
            : format == FORMAT_TEXT ? format_text(line, event)
                                    : format_pretty(line, colour, event);

    if (r != -E2BIG)
        return r;
    /* Not even the line with its error had room: so the tag alone was too long, or just long enough. */
    line->size = before;
    shortened.tag_size = MIN(event->tag_size, 1000);
    shortened.data_size = 0;
    return format_event(line, format, colour, &shortened);
}

int format_gap(struct line *line, enum format format, msec wall, uint64_t lost, const char *why) {
    int r;

    if (format == FORMAT_TEXT)
        return 0;
    if (format == FORMAT_JSON) {
        r = add_time(line, wall);
        if (r == 0)
            r = lost ? line_printf(line, "gap\":{\"events\":%llu,\"why\":\"%s\"}}\n", (unsigned long long)lost, why)
                     : line_printf(line, "gap\":{\"events\":null,\"why\":\"%s\"}}\n", why);
        return r;
    }
    r = LITERAL(line, "--- ");
    if (r == 0)
        r = lost ? line_printf(line, "%llu events", (unsigned long long)lost) : LITERAL(line, "events");
    return r < 0 ? r : line_printf(line, " are missing here: %s ---\n", why);
}
