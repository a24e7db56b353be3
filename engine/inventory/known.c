/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known - one node, and the table of nodes by name.
 *
 * The table is glibc's tsearch: balanced, so that names chosen by an attacker cannot make it slow as they could a
 * hash; and in order, so that whoever walks it speaks of nodes by name.
 *
 * Keeps: a name stands once in a table. A table owns its entries.
 */
#include "known.h"

#include <search.h>
#include <string.h>

struct known *known_free(struct known *known) {
    if (known) {
        free(known->addresses);
        free(known->refusals);
        free(known);
    }
    return NULL;
}

int known_set_refusals(struct known *known, const struct chosen *chosen) {
    size_t size = chosen->n_refusals * sizeof(*chosen->refusals);
    struct refusal *refusals = NULL;

    known->n_refused = chosen->n_refused;
    if (known->n_refusals == chosen->n_refusals && (size == 0 || !memcmp(known->refusals, chosen->refusals, size)))
        return 0;
    if (size) {
        refusals = malloc(size);
        if (!refusals)
            return -ENOMEM;
        memcpy(refusals, chosen->refusals, size);
    }
    free(known->refusals);
    known->refusals = refusals;
    known->n_refusals = chosen->n_refusals;
    return 0;
}

int known_new(struct known **ret, const struct node *node, const struct chosen *chosen) {
    CLEANUP(known_freep) struct known *known = NULL;
    char label[LABEL_MAX + 1];
    size_t name_size = strlen(node->name) + 1, uid_size = strlen(node->uid) + 1, label_size;
    int r;

    label_make(label, node->name);
    label_size = strlen(label) + 1;
    known = calloc(1, sizeof(*known) + name_size + uid_size + label_size);
    if (!known)
        return -ENOMEM;
    known->name = memcpy(known->text, node->name, name_size);
    known->uid = memcpy(known->text + name_size, node->uid, uid_size);
    known->label = memcpy(known->text + name_size + uid_size, label, label_size);
    known->leaving = node->leaving;
    if (chosen->n_addresses) {
        known->addresses = malloc(chosen->n_addresses * sizeof(*known->addresses));
        if (!known->addresses)
            return -ENOMEM;
        memcpy(known->addresses, chosen->addresses, chosen->n_addresses * sizeof(*known->addresses));
        known->n_addresses = chosen->n_addresses;
    }
    r = known_set_refusals(known, chosen);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(known);
    return 0;
}

bool known_has_exactly(const struct known *known, const struct address *addresses, size_t n) {
    if (known->n_addresses != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (address_compare(&known->addresses[i], &addresses[i]))
            return false;
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct known *)a)->name, ((const struct known *)b)->name);
}

static struct known **table_slot(const struct table *table, const char *name) {
    struct known key = {.name = name};

    return tfind(&key, &table->root, by_name);
}

struct known *table_find(const struct table *table, const char *name) {
    struct known **slot = table_slot(table, name);

    return slot ? *slot : NULL;
}

int table_put(struct table *table, struct known *known) {
    struct known **slot = tsearch(known, &table->root, by_name);

    if (!slot)
        return -ENOMEM;
    if (*slot == known) {
        table->n++;
    } else {
        known_free(*slot);
        *slot = known;
    }
    return 0;
}

void table_remove(struct table *table, struct known *known) {
    tdelete(known, &table->root, by_name);
    table->n--;
    known_free(known);
}

static void free_known(void *known) {
    known_free(known);
}

void table_clear(struct table *table) {
    tdestroy(table->root, free_known);
    *table = (struct table){0};
}

struct walk {
    void (*each)(struct known *known, void *userdata);
    void *userdata;
};

static void step(const void *slot, VISIT visit, void *closure) {
    const struct walk *walk = closure;

    if (visit == postorder || visit == leaf) /* the moment between both subtrees: in order */
        walk->each(*(struct known *const *)slot, walk->userdata);
}

void table_each(const struct table *table, void (*each)(struct known *known, void *userdata), void *userdata) {
    twalk_r(table->root, step, &(struct walk){each, userdata});
}
