/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source - one cluster's Nodes, as they are now: endpoint, client, watch machine and inventory driven on the loop.
 * What `run` publishes, `nodes` prints and `watch` follows comes from here.
 */
#pragma once

#include "nodewall/config.h"
#include "nodewall/http.h"
#include "nodewall/inventory.h"
#include "nodewall/kube_client.h"
#include "nodewall/watch.h"

/* Called from the loop; none may free the source. NULL ones are skipped. */
struct source_handler {
    /* A node's addresses appeared, changed, went. */
    void (*on_change)(void *userdata, const struct inventory_change *change);
    /* The inventory is another, or a list is done. Never before the first list is complete. */
    void (*on_picture)(void *userdata, bool complete_list);
    /* `event` is TROUBLE or RESUMED. */
    void (*on_trouble)(void *userdata, const struct watch_event *event);
    /* Out of memory and the like: the source stands still. */
    void (*on_failure)(void *userdata, int error);
    /* Credentials could not be renewed and older ones are in use: a sentence, once; "" when that is over. */
    void (*on_credentials)(void *userdata, const char *text);
};

struct source;
/* `http` must outlive it; of `config` nothing is kept. -EINVAL with *problem when the kubeconfig (or what stands for it) is no good. */
int source_new(struct source **ret, uv_loop_t *loop, struct http *http, const struct cluster_config *config,
               const struct source_handler *handler, void *userdata, struct problem *problem);
/* Ends its request at once; memory goes when the loop has run the closing callback. Returns NULL. */
struct source *source_free(struct source *source);
DEFINE_CLEANUP(struct source, source_free)

/* Other types, `within`, max_addresses_per_node: for what comes, and by one list for what is there. The watch goes on. -ENOMEM. */
int source_choose(struct source *source, const struct cluster_config *config);
void source_relist(struct source *source);
struct inventory *source_inventory(struct source *source);
struct kube_client *source_client(struct source *source);
struct watch_stats source_stats(const struct source *source);
