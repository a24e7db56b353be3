/* SPDX-License-Identifier: Apache-2.0 */
/* Frame shape - what frame.c, frame_json.c and frame_protobuf.c share; for nobody else. */
#pragma once

#include "nodewall/frame.h"

#define KEY_MAX 256             /* a NodeList's members are kind, apiVersion, metadata and items */

enum frame_json_state {
    STATE_START,                /* before the outermost { */
    STATE_KEY_OR_END,           /* behind it */
    STATE_KEY,                  /* behind a comma */
    STATE_KEY_TEXT,
    STATE_COLON,
    STATE_VALUE,
    STATE_VALUE_TEXT,
    STATE_VALUE_DONE,
    STATE_ITEM_OR_END,          /* behind the [ of items */
    STATE_ITEM,
    STATE_ITEM_TEXT,
    STATE_ITEM_DONE,
    STATE_END,
    STATE_FAILED,
};

/* Of a FRAME_LIST. All zero is its beginning. */
struct frame_json {
    enum frame_json_state state;
    char key[KEY_MAX];
    size_t n_key;
    size_t depth;               /* of the value that is being read */
    bool string, escaped, bare; /* within quotes; behind a backslash; a number or a word */
};

/* Of the protobuf shapes. All zero is the beginning. */
struct frame_protobuf {
    char head[20];              /* what precedes a value, if it was cut: a length, or a tag and a length */
    size_t n_head;
    bool begun;                 /* LIST: behind the k8s prefix */
    bool in_raw, raw_done;      /* LIST: within the NodeList; behind it */
    uint64_t raw_left;          /* in_raw: its bytes that are still to come, without those of the value */
    bool in_value;
    uint64_t value_left;        /* in_value: its bytes that are still to come */
    enum frame_kind kind;       /* in_value: what it will be; NEED_MORE: passed over */
    const char *key;
};

struct frame {
    enum frame_shape shape;
    size_t limit;
    const char *data, *end;     /* what was fed and is not used yet */
    char *kept;                 /* of an object that was cut; or the piece last handed out */
    size_t n_kept, size;
    bool handed;                /* `kept` was handed out: empty it at the next call */
    bool items_seen;
    bool failed;
    union {
        struct frame_json json;
        struct frame_protobuf protobuf;
    };
};

/* frame.c. Takes the bytes up to `to`, which end an object, and makes it the piece. 0, -E2BIG or -ENOMEM. */
int frame_hand_out(struct frame *frame, const char *to, struct frame_piece *ret);
/* An object goes on in what is fed next. FRAME_NEED_MORE, -E2BIG or -ENOMEM. */
int frame_keep_rest(struct frame *frame);
/* Makes room again after a piece that was put together. */
void frame_reuse(struct frame *frame);

/* Each shape's frame_next; and whether a list or an event has begun and is not at its end. */
int frame_next_line(struct frame *frame, struct frame_piece *ret);
int frame_next_member(struct frame *frame, struct frame_piece *ret);
bool frame_list_is_open(const struct frame *frame);
int frame_next_event(struct frame *frame, struct frame_piece *ret);
int frame_next_field(struct frame *frame, struct frame_piece *ret);
bool frame_protobuf_is_open(const struct frame *frame);
