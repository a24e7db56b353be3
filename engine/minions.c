/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minions - keeps followup and the index on disk in step.
 *
 * Does not: add to the index; ext_pillar does, whenever it compiles the pillar of a minion that names the cluster.
 */
#include "minions.h"

#include "nodewall/log.h"

#include <string.h>

int minions_init(struct minions *ret, const char *state_dir, const char *cluster, msec now) {
    struct minions minions = {.state_dir = state_dir, .cluster = cluster};
    int r = followup_new(&minions.followup, cluster);

    if (r < 0)
        return r;
    minions_look(&minions, now);
    *ret = minions;
    return 0;
}

void minions_done(struct minions *minions) {
    minions->followup = followup_free(minions->followup);
    minions->roster = roster_free(minions->roster);
}

void minions_look(struct minions *minions, msec now) {
    struct roster *roster;
    int r;

    if (minions->roster && !roster_changed(minions->roster, minions->state_dir, minions->cluster))
        return;
    r = roster_read(&roster, minions->state_dir, minions->cluster);
    if (r == 0) {
        r = followup_roster(minions->followup, roster->minions, roster->n_minions, now);
        roster_free(minions->roster);
        minions->roster = roster;
    }
    if (r < 0)
        log_error("%s: the index of its minions cannot be read: %s", minions->cluster, strerror(-r));
}

void minions_drop(struct minions *minions, msec now) {
    for (;;) {
        CLEANUP(cleanup_free) char *minion = followup_dropped(minions->followup, now);
        int r;

        if (!minion)
            return;
        r = roster_remove(minions->state_dir, minions->cluster, minion);
        if (r < 0)
            log_error("%s: the index entry of %s cannot be removed: %s", minions->cluster, minion, strerror(-r));
        else
            log_info("%s: %s has no rule for it any more", minions->cluster, minion);
    }
}
