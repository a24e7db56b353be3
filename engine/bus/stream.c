/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream - msgpack maps {head, body} one after the other, bare or each behind its length as a big-endian u32.
 *
 * Which of the two depends on Salt's patch release, and the first byte tells it: a length below 16 MiB begins with 0, a
 * map never does. A frame that came whole is read where it lies; only one that is cut is copied, as far as it came.
 * Keeps: at most one frame of at most STREAM_FRAME_MAX is held, and no more than came. What is longer is passed over
 * and counted, what is no event too; the stream goes on behind it. Does not: look into an event's data.
 */
#include "stream.h"
#include "token.h"

#include <string.h>

#define KEEP_CAPACITY (256 * 1024)  /* a buffer that one huge frame has made larger is not kept */

void stream_done(struct stream *stream) {
    free(TAKE_PTR(stream->buffer));
}

void stream_feed(struct stream *stream, const uint8_t *data, size_t size) {
    stream->in = data;
    stream->n_in = size;
}

static void pass(struct stream *stream, size_t size) {
    stream->in += size;
    stream->n_in -= size;
}

static int append(struct stream *stream, size_t size) {
    size_t capacity = stream->capacity ? stream->capacity : 4096;
    uint8_t *buffer;

    while (capacity < stream->size + size)
        capacity *= 2;
    if (capacity != stream->capacity) {
        buffer = realloc(stream->buffer, capacity);
        if (!buffer)
            return -ENOMEM;
        stream->buffer = buffer;
        stream->capacity = capacity;
    }
    memcpy(stream->buffer + stream->size, stream->in, size);
    stream->size += size;
    pass(stream, size);
    return 0;
}

static void clear(struct stream *stream) {
    stream->size = 0;
    stream->used = false;
    if (stream->capacity > KEEP_CAPACITY) {
        free(TAKE_PTR(stream->buffer));
        stream->capacity = 0;
    }
}

/* Takes `size` bytes of the frame at hand; when they are its last ones, 1 and the frame. */
static int collect(struct stream *stream, size_t size, bool last, const uint8_t **ret, size_t *ret_size) {
    int r;

    if (stream->too_long || stream->size + size > STREAM_FRAME_MAX) {
        pass(stream, size);
        clear(stream);
        stream->too_long = !last;
        stream->oversized += last;
        return 0;
    }
    if (last && stream->size == 0) {
        *ret = stream->in;
        *ret_size = size;
        pass(stream, size);
        return 1;
    }
    r = append(stream, size);
    if (r < 0 || !last)
        return r;
    stream->used = true;
    *ret = stream->buffer;
    *ret_size = stream->size;
    return 1;
}

/* These two: 1 and a frame; 0 when there was none to be had yet (call again while there is input); -errno. */
static int next_bare(struct stream *stream, const uint8_t **ret, size_t *ret_size) {
    size_t size = 0;
    int r = unpack_skip(&stream->object, stream->in, stream->n_in, STREAM_FRAME_MAX, &size);

    return r < 0 ? r : collect(stream, size, r == 1, ret, ret_size);
}

static int next_len32(struct stream *stream, const uint8_t **ret, size_t *ret_size) {
    size_t size;

    if (stream->left == 0) {
        stream->length[stream->n_length++] = *stream->in;
        pass(stream, 1);
        if (stream->n_length < sizeof(stream->length))
            return 0;
        for (size_t i = 0; i < sizeof(stream->length); i++)
            stream->left = stream->left << 8 | stream->length[i];
        stream->n_length = 0;
        stream->malformed += stream->left == 0;
        stream->too_long = stream->left > STREAM_FRAME_MAX;
        return 0;
    }
    size = (size_t)MIN(stream->left, stream->n_in);
    stream->left -= size;
    return collect(stream, size, stream->left == 0, ret, ret_size);
}

static int detect(struct stream *stream) {
    uint8_t first = *stream->in;

    if (first == 0)
        stream->framing = BUS_FRAMING_LEN32;
    else if ((first & 0xf0) == 0x80 || first == 0xde || first == 0xdf)
        stream->framing = BUS_FRAMING_BARE;
    else
        return -EBADMSG;
    return 0;
}

/* The value of a frame's "body". -EBADMSG: it has none, or is no map of texts. */
static int find_body(const uint8_t **ret, size_t *ret_size, const uint8_t *frame, size_t size) {
    const uint8_t *end = frame + size, *body = NULL;
    struct token map, token;
    int n = token_read(&map, frame, size);

    if (n <= 0 || map.kind != TOKEN_MAP)
        return -EBADMSG;
    frame += n;
    for (uint32_t i = 0; i < map.count; i++) {
        struct unpack_skip skip = {0};
        bool is_body;
        size_t used;

        n = token_read(&token, frame, (size_t)(end - frame));
        if (n <= 0 || token.kind != TOKEN_STR || token.count > (size_t)(end - frame) - (size_t)n)
            return -EBADMSG;
        is_body = token.count == 4 && !memcmp(frame + n, "body", 4);
        frame += (size_t)n + token.count;
        if (is_body) {
            n = token_read(&token, frame, (size_t)(end - frame));
            if (n <= 0 || (token.kind != TOKEN_BIN && token.kind != TOKEN_STR))
                return -EBADMSG;
            body = frame + n;
            *ret_size = token.count;
        }
        if (unpack_skip(&skip, frame, (size_t)(end - frame), size, &used) != 1)
            return -EBADMSG;
        frame += used;
    }
    *ret = body;
    return body ? 0 : -EBADMSG;
}

int stream_next(struct stream *stream, struct bus_message *ret) {
    if (stream->used)
        clear(stream);
    while (stream->n_in) {
        const uint8_t *frame, *body;
        size_t size;
        int r = stream->framing == BUS_FRAMING_AUTO ? detect(stream) : 0;

        if (r == 0)
            r = (stream->framing == BUS_FRAMING_BARE ? next_bare : next_len32)(stream, &frame, &size);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        if (find_body(&body, &size, frame, size) == 0 &&
            unpack_split(&ret->tag, &ret->tag_size, &ret->data, &ret->data_size, body, size) == 0)
            return 1;
        stream->malformed++;
        if (stream->used)
            clear(stream);
    }
    return 0;
}

int frame_make(uint8_t **ret, size_t *ret_size, enum bus_framing framing, const uint8_t *body, size_t size) {
    static const uint8_t begin[] = "\x82\xa4head\x80\xa4"
                                   "body";
    const size_t n_begin = sizeof(begin) - 1, n_length = framing == BUS_FRAMING_LEN32 ? 4 : 0;
    const size_t n_size = size > UINT16_MAX ? 4 : size > UINT8_MAX ? 2 : 1;
    const size_t n_map = n_begin + 1 + n_size + size;
    uint8_t *frame, *at;

    if (n_map > UINT32_MAX)
        return -EMSGSIZE;
    frame = at = malloc(n_length + n_map);
    if (!frame)
        return -ENOMEM;
    for (size_t i = 0; i < n_length; i++)
        *at++ = (uint8_t)(n_map >> (24 - 8 * i));
    memcpy(at, begin, n_begin);
    at += n_begin;
    *at++ = n_size == 4 ? 0xc6 : n_size == 2 ? 0xc5 : 0xc4;
    for (size_t i = 1; i <= n_size; i++)
        *at++ = (uint8_t)(size >> 8 * (n_size - i));
    if (size)
        memcpy(at, body, size);
    *ret = frame;
    *ret_size = n_length + n_map;
    return 0;
}
