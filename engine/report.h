/* SPDX-License-Identifier: Apache-2.0 */
/* Report - the engine in JSON, for /status, and in Prometheus' text, for /metrics. */
#pragma once

#include "cluster.h"
#include "nodewall/status.h"

struct report {
    struct bus *bus;
    struct cluster *const *clusters;    /* by name */
    size_t n_clusters;
    msec started;                       /* wall clock */
    const char *config;                 /* path */
    const char *config_problem;         /* why the last reload was refused; "" */
};

/* Malloc'ed text. 0 or -errno. */
int report_status(const struct report *report, char **ret, size_t *ret_size);
/* /held/<cluster>, /who/<address>; -ENOENT: no such page. */
int report_page(const struct report *report, const char *path, char **ret, size_t *ret_size);
int report_metrics(const struct report *report, char **ret, size_t *ret_size);
