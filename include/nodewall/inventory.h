/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inventory - which nodes a cluster has now and which addresses they report, normal and bounded. Pure.
 *
 * Keyed by (name, uid): the same name with another uid is another node. An address may have several owners, and lives
 * as long as one of them reports it; so a new node that takes the address of one deleted later never loses it.
 * Does not: remember what is gone, wait, or hold anything back; that is policy's.
 */
#pragma once

#include "nodewall/decode.h"

struct inventory_options {
    const char *const *types;           /* NULL-terminated: address types that count */
    const struct address *within;       /* networks; n_within 0: everywhere */
    size_t n_within;
    size_t max_per_node;                /* 0: no bound but decode's. What a node has goes before what is new */
    size_t max_nodes;                   /* 0: SET_LIMIT. Those beyond it are not taken, and counted as refused */
    size_t max_total;                   /* distinct ones; whoever came first keeps its place; 0: SET_LIMIT. A bound on
                                         * memory: give it more room than policy's, which knows what is confirmed */
};

/* What became of a node; only if its addresses (or its existence) changed. */
enum inventory_change_kind { INVENTORY_ADDED, INVENTORY_CHANGED, INVENTORY_REMOVED };
struct inventory_change {
    enum inventory_change_kind kind;
    char name[NODE_NAME_MAX + 1], uid[NODE_UID_MAX + 1];
    bool listed;                        /* by a list, not by a live event */
    struct address *addresses, *previous;   /* sorted; owned by the change */
    size_t n_addresses, n_previous;
};
void inventory_change_done(struct inventory_change *change);

struct inventory;
int inventory_new(struct inventory **ret, const struct inventory_options *options);
struct inventory *inventory_free(struct inventory *inventory);
DEFINE_CLEANUP(struct inventory, inventory_free)

/* Other types, within and max_per_node, for what is applied from now on; a list brings them to all. -ENOMEM: the old ones. */
int inventory_reload(struct inventory *inventory, const struct inventory_options *options);

/* Between list_start and list_done nodes are staged; list_done replaces the whole at once, and abandoned forgets it.
 * A node that is applied takes the place of one with the same name and another uid. Idempotent. <0: -ENOMEM. */
int inventory_list_start(struct inventory *inventory);
int inventory_apply(struct inventory *inventory, const struct node *node, bool listed);
int inventory_gone(struct inventory *inventory, const struct node *node);   /* by (name, uid); unknown: nothing */
int inventory_list_done(struct inventory *inventory);
void inventory_list_abandoned(struct inventory *inventory);
/* 1: the next change, in the order in which they came; 0: none. */
int inventory_pop(struct inventory *inventory, struct inventory_change *ret);

/* A new, sealed set of all addresses that living nodes report (version empty but for the digest). Label: the least of
 * the owners' names. */
int inventory_living(const struct inventory *inventory, struct set **ret);
/* Counts up whenever inventory_living or inventory_bare would tell something else. */
uint64_t inventory_revision(const struct inventory *inventory);
/* Labels (label_make) of living nodes that report no usable address at all; sorted, NULL-terminated; borrowed until the
 * next call that may change something. */
const char *const *inventory_bare(struct inventory *inventory);

struct inventory_stats {
    size_t nodes, bare;                 /* bare: without any usable address */
    size_t addresses;                   /* distinct */
    size_t refused;                     /* of living nodes: outside `within`, loopback and the like, over a bound */
};
struct inventory_stats inventory_stats(const struct inventory *inventory);
/* Why addresses of living nodes are refused: "node a: 10.0.0.1 is outside `within`; …"; whole parts only, at most `size`
 * bytes; "" if none are. */
const char *inventory_refusals(const struct inventory *inventory, char *buffer, size_t size);
/* For `nodewall nodes`: calls back for each living node by name. */
struct inventory_node {
    const char *name, *uid;
    bool leaving;
    const struct address *addresses;
    size_t n_addresses, n_refused;
};
void inventory_each(const struct inventory *inventory, void (*each)(const struct inventory_node *node, void *userdata),
                    void *userdata);
