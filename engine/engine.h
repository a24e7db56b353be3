/* SPDX-License-Identifier: Apache-2.0 */
/* Engine - everything together, for as long as `nodewall run` runs. */
#pragma once

#include "nodewall/bus.h"
#include "nodewall/config.h"

struct engine_setup {
    struct config *config;              /* taken over */
    struct bus_options bus;
    const char *bus_detail;             /* for the log: "Salt 3007.14 in /var/run/salt/master" */
};

/* Returns after SIGTERM or SIGINT: 0. Could not begin: -errno, with *problem filled if a person can do something. */
int engine_run(const struct engine_setup *setup, struct problem *problem);
