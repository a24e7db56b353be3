/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store - the confirmed set of a cluster, on disk before anybody hears of it.
 *
 * A commit has three steps, so that the loop never waits for a disk:
 *     store_prepare  on the loop: decides generation, delta and token, copies what the write needs
 *     store_write    on a worker thread: formats and writes; touches nothing but its own commit and the disk
 *     store_confirm  back on the loop: the commit becomes the confirmed set; only now may it be announced
 * At most one commit per store is under way. A commit that failed is freed with commit_free, and nothing has changed.
 *
 *   store/<cluster>.json (+ .1)      the truth, with its own checksum, durable
 *   files/nodewall/<cluster>.json    derived: the public set, for minions
 *   announce/<cluster>.json          derived: header, tokens and deltas, for the reactor
 */
#pragma once

#include "nodewall/set.h"

struct json_object;

#define TOKEN_DIGITS 32
#define STORE_TOKENS 16             /* newest kept */
#define STORE_DELTAS 64
#define STORE_DELTA_BYTES 262144    /* of the ring as JSON text */

/* The directory of everything that the engine keeps; locked, so that two engines never share one. */
struct state_dir;
struct state_dir *state_dir_free(struct state_dir *dir);
DEFINE_CLEANUP(struct state_dir, state_dir_free)
/* Makes what is missing (0750). A directory that is somebody else's or that group or others may write, or that
 * another engine holds, is refused: -EPERM, -EBUSY or another -errno, with *problem filled. */
int state_dir_open(struct state_dir **ret, const char *path, struct problem *problem);
const char *state_dir_path(const struct state_dir *dir);

struct store;
struct store *store_free(struct store *store);
DEFINE_CLEANUP(struct store, store_free)

enum store_outcome {
    STORE_NEW = 1,          /* store_open: nothing was there; a new epoch, no set yet */
    STORE_PREVIOUS = 2,     /* store_open: the newest copy is unreadable (kept as .bad); store_must_commit is true */
    STORE_LOST = 3,         /* store_open: no copy is readable (kept as .bad); a new epoch, no set yet */
    STORE_BUSY = 4,         /* store_prepare, store_announce, store_derive: a commit is under way; ask again later */
    STORE_UNDERIVED = 5,    /* store_write, store_open: the truth is safe, a derived file could not be written */
};
/* Loads and writes the derived files anew. 0 or a store_outcome; STORE_UNDERIVED only in place of 0 (see
 * store_is_derived). `dir` must outlive the store. */
int store_open(struct store **ret, struct state_dir *dir, const char *cluster);

const char *store_cluster(const struct store *store);
const char *store_epoch(const struct store *store);
const struct set *store_set(const struct store *store);             /* confirmed; NULL: never synced */
msec store_since(const struct store *store, const struct address *address);   /* wall clock; 0: not in it, or not known */
struct json_object *store_policy(const struct store *store);        /* as last given to store_prepare; borrowed; or NULL */
bool store_is_busy(const struct store *store);
/* After STORE_PREVIOUS, until a set is confirmed: a generation above ours may be out there. The next set must be
 * committed even if it is equal. */
bool store_must_commit(const struct store *store);
/* The next set begins a new epoch, and must be committed: for when somebody has a later generation of ours than we have
 * (an old copy of the directory came back), who would take nothing from us until we had counted past it. */
void store_begin_epoch(struct store *store);
bool store_is_derived(const struct store *store);                   /* derived files are those of the confirmed set */

struct commit;
struct commit *commit_free(struct commit *commit);                  /* before store_free of its store */
DEFINE_CLEANUP(struct commit, commit_free)
/* `set` (sealed; rv and as_of are the caller's, epoch and generation are decided here) is copied; NULL leaves the set
 * as it is and writes the policy only. `policy` is any JSON object and may be NULL; it is copied. 0, STORE_BUSY,
 * -EINVAL (an rv that is no decimal, a policy that could not be read back) or another -errno. */
int store_prepare(struct commit **ret, struct store *store, const struct set *set, struct json_object *policy);
/* Any thread. 0: all is written. STORE_UNDERIVED: confirm, but announce only after store_derive has succeeded.
 * -errno (-ENOSPC, …): the old truth stands; free the commit and try again later. */
int store_write(struct commit *commit);
/* After store_write >= 0. Takes the commit's contents, cannot fail; the commit lives on for its accessors. */
void store_confirm(struct store *store, struct commit *commit);

const struct set *commit_set(const struct commit *commit);          /* NULL when only the policy was written */
const struct delta *commit_delta(const struct commit *commit);      /* from the set before; NULL with the first set */
const char *commit_token(const struct commit *commit);              /* stands in the announce file for everybody */

/* Adds a token (for `minions`, or for everybody when NULL) and rewrites the announce file, on the calling thread,
 * without fsync. 0 and the token; STORE_BUSY; -ENOENT without a set; -E2BIG: over 2 MiB of ids; -errno. */
int store_announce(struct store *store, const char *const *minions, size_t n_minions, char ret_token[TOKEN_DIGITS + 1]);
/* Writes the derived files again. 0, STORE_BUSY or -errno. */
int store_derive(struct store *store);
