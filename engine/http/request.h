/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request - one GET between its owner and curl. Private to http.
 *
 *          http_get                add to multi             done, silent, too late, too large
 *   owner ----------> QUEUED ----------------------> RUNNING ------------------------------> ENDED
 *          http_fail --^  \------------------------------------------------------------------^
 *
 * The owner may free it in each of these. While curl or a callback is on the stack (http.busy), freeing only sets
 * `freed`: curl refuses to let go of a transfer from within its own callbacks. http.c buries it when the stack is
 * clear.
 */
#pragma once

#include "nodewall/http.h"

#include <curl/curl.h>

enum request_state { REQUEST_QUEUED, REQUEST_RUNNING, REQUEST_ENDED };

struct http_request {
    struct http *http;              /* NULL once http_free has run */
    struct http_request *previous, *next;
    enum request_state state;
    bool freed;
    bool via_proxy;                 /* one that was named for it */
    uint64_t turn;                  /* http.turn when it was queued */

    struct http_callbacks callbacks;
    void *userdata;

    CURL *easy;                     /* NULL for http_fail */
    struct curl_slist *headers, *connect_to;
    void *key;                      /* our copy of the private key; curl's own would be freed as it is */
    size_t key_size;
    char error[CURL_ERROR_SIZE];
    char peer[300];                 /* host:port, for sentences */

    msec idle, deadline;            /* lengths; deadline 0: none */
    msec started, last_byte;        /* clock_now */
    size_t limit, n_body, n_header;
    curl_off_t n_received;          /* as last seen: bytes on the wire, before gzip */
    bool has_response;              /* on_headers was due */
    bool too_large, bad_headers;

    enum http_outcome failure;      /* of http_fail */
    char *failure_text;
};

struct http {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timeout;             /* when curl wants to be called without a socket's event */
    uv_idle_t wake;                 /* next turn: something is queued */
    uv_timer_t watchdog;            /* the nearest idle or deadline of all requests */
    unsigned n_open;                /* of these three, for the last close */
    struct http_request *requests;  /* every one that is not buried */
    uint64_t turn;                  /* of on_wake */
    unsigned busy;                  /* depth of curl calls and callbacks on the stack */
};

/* request.c */
int request_new(struct http_request **ret, struct http *http, const struct http_callbacks *callbacks, void *userdata);
int request_prepare(struct http_request *request, const char *url, const struct http_options *options);
void request_started(struct http_request *request);
/* When it has to be looked at again, MSEC_NEVER if never; *ret says what is to be done if that time has come. */
msec request_due(struct http_request *request, enum http_outcome *ret);
/* Tells the owner, unless it has freed the request. */
void request_tell(struct http_request *request, const struct http_end *end);
void request_release(struct http_request *request);     /* everything of curl's; not in the multi any more */
struct http_request *request_bury(struct http_request *request);

/* outcome.c: the sentence is written into `text`; end->text points there. */
#define END_TEXT_MAX 600
void outcome_of_curl(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request, CURLcode code);
void outcome_of_watchdog(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request,
                         enum http_outcome outcome);
