/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text - a growing buffer.
 *
 * Sets have up to a quarter of a million members; as text they are written straight away, without a JSON object for
 * each.
 */
#include "text.h"

#include <string.h>

void text_done(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}

/* Room for `more` bytes and a NUL. */
static bool reserve(struct text *text, size_t more) {
    size_t capacity = text->capacity ? text->capacity : 1024;
    char *data;

    if (text->error)
        return false;
    if (more < text->capacity - text->size)
        return true;
    while (capacity - text->size <= more) {
        if (capacity > SIZE_MAX / 2) {
            text->error = -ENOMEM;
            return false;
        }
        capacity *= 2;
    }
    data = realloc(text->data, capacity);
    if (!data) {
        text->error = -ENOMEM;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, const char *data, size_t size) {
    if (!reserve(text, size))
        return;
    memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = 0;
}

void text_printf(struct text *text, const char *format, ...) {
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0)
        text->error = text->error ? text->error : -EINVAL;
    if (n < 0 || !reserve(text, (size_t)n))
        return;
    va_start(arguments, format);
    vsnprintf(text->data + text->size, (size_t)n + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)n;
}

void text_quote(struct text *text, const char *string) {
    const char *plain = string;

    text_add(text, "\"", 1);
    for (; *string; string++)
        if ((unsigned char)*string < 0x20 || *string == '"' || *string == '\\') {
            text_add(text, plain, (size_t)(string - plain));
            text_printf(text, "\\u%04x", (unsigned char)*string);
            plain = string + 1;
        }
    text_add(text, plain, (size_t)(string - plain));
    text_add(text, "\"", 1);
}

int text_take(struct text *text, char **ret, size_t *ret_size) {
    text_add(text, "", 0);
    if (text->error)
        return text->error;
    *ret = TAKE_PTR(text->data);
    if (ret_size)
        *ret_size = text->size;
    *text = (struct text){0};
    return 0;
}
