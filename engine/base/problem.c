/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Problem - a sentence for the person who typed something wrong: where, what, and the way out.
 */
#include "nodewall/base.h"

#include <string.h>

int problem_set(struct problem *problem, const char *where, const char *hint, const char *format, ...) {
    va_list arguments;

    if (!problem)
        return -EINVAL;
    snprintf(problem->where, sizeof(problem->where), "%s", where ? where : "");
    snprintf(problem->hint, sizeof(problem->hint), "%s", hint ? hint : "");
    va_start(arguments, format);
    vsnprintf(problem->what, sizeof(problem->what), format, arguments);
    va_end(arguments);
    return -EINVAL;
}

const char *problem_format(const struct problem *problem, char *buffer, size_t size) {
    snprintf(buffer, size, "%s%s%s%s%s%s", problem->where, problem->where[0] ? ": " : "", problem->what,
             problem->hint[0] ? " (" : "", problem->hint, problem->hint[0] ? ")" : "");
    for (char *c = buffer; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return buffer;
}
