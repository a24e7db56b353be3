/* SPDX-License-Identifier: Apache-2.0 */
/* Choose - which of the texts in a node's status are addresses that count. Internal to the inventory. */
#pragma once

#include "nodewall/inventory.h"

#define REFUSALS_KEPT 4         /* of a node, with their text; the rest is counted */
#define REFUSAL_TEXT_MAX 47     /* any IPv6 address with its prefix length, mostly */

enum refusal_reason {
    REFUSED_NO_ADDRESS = 1,
    REFUSED_NETWORK,
    REFUSED_OUTSIDE,
    REFUSED_BOUND,
    REFUSED_CLASS,              /* plus enum address_class */
};

struct refusal {
    uint8_t reason;
    char text[REFUSAL_TEXT_MAX + 1];    /* printable ASCII; zero behind its end, so that refusals compare as bytes */
};

/* The options, copied. */
struct choice_options {
    char **types;
    struct address *within;
    size_t n_within;
    size_t max_per_node;
};
void choice_options_done(struct choice_options *options);
int choice_options_copy(struct choice_options *ret, const struct inventory_options *options);

struct candidate {
    struct address address;
    uint16_t order;             /* in the status */
    bool had;                   /* the node had it already */
};

/* The outcome, in memory that is used again for the next node: a heartbeat that changes nothing allocates nothing. */
struct chosen {
    struct candidate *candidates;
    struct address *addresses;          /* sorted, each once */
    size_t n_addresses, capacity;
    struct refusal refusals[REFUSALS_KEPT];
    size_t n_refusals;                  /* with their text */
    size_t n_refused;                   /* all of them */
};
void chosen_done(struct chosen *chosen);
/* `had`: the sorted addresses that this node has now. They go before new ones where max_per_node is exceeded, so that a
 * status that is merely written in another order takes none away. -ENOMEM. */
int chosen_make(struct chosen *chosen, const struct choice_options *options, const struct node *node,
                const struct address *had, size_t n_had);

/* "10.0.0.1 is outside `within`". Returns what snprintf returns. */
int refusal_format(const struct refusal *refusal, char *buffer, size_t size);
