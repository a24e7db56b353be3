/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster's parts - what cluster.c (its work), cluster_life.c (its beginning, changes and end), cluster_hold.c (what it holds
 * back) and cluster_tell.c (what it tells) share. Nobody else includes this.
 */
#pragma once

#include "cluster.h"

#include "minions.h"
#include "nodewall/policy.h"
#include "publication.h"
#include "source.h"

struct cluster {
    struct cluster_shared *shared;
    const struct cluster_config *config;    /* NULL: not configured any more; what it has stays until it is released */
    char *name;                     /* outlives a config that was taken away */
    uv_timer_t timer;
    bool closing, inside;

    bool open;                      /* the store is there, and with it policy, publication and minions */
    msec retry_store;               /* MSEC_NEVER: open */
    unsigned store_failures;

    struct source *source;          /* NULL while misconfigured or dropped */
    uint64_t kubeconfig;            /* stamp of the file that the source was made from; 0: none */
    char problem[1024];             /* why a newer configuration of it is not taken; "" */
    msec retry_config;              /* MSEC_NEVER: nothing to retry */

    struct policy *policy;
    struct policy_clock clock;      /* of its state */
    struct publication publication;
    struct minions minions;
    struct health health;
    bool listed;                    /* a list was complete, once */
    msec asked_list;                /* for policy; MSEC_NEVER: not since the last complete one */
    char refresh[RV_MAX + 1];       /* publish again once the cluster is past this rv; "": no need */

    msec dropped;                   /* since when; MSEC_NEVER: configured */
    msec empty_due;                 /* of a dropped one that was released: publish the empty set; MSEC_NEVER */
    bool renew_policy;              /* it was, past policy, which is made anew from the store when it comes back */
};

/* cluster.c: the one place where things begin. */
void cluster_step(struct cluster *cluster);
void cluster_arm(struct cluster *cluster, msec now);
extern const struct source_handler cluster_source_handler;
void cluster_on_written(void *userdata, const struct set *set, int error);

/* cluster_life.c */
void cluster_open_store(struct cluster *cluster, msec now);
void cluster_open_source(struct cluster *cluster, msec now);
void cluster_finish(struct cluster *cluster);
void cluster_renew_policy(struct cluster *cluster, msec now);

/* cluster_tell.c: how many addresses are not let in, and why. */
size_t cluster_refusals(const struct cluster *cluster, char *buffer, size_t size);

/* cluster_hold.c: policy's, or everything of one that is dropped. */
void cluster_hold(const struct cluster *cluster, msec now, struct policy_hold *ret);
