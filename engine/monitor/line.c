/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line - a growing text that is used again for the next event, so that a flood allocates nothing.
 */
#include "nodewall/monitor.h"

#include <string.h>

void line_done(struct line *line) {
    free(line->data);
    *line = (struct line){0};
}

int line_reserve(struct line *line, size_t more) {
    size_t capacity = line->capacity ? line->capacity : 4096;
    char *data;

    if (more <= line->capacity - line->size)
        return 0;
    if (more > MONITOR_LINE_MAX - line->size)
        return -E2BIG;
    while (capacity < line->size + more)
        capacity *= 2;
    data = realloc(line->data, capacity);
    if (!data)
        return -ENOMEM;
    line->data = data;
    line->capacity = capacity;
    return 0;
}

int line_add(struct line *line, const void *data, size_t size) {
    int r = line_reserve(line, size);

    if (r < 0 || size == 0)
        return r;
    memcpy(line->data + line->size, data, size);
    line->size += size;
    return 0;
}

int line_printf(struct line *line, const char *format, ...) {
    va_list arguments;
    int n, r;

    va_start(arguments, format);
    n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0)
        return -EINVAL;
    r = line_reserve(line, (size_t)n + 1); /* vsnprintf ends it with a NUL */
    if (r < 0)
        return r;
    va_start(arguments, format);
    vsnprintf(line->data + line->size, (size_t)n + 1, format, arguments);
    va_end(arguments);
    line->size += (size_t)n;
    return 0;
}
