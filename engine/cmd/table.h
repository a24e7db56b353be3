/* SPDX-License-Identifier: Apache-2.0 */
/* Table - columns for people: as wide as their widest cell, two blanks between them, the heading in capitals. */
#pragma once

#include "nodewall/base.h"

#define TABLE_COLUMNS_MAX 16

struct table {
    size_t n_columns;       /* at most TABLE_COLUMNS_MAX */
    char **cells;           /* row by row, the heading first; owned */
    size_t n_cells;
};

void table_done(struct table *table);
/* Appends a cell; control characters of whatever it says are replaced. Out of memory ends the program with a word. */
void table_cell(struct table *table, const char *format, ...) PRINTF(2, 3);
void table_print(const struct table *table, FILE *out);
