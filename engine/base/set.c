/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set - sorted addresses and what leads from one set to the next.
 *
 * Keeps: a sealed set is sorted, without repeats, and its digest is the SHA-256 of its records in that order.
 * The same digest is made in Python on the minions; tests/vectors/digest.json holds both to it.
 */
#include "nodewall/set.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

/* What copies of a set share; they are made by the loop and freed by a thread that writes. */
struct members {
    atomic_uint owners;
    size_t capacity;
    struct member at[];
};

static EVP_MD_CTX *digest_context_free(EVP_MD_CTX *context) {
    EVP_MD_CTX_free(context);
    return NULL;
}
DEFINE_CLEANUP(EVP_MD_CTX, digest_context_free)

static void disown(struct members *shared) {
    if (shared && atomic_fetch_sub(&shared->owners, 1) == 1)
        free(shared);
}

struct set *set_free(struct set *set) {
    if (set) {
        disown(set->shared);
        free(set);
    }
    return NULL;
}

int set_new(struct set **ret) {
    struct set *set = calloc(1, sizeof(*set));

    if (!set)
        return -ENOMEM;
    *ret = set;
    return 0;
}

int set_copy(struct set **ret, const struct set *from) {
    struct set *set = malloc(sizeof(*set));

    if (!set)
        return -ENOMEM;
    *set = *from;
    if (set->shared)
        atomic_fetch_add(&set->shared->owners, 1);
    *ret = set;
    return 0;
}

/* Makes room for `capacity` members, not below those that there are, that no copy shares. */
static int make_room(struct set *set, size_t capacity) {
    bool alone = set->shared && atomic_load(&set->shared->owners) == 1;
    struct members *members = realloc(alone ? set->shared : NULL, sizeof(*members) + capacity * sizeof(*members->at));

    if (!members)
        return -ENOMEM;
    if (!alone) {
        if (set->n_members)
            memcpy(members->at, set->members, set->n_members * sizeof(*members->at));
        disown(set->shared);
        atomic_init(&members->owners, 1);
    }
    members->capacity = capacity;
    set->shared = members;
    set->members = members->at;
    return 0;
}

int set_append(struct set *set, const struct address *address, const char *label) {
    struct member *member;

    if (set->n_members >= SET_LIMIT)
        return -E2BIG;
    if (!set->shared || set->n_members == set->shared->capacity || atomic_load(&set->shared->owners) > 1) {
        int r = make_room(set, MAX(2 * set->n_members, (size_t)8));

        if (r < 0)
            return r;
    }
    member = &set->members[set->n_members++];
    member->address = *address;
    label_make(member->label, label);
    return 0;
}

static int compare_members(const void *a, const void *b) {
    const struct member *x = a, *y = b;
    int r = address_compare(&x->address, &y->address);

    return r ? r : strcmp(x->label, y->label);
}

static int compare_addresses(const void *a, const void *b) {
    return address_compare(&((const struct member *)a)->address, &((const struct member *)b)->address);
}

static int digest_members(char ret[DIGEST_DIGITS + 1], const struct member *members, size_t n) {
    CLEANUP(digest_context_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t record[ADDRESS_RECORD_MAX], digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (!EVP_DigestUpdate(context, record, address_record(&members[i].address, record)))
            return -EIO;
    if (!EVP_DigestFinal_ex(context, digest, &size) || size != DIGEST_DIGITS / 2)
        return -EIO;
    hex_format(ret, digest, size);
    return 0;
}

int set_seal(struct set *set) {
    size_t n = 0;
    int r;

    if (set->shared && atomic_load(&set->shared->owners) > 1) {
        r = make_room(set, set->n_members);
        if (r < 0)
            return r;
    }
    if (set->n_members > 1)
        qsort(set->members, set->n_members, sizeof(*set->members), compare_members);
    for (size_t i = 0; i < set->n_members; i++)
        if (n == 0 || compare_addresses(&set->members[n - 1], &set->members[i]) != 0)
            set->members[n++] = set->members[i];
    set->n_members = n;
    if (set->shared && set->shared->capacity > n) { /* sets are kept for long, and rarely grow once sealed */
        r = make_room(set, n);
        if (r < 0)
            return r;
    }
    return digest_members(set->version.digest, set->members, set->n_members);
}

bool set_has(const struct set *set, const struct address *address) {
    struct member key = {.address = *address};

    return set->n_members && bsearch(&key, set->members, set->n_members, sizeof(key), compare_addresses);
}

void label_make(char ret[LABEL_MAX + 1], const char *node) {
    size_t n = 0;

    for (; *node && n < LABEL_MAX; node++)
        if ((*node >= 'a' && *node <= 'z') || (*node >= 'A' && *node <= 'Z') || (*node >= '0' && *node <= '9') ||
            *node == '.' || *node == '_' || *node == '-')
            ret[n++] = *node;
    memset(ret + n, 0, LABEL_MAX + 1 - n);
}

struct delta *delta_free(struct delta *delta) {
    if (delta) {
        free(delta->added);
        free(delta->removed);
        free(delta);
    }
    return NULL;
}

/* One walk over both sorted arrays. While the arrays of `delta` are NULL it counts, then it fills them. */
static void walk(const struct set *from, const struct set *to, struct delta *delta) {
    size_t i = 0, j = 0;

    delta->n_added = delta->n_removed = 0;
    while (i < from->n_members || j < to->n_members) {
        int r = i == from->n_members ? 1
                : j == to->n_members ? -1
                                     : compare_addresses(&from->members[i], &to->members[j]);

        if (r < 0) {
            if (delta->removed)
                delta->removed[delta->n_removed] = from->members[i].address;
            delta->n_removed++;
            i++;
        } else if (r > 0) {
            if (delta->added)
                delta->added[delta->n_added] = to->members[j];
            delta->n_added++;
            j++;
        } else {
            i++;
            j++;
        }
    }
}

int delta_new(struct delta **ret, const struct set *from, const struct set *to) {
    CLEANUP(delta_freep) struct delta *delta = calloc(1, sizeof(*delta));

    if (!delta)
        return -ENOMEM;
    walk(from, to, delta); /* counts */
    delta->added = calloc(delta->n_added + 1, sizeof(*delta->added));
    delta->removed = calloc(delta->n_removed + 1, sizeof(*delta->removed));
    if (!delta->added || !delta->removed)
        return -ENOMEM;
    walk(from, to, delta); /* fills */
    delta->generation = to->version.generation;
    memcpy(delta->base, from->version.digest, sizeof(delta->base));
    memcpy(delta->digest, to->version.digest, sizeof(delta->digest));
    memcpy(delta->rv, to->version.rv, sizeof(delta->rv));
    *ret = TAKE_PTR(delta);
    return 0;
}
