/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster - carries out what policy decides and what followup asks for.
 *
 *   source ─picture─▶ policy ─decision─▶ publication ─▶ bus ─▶ minions ─job returns─▶ followup
 *                        ▲ confirmed, failed  │  ▲                                       │
 *                        ╰────────────────────╯  ╰──────────────── repair ───────────────╯
 *
 * Keeps: step() is the only place that begins anything, and every callback ends in it.
 * Does not: judge a change (policy), order versions (store), or know the bus's ways (bus).
 */
#include "cluster.h"

#include "minions.h"
#include "nodewall/log.h"
#include "nodewall/policy.h"
#include "publication.h"
#include "source.h"

#include <string.h>

enum {
    RETRY_CONFIG = 30000,           /* ms; a kubeconfig that was no good is read again */
};

struct cluster {
    struct cluster_shared *shared;
    const struct cluster_config *config;
    char *name;                     /* outlives a config that was taken away */
    uv_timer_t timer;
    bool closing, inside;

    struct source *source;          /* NULL while misconfigured */
    struct policy *policy;
    struct publication publication;
    struct minions minions;
    struct health health;
    bool listed;                    /* a list was complete, once */
    char refresh[RV_MAX + 1];       /* publish again once the cluster is past this rv; "": no need */
    msec retry_config;              /* MSEC_NEVER: nothing to retry */
};

static void step(struct cluster *cluster);

static void look_at_health(struct cluster *cluster, msec now) {
    struct health_turn turns[HEALTH_TURNS];
    struct policy_hold hold;
    size_t n;

    policy_hold(cluster->policy, &hold);
    n = health_look(&cluster->health, &hold, cluster->source ? source_stats(cluster->source).last_byte : -1,
                    cluster->config->stale_after, now, turns);
    for (size_t i = 0; i < n; i++)
        voice_health(&cluster->publication.voice, &turns[i], now);
}

/* ---- source ---- */

static void on_change(void *userdata, const struct inventory_change *change) {
    struct cluster *cluster = userdata;

    if (!change->listed)
        voice_node(&cluster->publication.voice, change, clock_now());
}

static void on_picture(void *userdata, bool complete_list) {
    struct cluster *cluster = userdata;
    CLEANUP(set_freep) struct set *living = NULL;
    struct inventory *inventory = source_inventory(cluster->source);
    msec now = clock_now();
    int r = inventory_living(inventory, &living);

    if (r == 0)
        r = policy_observe(cluster->policy, TAKE_PTR(living), inventory_bare(inventory), complete_list, now);
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
    cluster->listed = true;
    if (complete_list) /* RESUMED comes only after TROUBLE */
        health_link(&cluster->health, HEALTH_SYNCED, "", now);
    step(cluster);
}

static void on_trouble(void *userdata, const struct watch_event *event) {
    struct cluster *cluster = userdata;
    msec now = clock_now();

    if (event->kind == WATCH_EVENT_TROUBLE)
        log_warning("%s: %s; the addresses stay as they are", cluster->name, event->text);
    else
        log_info("%s: the API server answers again", cluster->name);
    if (event->kind == WATCH_EVENT_TROUBLE || cluster->listed)
        health_trouble(&cluster->health, event, now);
    step(cluster);
}

static void on_failure(void *userdata, int error) {
    struct cluster *cluster = userdata;

    log_error("%s: watching ended: %s", cluster->name, strerror(-error));
    cluster->retry_config = clock_now() + RETRY_CONFIG;
    health_link(&cluster->health, HEALTH_UNREACHABLE, strerror(-error), clock_now());
    step(cluster);
}

static void on_credentials(void *userdata, const char *text) {
    struct cluster *cluster = userdata;

    if (text[0])
        log_warning("%s: %s", cluster->name, text);
    else
        log_info("%s: the credentials are renewed again", cluster->name);
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

/* (Re)places the source. A configuration that is no good leaves none, and is read again later. */
static void open_source(struct cluster *cluster, msec now) {
    static const struct source_handler handler = {on_change, on_picture, on_trouble, on_failure, on_credentials};
    struct problem problem = {0};
    char line[1400];
    int r;

    cluster->source = source_free(cluster->source);
    cluster->retry_config = MSEC_NEVER;
    r = source_new(&cluster->source, cluster->shared->loop, cluster->shared->http, cluster->config, &handler, cluster,
                   &problem);
    if (r == 0) {
        warn_of_endpoint(cluster);
        if (cluster->health.link == HEALTH_MISCONFIGURED)
            health_link(&cluster->health, HEALTH_STARTING, "", now);
        return;
    }
    if (r != -EINVAL)
        problem_set(&problem, cluster->config->where, NULL, "%s", strerror(-r));
    problem_format(&problem, line, sizeof(line));
    if (cluster->health.link != HEALTH_MISCONFIGURED || strncmp(cluster->health.detail, line, sizeof(cluster->health.detail) - 1))
        log_error("%s: %s; its addresses stay as they are", cluster->name, line);
    health_link(&cluster->health, HEALTH_MISCONFIGURED, line, now);
    cluster->retry_config = now + RETRY_CONFIG;
}

/* ---- decisions ---- */

static void finish(struct cluster *cluster);

static void on_written(void *userdata, const struct set *set, int error) {
    struct cluster *cluster = userdata;
    msec now = clock_now();
    int r = 0;

    if (error < 0) {
        policy_failed(cluster->policy, now);
    } else {
        if (set)
            followup_published(cluster->minions.followup, &set->version);
        r = policy_confirmed(cluster->policy, set, now);
    }
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
    if (cluster->closing)
        finish(cluster);
    else
        step(cluster);
}

static const char *current_rv(const struct cluster *cluster, struct watch_stats *stats) {
    const struct set *set = store_set(cluster->publication.store);

    *stats = cluster->source ? source_stats(cluster->source) : (struct watch_stats){0};
    return stats->rv[0] ? stats->rv : set ? set->version.rv : "";
}

/* Whether a set is to be published even if it is equal. A minion that holds a set of another store with the same rv takes
 * neither for the later one; a set with a later rv tells (tests/model: no refresh after a conflict). */
static bool must_publish(const struct cluster *cluster) {
    struct watch_stats stats;

    return store_must_commit(cluster->publication.store) ||
           (cluster->refresh[0] && decimal_compare(current_rv(cluster, &stats), cluster->refresh) > 0);
}

static int publish(struct cluster *cluster, struct policy_decision *decision, msec now) {
    static const enum event_reason reasons[] = {
        [POLICY_WATCH] = EVENT_WATCH,
        [POLICY_RELIST] = EVENT_RELIST,
        [POLICY_START] = EVENT_START,
        [POLICY_OPERATOR] = EVENT_OPERATOR,
    };
    CLEANUP(json_putp) json_object *state = NULL;
    struct watch_stats stats;
    int r = policy_state(cluster->policy, now, clock_wall(), &state);

    if (r < 0)
        return r;
    if (decision->set) {
        snprintf(decision->set->version.rv, sizeof(decision->set->version.rv), "%s", current_rv(cluster, &stats));
        decision->set->version.as_of = clock_wall();
        cluster->refresh[0] = '\0';
    }
    return publication_begin(&cluster->publication, decision->set, state, reasons[decision->reason]);
}

static void decide(struct cluster *cluster, msec now) {
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};
    int r = policy_decide(cluster->policy, now, must_publish(cluster), &decision);

    if (r == 0 && (decision.set || decision.save)) {
        r = publish(cluster, &decision, now);
        if (r < 0)
            policy_failed(cluster->policy, now);
    } else if (r == 0 && policy_wants_list(cluster->policy, now) && cluster->source) {
        source_relist(cluster->source);
    }
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
}

/* ---- minions ---- */

/* Tells those again who have not said that they have it. The bus is there, and the store is free. */
static void repair(struct cluster *cluster, msec now) {
    for (;;) {
        CLEANUP(cleanup_free) const char **minions = NULL;
        size_t n = 0;
        int r = followup_repairs(cluster->minions.followup, now, &minions, &n);

        if (r == 0 && n == 0)
            return;
        if (r == 0)
            r = publication_repair(&cluster->publication, minions, n);
        if (r < 0) {
            log_error("%s: cannot announce again: %s", cluster->name, strerror(-r));
            return;
        }
    }
}

/* What a minion's return said about the order of sets, beyond its own being current or not. */
static void disorder(struct cluster *cluster, int outcome, msec now) {
    struct health_turn turn = {.what = EVENT_CONFLICT, .since = now};
    const char *text;

    if (outcome == FOLLOWUP_AHEAD) {
        store_begin_epoch(cluster->publication.store);
        text = "a minion has a later generation than this store, which must have been set back; a new epoch begins";
    } else {
        snprintf(cluster->refresh, sizeof(cluster->refresh), "%s", followup_conflict_rv(cluster->minions.followup));
        text = "a minion holds a set of another store that is no older; it is told again once the cluster has moved on";
    }
    snprintf(turn.detail, sizeof(turn.detail), "%s", text);
    voice_health(&cluster->publication.voice, &turn, now);
}

/* ---- the one place where things begin ---- */

static void on_timer(uv_timer_t *timer) {
    step(timer->data);
}

static void arm(struct cluster *cluster, msec now) {
    msec due = MIN(cluster->retry_config, followup_due(cluster->minions.followup));

    due = MIN(due, cluster->publication.retry);
    if (publication_is_free(&cluster->publication))
        due = MIN(due, policy_due(cluster->policy, now));
    /* What is due but has to wait for the bus or a write comes back by their callbacks; looking each 250 ms costs little. */
    if (due != MSEC_NEVER)
        uv_timer_start(&cluster->timer, on_timer, (uint64_t)(due > now ? due - now : 250), 0);
    else
        uv_timer_stop(&cluster->timer);
}

static void step(struct cluster *cluster) {
    msec now = clock_now();

    if (cluster->closing || cluster->inside)
        return;
    cluster->inside = true;
    if (now >= cluster->retry_config)
        open_source(cluster, now);
    if (!cluster->publication.writing && now >= cluster->publication.retry)
        publication_retry(&cluster->publication, now);
    if (publication_is_free(&cluster->publication))
        decide(cluster, now);
    minions_drop(&cluster->minions, now);
    if (publication_is_free(&cluster->publication) && store_set(cluster->publication.store) &&
        bus_stats(cluster->shared->bus).state == BUS_CONNECTED)
        repair(cluster, now);
    look_at_health(cluster, now);
    arm(cluster, now);
    cluster->inside = false;
}

void cluster_tick(struct cluster *cluster) {
    minions_look(&cluster->minions, clock_now());
    step(cluster);
}

void cluster_observe(struct cluster *cluster, const char *tag, size_t tag_size, json_object *data) {
    msec now = clock_now();
    int r;

    minions_look(&cluster->minions, now);
    r = followup_observe(cluster->minions.followup, tag, tag_size, data, now);
    if (r == FOLLOWUP_AHEAD || r == FOLLOWUP_CONFLICT)
        disorder(cluster, r, now);
    if (r)
        step(cluster);
}

void cluster_delivered(struct cluster *cluster, const char *id) {
    if (strcmp(id, cluster->publication.voice.announced_id))
        return;
    followup_announced(cluster->minions.followup, &cluster->publication.voice.announced, clock_now());
    step(cluster);
}

/* ---- life ---- */

static void policy_options_of(struct policy_options *ret, const struct cluster_config *config) {
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

static int open_store(struct cluster *cluster, msec now) {
    struct policy_options options;
    int r;

    cluster->publication = (struct publication){
        .loop = cluster->shared->loop,
        .voice = {.cluster = cluster->name, .bus = cluster->shared->bus},
        .on_written = on_written,
        .userdata = cluster,
    };
    r = publication_open(&cluster->publication, cluster->shared->state_dir, cluster->name, now);
    if (r < 0)
        return r;
    policy_options_of(&options, cluster->config);
    return policy_new(&cluster->policy, &options, store_set(cluster->publication.store), store_policy(cluster->publication.store), now,
                      clock_wall());
}

int cluster_new(struct cluster **ret, struct cluster_shared *shared, const struct cluster_config *config) {
    CLEANUP(cluster_freep) struct cluster *cluster = calloc(1, sizeof(*cluster));
    msec now = clock_now();
    int r;

    if (!cluster)
        return -ENOMEM;
    shared->n_alive++;
    uv_timer_init(shared->loop, &cluster->timer);
    cluster->timer.data = cluster;
    cluster->shared = shared;
    cluster->config = config;
    cluster->retry_config = MSEC_NEVER;
    health_link(&cluster->health, HEALTH_STARTING, "", now);
    cluster->health.link_since = now;
    cluster->name = strdup(config->name);
    if (!cluster->name)
        return -ENOMEM;
    r = open_store(cluster, now);
    if (r < 0)
        return r;
    r = minions_init(&cluster->minions, state_dir_path(shared->state_dir), cluster->name, now);
    if (r < 0)
        return r;
    /* Whoever missed something while no engine ran is told now; the others say `have`. */
    if (store_set(cluster->publication.store) && cluster->publication.retry == MSEC_NEVER)
        publication_repeat(&cluster->publication, EVENT_START);
    open_source(cluster, now);
    arm(cluster, now);
    *ret = TAKE_PTR(cluster);
    return 0;
}

void cluster_reload(struct cluster *cluster, const struct cluster_config *config) {
    struct policy_options options;
    msec now = clock_now();
    int r;

    cluster->config = config;
    policy_options_of(&options, config);
    r = policy_reload(cluster->policy, &options, now);
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
    open_source(cluster, now);
    step(cluster);
}

static void on_closed(uv_handle_t *handle) {
    struct cluster *cluster = handle->data;

    publication_done(&cluster->publication);
    policy_free(cluster->policy);
    minions_done(&cluster->minions);
    cluster->shared->n_alive--;
    free(cluster->name);
    free(cluster);
}

static void finish(struct cluster *cluster) {
    uv_close((uv_handle_t *)&cluster->timer, on_closed);
}

struct cluster *cluster_free(struct cluster *cluster) {
    if (cluster && !cluster->closing) {
        cluster->closing = true;
        cluster->source = source_free(cluster->source);
        if (!cluster->publication.writing)
            finish(cluster);
    }
    return NULL;
}

const char *cluster_name(const struct cluster *cluster) {
    return cluster->name;
}

void cluster_report(struct cluster *cluster, struct cluster_report *ret) {
    struct policy_stats policy = policy_stats(cluster->policy);

    *ret = (struct cluster_report){
        .state = health_state(&cluster->health),
        .detail = health_detail(&cluster->health),
        .server = "",
        .set = store_set(cluster->publication.store),
        .epoch = store_epoch(cluster->publication.store),
        .watch = {.last_byte = -1, .last_list = -1, .last_event = -1},
        .in_grace = policy.in_grace,
        .over_limit = policy.over_limit,
        .minions = followup_summary(cluster->minions.followup),
        .publications = cluster->publication.n_published,
        .write_failures = cluster->publication.n_failed,
        .node_events_cut = cluster->publication.voice.node_events_cut,
    };
    policy_hold(cluster->policy, &ret->hold);
    if (cluster->source) {
        struct inventory *inventory = source_inventory(cluster->source);

        ret->server = kube_client_endpoint(source_client(cluster->source))->server;
        ret->inventory = inventory_stats(inventory);
        ret->watch = source_stats(cluster->source);
        inventory_refusals(inventory, ret->refusals, sizeof(ret->refusals));
    }
}

int cluster_minions(struct cluster *cluster, json_object **ret) {
    return followup_status(cluster->minions.followup, clock_now(), ret);
}
