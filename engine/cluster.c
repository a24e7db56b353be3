/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster - carries out what policy decides and what followup asks for.
 *
 *   source ─picture─▶ policy ─decision─▶ publication ─▶ bus ─▶ minions ─job returns─▶ followup
 *                        ▲ confirmed, failed  │  ▲                                       │
 *                        ╰────────────────────╯  ╰──────────────── repair ───────────────╯
 *
 * Keeps: cluster_step() is the only place that begins anything, and every callback ends in it.
 * Does not: judge a change (policy), order versions (store), or know the bus's ways (bus).
 */
#include "cluster_parts.h"

#include "nodewall/log.h"

#include <string.h>

enum {
    RETRY_CONFIG = 30000,           /* ms; a source that ended is begun again */
    ASK_AGAIN = 10000,              /* ms; for a list that policy wants and that did not come */
    RETRY_EMPTY = 1000,
};

static void look_at_health(struct cluster *cluster, msec now) {
    struct health_turn turns[HEALTH_TURNS];
    struct policy_hold hold;
    size_t n;

    cluster_hold(cluster, now, &hold);
    n = health_look(&cluster->health, &hold, cluster->source ? source_stats(cluster->source).last_byte : -1,
                    cluster->config ? cluster->config->stale_after : MSEC_NEVER, now, turns);
    for (size_t i = 0; i < n; i++)
        voice_health(&cluster->publication.voice, &turns[i], now);
}

/* Now and then: a node's refused addresses make no other picture, and to look at all costs more than a step should. */
static void look_at_refusals(struct cluster *cluster, msec now) {
    char text[sizeof(cluster->health.refusals)];
    struct health_turn turn;
    size_t n = cluster_refusals(cluster, text, sizeof(text));

    if (health_refusals(&cluster->health, n, text, now, &turn))
        voice_health(&cluster->publication.voice, &turn, now);
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
    if (complete_list) {
        cluster->asked_list = MSEC_NEVER;
        health_link(&cluster->health, HEALTH_SYNCED, "", now); /* RESUMED comes only after TROUBLE */
    }
    cluster_step(cluster);
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
    cluster_step(cluster);
}

static void on_failure(void *userdata, int error) {
    struct cluster *cluster = userdata;

    log_error("%s: watching ended: %s", cluster->name, strerror(-error));
    cluster->retry_config = clock_now() + RETRY_CONFIG;
    health_link(&cluster->health, HEALTH_UNREACHABLE, strerror(-error), clock_now());
    cluster_step(cluster);
}

static void on_credentials(void *userdata, const char *text) {
    struct cluster *cluster = userdata;

    if (text[0])
        log_warning("%s: %s", cluster->name, text);
    else
        log_info("%s: the credentials are renewed again", cluster->name);
}

const struct source_handler cluster_source_handler = {on_change, on_picture, on_trouble, on_failure, on_credentials};

/* ---- decisions ---- */

/* Of a dropped cluster: no plan of policy's was under way. */
static void emptied(struct cluster *cluster, const struct set *set, int error, msec now) {
    cluster->empty_due = error < 0 ? now + RETRY_EMPTY : MSEC_NEVER;
    if (!set)
        return;
    followup_published(cluster->minions.followup, &set->version);
    cluster->renew_policy = true;
}

void cluster_on_written(void *userdata, const struct set *set, int error) {
    struct cluster *cluster = userdata;
    msec now = clock_now();
    int r = 0;

    if (cluster->empty_due != MSEC_NEVER) {
        emptied(cluster, set, error, now);
    } else if (error < 0) {
        policy_failed(cluster->policy, now);
    } else {
        if (set)
            followup_published(cluster->minions.followup, &set->version);
        r = policy_confirmed(cluster->policy, set, now);
    }
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
    if (cluster->closing)
        cluster_finish(cluster);
    else
        cluster_step(cluster);
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
    int r = policy_state(cluster->policy, now, policy_clock_at(&cluster->clock, now), &state);

    if (r == 0)
        r = policy_clock_save(&cluster->clock, state, now);
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
    } else if (r == 0 && policy_wants_list(cluster->policy, now) && cluster->source &&
               (cluster->asked_list == MSEC_NEVER || now - cluster->asked_list >= ASK_AGAIN)) {
        cluster->asked_list = now;
        source_relist(cluster->source);
    }
    if (r < 0)
        log_error("%s: %s", cluster->name, strerror(-r));
}

/* An operator released a dropped cluster: the empty set, past policy, which has no say in it. */
static void empty(struct cluster *cluster, msec now) {
    CLEANUP(set_freep) struct set *set = NULL;
    struct watch_stats stats;
    int r = set_new(&set);

    if (r == 0)
        r = set_seal(set);
    if (r == 0) {
        snprintf(set->version.rv, sizeof(set->version.rv), "%s", current_rv(cluster, &stats));
        set->version.as_of = clock_wall();
        r = publication_begin(&cluster->publication, set, NULL, EVENT_OPERATOR);
    }
    if (r < 0) {
        log_error("%s: %s", cluster->name, strerror(-r));
        cluster->empty_due = now + RETRY_EMPTY;
    }
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
    cluster_step(timer->data);
}

static msec due_of(const struct cluster *cluster, msec now) {
    msec due = MIN(cluster->retry_config, cluster->retry_store);

    if (!cluster->open)
        return due;
    due = MIN(due, followup_due(cluster->minions.followup));
    due = MIN(due, cluster->publication.retry);
    if (!publication_is_free(&cluster->publication))
        return due;
    return MIN(due, cluster_is_dropped(cluster) ? cluster->empty_due : policy_due(cluster->policy, now));
}

void cluster_arm(struct cluster *cluster, msec now) {
    msec due = due_of(cluster, now);

    /* What is due but has to wait for the bus or a write comes back by their callbacks; looking each 250 ms costs little. */
    if (due != MSEC_NEVER)
        uv_timer_start(&cluster->timer, on_timer, (uint64_t)(due > now ? due - now : 250), 0);
    else
        uv_timer_stop(&cluster->timer);
}

/* What needs the store. */
static void work(struct cluster *cluster, msec now) {
    struct publication *publication = &cluster->publication;

    if (!publication->writing && now >= publication->retry)
        publication_retry(publication, now);
    if (cluster->renew_policy && !cluster_is_dropped(cluster) && publication_is_free(publication))
        cluster_renew_policy(cluster, now);
    if (publication_is_free(publication) && !cluster_is_dropped(cluster) && !cluster->renew_policy)
        decide(cluster, now);
    else if (publication_is_free(publication) && now >= cluster->empty_due)
        empty(cluster, now);
    minions_drop(&cluster->minions, now);
    if (publication_is_free(publication) && store_set(publication->store) &&
        bus_stats(cluster->shared->bus).state == BUS_CONNECTED)
        repair(cluster, now);
}

void cluster_step(struct cluster *cluster) {
    msec now = clock_now();

    if (cluster->closing || cluster->inside)
        return;
    cluster->inside = true;
    if (!cluster->open && now >= cluster->retry_store)
        cluster_open_store(cluster, now);
    if (cluster->open && now >= cluster->retry_config)
        cluster_open_source(cluster, now);
    if (cluster->open)
        work(cluster, now);
    look_at_health(cluster, now);
    cluster_arm(cluster, now);
    cluster->inside = false;
}

void cluster_tick(struct cluster *cluster) {
    if (cluster->open)
        minions_look(&cluster->minions, clock_now());
    look_at_refusals(cluster, clock_now());
    cluster_step(cluster);
}

void cluster_observe(struct cluster *cluster, const char *tag, size_t tag_size, json_object *data) {
    msec now = clock_now();
    int r;

    if (!cluster->open)
        return;
    minions_look(&cluster->minions, now);
    r = followup_observe(cluster->minions.followup, tag, tag_size, data, now);
    if (r == FOLLOWUP_AHEAD || r == FOLLOWUP_CONFLICT)
        disorder(cluster, r, now);
    if (r)
        cluster_step(cluster);
}

void cluster_delivered(struct cluster *cluster, const char *id) {
    if (!cluster->open || strcmp(id, cluster->publication.voice.announced_id))
        return;
    followup_announced(cluster->minions.followup, &cluster->publication.voice.announced, clock_now());
    cluster_step(cluster);
}
