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

/* "FILE:7" behind "FILE:5" is "line 7". */
static size_t common_file(const char *a, const char *b) {
    const char *colon = strrchr(a, ':');
    size_t n = colon ? (size_t)(colon - a) : 0;

    return n && strncmp(a, b, n) == 0 && b[n] == ':' && b[n + 1 + strspn(b + n + 1, "0123456789")] == 0 ? n + 1 : 0;
}

void problem_add(struct problem *all, const struct problem *more) {
    size_t n;

    if (!all->what[0]) {
        *all = *more;
        return;
    }
    n = common_file(all->where, more->where);
    text_append(all->what, sizeof(all->what), "; ");
    if (strcmp(all->where, more->where) != 0)
        text_append(all->what, sizeof(all->what), "%s%s: ", n ? "line " : "", more->where + n);
    text_append(all->what, sizeof(all->what), "%s", more->what);
    if (more->hint[0] && !strstr(all->hint, more->hint))
        text_append(all->hint, sizeof(all->hint), "%s%s", all->hint[0] ? "; " : "", more->hint);
}

const char *problem_format(const struct problem *problem, char *buffer, size_t size) {
    snprintf(buffer, size, "%s%s%s%s%s%s", problem->where, problem->where[0] ? ": " : "", problem->what,
             problem->hint[0] ? " (" : "", problem->hint, problem->hint[0] ? ")" : "");
    return text_clean(buffer);
}
