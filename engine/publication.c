/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publication - see publication.h.
 *
 *   begin ─▶ store_prepare ─▶ [worker: store_write] ─▶ store_confirm ─▶ announcement
 *                                │ failed: the old stands     │ derived files failed: retried first
 *
 * Keeps: what is announced is on disk, and what minions and the reactor will read is there before they are told.
 */
#include "publication.h"

#include "nodewall/json.h"
#include "nodewall/log.h"

#include <string.h>

enum { RETRY = 1000 };      /* ms, for derived files */

int publication_open(struct publication *publication, struct state_dir *dir, const char *cluster, msec now) {
    int r = store_open(&publication->store, dir, cluster);

    publication->retry = MSEC_NEVER;
    if (r < 0)
        return r;
    if (r == STORE_PREVIOUS)
        log_error("%s: the newest copy of its store is unreadable and kept as .bad; the one before is used", cluster);
    else if (r == STORE_LOST)
        log_error("%s: its store is unreadable and kept as .bad; a new one is begun", cluster);
    if (!store_is_derived(publication->store))
        publication->retry = now + RETRY;
    return 0;
}

void publication_done(struct publication *publication) {
    publication->commit = commit_free(publication->commit);
    publication->store = store_free(publication->store);
}

bool publication_is_free(const struct publication *publication) {
    return !publication->writing && !publication->underived;
}

static void announce(struct publication *publication) {
    if (commit_set(publication->commit)) {
        voice_announce(&publication->voice, store_set(publication->store), commit_delta(publication->commit),
                       publication->reason, commit_token(publication->commit));
        publication->n_published++;
    }
    publication->commit = commit_free(publication->commit);
}

static void write_work(uv_work_t *work) {
    struct publication *publication = work->data;

    publication->result = store_write(publication->commit);
}

static void failed(struct publication *publication) {
    if (publication->result != publication->last_error)
        log_error("%s: the store cannot be written: %s; nothing is announced until it can", publication->voice.cluster,
                  strerror(-publication->result));
    publication->last_error = publication->result;
    publication->n_failed++;
    publication->commit = commit_free(publication->commit);
}

static void written(struct publication *publication) {
    if (publication->last_error)
        log_info("%s: the store can be written again", publication->voice.cluster);
    publication->last_error = 0;
    store_confirm(publication->store, publication->commit);
    if (publication->result == STORE_UNDERIVED) {
        log_error("%s: files/ or announce/ in the state directory cannot be written; trying again",
                  publication->voice.cluster);
        publication->underived = true;
        publication->retry = clock_now() + RETRY;
        return;
    }
    publication->retry = MSEC_NEVER;
    announce(publication);
}

static void after_write(uv_work_t *work, int status) {
    struct publication *publication = work->data;
    bool has_set = commit_set(publication->commit) != NULL;

    (void)status; /* never cancelled */
    publication->writing = false;
    if (publication->result < 0)
        failed(publication);
    else
        written(publication);
    publication->on_written(publication->userdata, has_set ? store_set(publication->store) : NULL,
                            MIN(publication->result, 0));
}

int publication_begin(struct publication *publication, const struct set *set, json_object *state, enum event_reason reason) {
    int r = store_prepare(&publication->commit, publication->store, set, state);

    if (r)
        return r < 0 ? r : -EBUSY;
    publication->reason = reason;
    publication->work.data = publication;
    r = uv_queue_work(publication->loop, &publication->work, write_work, after_write);
    if (r < 0)
        publication->commit = commit_free(publication->commit);
    publication->writing = r == 0;
    return r;
}

void publication_repeat(struct publication *publication, enum event_reason reason) {
    char token[TOKEN_DIGITS + 1];
    int r = store_announce(publication->store, NULL, 0, token);

    if (r == 0)
        voice_announce(&publication->voice, store_set(publication->store), NULL, reason, token);
    else
        log_error("%s: cannot announce: %s", publication->voice.cluster, strerror(r < 0 ? -r : EBUSY));
}

int publication_repair(struct publication *publication, const char *const *minions, size_t n_minions) {
    char token[TOKEN_DIGITS + 1];
    int r = store_announce(publication->store, minions, n_minions, token);

    if (r)
        return r < 0 ? r : -EBUSY;
    voice_repair(&publication->voice, store_set(publication->store), token, minions, n_minions);
    return 0;
}

void publication_retry(struct publication *publication, msec now) {
    if (store_derive(publication->store)) {
        publication->retry = now + RETRY;
        return;
    }
    publication->retry = MSEC_NEVER;
    publication->underived = false;
    if (publication->commit)
        announce(publication);
    else if (store_set(publication->store))
        publication_repeat(publication, EVENT_START);
}
