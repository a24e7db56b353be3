/* SPDX-License-Identifier: Apache-2.0 */
/* Fields - single values out of a msgpack map, without unpacking it. Private to engine/bus. */
#pragma once

#include "token.h"

/* One value of a map, where it stands. */
struct value {
    struct token head;
    const uint8_t *data;        /* of STR and BIN: their bytes, head.count of them; otherwise the object itself */
    size_t size;
};

/* The value at `data` with all that belongs to it, which has to be all of `size`. -EBADMSG. */
int value_read(struct value *ret, const uint8_t *data, size_t size);
/* The value of the text key; -ENOENT: no such key; -EBADMSG: this is no whole map. */
int fields_find(struct value *ret, const uint8_t *map, size_t size, const char *key);

static inline bool value_is_text(const struct value *value) {
    return value->head.kind == TOKEN_STR || value->head.kind == TOKEN_BIN;
}
