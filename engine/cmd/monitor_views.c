/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor views - jobs and rates as lines: an object each in json, words else.
 *
 * Keeps: names are anybody's, so they go through the same escapes as an event. In words at most NAMES_SHOWN of them, for
 * a thousand minions that are missing are no longer read by name; json has all.
 */
#include "cmd/monitor_format.h"

#include <string.h>

#define NAMES_SHOWN 20
#define KINDS_SHOWN 20

#define LITERAL(line, text) line_add(line, text, sizeof(text) - 1)

static bool is_missing(const struct job_minion *minion) {
    return minion->expected && !minion->returned;
}

static bool has_failed(const struct job_minion *minion) {
    return minion->failed;
}

static int add_member(struct line *line, const char *key, const char *text) {
    int r = line_printf(line, ",\"%s\":", key);

    if (r < 0)
        return r;
    return text ? render_string(line, text, strlen(text)) : LITERAL(line, "null");
}

static int add_names(struct line *line, const char *key, const struct job *job, bool (*which)(const struct job_minion *)) {
    int r = line_printf(line, ",\"%s\":[", key);
    bool first = true;

    for (size_t i = 0; r == 0 && i < job->n_minions; i++) {
        if (!which(&job->minions[i]))
            continue;
        r = first ? 0 : LITERAL(line, ",");
        if (r == 0)
            r = render_string(line, job->minions[i].id, strlen(job->minions[i].id));
        first = false;
    }
    return r < 0 ? r : LITERAL(line, "]");
}

static int job_json(struct line *line, const char *time, const struct job *job) {
    int r = line_printf(line, "{\"time\":\"%s\"", time);

    if (r == 0)
        r = add_member(line, "jid", job->jid);
    if (r == 0)
        r = add_member(line, "fun", job->fun);
    if (r == 0)
        r = add_member(line, "target", job->target);
    if (r == 0)
        r = job->known ? line_printf(line, ",\"expected\":%zu", job->expected) : LITERAL(line, ",\"expected\":null");
    if (r == 0)
        r = line_printf(line, ",\"returned\":%zu", job->returned);
    if (r == 0)
        r = add_names(line, "failed", job, has_failed);
    if (r == 0)
        r = add_names(line, "missing", job, is_missing);
    return r < 0 ? r : line_printf(line, ",\"seconds\":%.3f,\"complete\":%s}\n", (double)(job->last - job->began) / 1000,
                                   job_is_complete(job) ? "true" : "false");
}

static int say_names(struct line *line, const char *word, const struct job *job, bool (*which)(const struct job_minion *)) {
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < job->n_minions; i++) {
        if (!which(&job->minions[i]))
            continue;
        if (n < NAMES_SHOWN) {
            r = n ? LITERAL(line, ", ") : line_printf(line, "; %s: ", word);
            if (r == 0)
                r = render_tag(line, job->minions[i].id, strlen(job->minions[i].id));
        }
        n++;
    }
    return r < 0 || n <= NAMES_SHOWN ? r : line_printf(line, " and %zu more", n - NAMES_SHOWN);
}

static int job_words(struct line *line, const char *time, const struct job *job) {
    const char *texts[] = {job->jid, job->fun ? job->fun : "?", job->target ? job->target : "-"};
    int r = line_add(line, time + 11, strlen(time + 11));

    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(texts); i++) {
        r = LITERAL(line, "  ");
        if (r == 0)
            r = render_tag(line, texts[i], strlen(texts[i]));
    }
    if (r == 0)
        r = job->known ? line_printf(line, "  %zu of %zu returned in %.2f s", job->returned, job->expected,
                                     (double)(job->last - job->began) / 1000)
                       : line_printf(line, "  %zu returned; its beginning was not seen", job->returned);
    if (r == 0)
        r = say_names(line, "failed", job, has_failed);
    if (r == 0)
        r = say_names(line, "missing", job, is_missing);
    return r < 0 ? r : LITERAL(line, "\n");
}

int format_job(struct line *line, enum format format, msec wall, const struct job *job) {
    char time[TIME_TEXT_MAX];

    time_format(wall, time);
    return format == FORMAT_JSON ? job_json(line, time, job) : job_words(line, time, job);
}

static int rates_json(struct line *line, const char *time, const struct rates *rates, msec took) {
    int r = line_printf(line, "{\"time\":\"%s\",\"seconds\":%.3f,\"events\":%llu,\"bytes\":%llu,\"kinds\":{", time, (double)took / 1000,
                        (unsigned long long)rates->total.events, (unsigned long long)rates->total.bytes);

    for (size_t i = 0; r == 0 && i < rates->n; i++) {
        const struct rate *rate = &rates->items[i];

        r = i ? LITERAL(line, ",") : 0;
        if (r == 0)
            r = render_string(line, rate->name, rate->name_size);
        if (r == 0)
            r = line_printf(line, ":{\"events\":%llu,\"bytes\":%llu}", (unsigned long long)rate->events, (unsigned long long)rate->bytes);
    }
    return r < 0 ? r : line_printf(line, "},\"other_events\":%llu}\n", (unsigned long long)rates->others.events);
}

static int rate_words(struct line *line, const char *name, size_t name_size, const struct rate *rate, msec took) {
    double seconds = (double)MAX(took, 1) / 1000;
    int r = line_printf(line, "%10llu %10.1f/s %10.1f KiB/s  ", (unsigned long long)rate->events, (double)rate->events / seconds,
                        (double)rate->bytes / 1024 / seconds);

    if (r == 0)
        r = render_tag(line, name, name_size);
    return r < 0 ? r : LITERAL(line, "\n");
}

static int rates_words(struct line *line, const char *time, const struct rates *rates, msec took) {
    struct rate rest = rates->others;
    int r = line_printf(line, "%s, %.1f s\n", time + 11, (double)took / 1000);

    for (size_t i = 0; r == 0 && i < rates->n; i++) {
        if (i < KINDS_SHOWN) {
            r = rate_words(line, rates->items[i].name, rates->items[i].name_size, &rates->items[i], took);
        } else {
            rest.events += rates->items[i].events;
            rest.bytes += rates->items[i].bytes;
        }
    }
    if (r == 0 && rest.events)
        r = rate_words(line, "(others)", 8, &rest, took);
    return r < 0 ? r : rate_words(line, "(all)", 5, &rates->total, took);
}

int format_rates(struct line *line, enum format format, msec wall, const struct rates *rates, msec took) {
    char time[TIME_TEXT_MAX];

    time_format(wall, time);
    return format == FORMAT_JSON ? rates_json(line, time, rates, took) : rates_words(line, time, rates, took);
}
