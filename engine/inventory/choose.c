/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choose - from what a node's status says to the addresses that count.
 *
 * A status is written by the node itself or by a cloud's controller, and lists flap, repeat and hold empty strings.
 * So the outcome does not depend on order or repeats: asked-for types only, normal, sorted, each once, at most
 * max_per_node. What is left out and was meant as an address is a refusal, with the reason in words; an empty text or
 * a host name is neither.
 *
 * Keeps: an address that the node had and still reports is chosen again, also over the bound.
 * Does not: compare nodes with each other; see owners.c.
 */
#include "choose.h"

#include <string.h>

void choice_options_done(struct choice_options *options) {
    for (char **type = options->types; type && *type; type++)
        free(*type);
    free(options->types);
    free(options->within);
    *options = (struct choice_options){0};
}

int choice_options_copy(struct choice_options *ret, const struct inventory_options *options) {
    CLEANUP(choice_options_done) struct choice_options copy = {
        .n_within = options->n_within,
        .max_per_node = options->max_per_node ? options->max_per_node : NODE_ADDRESSES_MAX,
    };
    size_t n = 0;

    while (options->types && options->types[n])
        n++;
    copy.types = calloc(n + 1, sizeof(*copy.types));
    copy.within = calloc(options->n_within + 1, sizeof(*copy.within));
    if (!copy.types || !copy.within)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        copy.types[i] = strdup(options->types[i]);
        if (!copy.types[i])
            return -ENOMEM;
    }
    if (options->n_within)
        memcpy(copy.within, options->within, options->n_within * sizeof(*copy.within));
    *ret = copy;
    copy = (struct choice_options){0};
    return 0;
}

void chosen_done(struct chosen *chosen) {
    free(chosen->candidates);
    free(chosen->addresses);
    *chosen = (struct chosen){0};
}

static int reserve(struct chosen *chosen, size_t n) {
    size_t capacity = MAX(n, (size_t)16);
    struct candidate *candidates;
    struct address *addresses;

    if (n <= chosen->capacity)
        return 0;
    candidates = reallocarray(chosen->candidates, capacity, sizeof(*candidates));
    if (!candidates)
        return -ENOMEM;
    chosen->candidates = candidates;
    addresses = reallocarray(chosen->addresses, capacity, sizeof(*addresses));
    if (!addresses)
        return -ENOMEM;
    chosen->addresses = addresses;
    chosen->capacity = capacity;
    return 0;
}

static void refuse(struct chosen *chosen, uint8_t reason, const char *text) {
    struct refusal *refusal;

    chosen->n_refused++;
    if (chosen->n_refusals >= REFUSALS_KEPT)
        return;
    refusal = &chosen->refusals[chosen->n_refusals++];
    *refusal = (struct refusal){.reason = reason};
    /* The text is a node's own and ends in logs and on terminals. */
    for (size_t i = 0; i < REFUSAL_TEXT_MAX && text[i]; i++)
        refusal->text[i] = (char)(text[i] > ' ' && text[i] < 0x7f ? text[i] : '?');
}

static bool asked_for(const struct choice_options *options, const char *type) {
    for (char **one = options->types; *one; one++)
        if (!strcmp(*one, type))
            return true;
    return false;
}

/* These types hold names by right, and an address by chance. */
static bool holds_names(const char *type) {
    return !strcmp(type, "Hostname") || !strcmp(type, "InternalDNS") || !strcmp(type, "ExternalDNS");
}

static bool allowed(const struct choice_options *options, const struct address *address) {
    for (size_t i = 0; i < options->n_within; i++)
        if (address_within(address, &options->within[i]))
            return true;
    return options->n_within == 0;
}

/* 0: *ret is good. Otherwise a reason. */
static uint8_t judge(const struct choice_options *options, const char *text, struct address *ret) {
    enum address_class class;

    if (address_parse(ret, text, strlen(text)) < 0)
        return REFUSED_NO_ADDRESS;
    class = address_classify(ret);
    if (class != ADDRESS_USABLE)
        return (uint8_t)(REFUSED_CLASS + class);
    if (!address_is_host(ret))
        return REFUSED_NETWORK;
    return allowed(options, ret) ? 0 : REFUSED_OUTSIDE;
}

static int by_address(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    int r = address_compare(&x->address, &y->address);

    return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int by_claim(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;

    if (x->had != y->had)
        return x->had ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int compare_addresses(const void *a, const void *b) {
    return address_compare(a, b);
}

static size_t unique(struct candidate *candidates, size_t n) {
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (kept == 0 || address_compare(&candidates[kept - 1].address, &candidates[i].address))
            candidates[kept++] = candidates[i];
    return kept;
}

static size_t cut(struct chosen *chosen, size_t n, size_t most, const struct address *had, size_t n_had) {
    struct candidate *candidates = chosen->candidates;
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < n; i++)
        candidates[i].had = n_had && bsearch(&candidates[i].address, had, n_had, sizeof(*had), compare_addresses);
    qsort(candidates, n, sizeof(*candidates), by_claim);
    for (size_t i = most; i < n; i++)
        refuse(chosen, REFUSED_BOUND, address_format(&candidates[i].address, text));
    qsort(candidates, most, sizeof(*candidates), by_address);
    return most;
}

int chosen_make(struct chosen *chosen, const struct choice_options *options, const struct node *node,
                const struct address *had, size_t n_had) {
    size_t n = 0, n_texts = MIN(node->n_addresses, (size_t)NODE_ADDRESSES_MAX);
    int r;

    r = reserve(chosen, n_texts);
    if (r < 0)
        return r;
    chosen->n_refusals = chosen->n_refused = 0;
    for (size_t i = 0; i < n_texts; i++) {
        const struct node_address *given = &node->addresses[i];
        struct candidate *candidate = &chosen->candidates[n];
        uint8_t reason;

        if (!given->text[0] || !asked_for(options, given->type))
            continue;
        *candidate = (struct candidate){.order = (uint16_t)i};
        reason = judge(options, given->text, &candidate->address);
        if (reason == 0)
            n++;
        else if (reason != REFUSED_NO_ADDRESS || !holds_names(given->type))
            refuse(chosen, reason, given->text);
    }
    if (n)
        qsort(chosen->candidates, n, sizeof(*chosen->candidates), by_address);
    n = unique(chosen->candidates, n);
    if (n > options->max_per_node)
        n = cut(chosen, n, options->max_per_node, had, n_had);
    for (size_t i = 0; i < n; i++)
        chosen->addresses[i] = chosen->candidates[i].address;
    chosen->n_addresses = n;
    chosen->n_refused += node->more;
    return 0;
}

int refusal_format(const struct refusal *refusal, char *buffer, size_t size) {
    switch (refusal->reason) {
    case REFUSED_NO_ADDRESS:
        return snprintf(buffer, size, "%s is no address", refusal->text);
    case REFUSED_NETWORK:
        return snprintf(buffer, size, "%s is a network, not an address", refusal->text);
    case REFUSED_OUTSIDE:
        return snprintf(buffer, size, "%s is outside `within`", refusal->text);
    case REFUSED_BOUND:
        return snprintf(buffer, size, "%s is over max_addresses_per_node", refusal->text);
    default:
        return snprintf(buffer, size, "%s is %s", refusal->text,
                        address_class_name((enum address_class)(refusal->reason - REFUSED_CLASS)));
    }
}
