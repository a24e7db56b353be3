/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frame JSON - a scanner that knows brackets, quotes and commas, and nothing else of JSON.
 *
 * A list of all nodes is a hundred megabytes; parsed as one object it would be a gigabyte. So the outermost object and
 * its `items` are walked here, byte by byte and each byte once, and what lies between two commas is handed on as it is.
 *
 * Does not: check what is within an object (brackets are counted, not matched); decode.c refuses what is no JSON.
 * Owns: nothing.
 */
#include "frame_shape.h"

#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int frame_next_line(struct frame *frame, struct frame_piece *ret) {
    while (frame->data < frame->end) {
        const char *newline = memchr(frame->data, '\n', (size_t)(frame->end - frame->data));
        struct frame_piece piece;
        int r;

        frame_reuse(frame); /* a blank line that was put together */
        if (!newline)
            return frame_keep_rest(frame);
        r = frame_hand_out(frame, newline, &piece);
        if (r < 0)
            return r;
        frame->data++;
        while (piece.size > 0 && is_blank(piece.data[piece.size - 1]))
            piece.size--;
        if (piece.size > 0) {
            *ret = piece;
            return FRAME_OBJECT;
        }
    }
    return FRAME_NEED_MORE;
}

/* Where the value ends that goes on at `at`, or NULL if not within what was fed. A number or a word ends before what
 * ends it. */
static const char *scan_value(struct frame *frame, const char *at) {
    for (; at < frame->end; at++) {
        char c = *at;

        if (frame->json.string) {
            if (frame->json.escaped)
                frame->json.escaped = false;
            else if (c == '\\')
                frame->json.escaped = true;
            else if (c == '"') {
                frame->json.string = false;
                if (frame->json.depth == 0)
                    return at + 1;
            }
        } else if (frame->json.bare) {
            if (c == ',' || c == '}' || c == ']' || is_blank(c))
                return at;
        } else if (c == '"')
            frame->json.string = true;
        else if (c == '{' || c == '[')
            frame->json.depth++;
        else if ((c == '}' || c == ']') && --frame->json.depth == 0)
            return at + 1;
        else if (frame->json.depth == 0)
            frame->json.bare = true;
    }
    return NULL;
}

/* A value begins with c. */
static bool begin_value(struct frame *frame, char c) {
    frame->json.depth = 0;
    frame->json.string = frame->json.escaped = frame->json.bare = false;
    return !strchr(",:]}", c); /* nor a NUL */
}

static int scan_key(struct frame *frame) {
    while (frame->data < frame->end) {
        char c = *frame->data++;

        if (c == '"' && !frame->json.escaped) {
            frame->json.state = STATE_COLON;
            return 0;
        }
        frame->json.escaped = c == '\\' && !frame->json.escaped;
        if (frame->json.n_key == sizeof(frame->json.key))
            return -EBADMSG;
        frame->json.key[frame->json.n_key++] = c;
    }
    return 0;
}

static bool is_items(const struct frame *frame) {
    return frame->json.n_key == 5 && memcmp(frame->json.key, "items", 5) == 0;
}

/* The state that the punctuation c leads to; STATE_FAILED if it has no place here. */
static enum frame_json_state punctuation(struct frame *frame, char c) {
    switch (frame->json.state) {
    case STATE_START:
        return c == '{' ? STATE_KEY_OR_END : STATE_FAILED;
    case STATE_KEY_OR_END:
    case STATE_KEY:
        frame->json.n_key = 0;
        frame->json.escaped = false;
        if (c == '}' && frame->json.state == STATE_KEY_OR_END)
            return STATE_END;
        return c == '"' ? STATE_KEY_TEXT : STATE_FAILED;
    case STATE_COLON:
        return c == ':' ? STATE_VALUE : STATE_FAILED;
    case STATE_VALUE:
        if (!is_items(frame) || c != '[' || frame->items_seen)
            return STATE_FAILED; /* other values are no punctuation */
        frame->items_seen = true;
        return STATE_ITEM_OR_END;
    case STATE_VALUE_DONE:
        return c == ',' ? STATE_KEY : c == '}' ? STATE_END : STATE_FAILED;
    case STATE_ITEM_OR_END:
        return c == ']' ? STATE_VALUE_DONE : STATE_FAILED;
    case STATE_ITEM_DONE:
        return c == ',' ? STATE_ITEM : c == ']' ? STATE_VALUE_DONE : STATE_FAILED;
    default:
        return STATE_FAILED; /* behind the end */
    }
}

/* One step between values. 0: a step was made; FRAME_END; or -EBADMSG. */
static int step(struct frame *frame) {
    char c = *frame->data;
    bool value = (frame->json.state == STATE_VALUE && !is_items(frame)) || frame->json.state == STATE_ITEM ||
                 (frame->json.state == STATE_ITEM_OR_END && c != ']');

    if (is_blank(c)) {
        frame->data++;
        return 0;
    }
    if (value) {
        if (!begin_value(frame, c))
            return -EBADMSG;
        frame->json.state = frame->json.state == STATE_VALUE ? STATE_VALUE_TEXT : STATE_ITEM_TEXT;
        return 0;
    }
    frame->json.state = punctuation(frame, c);
    frame->data++;
    return frame->json.state == STATE_FAILED ? -EBADMSG : frame->json.state == STATE_END ? FRAME_END : 0;
}

static int next_value(struct frame *frame, struct frame_piece *ret) {
    const char *to = scan_value(frame, frame->data);
    struct frame_piece piece;
    bool is_item = frame->json.state == STATE_ITEM_TEXT;
    int r;

    if (!to)
        return frame_keep_rest(frame);
    r = frame_hand_out(frame, to, &piece);
    if (r < 0)
        return r;
    if (!is_item) {
        piece.key = frame->json.key;
        piece.key_size = frame->json.n_key;
    }
    frame->json.state = is_item ? STATE_ITEM_DONE : STATE_VALUE_DONE;
    *ret = piece;
    return is_item ? FRAME_OBJECT : FRAME_MEMBER;
}

int frame_next_member(struct frame *frame, struct frame_piece *ret) {
    while (frame->data < frame->end) {
        int r;

        if (frame->json.state == STATE_VALUE_TEXT || frame->json.state == STATE_ITEM_TEXT)
            return next_value(frame, ret);
        r = frame->json.state == STATE_KEY_TEXT ? scan_key(frame) : step(frame);
        if (r != 0)
            return r;
    }
    return FRAME_NEED_MORE;
}

bool frame_list_is_open(const struct frame *frame) {
    return frame->json.state != STATE_START && frame->json.state != STATE_END;
}
