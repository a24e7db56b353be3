/* SPDX-License-Identifier: Apache-2.0 */
/* Debounce - the earliest moment for the next set, and for the next try after a failure. Internal to policy. */
#pragma once

#include "nodewall/policy.h"

struct debounce {
    bool has_sent;
    msec sent;                  /* the last set */
    msec paid;                  /* until when the sets so far are paid for at one in POLICY_DEBOUNCE_MOST */
    msec saved;                 /* the last write of any kind; only if `has_saved` */
    bool has_saved;
    msec retry;                 /* after a failure; only if n_failures */
    unsigned n_failures;
};
msec debounce_next_set(const struct debounce *debounce);    /* INT64_MIN: at once */
msec debounce_next_save(const struct debounce *debounce);   /* of the state alone */
void debounce_sent(struct debounce *debounce, bool set, msec now);
void debounce_failed(struct debounce *debounce, msec now);
