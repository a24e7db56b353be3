/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Http - streaming GETs on a libuv loop, by libcurl's multi interface.
 *
 * One struct http per loop; it pools connections, so that a request to the same server with the same credentials goes
 * over the connection of the last one. HTTP/1.1 only: a watch and a list never share a connection, a stuck
 * stream blocks nobody. No redirects, no cookies, no netrc, no stored TLS sessions. Threads: only curl's resolver.
 *
 * Everything that the network does is an outcome, told once by on_end. <0 is returned only when a request could not
 * even be made (-ENOMEM, -EINVAL for options that curl refuses).
 */
#pragma once

#include "nodewall/base.h"

#include <uv.h>

struct http;
struct http_request;

enum http_outcome {
    HTTP_COMPLETE,          /* the whole response came, whatever its status. A body sent without a length (HTTP/1.0) is
                             * whole where the connection ends: read it as something that may be cut */
    HTTP_TRUNCATED,         /* it began and was cut: reset, closed before its length, bad chunk or gzip */
    HTTP_REFUSED,           /* TCP: refused, unreachable, reset before an answer */
    HTTP_DNS,               /* no address for the name */
    HTTP_CONNECT_TIMEOUT,   /* no TCP and TLS connection in time */
    HTTP_IDLE,              /* connected, but nothing was received for `idle` */
    HTTP_DEADLINE,          /* not done after `deadline` */
    HTTP_TLS,               /* see http_end.tls */
    HTTP_PROXY,             /* the proxy said no, or cannot be found */
    HTTP_PROTOCOL,          /* what came is no HTTP, or its headers are too large */
    HTTP_TOO_LARGE,         /* more than `limit` bytes of body */
    HTTP_LOCAL,             /* our own credentials or files; nothing was sent */
    HTTP_FAILED,            /* anything else, see text */
    HTTP_OUTCOME_MAX,
};
const char *http_outcome_name(enum http_outcome outcome);      /* "complete", "truncated", ... */

/* What was wrong with TLS, as far as it can be told apart. */
enum http_tls {
    HTTP_TLS_OTHER,
    HTTP_TLS_UNTRUSTED,     /* the server's chain does not lead to the CA */
    HTTP_TLS_NAME,          /* right CA, other name */
    HTTP_TLS_EXPIRED,       /* or not yet valid: look at the clock */
    HTTP_TLS_CLIENT,        /* the server does not take our certificate, or our pair does not fit */
    HTTP_TLS_NOT_TLS,       /* the other end does not speak TLS */
};

struct http_response {
    unsigned status;                /* never 1xx */
    const char *content_type;       /* as sent; "" if none. Lives until the callback returns */
    msec retry_after;               /* -1: none. Seconds and dates are understood; at most 6 hours */
    bool reused;                    /* came over a connection that was there before */
};

struct http_end {
    enum http_outcome outcome;
    enum http_tls tls;              /* with HTTP_TLS */
    bool connected;                 /* a connection (with TLS, if asked for) stood */
    const char *text;               /* one sentence without secrets, "" with HTTP_COMPLETE; only within the callback */
};

/*
 * Any callback may call http_request_free on its own or another request, and http_get. Never called from within
 * http_get or http_request_free. Order: on_headers at most once, on_data any number of times (after on_headers, never
 * empty, body decoded from gzip), on_end exactly once unless the request was freed before. NULL callbacks are skipped.
 */
struct http_callbacks {
    void (*on_headers)(struct http_request *request, const struct http_response *response, void *userdata);
    void (*on_data)(struct http_request *request, const char *data, size_t size, void *userdata);
    void (*on_end)(struct http_request *request, const struct http_end *end, void *userdata);
};

struct http_blob {
    const void *data;               /* NULL: not given */
    size_t size;
};

/* All that is pointed to is copied by http_get. Zero is the default of every member. */
struct http_options {
    const char *const *headers;     /* "Name: value" lines, NULL-terminated; secrets are fine here */
    struct http_blob ca;            /* PEM; not given: the system's */
    struct http_blob certificate, key;      /* PEM */
    bool insecure;                  /* neither chain nor name of the server are checked */
    const char *connect_host;       /* connect here instead of to the URL's host; the URL's host is then */
    uint16_t connect_port;          /*   what SNI, certificate check and the Host header use */
    const char *proxy;              /* URL; NULL: http(s)_proxy and no_proxy of the environment, never for loopback */
    bool gzip;                      /* offer gzip, decode it */
    bool fresh;                     /* a new connection, resolved anew, even if one is pooled */
    msec idle;                      /* longest silence, from the start or the last received byte; 0: 60 s */
    msec deadline;                  /* longest life of the request; 0: none */
    size_t limit;                   /* most bytes of (decoded) body; 0: no limit */
};

#define HTTP_CONNECT_TIMEOUT_MSEC 10000     /* TCP and TLS together */
#define HTTP_HEADERS_LIMIT (64 * 1024)      /* bytes of response headers in all */

int http_new(struct http **ret, uv_loop_t *loop);
/* Ends every request that is left, without a callback (their owners must still free them, before or after). The loop
 * must turn once more before it is closed, so that its handles can be. Not from within a callback. */
struct http *http_free(struct http *http);
DEFINE_CLEANUP(struct http, http_free)

uv_loop_t *http_loop(const struct http *http);

/* 0 and *ret: the caller owns the request and frees it, at any time, also after on_end. `callbacks` is copied. */
int http_get(struct http_request **ret, struct http *http, const char *url, const struct http_options *options,
             const struct http_callbacks *callbacks, void *userdata);
/* A request that sends nothing and ends in the next turn of the loop with this outcome and text. */
int http_fail(struct http_request **ret, struct http *http, enum http_outcome outcome, const char *text,
              const struct http_callbacks *callbacks, void *userdata);
/* Cancels if it still runs (no callback follows) and frees. */
struct http_request *http_request_free(struct http_request *request);
DEFINE_CLEANUP(struct http_request, http_request_free)
