/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Http - libcurl's multi interface on a libuv loop.
 *
 * curl says which sockets it waits for and when it wants to be woken; libuv waits. Level-triggered polls, as curl
 * expects them. All that must not happen inside curl's own calls (adding a transfer, removing one, telling an owner of
 * the end) is marked there and done by on_wake() and drain(), when no call of curl's is on the stack.
 *
 * Keeps: an owner hears nothing after it has freed its request, and exactly one on_end otherwise. No callback runs
 * inside http_get or http_request_free. One watchdog timer for all requests: silence and deadlines are seconds long,
 * and few.
 * Does not: retry, redirect, log. Owns: the multi handle with its pooled connections, its loop handles, and every
 * request's transfer; the request itself is its owner's.
 */
#include "request.h"

#include <signal.h>
#include <string.h>

#define CONNECTIONS_LIMIT 64    /* pooled; a list's and a watch's for each of some thirty clusters */

/* One socket of curl's. */
struct watch {
    uv_poll_t poll;
    struct http *http;
    int events;
};

static void drain(struct http *http);

static void poll_closed(uv_handle_t *handle) {
    free(handle->data);
}

static void handle_closed(uv_handle_t *handle) {
    struct http *http = handle->data;

    if (--http->n_open == 0)
        free(http);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct watch *watch = poll->data;
    struct http *http = watch->http;
    int flags = 0, running, fd;

    if (uv_fileno((uv_handle_t *)poll, &fd) < 0)
        return;
    /* libuv stops a poll that has an error, and curl, told of it, would drop what came before a reset. Not told, it
     * looks for itself and reads on, piece by piece. */
    if (status < 0)
        uv_poll_start(poll, watch->events, on_poll);
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    http->busy++;
    curl_multi_socket_action(http->multi, fd, flags, &running);
    http->busy--;
    drain(http); /* `poll` may be gone */
}

static void watch_socket(struct http *http, curl_socket_t fd, struct watch *watch, int what) {
    if (!watch) {
        watch = calloc(1, sizeof(*watch));
        if (!watch)
            return;
        if (uv_poll_init_socket(http->loop, &watch->poll, fd) < 0) {
            free(watch);
            return;
        }
        watch->poll.data = watch;
        watch->http = http;
        curl_multi_assign(http->multi, fd, watch);
    }
    watch->events = ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
    uv_poll_start(&watch->poll, watch->events, on_poll);
}

/* Always 0: any other answer would make the whole multi handle useless for ever. A socket that could not be watched
 * (no memory) is silent, and the watchdog ends its request. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data) {
    struct http *http = userdata;
    struct watch *watch = socket_data;

    if (what != CURL_POLL_REMOVE) {
        watch_socket(http, fd, watch, what);
    } else if (watch) {
        /* At once, for curl closes the descriptor next, and its number may be another socket's in this same turn. */
        uv_poll_stop(&watch->poll);
        uv_close((uv_handle_t *)&watch->poll, poll_closed);
        curl_multi_assign(http->multi, fd, NULL);
    }
    return 0;
}

static void on_timeout(uv_timer_t *timer) {
    struct http *http = timer->data;
    int running;

    http->busy++;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http->busy--;
    drain(http);
}

static int on_timer_wanted(CURLM *multi, long wait, void *userdata) {
    struct http *http = userdata;

    if (wait < 0)
        uv_timer_stop(&http->timeout);
    else
        uv_timer_start(&http->timeout, on_timeout, (uint64_t)wait, 0);
    return 0;
}

/* Out of the multi, told, and left to its owner. Called with busy > 0. */
static void end(struct http *http, struct http_request *request, const struct http_end *how) {
    if (request->state == REQUEST_RUNNING)
        curl_multi_remove_handle(http->multi, request->easy);
    request->state = REQUEST_ENDED;
    request_release(request);
    request_tell(request, how);
}

/* Only those that were queued before this turn: an owner that asks again whenever it is told of a failure must not keep
 * the loop from turning. */
static void start_queued(struct http *http) {
    for (struct http_request *request = http->requests; request;) {
        struct http_end failed = {.outcome = request->failure, .text = request->failure_text};

        if (request->state != REQUEST_QUEUED || request->freed || request->turn == http->turn) {
            request = request->next;
            continue;
        }
        if (!request->easy) {
            end(http, request, &failed);
        } else if (curl_multi_add_handle(http->multi, request->easy) == CURLM_OK) {
            request->state = REQUEST_RUNNING;
            request_started(request);
        } else {
            failed = (struct http_end){.outcome = HTTP_FAILED, .text = "the HTTP library is out of memory"};
            end(http, request, &failed);
        }
        request = http->requests; /* a callback may have changed the list anywhere; few are in it */
    }
}

static void tell_finished(struct http *http) {
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct http_request *request = NULL;
        char text[END_TEXT_MAX] = "";
        struct http_end how = {.text = text};

        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request) != CURLE_OK)
            continue;
        outcome_of_curl(&how, text, request, message->data.result);
        end(http, request, &how);
    }
}

static void bury_freed(struct http *http) {
    struct http_request *next;

    for (struct http_request *request = http->requests; request; request = next) {
        next = request->next;
        if (!request->freed)
            continue;
        if (request->state == REQUEST_RUNNING)
            curl_multi_remove_handle(http->multi, request->easy);
        request_bury(request);
    }
}

static void on_watchdog(uv_timer_t *timer);

static void arm_watchdog(struct http *http) {
    msec due = MSEC_NEVER, now = clock_now();

    for (struct http_request *request = http->requests; request; request = request->next) {
        enum http_outcome outcome;

        if (request->state == REQUEST_RUNNING)
            due = MIN(due, request_due(request, &outcome));
    }
    if (due == MSEC_NEVER)
        uv_timer_stop(&http->watchdog);
    else if (!uv_is_active((uv_handle_t *)&http->watchdog) || now + (msec)uv_timer_get_due_in(&http->watchdog) > due)
        uv_timer_start(&http->watchdog, on_watchdog, (uint64_t)MAX(due - now, 1), 0);
    /* A timer that is due earlier than needed stays: it looks, finds nothing and is set anew. That is once per idle
     * time, and spares a change of the timer with every chunk. */
}

/* What curl has finished is told, and what its owner has freed is buried. */
static void drain(struct http *http) {
    if (http->busy)
        return;
    http->busy++;
    tell_finished(http);
    http->busy--;
    bury_freed(http);
    arm_watchdog(http);
}

static void on_wake(uv_idle_t *idle) {
    struct http *http = idle->data;

    uv_idle_stop(idle);
    http->turn++;
    http->busy++;
    start_queued(http);
    http->busy--;
    drain(http);
}

static void on_watchdog(uv_timer_t *timer) {
    struct http *http = timer->data;
    msec now = clock_now();

    http->busy++;
    for (struct http_request *request = http->requests; request;) {
        char text[END_TEXT_MAX] = "";
        struct http_end how = {.text = text};
        enum http_outcome outcome;

        if (request->state != REQUEST_RUNNING || request->freed || request_due(request, &outcome) > now) {
            request = request->next;
            continue;
        }
        outcome_of_watchdog(&how, text, request, outcome);
        end(http, request, &how);
        request = http->requests;
    }
    http->busy--;
    drain(http);
}

/* Queued always, also from the top of the loop: so no callback can run before the owner has its pointer. An idle
 * handle, for a timer of 0 ms that is set by a timer's callback runs before the loop has looked at any socket. */
static void enqueue(struct http *http, struct http_request *request) {
    request->turn = http->turn;
    request->next = http->requests;
    if (http->requests)
        http->requests->previous = request;
    http->requests = request;
    uv_idle_start(&http->wake, on_wake);
}

int http_get(struct http_request **ret, struct http *http, const char *url, const struct http_options *options,
             const struct http_callbacks *callbacks, void *userdata) {
    CLEANUP(http_request_freep) struct http_request *request = NULL;
    int r = request_new(&request, NULL, callbacks, userdata);

    if (r >= 0)
        r = request_prepare(request, url, options);
    if (r < 0)
        return r;
    request->http = http;
    enqueue(http, request);
    *ret = TAKE_PTR(request);
    return 0;
}

int http_fail(struct http_request **ret, struct http *http, enum http_outcome outcome, const char *text,
              const struct http_callbacks *callbacks, void *userdata) {
    CLEANUP(http_request_freep) struct http_request *request = NULL;
    int r = request_new(&request, NULL, callbacks, userdata);

    if (r < 0)
        return r;
    request->failure = outcome;
    request->failure_text = strdup(text);
    if (!request->failure_text)
        return -ENOMEM;
    request->http = http;
    enqueue(http, request);
    *ret = TAKE_PTR(request);
    return 0;
}

struct http_request *http_request_free(struct http_request *request) {
    struct http *http;

    if (!request)
        return NULL;
    http = request->http;
    request->freed = true;
    if (http && http->busy)
        return NULL;
    if (request->state == REQUEST_RUNNING)
        curl_multi_remove_handle(http->multi, request->easy);
    return request_bury(request);
}

int http_new(struct http **ret, uv_loop_t *loop) {
    struct http *http = calloc(1, sizeof(*http));

    if (!http)
        return -ENOMEM;
    /* Writing to a connection that the server has just reset would end the process. curl could guard every call of its
     * own by two system calls; a program that lives on sockets wants it ignored altogether. */
    signal(SIGPIPE, SIG_IGN);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(http);
        return -ENOMEM;
    }
    http->multi = curl_multi_init();
    if (!http->multi) {
        curl_global_cleanup();
        free(http);
        return -ENOMEM;
    }
    http->loop = loop;
    http->n_open = 3;
    uv_timer_init(loop, &http->timeout);
    uv_idle_init(loop, &http->wake);
    uv_timer_init(loop, &http->watchdog);
    http->timeout.data = http->wake.data = http->watchdog.data = http;
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_LIMIT);
    *ret = http;
    return 0;
}

uv_loop_t *http_loop(const struct http *http) {
    return http->loop;
}

struct http *http_free(struct http *http) {
    if (!http)
        return NULL;
    while (http->requests) {
        struct http_request *request = http->requests;

        if (request->state == REQUEST_RUNNING)
            curl_multi_remove_handle(http->multi, request->easy);
        request->state = REQUEST_ENDED;
        request_release(request);
        http->requests = request->next;
        if (request->next)
            request->next->previous = NULL;
        request->next = NULL;
        request->http = NULL;
        if (request->freed)
            request_bury(request);
    }
    curl_multi_cleanup(http->multi);
    curl_global_cleanup();
    uv_close((uv_handle_t *)&http->timeout, handle_closed);
    uv_close((uv_handle_t *)&http->wake, handle_closed);
    uv_close((uv_handle_t *)&http->watchdog, handle_closed);
    return NULL;
}
