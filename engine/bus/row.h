/* SPDX-License-Identifier: Apache-2.0 */
/* Row - one minion as followup knows it, and the table of them. Private to engine/bus. */
#pragma once

#include "sign.h"

#include "nodewall/followup.h"

#define RESULT_MAX 15               /* the minion's own word, cut */

struct row {
    char *id;
    /* What it said last that it has; `known` false: nothing yet, or nothing that still holds. */
    bool known;
    char epoch[EPOCH_DIGITS + 1];
    uint64_t generation;
    char digest[DIGEST_DIGITS + 1]; /* "": not told */
    char result[RESULT_MAX + 1];
    msec heard;                     /* when it last said anything about the cluster; -1: never */
    /* The current version. */
    msec told_first;                /* when it was told, or could first have been */
    msec took;                      /* from then to its return; -1: not yet */
    unsigned told;                  /* how often again; sets the pace */
    msec due;                       /* when to tell it again; MSEC_NEVER */
    bool settled;                   /* it has answered and telling again changes nothing (conflict, ahead) */
    bool put_off;                   /* by a job that went out, since it was told last */
    msec anew;                      /* when it last got a new series before its time; -1: never */
    /* Its life. */
    unsigned silent;                /* how often it was told again since it last said anything */
    bool away;
    bool joined;                    /* came to the roster after the first one */
    bool had;                       /* it said that it has the cluster, once */
    msec not_mine;                  /* its first not-mine that nothing contradicted; -1 */
    bool asked;                     /* it was told again since */
    msec drop;                      /* when it is to be dropped; MSEC_NEVER */
};

struct followup {
    char cluster[64];
    struct row *rows;               /* sorted by id */
    size_t n_rows;
    bool has_roster, announced;
    struct version version;         /* as announced */
    struct version published;       /* as in the store; at least as late */
    char ahead_epoch[EPOCH_DIGITS + 1];     /* FOLLOWUP_AHEAD was said of it, */
    msec ahead_said;                        /* then */
    char conflict_rv[RV_MAX + 1];
    msec conflict_said, conflict_wait;      /* FOLLOWUP_CONFLICT: when last, and how long until the next */
    uint64_t repairs;
};

bool row_is_current(const struct row *row, const struct followup *followup);
