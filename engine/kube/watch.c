/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch - the machine: which request comes next, and what a watch's lines mean. watch_list.c has the pages of a list,
 * watch_trouble.c what follows a failure.
 *
 *            ┌─ next page ─┐
 *            ▼             │                     ┌─ closed by the server: at once
 *   start ─▶ LIST ─────────┴─ last page ─▶ WATCH ┤
 *            ▲ │ 400, 410: from page one   ▲ │   └─ refused, cut, 429, 503: same rv, after a pause
 *            └─┘                           └─┘
 *   WATCH ─▶ LIST: 410 in any form, 500, a line that cannot be read; or it is time
 *
 * A list that is only due (nobody doubts the picture) and fails goes back to WATCH from the same rv: better a watch
 * without the repair than neither. A list that is needed is tried until it is there.
 *
 * Keeps: at most one request; rv moves by a list that is done, or by a line of the watch that runs, and never by a
 * Status.
 * Does not: read a clock, or wait; time outside the requests passes in watch_next. Owns: the frame of the request that
 * runs, and the events that nobody took out yet.
 */
#include "watch_machine.h"

#include <string.h>
#include <strings.h>

#define PAGE 500                        /* client-go's and kube-rs' page */
#define RELIST (20 * 60 * SECOND)
#define IDLE (180 * SECOND)             /* bookmarks come each 60 to 120 s; Azure's balancer forgets after 240 s */
#define WATCH_SHORTEST 300              /* timeoutSeconds by chance below twice that, as client-go: no herd */
#define WATCH_MARGIN (30 * SECOND)      /* what a server that closes at its time may be late */
#define LIST_IDLE (75 * SECOND)         /* the server's own limit for a request is 60 s */
#define PAGE_DEADLINE (300 * SECOND)
#define LIST_DEADLINE (900 * SECOND)    /* of a list in one piece */
#define SHORT (1 * SECOND)              /* client-go's VeryShortWatchError */

/* splitmix64: any seed will do, zero too. */
uint32_t watch_random(struct watch *watch) {
    uint64_t z = watch->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static void encode(char *to, const char *text) {
    static const char *const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char *const digits = "0123456789ABCDEF";

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (strchr(plain, c)) {
            *to++ = *text;
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    *to = '\0';
}

struct watch *watch_free(struct watch *watch) {
    struct watch_event event;

    if (!watch)
        return NULL;
    while (watch_pop(watch, &event) > 0)
        watch_event_done(&event);
    free(watch->events);
    frame_free(watch->request.frame);
    free(watch->request.refusal);
    free(watch->selector);
    free(watch->path);
    free(watch);
    return NULL;
}

static int make_selector(char **ret, const struct watch_options *options) {
    static const char labels[] = "&labelSelector=", fields[] = "&fieldSelector=";
    const char *label = options->selector ? options->selector : "", *field = options->field_selector ? options->field_selector : "";
    char *text = calloc(1, strlen(labels) + 3 * strlen(label) + strlen(fields) + 3 * strlen(field) + 1);

    if (!text)
        return -ENOMEM;
    if (label[0])
        encode(stpcpy(text, labels), label);
    if (field[0])
        encode(stpcpy(text + strlen(text), fields), field);
    *ret = text;
    return 0;
}

int watch_new(struct watch **ret, const struct watch_options *options) {
    CLEANUP(watch_freep) struct watch *watch = calloc(1, sizeof(*watch));
    int r = watch ? make_selector(&watch->selector, options) : -ENOMEM;

    if (r < 0)
        return r;
    watch->page = options->page > 0 ? options->page : PAGE;
    watch->relist = options->relist > 0 ? options->relist : RELIST;
    watch->idle = options->idle > 0 ? options->idle : IDLE;
    watch->random = options->seed;
    watch->want_list = watch->doubt = true;
    watch->relist_due = MSEC_NEVER;
    watch->due = INT64_MIN;
    watch->backoff = BACKOFF_KUBE;
    watch->well_since = watch->gone_at = -1;
    watch->stats.last_byte = watch->stats.last_list = watch->stats.last_event = -1;
    *ret = TAKE_PTR(watch);
    return 0;
}

struct watch_event *watch_emit(struct watch *watch, enum watch_event_kind kind) {
    struct watch_event *event;

    if (watch->n_events == watch->events_size) {
        size_t size = MAX(2 * watch->events_size, (size_t)16);

        event = reallocarray(watch->events, size, sizeof(*event));
        if (!event)
            return NULL;
        watch->events = event;
        watch->events_size = size;
    }
    event = &watch->events[watch->n_events++];
    *event = (struct watch_event){.kind = kind};
    return event;
}

int watch_emit_rv(struct watch *watch, enum watch_event_kind kind, const char *rv) {
    struct watch_event *event = watch_emit(watch, kind);

    if (!event)
        return -ENOMEM;
    snprintf(event->rv, sizeof(event->rv), "%s", rv);
    return 0;
}

int watch_pop(struct watch *watch, struct watch_event *ret) {
    if (watch->first_event == watch->n_events) {
        watch->first_event = watch->n_events = 0;
        return 0;
    }
    *ret = watch->events[watch->first_event++];
    return 1;
}

void watch_event_done(struct watch_event *event) {
    event->node = node_free(event->node);
}

void watch_relist(struct watch *watch) {
    watch->relist_now = true;
    watch->due = watch->floor; /* whoever asks may have mended what failed; what the server asked for still holds */
}

struct watch_stats watch_stats(const struct watch *watch) {
    const struct request *request = &watch->request;
    struct watch_stats stats = watch->stats;

    memcpy(stats.rv, watch->rv, sizeof(stats.rv));
    stats.watching = request->running && !request->dead && !request->is_list && request->taken;
    return stats;
}

static void request_done(struct request *request) {
    frame_free(request->frame);
    free(request->refusal);
    *request = (struct request){.retry_after = -1};
}

/* ---- what comes next ---- */

/* Each parameter begins with an ampersand; the first one's becomes the question mark. */
static int make_path(struct watch *watch, bool is_list, unsigned seconds) {
    bool whole = watch->pages.restarts >= 2; /* pages that expired twice: in one piece then */
    const char *next = watch->pages.next;
    CLEANUP(cleanup_free) char *token = malloc(3 * strlen(next) + 1);
    char *path, limit[32] = "";
    int r;

    if (!token)
        return -ENOMEM;
    encode(token, next);
    if (!whole)
        snprintf(limit, sizeof(limit), "&limit=%u", watch->page);
    if (is_list)
        r = asprintf(&path, "/api/v1/nodes%s%s%s%s", limit, watch->selector, next[0] ? "&continue=" : "", token);
    else
        r = asprintf(&path, "/api/v1/nodes&watch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%u%s",
                     watch->rv, seconds, watch->selector);
    if (r < 0)
        return -ENOMEM;
    free(watch->path);
    watch->path = path;
    path = strchr(path, '&');
    if (path)
        *path = '?';
    return 0;
}

static int start(struct watch *watch, msec now, struct watch_want *ret) {
    struct request *request = &watch->request;
    unsigned seconds = WATCH_SHORTEST + watch_random(watch) % WATCH_SHORTEST;
    bool is_list = watch->want_list;
    int r = make_path(watch, is_list, seconds);

    if (r < 0)
        return r;
    if (is_list && watch->pages.n == 0)
        watch->relist_now = false;
    request->running = true;
    request->is_list = is_list;
    request->began = now;
    request->head.remaining = -1;
    *ret = (struct watch_want){.action = WATCH_START, .path = watch->path, .is_list = is_list, .fresh = watch->fresh,
                                .json = watch->json};
    if (is_list) {
        ret->idle = LIST_IDLE;
        ret->deadline = watch->pages.restarts >= 2 ? LIST_DEADLINE : PAGE_DEADLINE;
        watch->stats.lists++;
    } else {
        ret->idle = watch->idle;
        ret->deadline = seconds * SECOND + WATCH_MARGIN;
        watch->stats.watches++;
    }
    watch->fresh = false;
    return 0;
}

static bool relist_is_due(const struct watch *watch, msec now) {
    return watch->relist_now || now >= watch->relist_due;
}

static int next_while_running(struct watch *watch, msec now, struct watch_want *ret) {
    struct request *request = &watch->request;

    if (request->is_list)
        return 0;
    if (relist_is_due(watch, now)) {
        request_done(request);
        watch->want_list = true;
        watch->due = now;
        ret->action = WATCH_CANCEL;
        return 0;
    }
    ret->due = watch->relist_due;
    if (!request->taken || request->confirmed)
        return 0;
    if (now - request->answered >= SHORT)
        return watch_confirm(watch, now);
    ret->due = MIN(ret->due, request->answered + SHORT);
    return 0;
}

int watch_next(struct watch *watch, msec now, struct watch_want *ret) {
    *ret = (struct watch_want){.action = WATCH_WAIT, .due = MSEC_NEVER};
    if (watch->request.dead) {
        request_done(&watch->request);
        ret->action = WATCH_CANCEL;
        return 0;
    }
    if (watch->request.running)
        return next_while_running(watch, now, ret);
    if (now < watch->due) {
        ret->due = watch->due;
        return 0;
    }
    if (relist_is_due(watch, now))
        watch->want_list = true;
    return start(watch, now, ret);
}

/* ---- what came ---- */

static bool is_type(const char *content_type, const char *type) {
    size_t n = strlen(type);

    return strncasecmp(content_type, type, n) == 0 && strchr("; \t", content_type[n]);
}

/* NULL: neither of the two encodings. Who says nothing is judged by the body alone. */
static const struct decoder *decoder_of(const char *content_type) {
    if (!content_type || !content_type[0] || is_type(content_type, "application/json"))
        return &decode_json;
    return is_type(content_type, "application/vnd.kubernetes.protobuf") ? &decode_protobuf : NULL;
}

static enum frame_shape shape_of(const struct request *request) {
    if (request->decoder == &decode_protobuf)
        return request->is_list ? FRAME_PROTOBUF_LIST : FRAME_PROTOBUF_EVENTS;
    return request->is_list ? FRAME_LIST : FRAME_LINES;
}

int watch_headers(struct watch *watch, msec now, unsigned status, const char *content_type, msec retry_after) {
    struct request *request = &watch->request;
    char text[200];
    int r;

    watch->stats.last_byte = now;
    if (!request->running || request->dead)
        return 0;
    request->status = status;
    request->retry_after = retry_after;
    request->answered = now;
    request->decoder = decoder_of(content_type);
    if (status != 200)
        return 0;
    if (!request->decoder) {
        snprintf(text, sizeof(text),
                 "the API server answers with %.60s and not with JSON; is a proxy or a login page in between?",
                 content_type);
        return watch_fail_wrong(watch, now, text);
    }
    r = frame_new(&request->frame, shape_of(request), FRAME_LIMIT);
    if (r < 0)
        return r;
    request->taken = true;
    return request->is_list ? list_begin(watch) : 0;
}

static int take_line(struct watch *watch, msec now, struct watch_line *line) {
    static const enum watch_event_kind kinds[] = {
        [WATCH_ADDED] = WATCH_EVENT_NODE, [WATCH_MODIFIED] = WATCH_EVENT_NODE,
        [WATCH_DELETED] = WATCH_EVENT_GONE, [WATCH_BOOKMARK] = WATCH_EVENT_BOOKMARK,
    };
    struct watch_event *event;
    int r = 0;

    watch->stats.events++;
    watch->stats.last_event = now;
    watch->request.lines++;
    if (line->type == WATCH_ERROR)
        return watch_fail_refused(watch, now, line->status.code, &line->status, NULL);
    if (!watch->request.confirmed)
        r = watch_confirm(watch, now);
    if (r < 0)
        return r;
    event = watch_emit(watch, kinds[line->type]);
    if (!event)
        return -ENOMEM;
    event->node = TAKE_PTR(line->node);
    memcpy(event->rv, line->rv, sizeof(event->rv));
    memcpy(watch->rv, line->rv, sizeof(watch->rv));
    return 0;
}

static int watch_lines(struct watch *watch, msec now) {
    struct request *request = &watch->request;

    while (!request->dead) {
        CLEANUP(watch_line_done) struct watch_line line = {0};
        struct frame_piece piece;
        int r = frame_next(request->frame, &piece);

        if (r == FRAME_NEED_MORE)
            return 0;
        if (r == -E2BIG)
            return watch_fail_wrong(watch, now, "an event of the watch is larger than 16 MiB");
        if (r >= 0)
            r = request->decoder->watch_line(&line, piece.data, piece.size);
        if (r == -EBADMSG) /* passing it over would lose an event for ever */
            r = watch_fail_wrong(watch, now, "an event of the watch cannot be read");
        else if (r >= 0)
            r = take_line(watch, now, &line);
        if (r < 0)
            return r;
    }
    return 0;
}

static int keep_refusal(struct request *request, const char *data, size_t size) {
    size_t n = MIN(size, REFUSAL_MAX - request->n_refusal);

    if (!request->refusal)
        request->refusal = malloc(REFUSAL_MAX);
    if (!request->refusal)
        return -ENOMEM;
    memcpy(request->refusal + request->n_refusal, data, n);
    request->n_refusal += n;
    return 0;
}

int watch_body(struct watch *watch, msec now, const char *data, size_t size) {
    struct request *request = &watch->request;

    watch->stats.last_byte = now;
    if (!request->running || request->dead || size == 0)
        return 0;
    if (!request->taken)
        return keep_refusal(request, data, size);
    frame_feed(request->frame, data, size);
    return request->is_list ? list_body(watch, now) : watch_lines(watch, now);
}

/* ---- how it ended ---- */

static int end_refused(struct watch *watch, msec now, const char *text) {
    struct request *request = &watch->request;
    struct kube_status said;
    int r = -EBADMSG;

    if (request->n_refusal > 0 && request->decoder)
        r = request->decoder->status(&said, request->refusal, request->n_refusal);
    if (r == -ENOMEM)
        return r;
    return watch_fail_refused(watch, now, request->status, r < 0 ? NULL : &said, text);
}

/* The server closed the watch, as it does at its time, at a shutdown, or when its own cache begins anew. */
static int end_watch(struct watch *watch, msec now) {
    struct request *request = &watch->request;

    if (request->lines == 0 && now - request->answered < SHORT) {
        const struct failure once = {
            .trouble = WATCH_TROUBLE_SERVER, .status = 200, .retry_after = -1, .quick = true, .quiet = true};

        /* How some servers say 410 (kubernetes/kubernetes#104171); once may be chance. */
        if (++watch->short_closes < 2)
            return watch_fail(watch, now, &once);
        watch->short_closes = 0;
        return watch_fail_gone(watch, now, 200, "the server ends each watch at once");
    }
    watch->due = MAX(now, request->began + SHORT); /* at once, and yet not in a loop */
    return request->confirmed ? 0 : watch_confirm(watch, now);
}

int watch_end(struct watch *watch, msec now, enum watch_ending ending, const char *text) {
    struct request *request = &watch->request;
    int r;

    if (!request->running || request->dead) {
        request_done(request);
        return 0;
    }
    if (request->status != 0 && request->status != 200)
        r = end_refused(watch, now, text);
    else if (ending == WATCH_COMPLETE && request->taken)
        r = request->is_list ? list_end(watch, now) : end_watch(watch, now);
    else if (ending == WATCH_CUT)
        r = watch_fail_cut(watch, now, text);
    else
        r = watch_fail(watch, now,
                       &(struct failure){.trouble = WATCH_TROUBLE_NETWORK, .retry_after = -1, .keeps_page = true,
                                         .quick = true, .text = text});
    request_done(request);
    return r;
}
