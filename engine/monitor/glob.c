/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glob - Python's fnmatchcase, which Salt matches tags with.
 *
 * Not libc's: a tag may hold NULs, and only one star need ever be gone back to, so that no tag makes this slow. Keeps:
 * time is at most the product of both lengths. A character is one of UTF-8, a byte where it is none.
 */
#include "nodewall/monitor.h"

#include <string.h>

/* The character at *at and how long it is. */
static uint32_t take(const char *at, size_t left, size_t *ret_length) {
    const uint8_t *bytes = (const uint8_t *)at;
    size_t n = bytes[0] < 0xc2 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    uint32_t code;

    if (n == 1 || n > left || !utf8_is(at, n)) {
        *ret_length = 1;
        return bytes[0];
    }
    code = bytes[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (bytes[i] & 0x3f);
    *ret_length = n;
    return code;
}

/* "[...]" at the glob's beginning: its length, or 0 when it is no set and [ stands for itself. */
static size_t set_length(const char *glob) {
    size_t n = 1;

    if (glob[n] == '!')
        n++;
    if (glob[n] == ']')
        n++;
    while (glob[n] && glob[n] != ']')
        n++;
    return glob[n] ? n + 1 : 0;
}

static bool in_set(const char *set, size_t size, uint32_t code) {
    const char *at = set + 1, *end = set + size - 1;
    bool negated = *at == '!', found = false;

    at += negated;
    while (at < end) {
        size_t n;
        uint32_t low = take(at, (size_t)(end - at), &n), high = low;

        at += n;
        if (end - at >= 2 && *at == '-') {
            high = take(at + 1, (size_t)(end - at - 1), &n);
            at += 1 + n;
        }
        found = found || (code >= low && code <= high);
    }
    return found != negated;
}

/* One character of the text against one element of the glob; both lengths, or false. */
static bool one(const char *glob, const char *text, size_t left, size_t *ret_glob, size_t *ret_text) {
    size_t set = *glob == '[' ? set_length(glob) : 0;
    uint32_t code;

    if (!*glob || left == 0)
        return false;
    *ret_glob = set ? set : 1;
    if (*glob != '?' && !set) {
        *ret_text = 1;
        return *glob == *text; /* of a longer character the rest follows in the glob, too */
    }
    code = take(text, left, ret_text);
    return !set || in_set(glob, set, code);
}

bool glob_matches(const char *glob, const char *text, size_t size) {
    const char *end = text + size, *star = NULL, *resume = NULL;
    size_t n_glob, n_text;

    for (;;) {
        if (*glob == '*') {
            star = ++glob;
            resume = text;
            if (!*glob)
                return true;
        } else if (text == end) {
            return !*glob;
        } else if (one(glob, text, (size_t)(end - text), &n_glob, &n_text)) {
            glob += n_glob;
            text += n_text;
        } else if (star) {
            take(resume, (size_t)(end - resume), &n_text);
            resume += n_text;
            text = resume;
            glob = star;
        } else {
            return false;
        }
    }
}
