/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster - carries out what policy decides and what followup asks for.
 *
 *   picture ─▶ policy ─decision─▶ store_prepare ─▶ [worker: store_write] ─▶ store_confirm ─▶ announcement on the bus
 *                 ▲                                      │ failed: later                        │ echo, job returns
 *                 ╰──────────────────────────────────────╯                                      ▼
 *                                      repair of those who have not said that they have it ◀─ followup
 *
 * Keeps: nothing is announced before it is on disk; one write at a time; step() is the only place that begins anything,
 * and every callback ends in it.
 * Does not: judge a change (policy), order versions (store), or know the bus's ways (bus).
 */
#include "cluster.h"

#include "minions.h"
#include "nodewall/log.h"
#include "nodewall/policy.h"
#include "source.h"
#include "voice.h"

#include <string.h>

enum {
    RETRY_CONFIG = 30000,       /* a kubeconfig that was no good is read again */
    RETRY_DERIVE = 1000,
};

struct cluster {
    struct cluster_shared *shared;
    const struct cluster_config *config;
    char *name;                     /* outlives a config that was taken away */
    uv_timer_t timer;
    uv_work_t work;
    bool working, closing, inside;

    struct source *source;          /* NULL while misconfigured */
    struct policy *policy;
    struct store *store;
    struct minions minions;
    struct health health;
    struct voice voice;
    bool listed;                    /* a list was complete, once */

    struct commit *commit;          /* being written, or written and not yet announced (underived) */
    int write_result;
    enum event_reason reason;       /* of `commit` */
    bool underived;

    msec retry_config, retry_derive;            /* MSEC_NEVER: nothing to retry */
    int last_error;                 /* of a write, so that the same is logged once */
    uint64_t publications, write_failures;
};

static void step(struct cluster *cluster);

/* Of what was confirmed before, and for everybody. */
static void announce_again(struct cluster *cluster, enum event_reason reason) {
    char token[TOKEN_DIGITS + 1];
    int r = store_announce(cluster->store, NULL, 0, token);

    if (r == 0)
        voice_announce(&cluster->voice, store_set(cluster->store), NULL, reason, token);
    else if (r < 0)
        log_error("%s: cannot announce: %s", cluster->name, strerror(-r));
}

static void look_at_health(struct cluster *cluster, msec now) {
    struct health_turn turns[HEALTH_TURNS];
    struct policy_hold hold;
    size_t n;

    policy_hold(cluster->policy, &hold);
    n = health_look(&cluster->health, &hold, cluster->source ? source_stats(cluster->source).last_byte : -1,
                    cluster->config->stale_after, now, turns);
    for (size_t i = 0; i < n; i++)
        voice_health(&cluster->voice, &turns[i], now);
}

/* ---- source ---- */

static void on_change(void *userdata, const struct inventory_change *change) {
    struct cluster *cluster = userdata;

    if (!change->listed)
        voice_node(&cluster->voice, change, clock_now());
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

/* (Re)places the source. A configuration that is no good leaves none, and is read again later. */
static void open_source(struct cluster *cluster, msec now) {
    static const struct source_handler handler = {on_change, on_picture, on_trouble, on_failure};
    struct problem problem = {0};
    char line[1400];
    int r;

    cluster->source = source_free(cluster->source);
    cluster->retry_config = MSEC_NEVER;
    r = source_new(&cluster->source, cluster->shared->loop, cluster->shared->http, cluster->config, &handler, cluster,
                   &problem);
    if (r == 0) {
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

/* ---- store ---- */

static void write_work(uv_work_t *work) {
    struct cluster *cluster = work->data;

    cluster->write_result = store_write(cluster->commit);
}

static void announce_commit(struct cluster *cluster) {
    if (commit_set(cluster->commit)) {
        voice_announce(&cluster->voice, store_set(cluster->store), commit_delta(cluster->commit), cluster->reason,
                       commit_token(cluster->commit));
        cluster->publications++;
    }
    cluster->commit = commit_free(cluster->commit);
    cluster->underived = false;
}

static void written(struct cluster *cluster, msec now) {
    int r = cluster->write_result;

    if (r < 0) {
        if (r != cluster->last_error)
            log_error("%s: the store cannot be written: %s; nothing is announced until it can", cluster->name,
                      strerror(-r));
        cluster->last_error = r;
        cluster->write_failures++;
        cluster->commit = commit_free(cluster->commit);
        policy_failed(cluster->policy, now);
        return;
    }
    if (cluster->last_error)
        log_info("%s: the store can be written again", cluster->name);
    cluster->last_error = 0;
    store_confirm(cluster->store, cluster->commit);
    r = policy_confirmed(cluster->policy, commit_set(cluster->commit), now);
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
    if (cluster->write_result == STORE_UNDERIVED) {
        log_error("%s: files/ or announce/ in the state directory cannot be written; trying again", cluster->name);
        cluster->underived = true;
        cluster->retry_derive = now + RETRY_DERIVE;
        return;
    }
    announce_commit(cluster);
}

static void finish(struct cluster *cluster);

static void after_write(uv_work_t *work, int status) {
    struct cluster *cluster = work->data;

    (void)status;
    cluster->working = false;
    written(cluster, clock_now());
    if (cluster->closing)
        finish(cluster);
    else
        step(cluster);
}

static void begin_write(struct cluster *cluster, struct policy_decision *decision, msec now) {
    static const enum event_reason reasons[] = {
        [POLICY_WATCH] = EVENT_WATCH,
        [POLICY_RELIST] = EVENT_RELIST,
        [POLICY_START] = EVENT_START,
        [POLICY_OPERATOR] = EVENT_OPERATOR,
    };
    CLEANUP(json_putp) json_object *state = NULL;
    const struct set *before = store_set(cluster->store);
    int r;

    if (decision->set) {
        struct watch_stats stats = cluster->source ? source_stats(cluster->source) : (struct watch_stats){0};

        snprintf(decision->set->version.rv, sizeof(decision->set->version.rv), "%s",
                 stats.rv[0] ? stats.rv : before ? before->version.rv : "");
        decision->set->version.as_of = clock_wall();
    }
    r = policy_state(cluster->policy, now, clock_wall(), &state);
    if (r == 0)
        r = store_prepare(&cluster->commit, cluster->store, decision->set, state);
    if (r == 0) {
        cluster->reason = reasons[decision->reason];
        cluster->work.data = cluster;
        r = uv_queue_work(cluster->shared->loop, &cluster->work, write_work, after_write);
    }
    if (r) {
        log_error("%s: %s", cluster->name, strerror(r < 0 ? -r : EBUSY));
        cluster->commit = commit_free(cluster->commit);
        policy_failed(cluster->policy, now);
        return;
    }
    cluster->working = true;
}

static void derive_again(struct cluster *cluster, msec now) {
    int r = store_derive(cluster->store);

    if (r) {
        cluster->retry_derive = now + RETRY_DERIVE;
        return;
    }
    cluster->retry_derive = MSEC_NEVER;
    if (cluster->commit)
        announce_commit(cluster);
    else if (store_set(cluster->store))
        announce_again(cluster, EVENT_START);
}

static void decide(struct cluster *cluster, msec now) {
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};
    int r = policy_decide(cluster->policy, now, store_must_commit(cluster->store), &decision);

    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
    else if (decision.set || decision.save)
        begin_write(cluster, &decision, now);
    else if (policy_wants_list(cluster->policy, now) && cluster->source)
        source_relist(cluster->source);
}

/* ---- minions ---- */

/* What was found out about minions and has to be done about it. Needs the store to be free and the bus to be there. */
static void repair(struct cluster *cluster, msec now) {
    for (;;) {
        CLEANUP(cleanup_free) const char **minions = NULL;
        char token[TOKEN_DIGITS + 1];
        size_t n = 0;
        int r = followup_repairs(cluster->minions.followup, now, &minions, &n);

        if (r < 0 || n == 0)
            return;
        r = store_announce(cluster->store, minions, n, token);
        if (r != 0) {
            log_error("%s: cannot announce again: %s", cluster->name, strerror(r < 0 ? -r : EBUSY));
            return;
        }
        voice_repair(&cluster->voice, store_set(cluster->store), token, minions, n);
    }
}

/* ---- the one place where things begin ---- */

static void on_timer(uv_timer_t *timer) {
    step(timer->data);
}

static void arm(struct cluster *cluster, msec now) {
    msec due = MIN(cluster->retry_config, followup_due(cluster->minions.followup));

    if (!cluster->working)
        due = MIN(due, MIN(cluster->retry_derive, policy_due(cluster->policy, now)));
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
    if (!cluster->working && now >= cluster->retry_derive)
        derive_again(cluster, now);
    if (!cluster->working && !cluster->underived)
        decide(cluster, now);
    minions_drop(&cluster->minions, now);
    if (!cluster->working && store_set(cluster->store) && bus_stats(cluster->shared->bus).state == BUS_CONNECTED)
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
    if (r == FOLLOWUP_AHEAD || r == FOLLOWUP_CONFLICT) {
        struct health_turn turn = {.what = EVENT_CONFLICT, .since = now};

        snprintf(turn.detail, sizeof(turn.detail), "%s",
                 r == FOLLOWUP_AHEAD ? "a minion has a later generation than this store: was the state directory set back?"
                                     : "a minion holds a set of another store and takes only additions; "
                                       "'nodewall.apply accept=True' there takes this one");
        voice_health(&cluster->voice, &turn, now);
    }
    if (r)
        step(cluster);
}

void cluster_delivered(struct cluster *cluster, const char *id) {
    if (strcmp(id, cluster->voice.announced_id))
        return;
    followup_announced(cluster->minions.followup, &cluster->voice.announced, clock_now());
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
        .max_total = config->max_addresses,
    };
}

static int open_store(struct cluster *cluster, msec now) {
    struct policy_options options;
    int r = store_open(&cluster->store, cluster->shared->state_dir, cluster->name);

    if (r < 0)
        return r;
    if (r == STORE_PREVIOUS)
        log_error("%s: the newest copy of its store is unreadable and kept as .bad; the one before is used", cluster->name);
    else if (r == STORE_LOST)
        log_error("%s: its store is unreadable and kept as .bad; a new one is begun", cluster->name);
    if (r == STORE_UNDERIVED || !store_is_derived(cluster->store))
        cluster->retry_derive = now + RETRY_DERIVE;
    policy_options_of(&options, cluster->config);
    return policy_new(&cluster->policy, &options, store_set(cluster->store), store_policy(cluster->store), now,
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
    cluster->retry_config = cluster->retry_derive = MSEC_NEVER;
    health_link(&cluster->health, HEALTH_STARTING, "", now);
    cluster->health.link_since = now;
    cluster->name = strdup(config->name);
    if (!cluster->name)
        return -ENOMEM;
    cluster->voice = (struct voice){.cluster = cluster->name, .bus = shared->bus};
    r = open_store(cluster, now);
    if (r < 0)
        return r;
    r = minions_init(&cluster->minions, state_dir_path(shared->state_dir), cluster->name, now);
    if (r < 0)
        return r;
    /* Whoever missed something while no engine ran is told now; the others say `have`. */
    if (store_set(cluster->store) && cluster->retry_derive == MSEC_NEVER)
        announce_again(cluster, EVENT_START);
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

    commit_free(cluster->commit);
    store_free(cluster->store);
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
        if (!cluster->working)
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
        .set = store_set(cluster->store),
        .epoch = store_epoch(cluster->store),
        .watch = {.last_byte = -1, .last_list = -1, .last_event = -1},
        .in_grace = policy.in_grace,
        .over_limit = policy.over_limit,
        .minions = followup_summary(cluster->minions.followup),
        .publications = cluster->publications,
        .write_failures = cluster->write_failures,
        .node_events_cut = cluster->voice.node_events_cut,
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
