/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table - keeps the cells until all are known, then prints them in line.
 *
 * Cells hold node names and texts of API servers: what could move a terminal's cursor is replaced here, once.
 */
#include "cmd/table.h"

#include <string.h>

void table_done(struct table *table) {
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

void table_cell(struct table *table, const char *format, ...) {
    char **cells = reallocarray(table->cells, table->n_cells + 1, sizeof(*cells));
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (!cells || vasprintf(&text, format, arguments) < 0) {
        fputs("nodewall: out of memory\n", stderr);
        exit(1);
    }
    va_end(arguments);
    table->cells = cells;
    cells[table->n_cells++] = text_clean(text);
}

void table_print(const struct table *table, FILE *out) {
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->n_cells; i++)
        widths[i % table->n_columns] = MAX(widths[i % table->n_columns], strlen(table->cells[i]));
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;

        if (column + 1 == table->n_columns)
            fprintf(out, "%s\n", table->cells[i]);
        else
            fprintf(out, "%-*s  ", (int)widths[column], table->cells[i]);
    }
}
