/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine - wires the modules to one loop: clusters on the left, the bus on the right, and what a person or a service
 * manager asks of a daemon: signals, status, readiness.
 *
 * Keeps: one thread; nothing on the right blocks the left. A configuration is taken whole or not at all, and a bad new one
 * changes nothing but a line in the log and in /status; a file in clusters_dir is its own cluster's alone.
 * Owns: the loop and all that hangs on it. On the way out the clusters go first, so that no callback meets a bus that is gone;
 * a write under way is finished by the last turns of the loop.
 */
#include "engine.h"

#include "cluster.h"
#include "folder.h"
#include "nodewall/log.h"
#include "nodewall/pack.h"
#include "nodewall/status.h"
#include "report.h"
#include "requests.h"
#include "roll.h"

#include <signal.h>
#include <string.h>

enum {
    TICK = 5000,        /* ms: staleness, the minions' index */
    SETTLE = 300,       /* ms that a kubeconfig has to rest before it is read */
};

struct engine {
    uv_loop_t loop;
    uv_signal_t terminate, interrupt, hangup;
    uv_timer_t tick, watchdog;
    struct config *config;
    struct cluster_shared shared;       /* http, bus, state directory */
    struct roll roll;
    struct folder *kubeconfigs;         /* clusters_dir */
    struct requests *requests;
    struct status *status;
    msec started;
    char config_problem[1400];
    char left_out[1400];                /* of clusters_dir, as last logged */
};

/* ---- configuration ---- */

/* Once for each state of the directory. */
static void tell_left_out(struct engine *engine) {
    const struct config *config = engine->config;
    char line[1400] = "", all[1400] = "";

    for (size_t i = 0; i < MIN(config->n_left_out, (size_t)CONFIG_LEFT_OUT); i++) {
        problem_format(&config->left_out[i], line, sizeof(line));
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? "; " : "", line);
    }
    if (config->n_left_out > CONFIG_LEFT_OUT)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "; and %zu more", config->n_left_out - CONFIG_LEFT_OUT);
    if (all[0] && strcmp(all, engine->left_out))
        log_error("not every file in %s is a cluster: %s", config->clusters_dir, all);
    memcpy(engine->left_out, all, sizeof(all));
}

static void take_config(struct engine *engine, struct config *config) {
    int r = roll_follow(&engine->roll, &engine->shared, config);

    if (r < 0)
        log_error("not all clusters could be begun: %s", strerror(-r));
    config_free(engine->config);
    engine->config = config;
    tell_left_out(engine);
}

static bool differ(const char *a, const char *b) {
    return !a != !b || (a && strcmp(a, b));
}

static bool other_minion(const struct minion_config *a, const struct minion_config *b) {
    size_t i = 0;

    if (a->n_masters != b->n_masters || differ(a->id, b->id) || differ(a->master_key, b->master_key) ||
        a->trust_first_use != b->trust_first_use || a->hash != b->hash || !a->fingers != !b->fingers)
        return true;
    for (i = 0; i < a->n_masters; i++)
        if (strcmp(a->masters[i].host, b->masters[i].host) || a->masters[i].port != b->masters[i].port)
            return true;
    for (i = 0; a->fingers && a->fingers[i] && b->fingers[i]; i++)
        if (strcmp(a->fingers[i], b->fingers[i]))
            return true;
    return a->fingers && differ(a->fingers[i], b->fingers[i]);
}

static bool needs_restart(const struct config *a, const struct config *b) {
    return strcmp(a->state_dir, b->state_dir) || a->bus.transport != b->bus.transport ||
           other_minion(&a->bus.minion, &b->bus.minion) || strcmp(a->bus.sock_dir, b->bus.sock_dir) ||
           a->bus.ipc_mode != b->bus.ipc_mode || a->bus.framing != b->bus.framing ||
           a->bus.pub_port != b->bus.pub_port || a->bus.pull_port != b->bus.pull_port ||
           a->metrics_port != b->metrics_port || !a->metrics_host != !b->metrics_host ||
           (a->metrics_host && strcmp(a->metrics_host, b->metrics_host));
}

static void refuse_config(struct engine *engine, int error, struct problem *problem) {
    if (error != -EINVAL)
        problem_set(problem, engine->config->path, NULL, "%s", strerror(-error));
    problem_format(problem, engine->config_problem, sizeof(engine->config_problem));
    log_error("the new configuration is refused, the old one goes on: %s", engine->config_problem);
}

static void follow_folder(struct engine *engine);

static void reload(struct engine *engine) {
    struct config *config = NULL;
    struct problem problem = {0};
    int r = config_load(&config, engine->config->path, &problem);
    bool moved;

    if (r < 0) {
        refuse_config(engine, r, &problem);
        return;
    }
    engine->config_problem[0] = '\0';
    moved = strcmp(config->clusters_dir, engine->config->clusters_dir);
    if (needs_restart(engine->config, config))
        log_warning("state_dir, bus and metrics change only with a restart; the rest of %s is taken now", config->path);
    take_config(engine, config);
    if (moved)
        follow_folder(engine);
    log_info("read %s again: %zu cluster%s", config->path, config->n_clusters, config->n_clusters == 1 ? "" : "s");
}

/* A kubeconfig came, went or is another one; nodewall.yaml stays as it was read. */
static void on_folder(void *userdata) {
    struct engine *engine = userdata;
    struct config *config = NULL;
    struct problem problem = {0};
    int r = config_list_again(&config, engine->config, &problem);

    if (r < 0) { /* told with the files that are left out: nodewall.yaml is as good as it was */
        if (r != -EINVAL)
            problem_set(&problem, engine->config->clusters_dir, NULL, "%s", strerror(-r));
        problem_format(&problem, engine->left_out, sizeof(engine->left_out));
        log_error("the clusters stay as they are: %s", engine->left_out);
        return;
    }
    take_config(engine, config);
    log_info("looked into %s again: %zu cluster%s", config->clusters_dir, config->n_clusters,
             config->n_clusters == 1 ? "" : "s");
}

static void follow_folder(struct engine *engine) {
    int r;

    engine->kubeconfigs = folder_free(engine->kubeconfigs);
    r = folder_new(&engine->kubeconfigs, &engine->loop, engine->config->clusters_dir, ".kubeconfig", SETTLE, on_folder, engine);
    if (r < 0)
        log_error("%s is not watched: %s", engine->config->clusters_dir, strerror(-r));
}

static struct cluster *find_cluster(void *userdata, const char *name) {
    struct engine *engine = userdata;

    return roll_find(&engine->roll, name);
}

/* ---- bus ---- */

static void on_message(void *userdata, const struct bus_message *message) {
    struct engine *engine = userdata;
    CLEANUP(json_putp) json_object *data = NULL;

    if (!followup_wants(message->tag, message->tag_size) ||
        unpack_data(&data, message->data, message->data_size) < 0)
        return;
    for (size_t i = 0; i < engine->roll.n; i++)
        cluster_observe(engine->roll.clusters[i], message->tag, message->tag_size, data);
}

static void on_delivered(void *userdata, const char *tag, const char *id) {
    struct engine *engine = userdata;

    (void)tag;
    for (size_t i = 0; i < engine->roll.n; i++)
        cluster_delivered(engine->roll.clusters[i], id);
}

static void on_bus_state(void *userdata, enum bus_state state, const char *detail) {
    struct engine *engine = userdata;

    if (state == BUS_CONNECTED)
        log_info("Salt's bus carries events");
    else if (state == BUS_WAITING)
        log_warning("Salt's bus is away: %s; what there is to say is said when it is back", detail);
    for (size_t i = 0; state == BUS_CONNECTED && i < engine->roll.n; i++)
        cluster_tick(engine->roll.clusters[i]);
}

/* ---- status ---- */

static struct report report_of(const struct engine *engine) {
    return (struct report){
        .bus = engine->shared.bus,
        .clusters = engine->roll.clusters,
        .n_clusters = engine->roll.n,
        .started = engine->started,
        .config = engine->config->path,
        .config_problem = engine->config_problem[0] ? engine->config_problem : engine->left_out,
    };
}

static int on_status(void *userdata, char **ret, size_t *ret_size) {
    const struct report report = report_of(userdata);

    return report_status(&report, ret, ret_size);
}

static int on_metrics(void *userdata, char **ret, size_t *ret_size) {
    const struct report report = report_of(userdata);

    return report_metrics(&report, ret, ret_size);
}

static int on_page(void *userdata, const char *path, char **ret, size_t *ret_size) {
    const struct report report = report_of(userdata);

    return report_page(&report, path, ret, ret_size);
}

static void listen_metrics(struct engine *engine) {
    CLEANUP(cleanup_free) char *address = NULL;
    struct problem problem = {0};
    char line[1400];
    const char *host = engine->config->metrics_host;
    int r;

    if (!host)
        return;
    r = asprintf(&address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, engine->config->metrics_port);
    r = r < 0 ? -ENOMEM : status_listen_tcp(engine->status, address, &problem);
    if (r < 0) /* metrics are not worth a firewall that stands still */
        log_error("no metrics: %s", problem.what[0] ? problem_format(&problem, line, sizeof(line)) : strerror(-r));
}

static int start_status(struct engine *engine, struct problem *problem) {
    static const struct status_handler handler = {on_status, on_metrics, on_page};
    CLEANUP(cleanup_free) char *path = NULL;
    int r = status_new(&engine->status, &engine->loop, &handler, engine);

    if (r < 0)
        return r;
    if (asprintf(&path, "%s/status.sock", engine->config->state_dir) < 0)
        return -ENOMEM;
    r = status_listen_unix(engine->status, path, problem);
    if (r < 0)
        return r;
    listen_metrics(engine);
    return 0;
}

/* ---- loop ---- */

static void on_stop(uv_signal_t *handle, int number) {
    log_info("stopping: %s", strsignal(number));
    (void)notify_send("STOPPING=1");
    uv_stop(handle->loop);
}

static void on_hangup(uv_signal_t *handle, int number) {
    (void)number;
    reload(handle->data);
}

static void on_tick(uv_timer_t *timer) {
    struct engine *engine = timer->data;

    for (size_t i = 0; i < engine->roll.n; i++)
        cluster_tick(engine->roll.clusters[i]);
}

static void on_watchdog(uv_timer_t *timer) {
    (void)timer;
    (void)notify_send("WATCHDOG=1");
}

static void start_handles(struct engine *engine) {
    msec watchdog = notify_watchdog();

    uv_signal_init(&engine->loop, &engine->terminate);
    uv_signal_init(&engine->loop, &engine->interrupt);
    uv_signal_init(&engine->loop, &engine->hangup);
    uv_timer_init(&engine->loop, &engine->tick);
    uv_timer_init(&engine->loop, &engine->watchdog);
    engine->hangup.data = engine->tick.data = engine;
    uv_signal_start(&engine->terminate, on_stop, SIGTERM);
    uv_signal_start(&engine->interrupt, on_stop, SIGINT);
    uv_signal_start(&engine->hangup, on_hangup, SIGHUP);
    uv_timer_start(&engine->tick, on_tick, TICK, TICK);
    if (watchdog > 0)
        uv_timer_start(&engine->watchdog, on_watchdog, 0, (uint64_t)watchdog);
}

static int start(struct engine *engine, const struct engine_setup *setup, struct problem *problem) {
    static const struct bus_handler bus_handler = {on_message, on_bus_state, on_delivered};
    int r = state_dir_open(&engine->shared.state_dir, engine->config->state_dir, problem);

    if (r < 0)
        return r;
    r = http_new(&engine->shared.http, &engine->loop);
    if (r < 0)
        return r;
    r = bus_new(&engine->shared.bus, &engine->loop, &setup->bus, &bus_handler, engine);
    if (r < 0)
        return r;
    r = start_status(engine, problem);
    if (r < 0)
        return r;
    r = requests_new(&engine->requests, &engine->loop, engine->config->state_dir, find_cluster, engine);
    if (r < 0)
        return r;
    follow_folder(engine);
    r = roll_find_dropped(&engine->roll, &engine->shared, engine->config);
    if (r == 0)
        r = roll_follow(&engine->roll, &engine->shared, engine->config);
    tell_left_out(engine);
    return r;
}

static void stop(struct engine *engine) {
    uv_handle_t *const handles[] = {(uv_handle_t *)&engine->terminate, (uv_handle_t *)&engine->interrupt,
                                    (uv_handle_t *)&engine->hangup, (uv_handle_t *)&engine->tick,
                                    (uv_handle_t *)&engine->watchdog};

    for (size_t i = 0; i < ARRAY_LENGTH(handles); i++)
        uv_close(handles[i], NULL);
    engine->status = status_free(engine->status);
    engine->requests = requests_free(engine->requests);
    engine->kubeconfigs = folder_free(engine->kubeconfigs);
    roll_done(&engine->roll);
}

/* The bus and the connections outlive the clusters, which a write under way keeps for a moment. */
static void close_all(struct engine *engine) {
    stop(engine);
    while (engine->shared.n_alive > 0)
        uv_run(&engine->loop, UV_RUN_ONCE);
    engine->shared.bus = bus_free(engine->shared.bus);
    engine->shared.http = http_free(engine->shared.http);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    uv_loop_close(&engine->loop);
    state_dir_free(engine->shared.state_dir);
    config_free(engine->config);
}

int engine_run(const struct engine_setup *setup, struct problem *problem) {
    struct engine engine = {.config = setup->config, .started = clock_wall()};
    int r = uv_loop_init(&engine.loop);

    if (r < 0) {
        config_free(setup->config);
        return r;
    }
    engine.shared.loop = &engine.loop;
    start_handles(&engine);
    r = start(&engine, setup, problem);
    if (r == 0) {
        log_info("nodewall " NODEWALL_VERSION ": %zu cluster%s of %s; bus: %s", engine.config->n_clusters,
                 engine.config->n_clusters == 1 ? "" : "s", engine.config->path, setup->bus_detail);
        (void)notify_send("READY=1");
        uv_run(&engine.loop, UV_RUN_DEFAULT);
    }
    close_all(&engine);
    return r;
}
