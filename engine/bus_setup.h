/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus setup - where Salt's bus is: with transport minion what the configuration says; else what the shim handed over
 * wins, then the configuration, then Salt's defaults.
 */
#pragma once

#include "handoff.h"
#include "nodewall/bus.h"
#include "nodewall/config.h"

#include <limits.h>

/* The options, and what they point to: it stays where it is as long as the bus lives. */
struct bus_setup {
    struct bus_options options;
    struct minion_options minion;
    struct minion_master masters[CONFIG_MASTERS_MAX];
    uint8_t fingers[CONFIG_FINGERS_MAX][MINION_FINGER_SIZE];
    char pki_dir[PATH_MAX];
    char place[700];            /* for people: a directory of sockets, "tcp", or masters and id */
    const char *hint;           /* what to look at when it does not work */
};

/* `config` and `handoff` may be NULL; what they hold is borrowed. */
void bus_setup(struct bus_setup *ret, const struct config *config, const struct handoff *handoff);
