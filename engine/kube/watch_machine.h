/* SPDX-License-Identifier: Apache-2.0 */
/* Watch machine - what watch.c, watch_list.c and watch_trouble.c share; for nobody else. */
#pragma once

#include "nodewall/frame.h"
#include "nodewall/watch.h"

#define SECOND ((msec)1000)
#define REFUSAL_MAX ((size_t)16 * 1024)     /* of the body of a refusal; a Status is below 1 KiB */

struct request {
    bool running;
    bool dead;                  /* given up: the driver is told to cancel it, and nothing of it counts any more */
    bool is_list;
    bool taken;                 /* 200, and said to be what was asked for */
    bool confirmed;             /* a watch that does what a watch does */
    bool complete;              /* a list whose last bracket came */
    unsigned status;            /* 0: no headers yet */
    msec retry_after;
    msec began, answered;
    uint64_t lines, items;
    struct frame *frame;        /* from the headers on, if taken */
    const struct decoder *decoder;      /* of what is sent, refusals too */
    struct list_head head;
    char *refusal;              /* body of what is no 200 */
    size_t n_refusal;
};

/* One list, over its pages. */
struct pages {
    bool open;                  /* LIST_START was told */
    unsigned n;                 /* pages that are done */
    unsigned tries;             /* failures of the page that is next */
    unsigned restarts;          /* since the last list that was done */
    char rv[RV_MAX + 1];        /* of the first page */
    char next[sizeof(((struct list_head *)0)->next)];
};

struct watch {
    char *selector;             /* of a query: "&labelSelector=…&fieldSelector=…", or "" */
    unsigned page;
    msec relist, idle;
    uint64_t random;
    char *path;                 /* last handed out */

    bool want_list;             /* what comes next: a list, or a watch from rv */
    bool doubt;                 /* rv or picture may be wrong: no watch before a list */
    bool relist_now;            /* watch_relist was called */
    bool fresh;                 /* the next request goes over a new connection */
    bool json;                  /* something in between garbles protobuf: no more of it */
    msec due, floor;            /* of the next request; the part that the server asked for */
    msec relist_due;
    char rv[RV_MAX + 1];

    struct request request;
    struct pages pages;

    struct backoff backoff;
    msec well_since;            /* a confirmed watch, or one after the other; -1: not */
    msec gone_at;               /* the last 410; -1: never */
    unsigned short_closes, cuts;
    bool asked_again;           /* after a 401, with the credentials read again */
    bool troubled, list_failing;
    enum watch_trouble trouble;

    struct watch_event *events;
    size_t first_event, n_events, events_size;
    struct watch_stats stats;
};

/* watch.c */
uint32_t watch_random(struct watch *watch);
/* A new event at the end of the queue, zeroed but for its kind; NULL: no memory. Valid until the next one. */
struct watch_event *watch_emit(struct watch *watch, enum watch_event_kind kind);
int watch_emit_rv(struct watch *watch, enum watch_event_kind kind, const char *rv);

/* watch_list.c */
int list_begin(struct watch *watch);                       /* headers of a page came */
int list_body(struct watch *watch, msec now);              /* takes out what the frame has */
int list_end(struct watch *watch, msec now);               /* the page came whole, says HTTP */
int list_abandon(struct watch *watch);

/* watch_trouble.c */
struct failure {
    enum watch_trouble trouble;
    unsigned status;
    msec retry_after;           /* -1: none */
    bool doubt;                 /* of a watch: list before the next one */
    bool restart;               /* of a list: begin again at its first page, at once if it is the first time */
    bool keeps_page;            /* of a list: the same page can be asked for again */
    bool quick;                 /* if all was well before: the first try after it within a second */
    bool at_once;               /* within a second, whatever was before; the backoff stays as it is */
    bool quiet;                 /* not worth a word to anybody */
    unsigned *times;            /* since all was well; told from the second time on. NULL: told at once */
    const char *text;
};
/* Ends the request as failed and decides what comes when. 0 or -ENOMEM. */
int watch_fail(struct watch *watch, msec now, const struct failure *failure);
int watch_fail_cut(struct watch *watch, msec now, const char *text);
int watch_fail_wrong(struct watch *watch, msec now, const char *text);
int watch_fail_gone(struct watch *watch, msec now, unsigned status, const char *text);
/* By what the server said: `status` of HTTP, or of an ERROR event (`said` is never NULL then). */
int watch_fail_refused(struct watch *watch, msec now, unsigned status, const struct kube_status *said,
                       const char *text);
/* The watch does what it should: trouble is over. */
int watch_confirm(struct watch *watch, msec now);
