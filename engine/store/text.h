/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text - a growing buffer for the files that are written. The first failure sticks; text_take tells it.
 */
#pragma once

#include "nodewall/base.h"

struct text {
    char *data;
    size_t size, capacity;
    int error;
};

void text_done(struct text *text); /* for CLEANUP */
void text_add(struct text *text, const char *data, size_t size);
void text_printf(struct text *text, const char *format, ...) PRINTF(2, 3);
/* A JSON string with its quotes. */
void text_quote(struct text *text, const char *string);
/* NUL-terminated; the caller frees it. */
int text_take(struct text *text, char **ret, size_t *ret_size);
