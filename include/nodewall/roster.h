/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roster - which minions name a cluster: the index that ext_pillar fills, minions/<cluster>/<id>.
 *
 * An entry is an empty file whose name is the minion's id, percent-encoded: bytes outside [A-Za-z0-9_.-], and a
 * leading dot, are %XX in upper-case hex. A file name that is not exactly the encoding of an id is no entry.
 */
#pragma once

#include "nodewall/base.h"

#define ROSTER_ID_MAX 253       /* bytes of an id; its encoding must fit NAME_MAX as well */
#define ROSTER_LIMIT 100000     /* entries read of one cluster */

struct roster {
    char **minions;             /* sorted by strcmp */
    size_t n_minions;
    uint64_t stamp;             /* of the directory when it was read, for roster_changed; 0: no directory */
};

struct roster *roster_free(struct roster *roster);
DEFINE_CLEANUP(struct roster, roster_free)
/* A directory that is missing is an empty roster. -E2BIG over ROSTER_LIMIT. */
int roster_read(struct roster **ret, const char *state_dir, const char *cluster);
/* One stat(2): whether roster_read would find something else. May say true without need, never false wrongly. */
bool roster_changed(const struct roster *roster, const char *state_dir, const char *cluster);
/* 0 as well when there is no such entry. */
int roster_remove(const char *state_dir, const char *cluster, const char *minion);

/* -EINVAL: empty, not UTF-8, too long, or too long for a file name when encoded. */
int roster_encode(char **ret, const char *minion);
int roster_decode(char **ret, const char *name);
