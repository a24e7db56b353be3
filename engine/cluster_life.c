/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster's life - how it begins, follows the configuration, and ends.
 *
 *   new ──store opened──▶ open ──▶ source ◀──reload── configured ◀──reload── dropped ◀── new, of a store without configuration
 *    ▲ │ not opened                                       ╰──────drop─────────▶ ╯
 *    ╰─╯ again after 1 s, 2 s, … 60 s
 *
 * Keeps: a new configuration costs what it changes: words go to policy at once, a choice of addresses costs one list, and only
 * another server, selector or credential costs a new source. A source that works is replaced only by one that could be made.
 * Does not: forget. What is published stays on disk and on the minions until policy or an operator takes it out.
 */
#include "cluster_parts.h"

#include "nodewall/log.h"

#include <string.h>
#include <sys/stat.h>

enum {
    RETRY_CONFIG = 30000,           /* ms; a kubeconfig that was no good is read again */
    RETRY_STORE = 1000,             /* ms, and doubled up to RETRY_STORE_MOST */
    RETRY_STORE_MOST = 60000,
};

/* ---- source ---- */

/* What tells one version of the kubeconfig (several, with colons between) from another; 0: there is none. */
static uint64_t stamp_of(const struct cluster_config *config) {
    CLEANUP(cleanup_free) char *paths = config->kubeconfig ? strdup(config->kubeconfig) : NULL;
    char *rest = NULL;
    uint64_t stamp = 0;

    for (char *path = paths ? strtok_r(paths, ":", &rest) : NULL; path; path = strtok_r(NULL, ":", &rest)) {
        struct stat st = {0};

        (void)stat(path, &st);
        stamp = stamp * 31 + (((uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec) ^
                              (uint64_t)st.st_ino << 20 ^ (uint64_t)st.st_size << 44 ^ 1);
    }
    return stamp;
}

static void refuse_source(struct cluster *cluster, const char *line, msec now) {
    bool again = !strncmp(cluster->problem, line, sizeof(cluster->problem) - 1);

    if (!again && cluster->source)
        log_error("%s: %s; the old one goes on", cluster->name, line);
    else if (!again)
        log_error("%s: %s; its addresses stay as they are", cluster->name, line);
    snprintf(cluster->problem, sizeof(cluster->problem), "%s", line);
    if (!cluster->source)
        health_link(&cluster->health, HEALTH_MISCONFIGURED, cluster->problem, now);
    cluster->retry_config = now + RETRY_CONFIG;
}

/* What a person chose, and should be reminded of. */
static void warn_of_endpoint(const struct cluster *cluster) {
    const struct endpoint *endpoint = kube_client_endpoint(source_client(cluster->source));

    if (endpoint->insecure)
        log_warning("%s: the API server's certificate is not checked: whoever is on the way decides which addresses are let in "
                    "(insecure-skip-tls-verify, %s)", cluster->name, endpoint->origin);
    if (endpoint->plain)
        log_warning("%s: the API server is asked without TLS (%s)", cluster->name, endpoint->origin);
}

/* (Re)places the source. A configuration that is no good leaves the old one, or none, and is read again later. */
void cluster_open_source(struct cluster *cluster, msec now) {
    struct problem problem = {0};
    struct source *source = NULL;
    char line[1400];
    uint64_t stamp = stamp_of(cluster->config);
    int r = source_new(&source, cluster->shared->loop, cluster->shared->http, cluster->config, &cluster_source_handler,
                       cluster, &problem);

    cluster->retry_config = MSEC_NEVER;
    if (r < 0) {
        if (r != -EINVAL)
            problem_set(&problem, cluster->config->where, NULL, "%s", strerror(-r));
        refuse_source(cluster, problem_format(&problem, line, sizeof(line)), now);
        return;
    }
    if (cluster->problem[0])
        log_info("%s: its configuration can be used now", cluster->name);
    cluster->problem[0] = '\0';
    source_free(cluster->source);
    cluster->source = source;
    cluster->kubeconfig = stamp;
    cluster->asked_list = MSEC_NEVER;
    warn_of_endpoint(cluster);
    if (cluster->health.link == HEALTH_MISCONFIGURED || cluster->health.link == HEALTH_DROPPED)
        health_link(&cluster->health, HEALTH_STARTING, "", now);
}

/* ---- store ---- */

static void policy_options_of(struct policy_options *ret, const struct cluster_config *config) {
    *ret = (struct policy_options){.max_removal = 100};
    if (!config)
        return;
    *ret = (struct policy_options){
        .grace = config->removal_grace,
        .max_removal = config->max_removal,
        .within = config->within.items,
        .n_within = config->within.n,
        .extra = config->extra.items,
        .n_extra = config->extra.n,
        .except = config->except.items,
        .n_except = config->except.n,
        .max_per_node = config->max_addresses_per_node,
        .max_total = config->max_addresses,
    };
}

static int new_policy(struct policy **ret, struct cluster *cluster, msec now) {
    struct json_object *state = store_policy(cluster->publication.store);
    struct policy_options options;
    char boot[40];

    policy_clock_open(&cluster->clock, state, clock_boot(boot), now, clock_wall());

    policy_options_of(&options, cluster->config);
    return policy_new(ret, &options, store_set(cluster->publication.store), state, now, policy_clock_at(&cluster->clock, now));
}

/* Fills all or, on failure, nothing. */
static int try_store(struct cluster *cluster, msec now) {
    CLEANUP(policy_freep) struct policy *policy = NULL;
    int r = publication_open(&cluster->publication, cluster->shared->state_dir, cluster->name, now);

    if (r < 0)
        return r;
    r = new_policy(&policy, cluster, now);
    if (r == 0)
        r = minions_init(&cluster->minions, state_dir_path(cluster->shared->state_dir), cluster->name, now);
    if (r < 0) {
        publication_done(&cluster->publication);
        return r;
    }
    cluster->policy = TAKE_PTR(policy);
    return 0;
}

void cluster_open_store(struct cluster *cluster, msec now) {
    int r = try_store(cluster, now);

    if (r < 0) {
        snprintf(cluster->problem, sizeof(cluster->problem), "its store in %s cannot be opened: %s",
                 state_dir_path(cluster->shared->state_dir), strerror(-r));
        if (cluster->store_failures == 0)
            log_error("%s: %s; tried again, and the other clusters go on", cluster->name, cluster->problem);
        health_link(&cluster->health, HEALTH_MISCONFIGURED, cluster->problem, now);
        cluster->retry_store = now + MIN((msec)RETRY_STORE << MIN(cluster->store_failures, 6u), (msec)RETRY_STORE_MOST);
        cluster->store_failures++;
        return;
    }
    if (cluster->store_failures)
        log_info("%s: its store can be opened now", cluster->name);
    cluster->open = true;
    cluster->retry_store = MSEC_NEVER;
    cluster->problem[0] = '\0';
    /* Whoever missed something while no engine ran is told now; the others say `have`. */
    if (store_set(cluster->publication.store) && cluster->publication.retry == MSEC_NEVER)
        publication_repeat(&cluster->publication, EVENT_START);
    if (cluster->config)
        cluster_open_source(cluster, now);
    else
        health_link(&cluster->health, HEALTH_DROPPED, "", now);
}

void cluster_renew_policy(struct cluster *cluster, msec now) {
    struct policy *policy = NULL;
    int r = new_policy(&policy, cluster, now);

    if (r < 0) {
        log_error("%s: %s", cluster->name, strerror(-r));
        return;
    }
    policy_free(cluster->policy);
    cluster->policy = policy;
    cluster->renew_policy = false;
    cluster->empty_due = MSEC_NEVER;
    if (cluster->source)
        source_relist(cluster->source); /* what it has told is forgotten */
}

/* ---- life ---- */

int cluster_new(struct cluster **ret, struct cluster_shared *shared, const char *name, const struct cluster_config *config) {
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    msec now = clock_now();

    if (cluster)
        cluster->name = strdup(name);
    if (!cluster || !cluster->name) {
        free(cluster);
        return -ENOMEM;
    }
    shared->n_alive++;
    uv_timer_init(shared->loop, &cluster->timer);
    cluster->timer.data = cluster;
    cluster->shared = shared;
    cluster->config = config;
    cluster->retry_config = cluster->asked_list = cluster->empty_due = MSEC_NEVER;
    cluster->dropped = config ? MSEC_NEVER : now;
    cluster->publication = (struct publication){
        .loop = shared->loop,
        .voice = {.cluster = cluster->name, .bus = shared->bus},
        .on_written = cluster_on_written,
        .userdata = cluster,
    };
    health_link(&cluster->health, HEALTH_STARTING, "", now);
    cluster->health.link_since = now;
    cluster_open_store(cluster, now);
    cluster_arm(cluster, now);
    *ret = cluster;
    return 0;
}

static void tell_policy(struct cluster *cluster, msec now) {
    struct policy_options options;
    int r;

    policy_options_of(&options, cluster->config);
    r = policy_reload(cluster->policy, &options, now);
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
}

static void take_back(struct cluster *cluster, msec now) {
    log_info("%s: is configured again", cluster->name);
    cluster->dropped = MSEC_NEVER;
    if (!cluster->publication.writing)
        cluster->empty_due = MSEC_NEVER;
    health_link(&cluster->health, HEALTH_STARTING, "", now);
    tell_policy(cluster, now);
    cluster_open_source(cluster, now);
}

void cluster_reload(struct cluster *cluster, const struct cluster_config *config) {
    const struct cluster_config *old = cluster->config;
    unsigned changed = old ? cluster_config_compare(old, config) : 0;
    msec now = clock_now();

    cluster->config = config;
    if (!cluster->open) {
        cluster->retry_store = now;
        cluster->dropped = MSEC_NEVER;
    } else if (cluster_is_dropped(cluster)) {
        take_back(cluster, now);
    } else {
        if (changed & CONFIG_WORDS)
            tell_policy(cluster, now);
        if (changed & CONFIG_SELECTION)
            policy_select(cluster->policy);
        if (!cluster->source || changed & CONFIG_SOURCE || stamp_of(config) != cluster->kubeconfig)
            cluster_open_source(cluster, now);
        else if (changed & CONFIG_CHOICE && source_choose(cluster->source, config) < 0)
            log_error("%s: %s", cluster->name, strerror(ENOMEM));
    }
    cluster_step(cluster);
}

void cluster_drop(struct cluster *cluster) {
    msec now = clock_now();

    if (cluster_is_dropped(cluster))
        return;
    if (cluster_has_addresses(cluster))
        log_warning("%s: is not configured any more (it was in %s); its addresses stay until 'nodewall release %s'",
                    cluster->name, cluster->config->where, cluster->name);
    else
        log_info("%s: is not configured any more (it was in %s)", cluster->name, cluster->config->where);
    cluster->config = NULL;
    cluster->dropped = now;
    cluster->problem[0] = '\0';
    cluster->retry_config = MSEC_NEVER;
    cluster->source = source_free(cluster->source);
    health_link(&cluster->health, HEALTH_DROPPED, "", now);
    cluster_step(cluster);
}

static void on_closed(uv_handle_t *handle) {
    struct cluster *cluster = handle->data;

    if (cluster->open) {
        publication_done(&cluster->publication);
        policy_free(cluster->policy);
        minions_done(&cluster->minions);
    }
    cluster->shared->n_alive--;
    free(cluster->name);
    free(cluster);
}

void cluster_finish(struct cluster *cluster) {
    uv_close((uv_handle_t *)&cluster->timer, on_closed);
}

struct cluster *cluster_free(struct cluster *cluster) {
    if (cluster && !cluster->closing) {
        cluster->closing = true;
        cluster->source = source_free(cluster->source);
        if (!cluster->publication.writing)
            cluster_finish(cluster);
    }
    return NULL;
}
