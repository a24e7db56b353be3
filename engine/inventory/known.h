/* SPDX-License-Identifier: Apache-2.0 */
/* Known - one node as the inventory keeps it, and the inventory itself. Internal. */
#pragma once

#include "change.h"
#include "choose.h"
#include "owners.h"

/* Never changed once it stands in a table, but for `leaving` and the refusals: a change puts a new one in its place. */
struct known {
    const char *name, *uid, *label;     /* all in `text` */
    bool leaving;
    struct address *addresses;          /* sorted */
    size_t n_addresses;
    struct refusal *refusals;           /* NULL if none */
    size_t n_refusals, n_refused;
    char text[];
};
struct known *known_free(struct known *known);
DEFINE_CLEANUP(struct known, known_free)
int known_new(struct known **ret, const struct node *node, const struct chosen *chosen);
int known_set_refusals(struct known *known, const struct chosen *chosen);   /* the same again allocates nothing */
bool known_has_exactly(const struct known *known, const struct address *addresses, size_t n);

/* Nodes by name. */
struct table {
    void *root;
    size_t n;
};
void table_clear(struct table *table);
/* Takes it over; one of the same name is freed. -ENOMEM, only if there was none: nothing happened. */
int table_put(struct table *table, struct known *known);
void table_remove(struct table *table, struct known *known);        /* and frees it */
struct known *table_find(const struct table *table, const char *name);
/* Visits by name. */
void table_each(const struct table *table, void (*each)(struct known *known, void *userdata), void *userdata);

struct inventory {
    struct choice_options options;
    struct chosen chosen;
    struct table nodes;
    struct table staged;                /* nothing of it counts before list_done */
    bool staging;
    size_t n_staged_new;                /* of staged: nodes that are not in `nodes` */
    size_t max_nodes;
    size_t n_surplus, n_surplus_staged; /* nodes over the bound, not taken; of live events known only as some */
    struct owners owners;               /* of `nodes` */
    struct changes changes;
    uint64_t revision;
    size_t n_bare;
    const char **bare;                  /* has always room for every node, so that asking cannot fail */
    size_t bare_capacity;
};
