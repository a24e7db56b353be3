/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of engine/http and engine/kube stand on: server.py and its certificates, a loop, answers kept whole. */
#pragma once

#include "authority.h"
#include "nodewall/http.h"

/* The server is started once per program, and ends with it. */
const char *bed_directory(void);                        /* scratch; holds ca.crt, good.crt, client.crt, … */
unsigned bed_port(const char *name);                    /* of a listener, see server.py */
struct authority *bed_authority(void);                  /* of ca.crt */
char *bed_path(const char *file);                       /* in bed_directory; the caller frees it */
void bed_write(const char *file, const char *text);     /* by rename */

struct loop {
    uv_loop_t uv;
    struct http *http;
};
void loop_open(struct loop *loop);
void loop_close(struct loop *loop);                     /* with http; fails the test if a handle is left */
/* Turns the loop until *flag, or fails the test after ten seconds. */
void loop_until(struct loop *loop, const bool *flag);
void loop_turn_for(struct loop *loop, unsigned ms);

/* What the callbacks have told. */
struct answer {
    unsigned status, n_headers, n_ends;
    msec retry_after;
    bool reused, headers_first;
    char type[64];
    char *body;                                         /* with a NUL */
    size_t size;
    struct http_end end;
    char text[2000];
    bool ended;
};
void answer_headers(struct answer *answer, const struct http_response *response);
void answer_data(struct answer *answer, const char *data, size_t size);
void answer_end(struct answer *answer, const struct http_end *end);
void answer_done(struct answer *answer);                /* frees, and sets everything to zero */

/* A GET of /path at a listener, over TLS if the options have a CA or say insecure. The caller frees the request. */
struct http_request *ask(struct loop *loop, struct answer *answer, const char *listener, const char *path,
                         const struct http_options *options);
struct http_request *ask_url(struct loop *loop, struct answer *answer, const char *url, const struct http_options *options);
/* The same, until it has ended: exactly once, headers before data, a sentence unless it is complete. */
void fetch(struct loop *loop, struct answer *answer, const char *listener, const char *path,
           const struct http_options *options);
