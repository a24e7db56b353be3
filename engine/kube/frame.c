/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frame - puts together what the network cut; frame_json.c and frame_protobuf.c know where an object ends.
 *
 * Keeps: an object that lies whole within what was fed is handed out in place, one that was cut is put together in
 * `kept`, which never grows beyond the limit and shrinks again after an unusual object. Where the network cuts changes
 * nothing.
 * Does not: look at a byte. Owns: `kept`.
 */
#include "frame_shape.h"

#include <string.h>

#define KEPT_MAX (256 * 1024)   /* kept between objects; a node is 20 to 50 KiB */

struct frame *frame_free(struct frame *frame) {
    if (!frame)
        return NULL;
    free(frame->kept);
    free(frame);
    return NULL;
}

int frame_new(struct frame **ret, enum frame_shape shape, size_t limit) {
    struct frame *frame = calloc(1, sizeof(*frame));

    if (!frame)
        return -ENOMEM;
    frame->shape = shape;
    frame->limit = limit > 0 ? limit : FRAME_LIMIT;
    *ret = frame;
    return 0;
}

void frame_feed(struct frame *frame, const char *data, size_t size) {
    frame->data = data;
    frame->end = size > 0 ? data + size : data;
}

static int keep(struct frame *frame, const char *data, size_t n) {
    size_t size = MAX(frame->size, (size_t)4096);
    char *kept;

    if (n > frame->limit - frame->n_kept)
        return -E2BIG;
    while (size < frame->n_kept + n)
        size *= 2;
    if (size > frame->size) {
        kept = realloc(frame->kept, size);
        if (!kept)
            return -ENOMEM;
        frame->kept = kept;
        frame->size = size;
    }
    if (n > 0)
        memcpy(frame->kept + frame->n_kept, data, n);
    frame->n_kept += n;
    return 0;
}

void frame_reuse(struct frame *frame) {
    if (!frame->handed)
        return;
    frame->handed = false;
    frame->n_kept = 0;
    if (frame->size > KEPT_MAX) {
        free(frame->kept);
        frame->kept = NULL;
        frame->size = 0;
    }
}

int frame_hand_out(struct frame *frame, const char *to, struct frame_piece *ret) {
    size_t n = (size_t)(to - frame->data);
    int r;

    *ret = (struct frame_piece){.data = frame->data, .size = n};
    if (n > frame->limit)
        return -E2BIG;
    if (frame->n_kept > 0) {
        r = keep(frame, frame->data, n);
        if (r < 0)
            return r;
        *ret = (struct frame_piece){.data = frame->kept, .size = frame->n_kept};
        frame->handed = true;
    }
    frame->data = to;
    return 0;
}

int frame_keep_rest(struct frame *frame) {
    int r = keep(frame, frame->data, (size_t)(frame->end - frame->data));

    frame->data = frame->end;
    return r;
}

int frame_next(struct frame *frame, struct frame_piece *ret) {
    int r = -EBADMSG;

    frame_reuse(frame);
    if (frame->failed)
        return -EBADMSG;
    switch (frame->shape) {
    case FRAME_LINES:
        r = frame_next_line(frame, ret);
        break;
    case FRAME_LIST:
        r = frame_next_member(frame, ret);
        break;
    case FRAME_PROTOBUF_EVENTS:
        r = frame_next_event(frame, ret);
        break;
    case FRAME_PROTOBUF_LIST:
        r = frame_next_field(frame, ret);
        break;
    }
    frame->failed = r < 0;
    return r;
}

bool frame_is_partial(const struct frame *frame) {
    if (frame->n_kept > 0 && !frame->handed)
        return true;
    switch (frame->shape) {
    case FRAME_LINES:
        return false;
    case FRAME_LIST:
        return frame_list_is_open(frame);
    case FRAME_PROTOBUF_EVENTS:
    case FRAME_PROTOBUF_LIST:
        return frame_protobuf_is_open(frame);
    }
    return false;
}

bool frame_has_items(const struct frame *frame) {
    return frame->items_seen;
}
