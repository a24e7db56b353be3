/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token - the heads of msgpack objects, the only place that knows their bytes.
 *
 * Written here and not taken from msgpack-c, because its unpacker allocates what an array's head claims: five bytes
 * from a stranger would be gigabytes. Keeps: nothing behind `size` is read. Does not: allocate, recurse, remember.
 */
#include "token.h"

#include <string.h>

static uint64_t big_endian(const uint8_t *data, size_t n) {
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | data[i];
    return value;
}

/* What follows the type byte in the head: a number's bytes or a length's. 0xc1 is no type. */
static size_t rest_of_head(uint8_t type) {
    static const uint8_t sizes[0x20] = {
        0, 0, 0, 0, 1, 2, 4, 2, 3, 5, 4, 8, 1, 2, 4, 8, /* c0: nil ! false true bin8-32 ext8-32 f32 f64 u8-64 */
        1, 2, 4, 8, 1, 1, 1, 1, 1, 1, 2, 4, 2, 4, 2, 4, /* d0: i8-64 fixext1-16 str8 str16 str32 arrays maps */
    };

    return type >= 0xc0 && type < 0xe0 ? sizes[type - 0xc0] : 0;
}

static void set_unsigned(struct token *token, uint64_t value) {
    token->kind = value > INT64_MAX ? TOKEN_UINT : TOKEN_INT;
    token->number.u = value;
}

static void set_signed(struct token *token, int64_t value) {
    token->kind = TOKEN_INT;
    token->number.i = value;
}

static void set_float(struct token *token, uint64_t bits, bool wide) {
    token->kind = TOKEN_FLOAT;
    if (wide) {
        memcpy(&token->number.f, &bits, sizeof(bits));
    } else {
        uint32_t narrow_bits = (uint32_t)bits;
        float narrow;

        memcpy(&narrow, &narrow_bits, sizeof(narrow));
        token->number.f = (double)narrow;
    }
}

static void set_sized(struct token *token, enum token_kind kind, uint64_t count) {
    token->kind = kind;
    token->count = (uint32_t)count;
}

static bool read_fix(struct token *token, uint8_t type) {
    if (type < 0x80)
        set_signed(token, type);
    else if (type < 0x90)
        set_sized(token, TOKEN_MAP, type & 0x0f);
    else if (type < 0xa0)
        set_sized(token, TOKEN_ARRAY, type & 0x0f);
    else if (type < 0xc0)
        set_sized(token, TOKEN_STR, type & 0x1f);
    else if (type >= 0xe0)
        set_signed(token, (int8_t)type);
    else
        return false;
    return true;
}

static void read_ext(struct token *token, uint8_t type, const uint8_t *rest, size_t n) {
    if (type >= 0xd4 && type <= 0xd8) {
        set_sized(token, TOKEN_EXT, 1u << (type - 0xd4));
        token->ext = (int8_t)rest[0];
    } else {
        set_sized(token, TOKEN_EXT, big_endian(rest, n - 1));
        token->ext = (int8_t)rest[n - 1];
    }
}

int token_read(struct token *ret, const uint8_t *data, size_t size) {
    struct token token = {0};
    uint64_t value;
    size_t n;

    if (size == 0)
        return 0;
    if (read_fix(&token, data[0])) { /* most are: small numbers, short texts, small containers */
        *ret = token;
        return 1;
    }
    if (data[0] == 0xc1)
        return -EBADMSG;
    n = rest_of_head(data[0]);
    if (size < 1 + n)
        return 0;
    value = big_endian(data + 1, MIN(n, 8));
    switch (data[0]) {
    case 0xc0: token.kind = TOKEN_NIL; break;
    case 0xc2:
    case 0xc3: token.kind = TOKEN_BOOL; token.number.b = data[0] == 0xc3; break;
    case 0xc4 ... 0xc6: set_sized(&token, TOKEN_BIN, value); break;
    case 0xc7 ... 0xc9:
    case 0xd4 ... 0xd8: read_ext(&token, data[0], data + 1, n); break;
    case 0xca: set_float(&token, value, false); break;
    case 0xcb: set_float(&token, value, true); break;
    case 0xcc ... 0xcf: set_unsigned(&token, value); break;
    case 0xd0: set_signed(&token, (int8_t)value); break;
    case 0xd1: set_signed(&token, (int16_t)value); break;
    case 0xd2: set_signed(&token, (int32_t)value); break;
    case 0xd3: set_signed(&token, (int64_t)value); break;
    case 0xd9 ... 0xdb: set_sized(&token, TOKEN_STR, value); break;
    case 0xdc ... 0xdd: set_sized(&token, TOKEN_ARRAY, value); break;
    case 0xde ... 0xdf: set_sized(&token, TOKEN_MAP, value); break;
    }
    *ret = token;
    return (int)(1 + n);
}
