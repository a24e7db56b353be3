/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frame protobuf - follows the lengths of a watch's events, and of a list's outermost fields.
 *
 *   watch: (length, 4 bytes)(WatchEvent) (length)(WatchEvent) …
 *   list:  k8s\0 Unknown{ typeMeta, raw: NodeList{ metadata, items, items, … }, … }
 *
 * An event or item that is to be larger than the limit is refused at its length, before a byte of it came. What isn't
 * wanted is passed over without being kept.
 *
 * Keeps: a value never ends behind the message that it is in.
 * Does not: look into an item or an event. Owns: nothing.
 */
#include "frame_shape.h"
#include "protobuf.h"

#include <string.h>

enum { UNKNOWN_TYPE_META = 1, UNKNOWN_RAW = 2, LIST_METADATA = 1, LIST_ITEMS = 2 };

/* Takes n bytes into `head`; false: they go on in what is fed next. */
static bool take_head(struct frame *frame, size_t n) {
    struct frame_protobuf *state = &frame->protobuf;
    size_t more = MIN(n - state->n_head, (size_t)(frame->end - frame->data));

    if (more > 0)
        memcpy(state->head + state->n_head, frame->data, more);
    state->n_head += more;
    frame->data += more;
    return state->n_head == n;
}

static void begin_value(struct frame *frame, uint64_t size, enum frame_kind kind, const char *key) {
    struct frame_protobuf *state = &frame->protobuf;

    state->n_head = 0;
    state->in_value = true;
    state->value_left = size;
    state->kind = kind;
    state->key = key;
}

/* The value's kind if it is whole, FRAME_NEED_MORE if not or if it was only passed over. */
static int take_value(struct frame *frame, struct frame_piece *ret) {
    struct frame_protobuf *state = &frame->protobuf;
    size_t there = (size_t)(frame->end - frame->data);
    int r;

    if (state->kind == FRAME_NEED_MORE) {
        size_t n = (size_t)MIN(state->value_left, (uint64_t)there);

        frame->data += n;
        state->value_left -= n;
        state->in_value = state->value_left > 0;
        return FRAME_NEED_MORE;
    }
    if (state->value_left > there) {
        state->value_left -= there;
        return frame_keep_rest(frame);
    }
    r = frame_hand_out(frame, frame->data + state->value_left, ret);
    if (r < 0)
        return r;
    state->in_value = false;
    if (state->key) {
        ret->key = state->key;
        ret->key_size = strlen(state->key);
    }
    return (int)state->kind;
}

int frame_next_event(struct frame *frame, struct frame_piece *ret) {
    struct frame_protobuf *state = &frame->protobuf;

    if (!state->in_value) {
        uint32_t size;

        if (!take_head(frame, 4))
            return FRAME_NEED_MORE;
        size = (uint32_t)(unsigned char)state->head[0] << 24 | (uint32_t)(unsigned char)state->head[1] << 16 |
               (uint32_t)(unsigned char)state->head[2] << 8 | (uint32_t)(unsigned char)state->head[3];
        if (size > frame->limit)
            return -E2BIG;
        begin_value(frame, size, FRAME_OBJECT, NULL);
    }
    return take_value(frame, ret);
}

/* What a field of Unknown, or of the NodeList in it, is to us. Enters the NodeList. */
static int begin_field(struct frame *frame, const struct protobuf_field *field, uint64_t size) {
    struct frame_protobuf *state = &frame->protobuf;
    enum frame_kind kind = FRAME_NEED_MORE;
    const char *key = NULL;

    if (state->in_raw) {
        if (size > state->raw_left)
            return -EBADMSG;
        state->raw_left -= size;
        if (field->number == LIST_ITEMS) {
            kind = FRAME_OBJECT;
        } else if (field->number == LIST_METADATA) {
            kind = FRAME_MEMBER;
            key = "metadata";
        }
    } else if (field->number == UNKNOWN_RAW) {
        if (field->wire != PROTOBUF_BYTES || state->raw_done)
            return -EBADMSG;
        state->in_raw = frame->items_seen = true;
        state->raw_left = size;
        state->n_head = 0;
        return 0;
    } else if (field->number == UNKNOWN_TYPE_META) {
        kind = FRAME_MEMBER;
        key = "typeMeta";
    }
    if (kind != FRAME_NEED_MORE && field->wire != PROTOBUF_BYTES)
        return -EBADMSG;
    if (kind != FRAME_NEED_MORE && size > frame->limit)
        return -E2BIG;
    begin_value(frame, size, kind, key);
    return 0;
}

/* Reads a tag and its length, byte by byte for they are few. 1: a value begins; 0: more is needed. */
static int read_head(struct frame *frame) {
    struct frame_protobuf *state = &frame->protobuf;

    while (frame->data < frame->end) {
        struct protobuf rest = {.at = state->head};
        struct protobuf_field field;
        uint64_t tag, size = 0;
        int r;

        if (state->n_head == sizeof(state->head) || (state->in_raw && state->raw_left == 0))
            return -EBADMSG;
        state->head[state->n_head++] = *frame->data++;
        if (state->in_raw)
            state->raw_left--;
        rest.end = state->head + state->n_head;
        r = protobuf_varint(&rest, &tag);
        if (r >= 0)
            r = protobuf_tag(tag, &field);
        if (r >= 0 && (field.wire == PROTOBUF_BYTES || field.wire == PROTOBUF_VARINT))
            r = protobuf_varint(&rest, &size);
        if (r == -EAGAIN)
            continue;
        if (r < 0)
            return r;
        if (field.wire == PROTOBUF_VARINT) /* its value is read already */
            size = 0;
        else if (field.wire != PROTOBUF_BYTES)
            size = field.wire == PROTOBUF_FIXED64 ? 8 : 4;
        r = begin_field(frame, &field, size);
        return r < 0 ? r : 1;
    }
    return 0;
}

int frame_next_field(struct frame *frame, struct frame_piece *ret) {
    struct frame_protobuf *state = &frame->protobuf;

    if (!state->begun) {
        if (!take_head(frame, 4))
            return FRAME_NEED_MORE;
        if (memcmp(state->head, "k8s", 4) != 0)
            return -EBADMSG;
        state->begun = true;
        state->n_head = 0;
    }
    for (;;) {
        int r;

        if (state->in_value) {
            r = take_value(frame, ret);
            if (r != FRAME_NEED_MORE || state->in_value)
                return r;
        }
        if (state->in_raw && state->raw_left == 0 && state->n_head == 0) {
            state->in_raw = false;
            state->raw_done = true;
            return FRAME_END;
        }
        r = read_head(frame);
        if (r <= 0)
            return r;
    }
}

bool frame_protobuf_is_open(const struct frame *frame) {
    const struct frame_protobuf *state = &frame->protobuf;

    if (state->in_value || state->n_head > 0)
        return true;
    return frame->shape == FRAME_PROTOBUF_LIST && state->begun && !state->raw_done;
}
