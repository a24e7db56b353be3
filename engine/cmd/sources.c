/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources - see sources.h.
 *
 * A cluster whose kubeconfig is no good is told and counts as failed; the others are looked at.
 */
#include "cmd/sources.h"

#include <signal.h>
#include <string.h>

static void on_timeout(uv_timer_t *timer) {
    struct sources *sources = timer->data;

    sources->timed_out = true;
    uv_stop(&sources->loop);
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    uv_stop(handle->loop);
}

static void start_handles(struct sources *sources, msec timeout) {
    uv_timer_init(&sources->loop, &sources->timeout);
    uv_signal_init(&sources->loop, &sources->interrupt);
    uv_signal_init(&sources->loop, &sources->terminate);
    sources->timeout.data = sources;
    uv_signal_start(&sources->interrupt, on_signal, SIGINT);
    uv_signal_start(&sources->terminate, on_signal, SIGTERM);
    if (timeout != MSEC_NEVER)
        uv_timer_start(&sources->timeout, on_timeout, (uint64_t)timeout, 0);
}

static int open_one(struct sources *sources, const struct cluster_config *config, const struct source_handler *handler) {
    struct looked_at *item = &sources->items[sources->n++];
    struct problem problem = {0};
    int r;

    *item = (struct looked_at){.all = sources, .config = config};
    r = source_new(&item->source, &sources->loop, sources->http, config, handler, item, &problem);
    if (r == 0)
        return 0;
    item->failed = true;
    return r == -EINVAL ? fail(&problem) : fail_errno(r, "%s", config->name);
}

static int open_all(struct sources *sources, const char *name, const struct source_handler *handler) {
    struct problem problem;
    char names[200] = "";
    bool any = false;

    for (size_t i = 0; i < sources->config->n_clusters; i++) {
        size_t used = strlen(names);

        snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "there are: ", sources->config->clusters[i]->name);
        if (name && strcmp(name, sources->config->clusters[i]->name))
            continue;
        any = true;
        (void)open_one(sources, sources->config->clusters[i], handler);
    }
    if (any)
        return 0;
    if (name)
        problem_set(&problem, sources->config->path, names, "there is no cluster '%s'", name);
    else
        problem_set(&problem, sources->config->clusters_dir, "put NAME.kubeconfig there", "there is no cluster yet");
    return fail(&problem);
}

int sources_open(struct sources *ret, const struct options *options, msec timeout, const struct source_handler *handler) {
    struct problem problem = {0};
    int r;

    *ret = (struct sources){0};
    r = config_load(&ret->config, options->config, &problem);
    if (r < 0)
        return r == -EINVAL ? fail(&problem) : fail_errno(r, "cannot load %s", options->config);
    uv_loop_init(&ret->loop);
    start_handles(ret, timeout);
    ret->items = calloc(ret->config->n_clusters, sizeof(*ret->items));
    r = ret->items ? http_new(&ret->http, &ret->loop) : -ENOMEM;
    r = r < 0 ? fail_errno(r, "cannot begin")
              : open_all(ret, options->n_arguments ? options->arguments[0] : NULL, handler);
    if (r)
        sources_close(ret);
    return r;
}

void sources_close(struct sources *sources) {
    for (size_t i = 0; i < sources->n; i++)
        source_free(sources->items[i].source);
    http_free(sources->http);
    uv_close((uv_handle_t *)&sources->timeout, NULL);
    uv_close((uv_handle_t *)&sources->interrupt, NULL);
    uv_close((uv_handle_t *)&sources->terminate, NULL);
    uv_run(&sources->loop, UV_RUN_DEFAULT);
    uv_loop_close(&sources->loop);
    free(sources->items);
    config_free(sources->config);
}
