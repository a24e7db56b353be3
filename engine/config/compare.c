/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compare - what a new configuration of a cluster changes, so that a reload touches nothing else.
 *
 * Keeps: every key of struct cluster_config but name, where and from_dir is in exactly one of the comparisons.
 */
#include "cluster.h"

#include <string.h>

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_texts(char *const *a, char *const *b) {
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b))
            return false;
    return !*a && !*b;
}

static bool same_list(const struct address_list *a, const struct address_list *b) {
    for (size_t i = 0; a->n == b->n && i < a->n; i++)
        if (address_compare(&a->items[i], &b->items[i]))
            return false;
    return a->n == b->n;
}

unsigned cluster_config_compare(const struct cluster_config *a, const struct cluster_config *b) {
    unsigned changed = 0;

    if (!same_list(&a->within, &b->within) || !same_list(&a->extra, &b->extra) || !same_list(&a->except, &b->except) ||
        a->removal_grace != b->removal_grace || a->max_removal != b->max_removal || a->max_addresses != b->max_addresses ||
        a->max_addresses_per_node != b->max_addresses_per_node || a->stale_after != b->stale_after)
        changed |= CONFIG_WORDS;
    if (!same_texts(a->address_types, b->address_types))
        changed |= CONFIG_CHOICE | CONFIG_SELECTION;
    if (!same_list(&a->within, &b->within) || a->max_addresses_per_node != b->max_addresses_per_node)
        changed |= CONFIG_CHOICE;
    if (!same_text(a->node_selector, b->node_selector) || !same_text(a->field_selector, b->field_selector))
        changed |= CONFIG_SOURCE | CONFIG_SELECTION;
    if (!same_text(a->kubeconfig, b->kubeconfig) || !same_text(a->context, b->context) || a->in_cluster != b->in_cluster ||
        !same_text(a->server, b->server) || !same_text(a->ca, b->ca) || !same_text(a->token_file, b->token_file))
        changed |= CONFIG_SOURCE;
    return changed;
}
