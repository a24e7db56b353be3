/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpack - the incoming half: whatever stands on the bus, to JSON that can be looked at.
 *
 * Keeps: the stack is bounded by PACK_DEPTH; memory is bounded by what the bytes hold, never by what they claim, and by
 * OBJECTS_MAX, for a byte of msgpack can be hundreds of JSON's. A key that is a map costs as much as its text is long: in
 * a key within a key each quote is escaped again, and sixty times that is more than all memory. Two keys never become one
 * by what C makes of a NUL.
 * Does not: know tags, events or Salt's frames (see stream.c).
 */
#include "nodewall/pack.h"
#include "token.h"

#include <json-c/json.h>
#include <math.h>
#include <string.h>

/* A map's worth in OBJECTS_MAX: json-c gives each a table of 16 slots. */
#define OBJECTS_MAX (1024 * 1024)
#define MAP_WORTH 12

/* Salt's ext types: a time as "%Y%m%dT%H:%M:%S.%f", and a constant's name. */
#define EXT_TIME 78
#define EXT_CONSTANT 79

struct reader {
    const uint8_t *at;
    size_t left;
    size_t objects;     /* still allowed */
};

int unpack_split(const char **ret_tag, size_t *ret_tag_size, const uint8_t **ret_data, size_t *ret_data_size,
                 const uint8_t *body, size_t size) {
    const uint8_t *end = size ? memmem(body, size, "\n\n", 2) : NULL;

    if (!end)
        return -EBADMSG;
    *ret_tag = (const char *)body;
    *ret_tag_size = (size_t)(end - body);
    *ret_data = end + 2;
    *ret_data_size = size - *ret_tag_size - 2;
    return 0;
}

static int spend(struct reader *reader, size_t objects) {
    if (reader->objects < objects)
        return -E2BIG;
    reader->objects -= objects;
    return 0;
}

static int take(struct reader *reader, size_t size, const uint8_t **ret) {
    if (reader->left < size)
        return -EBADMSG;
    *ret = reader->at;
    reader->at += size;
    reader->left -= size;
    return 0;
}

/* Bytes as text with a NUL: those that are no UTF-8 become \xNN, with `escape_nul` also NULs: a key ends there. */
static int text_of(char **ret, size_t *ret_size, const uint8_t *data, size_t size, bool escape_nul) {
    bool plain = utf8_is(data, size) && !(escape_nul && memchr(data, 0, size));
    char *text = malloc((plain ? size : size * 4) + 1);
    size_t n = 0;

    if (!text)
        return -ENOMEM;
    if (plain) {
        memcpy(text, data, size);
        n = size;
    }
    for (size_t i = 0, length; !plain && i < size; i += length) {
        /* The one length, if any, at which a character is complete. */
        for (length = 1; length <= 4 && i + length <= size; length++)
            if (utf8_is(data + i, length))
                break;
        if (length > 4 || i + length > size || (escape_nul && data[i] == 0)) {
            length = 1;
            n += (size_t)snprintf(text + n, 5, "\\x%02x", data[i]);
        } else {
            memcpy(text + n, data + i, length);
            n += length;
        }
    }
    text[n] = 0;
    *ret = text;
    *ret_size = n;
    return 0;
}

static int read_text(struct reader *reader, size_t size, json_object **ret) {
    CLEANUP(cleanup_free) char *text = NULL;
    const uint8_t *data;
    size_t n;
    int r = take(reader, size, &data);

    if (r < 0)
        return r;
    r = text_of(&text, &n, data, size, false);
    if (r < 0)
        return r;
    if (n > INT32_MAX)
        return -E2BIG;
    *ret = json_object_new_string_len(text, (int)n);
    return *ret ? 0 : -ENOMEM;
}

static int read_ext(struct reader *reader, const struct token *token, json_object **ret) {
    CLEANUP(cleanup_free) char *hex = NULL;
    json_object *map;
    const uint8_t *data;
    int r;

    if (token->ext == EXT_TIME || token->ext == EXT_CONSTANT)
        return read_text(reader, token->count, ret);
    r = take(reader, token->count, &data);
    if (r < 0)
        return r;
    r = spend(reader, MAP_WORTH);
    if (r < 0)
        return r;
    hex = malloc((size_t)token->count * 2 + 1);
    map = json_object_new_object();
    *ret = map;
    if (!hex || !map)
        return -ENOMEM;
    hex_format(hex, data, token->count);
    if (json_object_object_add(map, "ext", json_object_new_int(token->ext)) < 0 ||
        json_object_object_add(map, "hex", json_object_new_string(hex)) < 0)
        return -ENOMEM;
    return 0;
}

static int read_value(struct reader *reader, unsigned depth, json_object **ret);

/* *ret, also of the next three, is the caller's in any case: half a value is freed with the whole. */
static int read_array(struct reader *reader, uint32_t count, unsigned depth, json_object **ret) {
    int r = spend(reader, 4);

    if (r < 0)
        return r;
    *ret = json_object_new_array_ext((int)MIN(count, 16));
    if (!*ret)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        json_object *value = NULL;

        r = read_value(reader, depth + 1, &value);
        if (r == 0 && json_object_array_add(*ret, value) < 0)
            r = -ENOMEM;
        if (r < 0) {
            json_object_put(value);
            return r;
        }
    }
    return 0;
}

static int key_of(struct reader *reader, json_object *value, char **ret) {
    size_t size;
    const char *text = json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN, &size);
    int r;

    if (!text)
        return -ENOMEM;
    r = spend(reader, size);
    if (r < 0)
        return r;
    *ret = strdup(text);
    return *ret ? 0 : -ENOMEM;
}

static int read_key(struct reader *reader, unsigned depth, char **ret) {
    json_object *value = NULL;
    struct token token;
    const uint8_t *data;
    size_t size;
    int r = token_read(&token, reader->at, reader->left);

    if (r <= 0)
        return -EBADMSG;
    if (token.kind == TOKEN_STR || token.kind == TOKEN_BIN) {
        take(reader, (size_t)r, &data);
        r = take(reader, token.count, &data);
        return r < 0 ? r : text_of(ret, &size, data, token.count, true);
    }
    r = read_value(reader, depth, &value);
    if (r == 0)
        r = key_of(reader, value, ret);
    json_object_put(value);
    return r;
}

static int read_map(struct reader *reader, uint32_t count, unsigned depth, json_object **ret) {
    int r = spend(reader, MAP_WORTH);

    if (r < 0)
        return r;
    *ret = json_object_new_object();
    if (!*ret)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        CLEANUP(cleanup_free) char *key = NULL;
        json_object *value = NULL;

        r = read_key(reader, depth + 1, &key);
        if (r == 0)
            r = read_value(reader, depth + 1, &value);
        if (r == 0 && json_object_object_add(*ret, key, value) < 0)
            r = -ENOMEM;
        if (r < 0) {
            json_object_put(value);
            return r;
        }
    }
    return 0;
}

static int read_number(const struct token *token, json_object **ret) {
    switch (token->kind) {
    case TOKEN_BOOL: *ret = json_object_new_boolean(token->number.b); break;
    case TOKEN_INT: *ret = json_object_new_int64(token->number.i); break;
    case TOKEN_UINT: *ret = json_object_new_uint64(token->number.u); break;
    case TOKEN_FLOAT:
        if (!isfinite(token->number.f))
            return 0;
        *ret = json_object_new_double(token->number.f);
        break;
    default: return 0; /* nil */
    }
    return *ret ? 0 : -ENOMEM;
}

static int read_value(struct reader *reader, unsigned depth, json_object **ret) {
    const uint8_t *head;
    struct token token;
    int r = token_read(&token, reader->at, reader->left);

    if (r <= 0)
        return -EBADMSG;
    take(reader, (size_t)r, &head);
    r = spend(reader, 1);
    if (r < 0)
        return r;
    if ((token.kind == TOKEN_ARRAY || token.kind == TOKEN_MAP) && depth >= PACK_DEPTH)
        return -E2BIG;
    switch (token.kind) {
    case TOKEN_STR:
    case TOKEN_BIN: return read_text(reader, token.count, ret);
    case TOKEN_EXT: return read_ext(reader, &token, ret);
    case TOKEN_ARRAY: return read_array(reader, token.count, depth, ret);
    case TOKEN_MAP: return read_map(reader, token.count, depth, ret);
    default: return read_number(&token, ret);
    }
}

int unpack_data(struct json_object **ret, const uint8_t *data, size_t size) {
    struct reader reader = {.at = data, .left = size, .objects = OBJECTS_MAX};
    json_object *value = NULL;
    int r;

    if (size > UNPACK_MAX)
        return -E2BIG;
    r = read_value(&reader, 0, &value);
    if (r == 0 && reader.left)
        r = -EBADMSG;
    if (r < 0) {
        json_object_put(value);
        return r;
    }
    *ret = value;
    return 0;
}

/* What a whole head announces: bytes that follow, and objects that follow. */
static int announce(struct unpack_skip *skip, const struct token *token, uint64_t most) {
    if (token->kind == TOKEN_ARRAY)
        skip->objects += token->count;
    else if (token->kind == TOKEN_MAP)
        skip->objects += (uint64_t)token->count * 2;
    else
        skip->payload = token->count;
    skip->objects--;
    return skip->objects > most ? -EBADMSG : 0;
}

/* One head, of which earlier calls may have kept a part. Its size is *ret_used, 0 bytes of it when it is still cut. */
static int skip_head(struct unpack_skip *skip, const uint8_t *data, size_t size, uint64_t most, size_t *ret_used) {
    uint8_t head[TOKEN_MAX];
    size_t n = MIN(size, sizeof(head) - skip->n_head);
    struct token token;
    int r;

    memcpy(head, skip->head, skip->n_head);
    memcpy(head + skip->n_head, data, n);
    r = token_read(&token, head, skip->n_head + n);
    if (r < 0)
        return r;
    if (r == 0) { /* cut, so it is shorter than TOKEN_MAX, and all of `data` belongs to it */
        memcpy(skip->head, head, skip->n_head + n);
        skip->n_head = (uint8_t)(skip->n_head + n);
        *ret_used = n;
        return 0;
    }
    *ret_used = (size_t)r - skip->n_head;
    skip->n_head = 0;
    return announce(skip, &token, most);
}

int unpack_skip(struct unpack_skip *skip, const uint8_t *data, size_t size, uint64_t most, size_t *used) {
    size_t at = 0;

    if (!skip->started)
        *skip = (struct unpack_skip){.started = true, .objects = 1};
    while (skip->objects || skip->payload) {
        size_t n = (size_t)MIN(skip->payload, size - at);
        int r;

        at += n;
        skip->payload -= n;
        if (at == size || !skip->objects)
            break;
        r = skip_head(skip, data + at, size - at, most, &n);
        if (r < 0)
            return r;
        at += n;
    }
    *used = at;
    if (skip->objects || skip->payload)
        return 0;
    *skip = (struct unpack_skip){0};
    return 1;
}
