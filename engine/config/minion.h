/* SPDX-License-Identifier: Apache-2.0 */
/* Minion - the keys under `bus:` with transport minion. Private to config. */
#pragma once

#include "field.h"

int minion_config_read(struct minion_config *ret, const struct field *bus, struct problem *problem);
void minion_config_done(struct minion_config *minion);
