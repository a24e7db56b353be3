/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set - the addresses of one cluster, sorted, with the version that orders them.
 *
 * A version is (epoch, generation): the epoch is made with the store and random, the generation grows by one with each
 * published set. Two epochs are ordered by rv, the API's resourceVersion, where they can be. The digest says what is in
 * the set, never when: A, B, A has two equal digests and three generations.
 */
#pragma once

#include "nodewall/address.h"

#define EPOCH_DIGITS 16
#define DIGEST_DIGITS 64
#define RV_MAX 40
#define LABEL_MAX 63            /* node name as it stands in sets and kernel comments: cut, [A-Za-z0-9._-] only */
#define SET_LIMIT 262144        /* members; a hard bound for whatever is read from a file */

struct version {
    char epoch[EPOCH_DIGITS + 1];
    uint64_t generation;        /* below 2^53: JSON's integers */
    char rv[RV_MAX + 1];        /* decimal or "" */
    msec as_of;                 /* wall clock */
    char digest[DIGEST_DIGITS + 1];
};

struct member {
    struct address address;
    char label[LABEL_MAX + 1];  /* the node it stands for; "extra" for a configured one */
};

struct set {
    struct version version;
    struct member *members;     /* sorted by address, each address once */
    size_t n_members;
    struct members *shared;     /* set.c's own: where they lie */
};

struct set *set_free(struct set *set);
DEFINE_CLEANUP(struct set, set_free)
int set_new(struct set **ret);
/* Shares the members until one of the two is changed by a call below, so a copy costs a few bytes. The copy may be freed
 * by another thread. */
int set_copy(struct set **ret, const struct set *set);
/* Appends in any order; set_seal sorts, keeps the least label of an address that came twice, and makes the digest. */
int set_append(struct set *set, const struct address *address, const char *label);
int set_seal(struct set *set);
bool set_has(const struct set *set, const struct address *address);
void label_make(char ret[LABEL_MAX + 1], const char *node);

/* What leads from one set to the next. */
struct delta {
    uint64_t generation;        /* of the set it leads to */
    char base[DIGEST_DIGITS + 1];
    char digest[DIGEST_DIGITS + 1];
    char rv[RV_MAX + 1];
    struct member *added;
    size_t n_added;
    struct address *removed;
    size_t n_removed;
};

struct delta *delta_free(struct delta *delta);
DEFINE_CLEANUP(struct delta, delta_free)
/* `from` and `to` are sealed. A member whose label alone changed is no change. Empty deltas are allowed (n's are 0). */
int delta_new(struct delta **ret, const struct set *from, const struct set *to);
