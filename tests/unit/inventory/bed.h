/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes in one line: "InternalIP=10.0.0.1 ExternalIP=203.0.113.1", and the inventory's answers as text. */
#pragma once

#include "nodewall/inventory.h"
#include "../unit.h"

static const char *const bed_types[] = {"InternalIP", "ExternalIP", "Hostname", NULL};

__attribute__((unused)) static struct inventory *bed_make(const struct inventory_options *options) {
    struct inventory *inventory = NULL;

    assert_int_equal(inventory_new(&inventory, options), 0);
    return inventory;
}
#define BED(...) bed_make(&(struct inventory_options){.types = bed_types, __VA_ARGS__})

/* *node owns its addresses; bed_node_done. */
static void bed_node(struct node *node, const char *name, const char *uid, const char *status) {
    char *copy = strdup(status), *rest = NULL;

    *node = (struct node){0};
    snprintf(node->name, sizeof(node->name), "%s", name);
    snprintf(node->uid, sizeof(node->uid), "%s", uid);
    node->addresses = calloc(strlen(status) + 1, sizeof(*node->addresses));
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        struct node_address *address = &node->addresses[node->n_addresses++];
        char *text = strchr(word, '=');

        *text++ = 0;
        snprintf(address->type, sizeof(address->type), "%s", word);
        snprintf(address->text, sizeof(address->text), "%s", text);
    }
    free(copy);
}

static inline void bed_node_done(struct node *node) {
    free(node->addresses);
    node->addresses = NULL;
}

static void bed_apply_as(
        struct inventory *inventory, const char *name, const char *uid, const char *status, bool listed) {
    CLEANUP(bed_node_done) struct node node;

    bed_node(&node, name, uid, status);
    assert_int_equal(inventory_apply(inventory, &node, listed), 0);
}

__attribute__((unused)) static void bed_apply(struct inventory *inventory, const char *name, const char *status) {
    bed_apply_as(inventory, name, "u", status, false);
}

__attribute__((unused)) static void bed_gone(struct inventory *inventory, const char *name, const char *uid) {
    CLEANUP(bed_node_done) struct node node;

    bed_node(&node, name, uid, "");
    assert_int_equal(inventory_gone(inventory, &node), 0);
}

/* "10.0.0.1(a) 10.0.0.2(b)"; also proves that it is sealed, by its digest. */
__attribute__((unused)) static const char *bed_living(struct inventory *inventory, char buffer[4096]) {
    CLEANUP(set_freep) struct set *set = NULL, *again = NULL;
    char text[ADDRESS_TEXT_MAX];
    size_t used = 0;

    assert_int_equal(inventory_living(inventory, &set), 0);
    assert_int_equal(set_copy(&again, set), 0);
    assert_int_equal(set_seal(again), 0);
    assert_string_equal(set->version.digest, again->version.digest);
    buffer[0] = 0;
    for (size_t i = 0; i < set->n_members; i++)
        used += (size_t)snprintf(buffer + used, 4096 - used, "%s%s(%s)", i ? " " : "",
                                 address_format(&set->members[i].address, text), set->members[i].label);
    return buffer;
}
#define assert_living(inventory, text)                                                                                 \
    do {                                                                                                               \
        char living_[4096];                                                                                            \
        assert_string_equal(bed_living(inventory, living_), text);                                                     \
    } while (0)

/* "+a/u:10.0.0.1 ~a/u:10.0.0.1>10.0.0.2 -a/u:10.0.0.2"; listed changes begin with "L". Takes them out. */
__attribute__((unused)) static const char *bed_changes(struct inventory *inventory, char buffer[4096]) {
    struct inventory_change change;
    char text[ADDRESS_TEXT_MAX];
    size_t used = 0;

    buffer[0] = 0;
#define SAY(...) used += (size_t)snprintf(buffer + used, 4096 - used, __VA_ARGS__)
    while (inventory_pop(inventory, &change)) {
        SAY("%s%s%c%s/%s:", used ? " " : "", change.listed ? "L" : "", "+~-"[change.kind], change.name, change.uid);
        for (size_t i = 0; i < change.n_previous; i++)
            SAY("%s%s", i ? "," : "", address_format(&change.previous[i], text));
        SAY(">");
        for (size_t i = 0; i < change.n_addresses; i++)
            SAY("%s%s", i ? "," : "", address_format(&change.addresses[i], text));
        inventory_change_done(&change);
    }
#undef SAY
    return buffer;
}
#define assert_changes(inventory, text)                                                                                \
    do {                                                                                                               \
        char changes_[4096];                                                                                           \
        assert_string_equal(bed_changes(inventory, changes_), text);                                                   \
    } while (0)

__attribute__((unused)) static const char *bed_bare(struct inventory *inventory, char buffer[4096]) {
    size_t used = 0;

    buffer[0] = 0;
    for (const char *const *label = inventory_bare(inventory); *label; label++)
        used += (size_t)snprintf(buffer + used, 4096 - used, "%s%s", used ? " " : "", *label);
    return buffer;
}
#define assert_bare(inventory, text)                                                                                   \
    do {                                                                                                               \
        char bare_[4096];                                                                                              \
        assert_string_equal(bed_bare(inventory, bare_), text);                                                         \
    } while (0)
