/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy - when a change becomes a set, and which losses are not believed. Pure: `now` comes in, decisions come out.
 *
 * Debounce: a first change goes at once; sets are at least 200 ms apart, and beyond a burst of eight at least 1 s.
 * Grace: an address that no living node reports any more stays for `grace` (operator's words, see below, go at once). Of
 * one node that lives and keeps reporting others, the newest max_per_node stay.
 * Guard: removals that would take more than max_removal percent of the set of ten minutes ago, if that stood for
 * three or more nodes, are held, and so are the addresses of a node that lives without any; additions always flow.
 * Two lists: an address that a list lacks (without a DELETED event) goes only when a second list, after the grace, lacks it too.
 * First set of a store (nothing confirmed yet): only after two lists that agree, CONFIRM_AFTER apart.
 *
 * Keeps: an address that a living node reports (and the operator allows) is in every set that is decided.
 */
#pragma once

#include "nodewall/set.h"

struct json_object;

#define POLICY_DEBOUNCE_FIRST 200
#define POLICY_DEBOUNCE_MOST 1000       /* also the longest wait, but for a disk that fails */
#define POLICY_BURST 8
#define POLICY_GUARD_WINDOW (10 * 60 * 1000)
#define POLICY_GUARD_NODES 3
#define POLICY_CONFIRM_AFTER 300        /* ms at least between two lists that have to agree */

struct policy_options {
    msec grace;
    unsigned max_removal;               /* percent; 100: never hold */
    const struct address *within, *extra, *except;  /* copied. extra: always in; except: never; both win over nodes */
    size_t n_within, n_extra, n_except;
    size_t max_per_node;                /* former addresses of a living node that are kept; 0: all */
    size_t max_total;                   /* addresses in a set; new ones above it are not taken (and said) */
};

/* The `wall` of policy_new and policy_state: a calendar that goes on over restarts and stands still over reboots, whatever the wall
 * clock does. Kept in the state itself. */
struct policy_clock {
    char boot[40];                      /* clock_boot's */
    msec offset;
};
/* `state` as for policy_new; without one the calendar begins with `wall`. */
void policy_clock_open(struct policy_clock *ret, struct json_object *state, const char *boot, msec now, msec wall);
msec policy_clock_at(const struct policy_clock *clock, msec now);
int policy_clock_save(const struct policy_clock *clock, struct json_object *state, msec now);

struct policy;
/* `confirmed` is the store's set or NULL; `state` what policy_state once returned, or NULL. `wall` pairs with `now`, to
 * bring the times in `state` back. A state that is nonsense is as none. */
int policy_new(struct policy **ret, const struct policy_options *options, const struct set *confirmed,
               struct json_object *state, msec now, msec wall);
struct policy *policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy, policy_free)
/* New options: what they forbid goes with the next decision, without grace or guard. */
int policy_reload(struct policy *policy, const struct policy_options *options, msec now);
/* An operator selects other nodes or address types: what the next two lists lack, and the set had, goes without grace or guard;
 * unless they have nothing at all. */
void policy_select(struct policy *policy);
/* What the last plan holds and `now` still would: of too large a loss, or of a node that lives without an address (bare). */
void policy_each_held(const struct policy *policy, msec now,
                      void (*each)(void *userdata, const struct member *member, msec since, bool bare), void *userdata);
/* An operator's word that what policy_each_held tells at `now` may go: with the next decision, without grace or guard. */
void policy_release(struct policy *policy, msec now);

/* What the cluster has now. `living` is taken over. `bare`: labels of living nodes without an address, NULL-terminated.
 * `complete_list`: this picture comes from a complete list just done. Before the first list nothing is decided. */
int policy_observe(struct policy *policy, struct set *living, const char *const *bare, bool complete_list, msec now);

enum policy_reason { POLICY_WATCH, POLICY_RELIST, POLICY_START, POLICY_OPERATOR };
struct policy_decision {
    struct set *set;                    /* publish this; sealed, without version; owned. NULL: nothing to publish now */
    enum policy_reason reason;
    bool save;                          /* without a set: the state changed in a way that must survive a restart */
};
void policy_decision_done(struct policy_decision *decision);
/* The driver carries it out, then says policy_confirmed (or policy_failed: decide again from policy_due on). Nothing is
 * decided in between. `must`: decide the set even if it equals the confirmed one. */
int policy_decide(struct policy *policy, msec now, bool must, struct policy_decision *ret);
/* `set` NULL: only the state was saved. -EINVAL: not what was decided; counts as failed. */
int policy_confirmed(struct policy *policy, const struct set *set, msec now);
void policy_failed(struct policy *policy, msec now);                            /* tried again after 1 s, 2 s, … 30 s */
/* When policy_decide may have something; MSEC_NEVER. */
msec policy_due(const struct policy *policy, msec now);
/* True: the first set, a loss that one list has shown, or another selection needs one more list; ask for it (watch_relist) at
 * policy_due, and again if none comes. */
bool policy_wants_list(const struct policy *policy, msec now);

/* Grace and guard as JSON with wall-clock times, for store_prepare; a new reference. */
int policy_state(const struct policy *policy, msec now, msec wall, struct json_object **ret);

/* What keeps a confirmed address in the set, as of the last plan. */
enum policy_standing { POLICY_ABSENT, POLICY_LIVES, POLICY_IN_GRACE, POLICY_HELD };
enum policy_standing policy_standing(const struct policy *policy, const struct address *address, msec now);

struct policy_hold {
    size_t addresses;                   /* held back from removal; 0: none */
    size_t lost, before;                /* of the guard's sum: lost within the window, of how many */
    size_t bare;                        /* of `addresses`: of living nodes that report none */
    msec since;                         /* `now` of its begin */
    char text[384];                     /* a sentence with the way out */
};
void policy_hold(const struct policy *policy, struct policy_hold *ret);
struct policy_stats {
    size_t in_grace;
    size_t over_limit;                  /* addresses not taken because of max_total */
};
struct policy_stats policy_stats(const struct policy *policy);
