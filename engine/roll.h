/* SPDX-License-Identifier: Apache-2.0 */
/* Roll - the clusters that there are: those of the configuration, and those whose addresses outlive it. */
#pragma once

#include "cluster.h"

struct roll {
    struct cluster **clusters;          /* by name; owned */
    size_t n;
};

/* Clusters follow the configuration: the new ones begin, the changed ones are told, and those that are gone are dropped: they stay
 * as long as they have addresses. `config` must stay until the next call. -ENOMEM: some are missing. */
int roll_follow(struct roll *roll, struct cluster_shared *shared, const struct config *config);
/* Before anything else, once: what an earlier engine has published and the configuration does not name. */
int roll_find_dropped(struct roll *roll, struct cluster_shared *shared, const struct config *config);
struct cluster *roll_find(const struct roll *roll, const char *name);       /* or NULL */
void roll_done(struct roll *roll);
