/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publication - brings a set onto disk and then onto the bus, in this order, whatever fails on the way.
 * One for each cluster; at most one set is on its way.
 */
#pragma once

#include "nodewall/store.h"
#include "voice.h"

#include <uv.h>

struct publication {
    uv_loop_t *loop;
    struct store *store;
    struct voice voice;
    /* A write is over. `set`: the confirmed one, NULL when only the state was written; error < 0: nothing has changed. */
    void (*on_written)(void *userdata, const struct set *set, int error);
    void *userdata;

    uv_work_t work;
    struct commit *commit;          /* being written, or written and waiting for derived files */
    bool writing;
    bool underived;                 /* the truth is on disk, files/ or announce/ is not */
    int result;
    int last_error;                 /* the same error is logged once */
    enum event_reason reason;
    msec retry;                     /* of the derived files; MSEC_NEVER */
    uint64_t n_published, n_failed;
};

/* Opens the store, and says on the log what is wrong with it. loop, voice, on_written and userdata are set by the caller. */
int publication_open(struct publication *publication, struct state_dir *dir, const char *cluster, msec now);
/* Not while writing. */
void publication_done(struct publication *publication);

/* Another set may be begun. */
bool publication_is_free(const struct publication *publication);
/* Stands for store_prepare and what follows. -errno: nothing was begun, and on_written is not called. */
int publication_begin(struct publication *publication, const struct set *set, struct json_object *state, enum event_reason reason);
/* What was confirmed, again: for everybody, or for some. */
void publication_repeat(struct publication *publication, enum event_reason reason);
int publication_repair(struct publication *publication, const char *const *minions, size_t n_minions);
/* At publication->retry. */
void publication_retry(struct publication *publication, msec now);
