/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prune - cuts a Node down to identity and addresses before a tree is made of it.
 *
 * A Node has some fifty members, of which six count here; the others are most of its text, and a node writes them itself: 1.5
 * MiB of empty `images`, which an API server takes, were 300 MiB as json-c's tree. So the value of each member whose key is
 * none of ours becomes a 0, wherever it stands, and of addresses the first PRUNE_ADDRESSES are kept.
 *
 * Keeps: time and memory are linear in the text, and no nesting is followed on the stack. Does not: check what it leaves out,
 * beyond that strings and brackets end. Owns: nothing.
 */
#include "prune.h"

#include "nodewall/decode.h"

#include <string.h>

_Static_assert(PRUNE_ADDRESSES >= 2 * NODE_ADDRESSES_MAX, "see prune.h");

struct text {
    const char *from;
    size_t size;
};

/* What decode.c reads, of Nodes, lists, watch lines and Statuses. */
static bool is_ours(const char *key, size_t size) {
    static const char *const keys[] = {
        "kind", "metadata", "name", "uid", "resourceVersion", "deletionTimestamp", "status", "addresses", "type", "address",
        "object", "continue", "remainingItemCount", "code", "reason", "message", "details", "causes", "retryAfterSeconds",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (strlen(keys[i]) == size && !memcmp(keys[i], key, size))
            return true;
    return memchr(key, '\\', size) != NULL; /* written in another way: the parser will tell */
}

static size_t skip_blanks(const struct text *text, size_t at) {
    while (at < text->size && strchr(" \t\r\n", text->from[at]) && text->from[at])
        at++;
    return at;
}

/* Behind the string that begins at `at`; `size` when it does not end. */
static size_t string_end(const struct text *text, size_t at) {
    for (at++; at < text->size; at++) {
        if (text->from[at] == '"')
            return at + 1;
        at += text->from[at] == '\\';
    }
    return text->size;
}

static size_t container_end(const struct text *text, size_t at) {
    size_t depth = 0;

    while (at < text->size) {
        char c = text->from[at];

        if (c == '"') {
            at = string_end(text, at);
            continue;
        }
        at++;
        depth += c == '{' || c == '[';
        if ((c == '}' || c == ']') && --depth == 0)
            return at;
    }
    return at;
}

/* Behind the value that begins at `at`; `at` when none does. */
static size_t value_end(const struct text *text, size_t at) {
    char c = at < text->size ? text->from[at] : ',';

    if (c == '"')
        return string_end(text, at);
    if (c == '{' || c == '[')
        return container_end(text, at);
    while (at < text->size && !strchr(",:]} \t\r\n", text->from[at])) /* which finds a NUL, too */
        at++;
    return at;
}

/* Copies the array that begins at `at`, up to before its last bracket, or to where it is none. */
static size_t copy_addresses(char *to, size_t *used, const struct text *text, size_t at, size_t *ret_cut) {
    size_t copied = at, n = 0;

    for (at++;; n++) {
        size_t end;

        at = skip_blanks(text, at);
        end = value_end(text, at);
        if (end == at)
            return copied;
        if (n < PRUNE_ADDRESSES) {
            memcpy(to + *used, text->from + copied, end - copied);
            *used += end - copied;
        } else {
            ++*ret_cut;
        }
        copied = end;
        at = skip_blanks(text, end);
        if (at == text->size || text->from[at] != ',')
            return copied;
        at++;
    }
}

static bool is_addresses(const char *quoted, size_t size) {
    return size == strlen("\"addresses\"") && !memcmp(quoted, "\"addresses\"", size);
}

/* What stands behind a string that may be a key: *used and the place to go on from. */
static size_t member(char *to, size_t *used, const struct text *text, size_t key, size_t at, size_t *ret_cut) {
    size_t colon = skip_blanks(text, at), value, end;

    if (colon == text->size || text->from[colon] != ':')
        return at;
    value = skip_blanks(text, colon + 1);
    memcpy(to + *used, text->from + at, value - at);
    *used += value - at;
    if (value == text->size)
        return value;
    if (text->from[value] == '[' && is_addresses(text->from + key, at - key))
        return copy_addresses(to, used, text, value, ret_cut);
    if (is_ours(text->from + key + 1, at - key - 2))
        return value;
    end = value_end(text, value);
    if (end > value)
        to[(*used)++] = '0';
    return end;
}

size_t prune(char *to, const char *from, size_t size, size_t *ret_cut) {
    const struct text text = {from, size};
    size_t used = 0, cut = 0;

    for (size_t at = 0; at < size;) {
        size_t end = from[at] == '"' ? string_end(&text, at) : at + 1;

        memcpy(to + used, from + at, end - at);
        used += end - at;
        at = from[at] == '"' && end - at >= 2 ? member(to, &used, &text, at, end, &cut) : end;
    }
    *ret_cut = cut;
    return used;
}
