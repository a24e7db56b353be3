/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus setup - where Salt's bus is: what the shim handed over wins, then the configuration, then Salt's defaults.
 */
#pragma once

#include "handoff.h"
#include "nodewall/bus.h"
#include "nodewall/config.h"

/* `config` and `handoff` may be NULL. The strings of *ret belong to them. */
void bus_setup(struct bus_options *ret, const struct config *config, const struct handoff *handoff);
