/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor - what a person sees of the bus: which events, as which text, and what is kept when the terminal is slow.
 *
 * Pure: bytes and `now` come in, text and decisions come out. Events are anybody's: every length and depth is checked,
 * and no control character leaves here but the newlines between lines.
 */
#pragma once

#include "nodewall/base.h"

#define MONITOR_DEPTH 512                       /* of containers in an event; Python's own reader ends at about that */
#define MONITOR_LINE_MAX (16 * 1024 * 1024)     /* of one event as text */

/* line.c: text that grows up to MONITOR_LINE_MAX. Starts as {0}. */
struct line {
    char *data;
    size_t size, capacity;
};
void line_done(struct line *line);              /* for CLEANUP */
int line_reserve(struct line *line, size_t more);               /* room for it; -E2BIG, -ENOMEM */
int line_add(struct line *line, const void *data, size_t size);
int line_printf(struct line *line, const char *format, ...) PRINTF(2, 3);

/* render.c: the msgpack of one event's data as JSON, without a tree between them. */
enum render_style {
    RENDER_COMPACT,     /* {"a":1,"b":[1,2]} */
    RENDER_SPACED,      /* {"a": 1, "b": [1, 2]}, as Python writes it and so salt-run state.event */
    RENDER_PRETTY,      /* a line each, indented */
    RENDER_COLOUR,      /* the same with colours */
};
/*
 * Values as salt-run state.event shows them: bin is text, bytes that are no UTF-8 are base64 (pretty: \xNN), and keys
 * are text always. Where it would end with a traceback: ext 78 (a time) is its text, ext 79 (a constant) its name,
 * another {"ext": n, "hex": "…"}; NaN and infinities are null; keys that are containers are their JSON. What a terminal
 * acts on (control characters of both sets, marks of direction) is \uXXXX, which JSON reads as the same.
 * 0; -EBADMSG: not one msgpack object; -E2BIG: too deep, or the line too long; -ENOMEM. On failure the line is as before.
 */
int render_json(struct line *line, enum render_style style, const uint8_t *data, size_t size);
int render_string(struct line *line, const void *text, size_t size);    /* with its quotes */
/* A tag in a line of text: as it is, and what a terminal acts on escaped as in JSON; bytes that are no UTF-8: \xNN. */
int render_tag(struct line *line, const char *tag, size_t size);

/* redact.c: 1: *ret has a copy without secrets; 0: there were none; -EBADMSG, -E2BIG, -ENOMEM. The values of keys that
 * name pillar, passwords, tokens and keys, in any depth, and what pillar.* functions returned become "(redacted)". */
int redact(struct line *ret, const uint8_t *data, size_t size);

/* filter.c */
/* Salt's globs: * is any text with slashes too, ? one character, [a-z] and [!a-z]; case matters. */
bool glob_matches(const char *glob, const char *text, size_t size);
struct filter;
int filter_new(struct filter **ret);
struct filter *filter_free(struct filter *filter);
DEFINE_CLEANUP(struct filter, filter_free)
int filter_add_tag(struct filter *filter, const char *glob);    /* any of them; none: every tag */
/*
 * "FIELD=GLOB" or "FIELD" (it is there). FIELD is a path through maps and arrays, its parts separated by dots: fun,
 * return.changes, minions.0; `tag` is the event's tag, `.tag` a field of that name. A list matches when one of its
 * members does. `include`: of those with the same FIELD one must match, of each FIELD; else: none may.
 */
int filter_add_field(struct filter *filter, bool include, const char *text, struct problem *problem);
bool filter_tag(const struct filter *filter, const char *tag, size_t tag_size);
bool filter_fields(const struct filter *filter, const char *tag, size_t tag_size, const uint8_t *data, size_t size);
/* The value at a path, its whole msgpack, borrowed from `data`; false: there is none. */
bool field_find(const char *path, const uint8_t **ret, size_t *ret_size, const uint8_t *data, size_t size);
/* That of a text: its bytes. */
bool field_text(const char *path, const char **ret, size_t *ret_size, const uint8_t *data, size_t size);

/* queue.c: lines on their way to a descriptor that may be slow. Beyond `limit` bytes the oldest go. */
struct queue;
int queue_new(struct queue **ret, size_t limit);
struct queue *queue_free(struct queue *queue);
DEFINE_CLEANUP(struct queue, queue_free)
/* Never fails for want of room: drops old ones, and when memory is short this one; an empty one counts as dropped.
 * `weight`: events that it stands for, 0 for what may be lost without a word. */
void queue_push(struct queue *queue, const void *line, size_t size, unsigned weight);
/* The next bytes to write. When events were dropped where these begin, *ret_lost says how many, once, and nothing is
 * handed out: push_front what shall stand there. */
size_t queue_peek(struct queue *queue, const char **ret, uint64_t *ret_lost);
void queue_push_front(struct queue *queue, const void *line, size_t size, uint64_t lost);
void queue_pass(struct queue *queue, size_t written);
size_t queue_size(const struct queue *queue);
uint64_t queue_dropped(const struct queue *queue);              /* events, all in all */

/* jobs.c: who was asked, who has answered. */
#define JOB_PATIENCE 15000      /* without a return, until a job is told as it is */
struct job_minion {
    char *id;
    bool expected, returned, failed;
};
struct job {
    char *jid, *fun, *target;           /* fun and target may be NULL; bytes of anybody */
    bool known;                         /* its beginning was seen, and with it who is expected */
    size_t expected, returned, failed;
    struct job_minion *minions;         /* by id; not all of them when there are very many */
    size_t n_minions;
    msec began, last;
    bool told;                          /* since its last return */
};
struct jobs;
int jobs_new(struct jobs **ret);
struct jobs *jobs_free(struct jobs *jobs);
DEFINE_CLEANUP(struct jobs, jobs_free)
int jobs_feed(struct jobs *jobs, const char *tag, size_t tag_size, const uint8_t *data, size_t size, msec now);
/* A job of which there is something to tell: complete, or silent for JOB_PATIENCE; with MSEC_NEVER each that was not
 * told. NULL: none. Stays until the next call. */
const struct job *jobs_next(struct jobs *jobs, msec now);
msec jobs_due(const struct jobs *jobs);         /* when to ask again */
bool job_is_complete(const struct job *job);
uint64_t jobs_forgotten(const struct jobs *jobs);   /* for being too many */

/* rates.c: how many events of which kind. */
#define RATES_MAX 200
#define RATE_NAME_MAX 64
struct rate {
    char name[RATE_NAME_MAX];           /* of name_size bytes */
    size_t name_size;
    uint64_t events, bytes;
};
struct rates {
    struct rate items[RATES_MAX], total, others;
    size_t n;
};
int rates_new(struct rates **ret);
struct rates *rates_free(struct rates *rates);
DEFINE_CLEANUP(struct rates, rates_free)
void rates_feed(struct rates *rates, const char *tag, size_t tag_size, size_t bytes);
void rates_sort(struct rates *rates);           /* the most frequent first */
void rates_clear(struct rates *rates);

/* record.c: events in a file. A gap is one with neither tag nor data. */
#define RECORD_HEAD "nodewall events 1\n"
struct recorded {
    msec wall;
    const char *tag;
    size_t tag_size;
    const uint8_t *data;
    size_t data_size;
};
int record_add(struct line *to, const struct recorded *event);
/* 1 and an event, which points into `data`, of which *used bytes are its own; 0: more bytes are needed; -EBADMSG. */
int record_read(struct recorded *ret, const uint8_t *data, size_t size, size_t *used);
