/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store - the confirmed set of one cluster and the versions that lead to it.
 *
 *              store_prepare            store_write (worker)          store_confirm
 *   confirmed ───────────────▶ commit ───────────────────────▶ disk ───────────────▶ confirmed'
 *                                 │ -errno: commit_free; confirmed stands, and so does its file
 *
 * Keeps: generations only grow within an epoch, also when the newest copy was lost: what came after the copy at hand
 * may have been announced, so its generation is skipped. What is confirmed is on disk; what is announced is confirmed.
 * Does not: look at the clock, log, or decide what belongs into a set.
 * Owns: the confirmed content. A commit owns its own copy until it is confirmed, so the worker thread shares nothing.
 */
#include "content.h"
#include "files.h"

#include <json-c/json.h>
#include <string.h>

struct store {
    struct files files;
    struct content *content;        /* confirmed */
    struct json_object *policy;     /* content->policy, as an object */
    const struct commit *under_way;
    bool derived;
    bool begin_epoch;               /* the next set starts one */
};

struct commit {
    struct store *store;            /* NULL once confirmed: the store has let it go */
    struct files files;
    struct content *content;        /* the next; after store_confirm the store's */
    struct json_object *policy;     /* likewise */
    struct set *set;                /* copies for the accessors */
    struct delta *delta;
    char token[TOKEN_DIGITS + 1];
    bool derived;
};

struct store *store_free(struct store *store) {
    if (!store)
        return NULL;
    files_done(&store->files);
    content_free(store->content);
    json_object_put(store->policy);
    free(store);
    return NULL;
}

const char *store_cluster(const struct store *store) {
    return store->files.cluster;
}

const char *store_epoch(const struct store *store) {
    return store->content->epoch;
}

const struct set *store_set(const struct store *store) {
    return store->content->set;
}

msec store_since(const struct store *store, const struct address *address) {
    return since_of(store->content->set, store->content->since, address);
}

struct json_object *store_policy(const struct store *store) {
    return store->policy;
}

bool store_is_busy(const struct store *store) {
    return store->under_way;
}

bool store_must_commit(const struct store *store) {
    return store->content->must_commit || store->begin_epoch;
}

void store_begin_epoch(struct store *store) {
    store->begin_epoch = true;
}

bool store_is_derived(const struct store *store) {
    return store->derived;
}

/* The newest copy that is whole. Nothing is put aside before both were looked at. */
static int load(struct store *store) {
    int newest = files_read_truth(&store->files, false, &store->content), previous, r;

    if (newest == 0)
        return 0;
    if (newest != -ENOENT && newest != -EBADMSG)
        return newest; /* not damaged but out of reach: a new epoch would be no cure */
    previous = files_read_truth(&store->files, true, &store->content);
    if (previous < 0 && previous != -ENOENT && previous != -EBADMSG)
        return previous;

    if (newest == -EBADMSG && (r = files_put_aside(&store->files, false)) < 0)
        return r;
    if (previous == -EBADMSG && (r = files_put_aside(&store->files, true)) < 0)
        return r;
    if (previous == 0) {
        store->content->must_commit = true; /* also when the copy is from before the first set */
        return STORE_PREVIOUS;
    }
    r = content_new(&store->content);
    if (r < 0)
        return r;
    return newest == -ENOENT && previous == -ENOENT ? STORE_NEW : STORE_LOST;
}

int store_open(struct store **ret, struct state_dir *dir, const char *cluster) {
    CLEANUP(store_freep) struct store *store = calloc(1, sizeof(*store));
    int r, outcome;

    if (!store)
        return -ENOMEM;
    if (!name_is_cluster(cluster))
        return -EINVAL;
    r = files_init(&store->files, state_dir_path(dir), cluster);
    if (r < 0)
        return r;
    files_sweep(&store->files);
    outcome = load(store);
    if (outcome < 0)
        return outcome;
    if (store->content->policy) {
        store->policy = json_tokener_parse(store->content->policy);
        if (!store->policy)
            return -ENOMEM;
    }
    store->derived = true;
    if (store->content->set) {
        store->derived = files_write_derived(&store->files, store->content) == 0;
        if (!store->derived && outcome == 0)
            outcome = STORE_UNDERIVED;
    }
    *ret = TAKE_PTR(store);
    return outcome;
}

struct commit *commit_free(struct commit *commit) {
    if (!commit)
        return NULL;
    if (commit->store)
        commit->store->under_way = NULL;
    files_done(&commit->files);
    content_free(commit->content);
    json_object_put(commit->policy);
    set_free(commit->set);
    delta_free(commit->delta);
    free(commit);
    return NULL;
}

static int prepare_policy(struct commit *commit, struct json_object *policy) {
    struct content *content = commit->content;

    free(TAKE_PTR(content->policy));
    if (!policy)
        return 0;
    content->policy = strdup(json_object_to_json_string_ext(policy, JSON_C_TO_STRING_PLAIN));
    if (!content->policy)
        return -ENOMEM;
    commit->policy = json_tokener_parse(content->policy);
    return commit->policy ? 0 : -EINVAL; /* deeper than the parser goes, or NaN: it could not be read back */
}

static int prepare_set(struct commit *commit, const struct store *store, const struct set *set) {
    struct content *content = commit->content;
    const struct set *before = store->content->set;
    int r;

    if (*set->version.rv && !decimal_is(set->version.rv))
        return -EINVAL; /* it could not be read back */
    r = set_copy(&commit->set, set);
    if (r < 0)
        return r;
    if (store->begin_epoch) {
        r = random_hex(content->epoch, EPOCH_DIGITS);
        if (r < 0)
            return r;
        content_clear_deltas(content);
        before = NULL; /* a delta across epochs would continue nothing */
        content->must_commit = false;
    }
    memcpy(commit->set->version.epoch, content->epoch, sizeof(content->epoch));
    commit->set->version.generation = (before ? before->version.generation : 0) + (content->must_commit ? 2 : 1);
    content->must_commit = false;
    if (before) {
        r = delta_new(&commit->delta, before, commit->set);
        if (r < 0)
            return r;
        r = content_add_delta(content, commit->delta);
        if (r < 0)
            return r;
    }
    r = since_next(&content->since, store->content->set, store->content->since, commit->set);
    if (r < 0)
        return r;
    set_free(TAKE_PTR(content->set));
    r = set_copy(&content->set, commit->set);
    if (r < 0)
        return r;
    r = content_add_token(content, NULL, 0);
    if (r < 0)
        return r;
    memcpy(commit->token, content->tokens[content->n_tokens - 1].token, sizeof(commit->token));
    return 0;
}

int store_prepare(struct commit **ret, struct store *store, const struct set *set, struct json_object *policy) {
    CLEANUP(commit_freep) struct commit *commit = NULL;
    int r;

    if (store->under_way)
        return STORE_BUSY;
    commit = calloc(1, sizeof(*commit));
    if (!commit)
        return -ENOMEM;
    r = content_copy(&commit->content, store->content);
    if (r < 0)
        return r;
    r = prepare_policy(commit, policy);
    if (r < 0)
        return r;
    if (set) {
        r = prepare_set(commit, store, set);
        if (r < 0)
            return r;
    }
    r = files_copy(&commit->files, &store->files);
    if (r < 0)
        return r;
    commit->derived = store->derived;
    commit->store = store;
    store->under_way = commit;
    *ret = TAKE_PTR(commit);
    return 0;
}

int store_write(struct commit *commit) {
    int r = files_write_truth(&commit->files, commit->content);

    if (r < 0)
        return r;
    if (!commit->set && commit->derived)
        return 0; /* the policy alone: nobody else reads it */
    if (commit->content->set)
        commit->derived = files_write_derived(&commit->files, commit->content) == 0;
    return commit->derived ? 0 : STORE_UNDERIVED;
}

void store_confirm(struct store *store, struct commit *commit) {
    content_free(store->content);
    store->content = TAKE_PTR(commit->content);
    json_object_put(store->policy);
    store->policy = TAKE_PTR(commit->policy);
    store->derived = commit->derived;
    store->begin_epoch = store->begin_epoch && !commit->set;
    store->under_way = NULL;
    commit->store = NULL;
}

const struct set *commit_set(const struct commit *commit) {
    return commit->set;
}

const struct delta *commit_delta(const struct commit *commit) {
    return commit->delta;
}

const char *commit_token(const struct commit *commit) {
    return commit->token;
}

int store_announce(struct store *store, const char *const *minions, size_t n_minions,
                   char ret_token[TOKEN_DIGITS + 1]) {
    int r;

    if (store->under_way)
        return STORE_BUSY;
    if (!store->content->set)
        return -ENOENT;
    if (!store->derived) {
        r = store_derive(store);
        if (r < 0)
            return r;
    }
    r = content_add_token(store->content, minions, n_minions);
    if (r < 0)
        return r;
    r = files_write_announce(&store->files, store->content);
    if (r < 0)
        return r; /* a token that stands in no file opens nothing */
    memcpy(ret_token, store->content->tokens[store->content->n_tokens - 1].token, TOKEN_DIGITS + 1);
    return 0;
}

int store_derive(struct store *store) {
    int r;

    if (store->under_way)
        return STORE_BUSY;
    if (!store->content->set)
        return 0;
    r = files_write_derived(&store->files, store->content);
    store->derived = r == 0;
    return r;
}
