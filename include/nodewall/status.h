/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status - the engine as others see it: a small HTTP listener, metrics text, and the service manager.
 *
 * The listener answers GET (and HEAD) and nothing else: /status and what else the handler knows on the unix socket, /metrics
 * there and on TCP. What /status tells names minions and nodes, and any local user can reach a TCP port, so it is not told there.
 */
#pragma once

#include "nodewall/base.h"

#include <uv.h>

#define STATUS_CONNECTIONS 16       /* at a time, of both listeners; more wait in the kernel's backlog or are closed */
#define STATUS_REQUEST_MAX 4096     /* bytes of request head */
#define STATUS_TIMEOUT 5000         /* ms for a request and its answer */

struct status_handler {
    /* Malloc'ed text, freed by the listener. -errno becomes a 500. */
    int (*status_json)(void *userdata, char **ret, size_t *ret_size);
    int (*metrics_text)(void *userdata, char **ret, size_t *ret_size);
    /* Any other path, on the unix socket; -ENOENT: there is no such page, a 404. NULL: there are none. */
    int (*page_json)(void *userdata, const char *path, char **ret, size_t *ret_size);
};

struct status;
int status_new(struct status **ret, uv_loop_t *loop, const struct status_handler *handler, void *userdata);
/* Stops listening; memory goes when the loop has run the closing callbacks. Unlinks its socket. Returns NULL. */
struct status *status_free(struct status *status);
DEFINE_CLEANUP(struct status, status_free)
/* A socket left behind is replaced; one that somebody listens on is -EADDRINUSE. Mode 0660. */
int status_listen_unix(struct status *status, const char *path, struct problem *problem);
/* host:port, [v6]:port; names are not looked up. */
int status_listen_tcp(struct status *status, const char *address, struct problem *problem);

/* GET over the unix socket, for `nodewall status`; blocking, at most `timeout` ms. -ENOENT, -ECONNREFUSED: no engine;
 * -ENXIO: no such page; -EPROTO: not a 200. */
int status_get(char **ret, size_t *ret_size, const char *socket_path, const char *page, msec timeout);

/* Prometheus text format, built line by line. Start with {0}; the first failure sticks and metrics_take tells it. */
struct metrics {
    char *text;
    size_t size, capacity;
    int error;
    const char *last;               /* family whose HELP and TYPE were written */
};
/* Samples of one family must follow each other. `labels` is NULL or pairs: "cluster", "prod", NULL. Values are
 * escaped. */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE };
void metrics_add(struct metrics *metrics, enum metric_type type, const char *name, const char *help,
                 const char *const *labels, double value);
int metrics_take(struct metrics *metrics, char **ret, size_t *ret_size);
void metrics_done(struct metrics *metrics);

/* systemd's notification socket. Nothing happens without NOTIFY_SOCKET. `state`: "READY=1\nSTATUS=…". */
int notify_send(const char *state);
/* Half of WATCHDOG_USEC in ms: how often to send WATCHDOG=1; 0: not asked for. */
msec notify_watchdog(void);
