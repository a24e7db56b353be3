/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inventory - the nodes of a cluster, by name, and what changes about them.
 *
 * Most of what comes is a heartbeat or a list that says what is known. So a node is first compared, in memory that is
 * used again; only one whose addresses differ costs an allocation, a change and a new revision.
 *
 * A list is staged in a table of its own and takes the place of the other in one step. Each step first makes
 * everything that can fail and then swaps, so that -ENOMEM leaves the picture as it was.
 *
 * Keeps: owners holds each address of each node in `nodes` exactly once; n_bare counts the nodes there without any.
 * Does not: believe or doubt. An empty list empties the inventory; it is policy that holds a loss back.
 * Owns: both tables and their entries, the index, the queue of changes.
 */
#include "known.h"

#include <string.h>

static bool same_uid(const struct known *known, const char *uid) {
    return !strcmp(known->uid, uid);
}

int inventory_new(struct inventory **ret, const struct inventory_options *options) {
    CLEANUP(inventory_freep) struct inventory *inventory = calloc(1, sizeof(*inventory));
    int r;

    if (!inventory)
        return -ENOMEM;
    r = choice_options_copy(&inventory->options, options);
    if (r < 0)
        return r;
    inventory->owners.most = options->max_total ? MIN(options->max_total, (size_t)SET_LIMIT) : SET_LIMIT;
    /* Kubernetes is tested to 5,000 nodes and known to run 130,000; what comes beyond SET_LIMIT is no cluster but an attack. */
    inventory->max_nodes = options->max_nodes ? options->max_nodes : SET_LIMIT;
    inventory->bare_capacity = 64;
    inventory->bare = calloc(inventory->bare_capacity, sizeof(*inventory->bare));
    if (!inventory->bare)
        return -ENOMEM;
    *ret = TAKE_PTR(inventory);
    return 0;
}

int inventory_reload(struct inventory *inventory, const struct inventory_options *options) {
    struct choice_options copy;
    int r = choice_options_copy(&copy, options);

    if (r < 0)
        return r;
    choice_options_done(&inventory->options);
    inventory->options = copy;
    return 0;
}

struct inventory *inventory_free(struct inventory *inventory) {
    if (inventory) {
        choice_options_done(&inventory->options);
        chosen_done(&inventory->chosen);
        table_clear(&inventory->nodes);
        table_clear(&inventory->staged);
        owners_done(&inventory->owners);
        changes_done(&inventory->changes);
        free(inventory->bare);
        free(inventory);
    }
    return NULL;
}

static int reserve_bare(struct inventory *inventory, size_t n_nodes) {
    size_t capacity = inventory->bare_capacity;
    const char **bare;

    while (capacity <= n_nodes) /* one more, for the NULL behind the last */
        capacity *= 2;
    if (capacity == inventory->bare_capacity)
        return 0;
    bare = reallocarray(inventory->bare, capacity, sizeof(*bare));
    if (!bare)
        return -ENOMEM;
    inventory->bare = bare;
    inventory->bare_capacity = capacity;
    return 0;
}

static void drop_addresses(struct owners *owners, const struct known *known, size_t n) {
    for (size_t i = 0; i < n; i++)
        owners_drop(owners, &known->addresses[i]);
}

static int add_addresses(struct owners *owners, const struct known *known) {
    for (size_t i = 0; i < known->n_addresses; i++) {
        int r = owners_add(owners, &known->addresses[i]);

        if (r < 0) {
            drop_addresses(owners, known, i);
            return r;
        }
    }
    return 0;
}

/* `fresh` takes the place of `old`, which may be NULL. New addresses are counted before old ones are dropped: an
 * address in both keeps its place. */
static int swap_live(struct inventory *inventory, struct known *fresh, struct known *old) {
    size_t bare_after = inventory->n_bare + (fresh->n_addresses == 0) - (old && old->n_addresses == 0);
    int r;

    r = reserve_bare(inventory, inventory->nodes.n + 1);
    if (r < 0)
        return r;
    r = add_addresses(&inventory->owners, fresh);
    if (r < 0)
        return r;
    if (old)
        drop_addresses(&inventory->owners, old, old->n_addresses);
    r = table_put(&inventory->nodes, fresh);
    if (r < 0) { /* there was no old one */
        drop_addresses(&inventory->owners, fresh, fresh->n_addresses);
        return r;
    }
    inventory->n_bare = bare_after;
    inventory->revision++;
    return 0;
}

static int apply_live(struct inventory *inventory, const struct node *node, bool listed) {
    struct known *old = table_find(&inventory->nodes, node->name), *same;
    CLEANUP(known_freep) struct known *fresh = NULL;
    CLEANUP(changes_done) struct changes changes = {0};
    int r;

    same = old && same_uid(old, node->uid) ? old : NULL;
    r = chosen_make(&inventory->chosen, &inventory->options, node, same ? same->addresses : NULL,
                    same ? same->n_addresses : 0);
    if (r < 0)
        return r;
    if (same && known_has_exactly(same, inventory->chosen.addresses, inventory->chosen.n_addresses)) {
        same->leaving = node->leaving;
        return known_set_refusals(same, &inventory->chosen);
    }
    if (!old && inventory->nodes.n >= inventory->max_nodes) {
        inventory->n_surplus = MAX(inventory->n_surplus, (size_t)1); /* each of its heartbeats comes by here */
        return 0;
    }
    r = known_new(&fresh, node, &inventory->chosen);
    if (r < 0)
        return r;
    if (old && !same) {
        r = changes_push(&changes, NULL, old, listed);
        if (r < 0)
            return r;
    }
    r = changes_push(&changes, fresh, same, listed);
    if (r < 0)
        return r;
    r = swap_live(inventory, fresh, old);
    if (r < 0)
        return r;
    fresh = NULL; /* the table's */
    changes_move(&inventory->changes, &changes);
    return 0;
}

static int apply_staged(struct inventory *inventory, const struct node *node) {
    const struct known *live = table_find(&inventory->nodes, node->name);
    CLEANUP(known_freep) struct known *fresh = NULL;
    bool same = live && same_uid(live, node->uid), seen = live || table_find(&inventory->staged, node->name);
    int r;

    if (!seen && inventory->nodes.n + inventory->n_staged_new >= inventory->max_nodes) {
        inventory->n_surplus_staged++;
        return 0;
    }
    r = chosen_make(&inventory->chosen, &inventory->options, node, same ? live->addresses : NULL,
                    same ? live->n_addresses : 0);
    if (r < 0)
        return r;
    r = known_new(&fresh, node, &inventory->chosen);
    if (r < 0)
        return r;
    r = table_put(&inventory->staged, fresh);
    if (r < 0)
        return r;
    fresh = NULL; /* the table's */
    if (!seen)
        inventory->n_staged_new++;
    return 0;
}

int inventory_apply(struct inventory *inventory, const struct node *node, bool listed) {
    int r;

    if (!inventory->staging)
        return apply_live(inventory, node, listed);
    if (!listed) { /* live while a list is under way: true now, and newer than what the list said of it */
        r = apply_live(inventory, node, false);
        if (r < 0)
            return r;
    }
    return apply_staged(inventory, node);
}

int inventory_gone(struct inventory *inventory, const struct node *node) {
    struct known *live = table_find(&inventory->nodes, node->name);
    struct known *staged = table_find(&inventory->staged, node->name);
    int r;

    if (live && same_uid(live, node->uid)) {
        r = changes_push(&inventory->changes, NULL, live, false);
        if (r < 0)
            return r;
        drop_addresses(&inventory->owners, live, live->n_addresses);
        inventory->n_bare -= live->n_addresses == 0;
        inventory->revision++;
        table_remove(&inventory->nodes, live);
    }
    if (staged && same_uid(staged, node->uid))
        table_remove(&inventory->staged, staged);
    return 0;
}

int inventory_list_start(struct inventory *inventory) {
    inventory_list_abandoned(inventory);
    inventory->staging = true;
    return 0;
}

void inventory_list_abandoned(struct inventory *inventory) {
    table_clear(&inventory->staged);
    inventory->n_staged_new = inventory->n_surplus_staged = 0;
    inventory->staging = false;
}

/* What list_done makes before it changes anything. */
struct merge {
    struct inventory *inventory;
    struct changes changes;
    struct owners owners;
    size_t n_bare;
    int r;
};

static void merge_done(struct merge *merge) {
    changes_done(&merge->changes);
    owners_done(&merge->owners);
}

static void note_listed(struct known *known, void *userdata) {
    struct merge *merge = userdata;
    struct known *live = table_find(&merge->inventory->nodes, known->name);

    merge->n_bare += known->n_addresses == 0;
    if (live && !same_uid(live, known->uid)) {
        if (merge->r == 0)
            merge->r = changes_push(&merge->changes, NULL, live, true);
        live = NULL;
    }
    if (merge->r == 0 && !(live && known_has_exactly(live, known->addresses, known->n_addresses)))
        merge->r = changes_push(&merge->changes, known, live, true);
}

static void note_missing(struct known *known, void *userdata) {
    struct merge *merge = userdata;

    if (merge->r == 0 && !table_find(&merge->inventory->staged, known->name))
        merge->r = changes_push(&merge->changes, NULL, known, true);
}

/* First those that have a place, so that a list cannot take it from them for one that it names earlier. */
static void count_address(struct merge *merge, const struct known *known, bool had_place) {
    for (size_t i = 0; i < known->n_addresses && merge->r == 0; i++) {
        const struct owned *before = owners_find(&merge->inventory->owners, &known->addresses[i]);

        if ((before && before->taken) == had_place)
            merge->r = owners_add(&merge->owners, &known->addresses[i]);
    }
}

static void count_had(struct known *known, void *userdata) {
    count_address(userdata, known, true);
}

static void count_new(struct known *known, void *userdata) {
    count_address(userdata, known, false);
}

int inventory_list_done(struct inventory *inventory) {
    CLEANUP(merge_done) struct merge merge = {.inventory = inventory, .owners.most = inventory->owners.most};
    struct owners owners;
    int r;

    if (!inventory->staging)
        return 0;
    table_each(&inventory->staged, note_listed, &merge);
    table_each(&inventory->nodes, note_missing, &merge);
    table_each(&inventory->staged, count_had, &merge);
    table_each(&inventory->staged, count_new, &merge);
    if (merge.r < 0)
        return merge.r;
    r = reserve_bare(inventory, inventory->staged.n);
    if (r < 0)
        return r;

    if (merge.changes.first)
        inventory->revision++;
    changes_move(&inventory->changes, &merge.changes);
    owners = inventory->owners;
    inventory->owners = merge.owners;
    merge.owners = owners;
    table_clear(&inventory->nodes);
    inventory->nodes = inventory->staged;
    inventory->staged = (struct table){0};
    inventory->n_bare = merge.n_bare;
    inventory->n_surplus = inventory->n_surplus_staged;
    inventory_list_abandoned(inventory);
    return 0;
}

int inventory_pop(struct inventory *inventory, struct inventory_change *ret) {
    return changes_pop(&inventory->changes, ret);
}

uint64_t inventory_revision(const struct inventory *inventory) {
    return inventory->revision;
}
