/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Followup - which minion has which version of one cluster's set, and whom to tell again. Pure: `now` comes in.
 *
 * Fed with the roster, with each announcement, and with the bus's events about jobs, starts and keys. A minion is
 * current when it has said so itself: a return with our epoch and generation. Whoever hasn't 5 s after being told is
 * told again, alone with the others that haven't: at about 5, 15 and 45 s, then each 60 s, at most FOLLOWUP_ATTEMPTS
 * times while it says nothing. Then it is away, and told once when any sign of it comes.
 *
 * Any accepted minion can forge these events. Forging keeps a repair from somebody at worst until that minion's own
 * schedule runs; it never opens or closes anything, makes nobody be told more often than twice a series in a minute, and
 * takes nobody out of the roster who answers.
 */
#pragma once

#include "nodewall/set.h"

struct json_object;

#define FOLLOWUP_ATTEMPTS 12
#define FOLLOWUP_BATCH 1000         /* minions in one repair */
#define FOLLOWUP_AHEAD_LEAST 600000 /* ms between two FOLLOWUP_AHEAD: each costs everybody a whole set */

struct followup;
struct followup *followup_free(struct followup *followup);
DEFINE_CLEANUP(struct followup, followup_free)
int followup_new(struct followup **ret, const char *cluster);

/* Who names the cluster now; sorted (struct roster's). Those who stay keep what is known of them. Copied. */
int followup_roster(struct followup *followup, char *const *minions, size_t n_minions, msec now);
/* An announcement for everybody was put on the bus (best: its echo came); the waiting begins. Announcing the same
 * version again keeps what is known. */
void followup_announced(struct followup *followup, const struct version *version, msec now);
/* The store has this version, and it is on its way to the bus: whoever returns it before its echo was seen is not
 * ahead of us. Nothing is waited for yet. */
void followup_published(struct followup *followup, const struct version *version);

/* Whether followup_observe could learn from an event with this tag; decode the data only then. */
bool followup_wants(const char *tag, size_t tag_size);
/* 0, or a positive outcome; events about others are 0. */
enum followup_outcome {
    FOLLOWUP_CHANGED = 1,           /* a minion's row changed */
    FOLLOWUP_AHEAD = 2,             /* a minion has our epoch with a generation above ours, or ours with another digest:
                                     * the store was set back. Told once per epoch, FOLLOWUP_AHEAD_LEAST apart. */
    FOLLOWUP_CONFLICT = 3,          /* a minion holds another epoch that it will not leave for ours. Told again after a
                                     * minute, two, … ten at the earliest, by whomever */
};
int followup_observe(struct followup *followup, const char *tag, size_t tag_size, struct json_object *data, msec now);
/* After FOLLOWUP_CONFLICT: the rv that a set of ours has to be past for such a minion to take it. */
const char *followup_conflict_rv(const struct followup *followup);

/* When followup_repairs or followup_dropped may have something; MSEC_NEVER. */
msec followup_due(const struct followup *followup);
/* Whom to tell again now, at most FOLLOWUP_BATCH, counted as told. Call it only when the telling can be done: the bus
 * is connected and the store not busy. *ret (NULL when nobody) points to names that live until the next
 * followup_roster; the caller frees the array, not the names. Call again until *ret_n is 0. */
int followup_repairs(struct followup *followup, msec now, const char ***ret, size_t *ret_n);
/* One minion that is no longer concerned, to be taken out of the roster by the caller; forgotten here. NULL: none. The
 * caller frees it. It said not-mine, was told again, said so again, and nothing contradicted that for 10 s; or its key was
 * deleted, it was told again, and 10 s later has not answered. A minion that joined the roster later and never had the
 * cluster has to say not-mine a second time 5 minutes after the first: the state run that brought it there may still be
 * under way. */
char *followup_dropped(struct followup *followup, msec now);

struct followup_summary {
    size_t expected, current, behind, away;
    msec slowest;                   /* of the current version, from telling to return; -1: nobody yet */
    uint64_t repairs;               /* minions told again, since the start */
};
struct followup_summary followup_summary(const struct followup *followup);
/* The `minions` object of /status: {expected, current, behind: [id…], slowest, list: [{id, generation, result, age,
 * took}…]}. */
int followup_status(const struct followup *followup, msec now, struct json_object **ret);
