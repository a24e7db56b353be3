/* SPDX-License-Identifier: Apache-2.0 */
/* Number - numbers as JSON, as Python writes them. Private to engine/monitor. */
#pragma once

#include "nodewall/monitor.h"

int number_unsigned(struct line *line, uint64_t value);
int number_signed(struct line *line, int64_t value);
int number_float(struct line *line, double value);      /* null when it is no number */
