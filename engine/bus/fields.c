/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields - finds a key in a msgpack map.
 *
 * Masters pack ciphertexts and signatures as text, so bytes stay bytes here and text and binary are alike; unpack_data,
 * made for people's eyes, would change them. Keeps: nothing behind `size` is read, nothing is allocated.
 */
#include "fields.h"

#include "nodewall/pack.h"

#include <string.h>

#define OBJECTS_MAX 65536

static int skip(size_t *ret_used, const uint8_t *data, size_t size) {
    struct unpack_skip state = {0};
    int r = unpack_skip(&state, data, size, OBJECTS_MAX, ret_used);

    return r < 0 ? r : r == 0 ? -EBADMSG : 0;
}

int value_read(struct value *ret, const uint8_t *data, size_t size) {
    struct value value = {.data = data, .size = size};
    size_t used;
    int n = token_read(&value.head, data, size), r;

    if (n <= 0)
        return -EBADMSG;
    r = skip(&used, data, size);
    if (r < 0)
        return r;
    if (used != size)
        return -EBADMSG;
    if (value_is_text(&value)) {
        value.data += n;
        value.size = value.head.count;
    }
    *ret = value;
    return 0;
}

int fields_find(struct value *ret, const uint8_t *map, size_t size, const char *key) {
    struct token head;
    size_t at, used;
    int n = token_read(&head, map, size), r;
    bool found = false;

    if (n <= 0 || head.kind != TOKEN_MAP)
        return -EBADMSG;
    at = (size_t)n;
    for (uint32_t i = 0; i < head.count; i++) {
        struct token name;

        n = token_read(&name, map + at, size - at);
        r = n <= 0 ? -EBADMSG : skip(&used, map + at, size - at);
        if (r < 0)
            return r;
        found = (name.kind == TOKEN_STR || name.kind == TOKEN_BIN) && name.count == strlen(key) &&
                !memcmp(map + at + n, key, name.count);
        at += used;
        r = skip(&used, map + at, size - at);
        if (r < 0)
            return r;
        if (found)
            return value_read(ret, map + at, used);
        at += used;
    }
    return -ENOENT;
}
