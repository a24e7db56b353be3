/* SPDX-License-Identifier: Apache-2.0 */
/* Minions - those whose rules name a cluster: the index that ext_pillar keeps on disk, and what each of them has. */
#pragma once

#include "nodewall/followup.h"
#include "nodewall/roster.h"

struct minions {
    const char *state_dir, *cluster;    /* borrowed */
    struct followup *followup;
    struct roster *roster;
};

int minions_init(struct minions *ret, const char *state_dir, const char *cluster, msec now);
void minions_done(struct minions *minions);
/* Reads the index again if it changed. */
void minions_look(struct minions *minions, msec now);
/* Takes those out of the index who no longer belong there. */
void minions_drop(struct minions *minions, msec now);
