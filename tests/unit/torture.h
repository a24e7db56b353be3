/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture - counts the allocations of what is linked in, and fails the n-th. Wants -Wl,--wrap for malloc, calloc,
 * reallocarray and strdup; those of glibc itself (tsearch) and of other libraries are not seen.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static size_t torture_seen, torture_at;     /* at 0: none fails */
static bool torture_on;

static bool torture_fails(void) {
    if (!torture_on || ++torture_seen != torture_at)
        return false;
    errno = ENOMEM;
    return true;
}

#define TORTURED(type, name, parameters, ...)                                                                          \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters {                                                                                    \
        return torture_fails() ? NULL : __real_##name(__VA_ARGS__);                                                    \
    }
TORTURED(void *, malloc, (size_t size), size)
TORTURED(void *, calloc, (size_t n, size_t size), n, size)
TORTURED(void *, reallocarray, (void *old, size_t n, size_t size), old, n, size)
TORTURED(char *, strdup, (const char *text), text)

/* Counts anew; the n-th that is made between on and off fails. */
__attribute__((unused)) static void torture_begin(size_t n) {
    torture_seen = 0;
    torture_at = n;
    torture_on = false;
}

/* True: it was this time that one failed. */
__attribute__((unused)) static bool torture_off(size_t seen) {
    torture_on = false;
    return torture_at > seen && torture_seen >= torture_at;
}

__attribute__((unused)) static size_t torture_go(void) {
    torture_on = true;
    return torture_seen;
}
