/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field - the value at a path, found in the bytes.
 *
 * Keys may have dots themselves (ids of minions do), so each key is tried that is the path's beginning up to a dot or
 * its end. Keeps: recursion as deep as the path has dots, each byte of the data looked at once for each of them.
 * Of a key that comes twice the last counts. Does not: check what lies beside the path more than it must to pass it.
 */
#include "nodewall/monitor.h"
#include "nodewall/pack.h"
#include "token.h"

#include <string.h>

#define PARTS_MAX 32

struct span {
    const uint8_t *data;
    size_t size;
};

/* Takes one object off the front. */
static bool take_object(struct span *from, struct span *ret) {
    struct unpack_skip skip = {0};
    size_t used;

    if (unpack_skip(&skip, from->data, from->size, from->size, &used) != 1)
        return false;
    *ret = (struct span){from->data, used};
    from->data += used;
    from->size -= used;
    return true;
}

static bool find(const char *path, unsigned depth, struct span from, struct span *ret);

/* What of the path is left when it begins with this key; NULL: it does not. */
static const char *path_behind(const char *path, const struct span *key) {
    struct token token;
    int n = token_read(&token, key->data, key->size);
    size_t left;

    if (n <= 0 || (token.kind != TOKEN_STR && token.kind != TOKEN_BIN))
        return NULL;
    left = strlen(path);
    if (token.count > left || memcmp(path, key->data + n, token.count))
        return NULL;
    path += token.count;
    return *path == '.' ? path + 1 : *path ? NULL : path;
}

static bool find_in_map(const char *path, unsigned depth, uint32_t count, struct span from, struct span *ret) {
    struct span key, value;
    bool found = false;

    for (uint32_t i = 0; i < count; i++) {
        const char *rest;

        if (!take_object(&from, &key) || !take_object(&from, &value))
            return false;
        rest = path_behind(path, &key);
        if (!rest)
            continue;
        if (rest == path + strlen(path)) { /* also "a." of "a": nothing is asked of the value */
            *ret = value;
            found = true;
        } else {
            found = find(rest, depth + 1, value, ret) || found;
        }
    }
    return found;
}

static bool find_in_array(const char *path, unsigned depth, uint32_t count, struct span from, struct span *ret) {
    char *end;
    unsigned long index;
    struct span value;

    if (*path < '0' || *path > '9')
        return false;
    index = strtoul(path, &end, 10);
    if ((*end && *end != '.') || index >= count)
        return false;
    for (unsigned long i = 0; i <= index; i++)
        if (!take_object(&from, &value))
            return false;
    if (*end)
        return find(end + 1, depth + 1, value, ret);
    *ret = value;
    return true;
}

static bool find(const char *path, unsigned depth, struct span from, struct span *ret) {
    struct token token;
    int n = token_read(&token, from.data, from.size);
    struct span inside = {from.data + MAX(n, 0), from.size - (size_t)MAX(n, 0)};

    if (n <= 0 || depth >= PARTS_MAX)
        return false;
    if (token.kind == TOKEN_MAP)
        return find_in_map(path, depth, token.count, inside, ret);
    return token.kind == TOKEN_ARRAY && find_in_array(path, depth, token.count, inside, ret);
}

bool field_find(const char *path, const uint8_t **ret, size_t *ret_size, const uint8_t *data, size_t size) {
    struct span found;

    if (!find(path, 0, (struct span){data, size}, &found))
        return false;
    *ret = found.data;
    *ret_size = found.size;
    return true;
}

bool field_text(const char *path, const char **ret, size_t *ret_size, const uint8_t *data, size_t size) {
    const uint8_t *value;
    struct token token;
    size_t n_value;
    int n;

    if (!field_find(path, &value, &n_value, data, size))
        return false;
    n = token_read(&token, value, n_value);
    if (n <= 0 || (token.kind != TOKEN_STR && token.kind != TOKEN_BIN))
        return false;
    *ret = (const char *)value + n;
    *ret_size = token.count;
    return true;
}
