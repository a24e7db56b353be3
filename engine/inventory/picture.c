/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Picture - what the inventory tells: the living addresses, bare nodes, refusals, counts.
 *
 * Everything here is made anew from the tables when it is asked for, which is seldom: nothing is kept that could
 * differ.
 */
#include "known.h"

#include <string.h>

static void forget_label(struct owned *owned, void *userdata) {
    owned->label = NULL;
}

static void note_label(struct known *known, void *userdata) {
    const struct inventory *inventory = userdata;

    for (size_t i = 0; i < known->n_addresses; i++) {
        struct owned *owned = owners_find(&inventory->owners, &known->addresses[i]);

        if (owned && !owned->label) /* nodes come by name, so the first is the least */
            owned->label = known->label;
    }
}

struct living {
    struct set *set;
    int r;
};

static void append_taken(struct owned *owned, void *userdata) {
    struct living *living = userdata;

    if (owned->taken && living->r == 0)
        living->r = set_append(living->set, &owned->address, owned->label);
}

int inventory_living(const struct inventory *inventory, struct set **ret) {
    CLEANUP(set_freep) struct set *set = NULL;
    struct living living = {0};
    int r = set_new(&set);

    if (r < 0)
        return r;
    owners_each(&inventory->owners, forget_label, NULL);
    table_each(&inventory->nodes, note_label, (void *)inventory);
    living.set = set;
    owners_each(&inventory->owners, append_taken, &living);
    if (living.r < 0)
        return living.r;
    r = set_seal(set);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(set);
    return 0;
}

struct collect {
    const char **labels;
    size_t n;
};

static void collect_bare(struct known *known, void *userdata) {
    struct collect *collect = userdata;

    if (known->n_addresses == 0)
        collect->labels[collect->n++] = known->label;
}

static int compare_labels(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *inventory_bare(struct inventory *inventory) {
    struct collect collect = {.labels = inventory->bare};
    size_t kept = 0;

    if (inventory->n_bare)
        table_each(&inventory->nodes, collect_bare, &collect);
    if (collect.n) /* long names may be cut to one label */
        qsort(collect.labels, collect.n, sizeof(*collect.labels), compare_labels);
    for (size_t i = 0; i < collect.n; i++)
        if (kept == 0 || strcmp(collect.labels[kept - 1], collect.labels[i]))
            collect.labels[kept++] = collect.labels[i];
    collect.labels[kept] = NULL;
    return collect.labels;
}

static void add_refused(struct known *known, void *userdata) {
    *(size_t *)userdata += known->n_refused;
}

struct inventory_stats inventory_stats(const struct inventory *inventory) {
    struct inventory_stats stats = {
        .nodes = inventory->nodes.n,
        .bare = inventory->n_bare,
        .addresses = inventory->owners.n_taken,
        .refused = inventory->owners.n_waiting + inventory->n_surplus,
    };

    table_each(&inventory->nodes, add_refused, &stats.refused);
    return stats;
}

/* Whole parts only; what finds no room is left out. */
struct text {
    char *buffer;
    size_t size, used;
};

static void add_part(struct text *text, const char *part) {
    size_t n = strlen(part), n_gap = text->used ? 2 : 0;

    if (text->used + n_gap + n >= text->size)
        return;
    memcpy(text->buffer + text->used, "; ", n_gap);
    memcpy(text->buffer + text->used + n_gap, part, n + 1);
    text->used += n_gap + n;
}

static void add_refusals(struct known *known, void *userdata) {
    struct text *text = userdata;
    char part[LABEL_MAX + REFUSAL_TEXT_MAX + 64];

    for (size_t i = 0; i < known->n_refusals; i++) {
        int used = snprintf(part, sizeof(part), "node %s: ", known->label);

        refusal_format(&known->refusals[i], part + used, sizeof(part) - (size_t)used);
        add_part(text, part);
    }
    if (known->n_refused > known->n_refusals) {
        snprintf(part, sizeof(part), "node %s: %zu more", known->label, known->n_refused - known->n_refusals);
        add_part(text, part);
    }
}

const char *inventory_refusals(const struct inventory *inventory, char *buffer, size_t size) {
    struct text text = {.buffer = buffer, .size = size};
    char part[96];

    if (size)
        buffer[0] = 0;
    if (inventory->owners.n_waiting) {
        snprintf(part, sizeof(part), "%zu addresses are over the bound of %zu", inventory->owners.n_waiting,
                 inventory->owners.most);
        add_part(&text, part);
    }
    if (inventory->n_surplus) {
        snprintf(part, sizeof(part), "%zu nodes are over the bound of %zu", inventory->n_surplus, inventory->max_nodes);
        add_part(&text, part);
    }
    table_each(&inventory->nodes, add_refusals, &text);
    return buffer;
}

struct tell {
    void (*each)(const struct inventory_node *node, void *userdata);
    void *userdata;
};

static void tell_node(struct known *known, void *userdata) {
    const struct tell *tell = userdata;

    tell->each(&(struct inventory_node){known->name, known->uid, known->leaving, known->addresses, known->n_addresses,
                                        known->n_refused}, tell->userdata);
}

void inventory_each(const struct inventory *inventory, void (*each)(const struct inventory_node *node, void *userdata),
        void *userdata) {
    table_each(&inventory->nodes, tell_node, &(struct tell){each, userdata});
}
