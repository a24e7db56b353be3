/* SPDX-License-Identifier: Apache-2.0 */
/* Token - one step through msgpack: what begins here, and how much of it follows. Private to engine/bus and monitor. */
#pragma once

#include "nodewall/base.h"

#define TOKEN_MAX 9     /* the longest head: a type byte and eight of a number */

enum token_kind {
    TOKEN_NIL,
    TOKEN_BOOL,
    TOKEN_INT,          /* number.i */
    TOKEN_UINT,         /* number.u, above INT64_MAX */
    TOKEN_FLOAT,        /* number.f */
    TOKEN_STR,          /* `count` bytes follow; likewise BIN and EXT */
    TOKEN_BIN,
    TOKEN_EXT,
    TOKEN_ARRAY,        /* `count` objects follow */
    TOKEN_MAP,          /* `count` pairs follow */
};

struct token {
    enum token_kind kind;
    uint32_t count;
    int8_t ext;
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double f;
    } number;
};

/* The head at *data: its size (1 to TOKEN_MAX), 0 when it is cut, -EBADMSG when it is none. */
int token_read(struct token *ret, const uint8_t *data, size_t size);
