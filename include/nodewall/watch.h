/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch - keeping a true picture of the Nodes of one cluster: list, then watch from the list's resourceVersion, and on
 * any doubt list again. A state machine without I/O: the driver asks what to do (watch_next), does it, tells what came
 * (watch_headers, watch_body, watch_end) and takes the events out (watch_pop). `now` comes in; so an outage, a 410 and
 * a relist are files in tests/replay.
 *
 * Keeps: between LIST_START and LIST_DONE only a complete and consistent list is told (or LIST_ABANDONED ends it, and
 * nothing of it counts); a node is GONE only by a DELETED event or by missing from a complete list; the resourceVersion
 * moves on ADDED, MODIFIED, DELETED and BOOKMARK and nowhere else.
 * Does not: know what an address is, nor decide what is published. Network trouble is never an error here: it is
 * TROUBLE, with what a person should know, and the picture of before stays.
 */
#pragma once

#include "nodewall/backoff.h"
#include "nodewall/decode.h"

struct watch_options {
    const char *selector;       /* label selector as typed, or NULL; percent-encoded here */
    const char *field_selector; /* likewise */
    unsigned page;              /* items of a page; 0: 500 */
    msec relist;                /* a list is repeated after this long, plus up to a half by chance; 0: 20 min */
    msec idle;                  /* a watch silent for so long is dead; 0: 180 s (bookmarks come each 120 s or so) */
    uint32_t seed;              /* of its jitter */
};

struct watch;
int watch_new(struct watch **ret, const struct watch_options *options);
struct watch *watch_free(struct watch *watch);
DEFINE_CLEANUP(struct watch, watch_free)

enum watch_action {
    WATCH_WAIT,                 /* nothing to do before `due`, unless something comes */
    WATCH_START,                /* send a GET for `path` now; the machine takes it as started */
    WATCH_CANCEL,               /* end the running request without watch_end; then ask again */
};
struct watch_want {
    enum watch_action action;
    msec due;                   /* WAIT: MSEC_NEVER is possible */
    const char *path;           /* START: percent-encoded, from the root of the API; valid until the next call */
    bool is_list;               /* START: gzip is welcome */
    bool json;                  /* START: the answer must be JSON; else protobuf is as good, and cheaper */
    bool fresh;                 /* START: on a new connection */
    msec idle, deadline;        /* START: longest silence and longest life of the request */
};
int watch_next(struct watch *watch, msec now, struct watch_want *ret);

/* Of the request that runs, in HTTP's order. `retry_after` -1: none. */
int watch_headers(struct watch *watch, msec now, unsigned status, const char *content_type, msec retry_after);
int watch_body(struct watch *watch, msec now, const char *data, size_t size);
enum watch_ending {
    WATCH_COMPLETE,             /* the response came whole */
    WATCH_CUT,                  /* it began and was cut */
    WATCH_NO_ANSWER,            /* no response at all: refused, unreachable, DNS, TLS, timeout, our own credentials */
};
/* `text`: a sentence for people; used in TROUBLE unless the response itself says more. */
int watch_end(struct watch *watch, msec now, enum watch_ending ending, const char *text);
/* List again as soon as possible (a reload, an operator). The watch that runs goes on until then. */
void watch_relist(struct watch *watch);

enum watch_event_kind {
    WATCH_EVENT_LIST_START,
    WATCH_EVENT_NODE,           /* node as it is; `listed` between LIST_START and LIST_DONE. May repeat what is known */
    WATCH_EVENT_GONE,           /* by DELETED: node as it was last */
    WATCH_EVENT_LIST_DONE,      /* rv: of the list. Whoever was not told since LIST_START does not exist */
    WATCH_EVENT_LIST_ABANDONED, /* forget what came since LIST_START */
    WATCH_EVENT_BOOKMARK,       /* rv alone moved */
    WATCH_EVENT_TROUBLE,        /* requests fail, see the fields. Told when it begins and when its kind changes */
    WATCH_EVENT_RESUMED,        /* trouble is over: a response came that is as it should be */
};
enum watch_trouble {
    WATCH_TROUBLE_NETWORK,      /* no answer, or cut again and again */
    WATCH_TROUBLE_UNAUTHORIZED, /* 401 */
    WATCH_TROUBLE_FORBIDDEN,    /* 403 */
    WATCH_TROUBLE_BUSY,         /* 429, 503, 504 */
    WATCH_TROUBLE_SERVER,       /* other 5xx, 410 again and again */
    WATCH_TROUBLE_WRONG,        /* 400, 404, 406, 422, or 200 with something that is no node list */
};
const char *watch_trouble_name(enum watch_trouble trouble);     /* network, unauthorized, … */

struct watch_event {
    enum watch_event_kind kind;
    struct node *node;          /* NODE, GONE; owned by the event */
    bool listed;                /* NODE */
    char rv[RV_MAX + 1];        /* NODE (watched), GONE, LIST_DONE, BOOKMARK */
    enum watch_trouble trouble; /* TROUBLE */
    unsigned status;            /* TROUBLE: HTTP status or 0 */
    char text[640];             /* TROUBLE: one sentence; control characters replaced */
};
void watch_event_done(struct watch_event *event);
/* 1: *ret is the next event (the caller ends it with watch_event_done); 0: none. Take all out after each call above. */
int watch_pop(struct watch *watch, struct watch_event *ret);

struct watch_stats {
    uint64_t lists, watches;    /* requests begun */
    uint64_t events;            /* lines of watches */
    uint64_t failures, gone;    /* requests that failed; 410s in any form */
    msec last_byte, last_list, last_event;  /* `now` of each; -1: never */
    char rv[RV_MAX + 1];
    bool watching;              /* a watch is running and answered 200 */
};
struct watch_stats watch_stats(const struct watch *watch);
