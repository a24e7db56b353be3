/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster - one cluster's way from the API server to the bus: source → policy → store → announcement → followup.
 *
 * Owns all of it; shares loop, connections, bus and state directory with the others. Whatever is wrong with one cluster
 * stays its own: a kubeconfig that is no good and a store that cannot be opened are logged, shown, and tried again.
 */
#pragma once

#include "health.h"
#include "nodewall/bus.h"
#include "nodewall/config.h"
#include "nodewall/followup.h"
#include "nodewall/http.h"
#include "nodewall/inventory.h"
#include "nodewall/json.h"
#include "nodewall/store.h"
#include "nodewall/watch.h"

/* The engine's; outlives every cluster. */
struct cluster_shared {
    uv_loop_t *loop;
    struct http *http;
    struct bus *bus;
    struct state_dir *state_dir;
    size_t n_alive;                     /* clusters whose memory is not given back yet */
};

struct cluster;
/* `config` must stay until cluster_reload gives another, cluster_drop or the end. NULL: there is a store of that name and no
 * configuration (any more). */
int cluster_new(struct cluster **ret, struct cluster_shared *shared, const char *name, const struct cluster_config *config);
/* Stops at once; a write under way is finished and memory goes when the loop has run the closing callbacks. */
struct cluster *cluster_free(struct cluster *cluster);
DEFINE_CLEANUP(struct cluster, cluster_free)

/* Does what the difference to the configuration of before asks for, and no more; `config` may be equal to it. A source whose
 * new kubeconfig is no good goes on with the old one. */
void cluster_reload(struct cluster *cluster, const struct cluster_config *config);
/* It is not configured any more: nothing is watched, and what it has published stays until cluster_release. */
void cluster_drop(struct cluster *cluster);
bool cluster_is_dropped(const struct cluster *cluster);
/* It has published addresses. A store that could not be opened may have. */
bool cluster_has_addresses(const struct cluster *cluster);
const char *cluster_name(const struct cluster *cluster);

/* From the bus. `data` was decoded because followup_wants the tag. */
void cluster_observe(struct cluster *cluster, const char *tag, size_t tag_size, json_object *data);
void cluster_delivered(struct cluster *cluster, const char *id);
/* Every few seconds: what no event tells (staleness, the roster's directory). */
void cluster_tick(struct cluster *cluster);

/* What `nodewall release` shows: {cluster, state, detail, digest, count, held: [{address, node, since, why}…]}. */
int cluster_held(const struct cluster *cluster, json_object **ret);
/* No: a write is under way, or there was no list yet; ask again. */
bool cluster_may_release(const struct cluster *cluster);
enum cluster_release {
    CLUSTER_RELEASED,
    CLUSTER_CHANGED,                    /* what is held now is not what `digest` stands for */
};
/* Only when it may. */
enum cluster_release cluster_release(struct cluster *cluster, const char *digest);

/* Appends {cluster, generation, addresses: [{address, node, since, state}…], minions} to `into` if the set has the address, or lies
 * within it or around it. */
int cluster_who(const struct cluster *cluster, const struct address *address, json_object *into);

/* What status and metrics tell. */
struct cluster_report {
    enum health_state state;
    const char *detail;
    const char *server;                 /* "" while misconfigured */
    const struct set *set;              /* NULL: never synced */
    const char *epoch;
    struct inventory_stats inventory;
    struct watch_stats watch;
    struct policy_hold hold;
    size_t in_grace, over_limit;
    struct followup_summary minions;
    uint64_t publications, write_failures, node_events_cut;
    char refusals[512];
};
void cluster_report(const struct cluster *cluster, struct cluster_report *ret);
int cluster_minions(const struct cluster *cluster, json_object **ret);
