/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content - all that one version of a store consists of, and the three files it is written as.
 */
#pragma once

#include "nodewall/store.h"

struct json_object;

#define TOKEN_BYTES (2 * 1024 * 1024) /* of all lists as JSON text; the reactor reads 4 MiB of announcement */

struct content {
    char epoch[EPOCH_DIGITS + 1];
    struct set *set;                    /* NULL: never synced */
    msec *since;                        /* of its members, wall clock; since.c */
    char *deltas[STORE_DELTAS];         /* each as JSON text, oldest first */
    size_t n_deltas, delta_bytes;
    struct {
        char token[TOKEN_DIGITS + 1];
        char *minions;                  /* as JSON text: null or a list */
    } tokens[STORE_TOKENS];             /* oldest first; in memory and in the announce file only */
    size_t n_tokens, token_bytes;
    char *policy;                       /* as JSON text, or NULL */
    bool must_commit;                   /* see store_must_commit; in the truth, so that a restart doesn't forget it */
};

struct content *content_free(struct content *content);
DEFINE_CLEANUP(struct content, content_free)
int content_new(struct content **ret);              /* makes an epoch */
int content_copy(struct content **ret, const struct content *content);
int content_add_delta(struct content *content, const struct delta *delta);
/* -EINVAL: an id that is not UTF-8. -E2BIG: a list over TOKEN_BYTES. */
int content_add_token(struct content *content, const char *const *minions, size_t n_minions);
void content_clear_deltas(struct content *content);

int content_format_truth(const struct content *content, const char *cluster, char **ret, size_t *ret_size);
int content_format_public(const struct content *content, const char *cluster, char **ret, size_t *ret_size);
int content_format_announce(const struct content *content, const char *cluster, char **ret, size_t *ret_size);
/* truth.c; -EBADMSG: damaged, or another cluster's. */
int content_parse_truth(struct content **ret, const char *cluster, const char *data, size_t size);

/* since.c. *ret is replaced. `before` with its `since` may be NULL. */
int since_next(msec **ret, const struct set *before, const msec *since, const struct set *after);
int since_parse(msec **ret, const struct set *set, struct json_object *list);
msec since_of(const struct set *set, const msec *since, const struct address *address);

#define TRUTH_HEAD "{\"v\":1,\"checksum\":\""
#define TRUTH_MIDDLE "\",\"store\":"
#define TRUTH_TAIL "}\n"
int content_checksum(char ret[DIGEST_DIGITS + 1], const char *data, size_t size);
