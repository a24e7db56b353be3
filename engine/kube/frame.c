/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frame - a scanner that knows brackets, quotes and commas, and nothing else of JSON.
 *
 * A list of all nodes is a hundred megabytes; parsed as one object it would be a gigabyte. So the outermost object and
 * its `items` are walked here, byte by byte and each byte once, and what lies between two commas is handed on as it is.
 *
 * Keeps: an object that lies whole within what was fed is handed out in place, one that was cut is put together in
 * `kept`, which never grows beyond the limit and shrinks again after an unusual object. Where the network cuts changes
 * nothing.
 * Does not: check what is within an object (brackets are counted, not matched); decode.c refuses what is no JSON.
 * Owns: `kept`.
 */
#include "nodewall/frame.h"

#include <string.h>

#define KEY_MAX 256             /* a NodeList's members are kind, apiVersion, metadata and items */
#define KEPT_MAX (256 * 1024)   /* kept between objects; a node is 20 to 50 KiB */

enum state {
    STATE_LINE,
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

struct frame {
    enum state state;
    size_t limit;
    const char *data, *end;     /* what was fed and is not used yet */
    char *kept;                 /* of an object that was cut; or the piece last handed out */
    size_t n_kept, size;
    bool handed;                /* `kept` was handed out: empty it at the next call */
    bool items_seen;
    char key[KEY_MAX];
    size_t n_key;
    size_t depth;               /* of the value that is being read */
    bool string, escaped, bare; /* within quotes; behind a backslash; a number or a word */
};

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
    frame->state = shape == FRAME_LINES ? STATE_LINE : STATE_START;
    frame->limit = limit > 0 ? limit : FRAME_LIMIT;
    *ret = frame;
    return 0;
}

void frame_feed(struct frame *frame, const char *data, size_t size) {
    frame->data = data;
    frame->end = size > 0 ? data + size : data;
}

static int fail(struct frame *frame, int error) {
    frame->state = STATE_FAILED;
    return error;
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

static void reuse(struct frame *frame) {
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

/* Takes the bytes up to `to`, which end an object, and makes it the piece. */
static int hand_out(struct frame *frame, const char *to, struct frame_piece *ret) {
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

/* An object goes on in what is fed next. */
static int keep_rest(struct frame *frame) {
    int r = keep(frame, frame->data, (size_t)(frame->end - frame->data));

    frame->data = frame->end;
    return r < 0 ? fail(frame, r) : FRAME_NEED_MORE;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int next_line(struct frame *frame, struct frame_piece *ret) {
    while (frame->data < frame->end) {
        const char *newline = memchr(frame->data, '\n', (size_t)(frame->end - frame->data));
        struct frame_piece piece;
        int r;

        reuse(frame); /* a blank line that was put together */
        if (!newline)
            return keep_rest(frame);
        r = hand_out(frame, newline, &piece);
        if (r < 0)
            return fail(frame, r);
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

        if (frame->string) {
            if (frame->escaped)
                frame->escaped = false;
            else if (c == '\\')
                frame->escaped = true;
            else if (c == '"') {
                frame->string = false;
                if (frame->depth == 0)
                    return at + 1;
            }
        } else if (frame->bare) {
            if (c == ',' || c == '}' || c == ']' || is_blank(c))
                return at;
        } else if (c == '"')
            frame->string = true;
        else if (c == '{' || c == '[')
            frame->depth++;
        else if ((c == '}' || c == ']') && --frame->depth == 0)
            return at + 1;
        else if (frame->depth == 0)
            frame->bare = true;
    }
    return NULL;
}

/* A value begins with c. */
static bool begin_value(struct frame *frame, char c) {
    frame->depth = 0;
    frame->string = frame->escaped = frame->bare = false;
    return !strchr(",:]}", c); /* nor a NUL */
}

static int scan_key(struct frame *frame) {
    while (frame->data < frame->end) {
        char c = *frame->data++;

        if (c == '"' && !frame->escaped) {
            frame->state = STATE_COLON;
            return 0;
        }
        frame->escaped = c == '\\' && !frame->escaped;
        if (frame->n_key == sizeof(frame->key))
            return -EBADMSG;
        frame->key[frame->n_key++] = c;
    }
    return 0;
}

static bool is_items(const struct frame *frame) {
    return frame->n_key == 5 && memcmp(frame->key, "items", 5) == 0;
}

/* The state that the punctuation c leads to; STATE_FAILED if it has no place here. */
static enum state punctuation(struct frame *frame, char c) {
    switch (frame->state) {
    case STATE_START:
        return c == '{' ? STATE_KEY_OR_END : STATE_FAILED;
    case STATE_KEY_OR_END:
    case STATE_KEY:
        frame->n_key = 0;
        frame->escaped = false;
        if (c == '}' && frame->state == STATE_KEY_OR_END)
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
    bool value = (frame->state == STATE_VALUE && !is_items(frame)) || frame->state == STATE_ITEM ||
                 (frame->state == STATE_ITEM_OR_END && c != ']');

    if (is_blank(c)) {
        frame->data++;
        return 0;
    }
    if (value) {
        if (!begin_value(frame, c))
            return -EBADMSG;
        frame->state = frame->state == STATE_VALUE ? STATE_VALUE_TEXT : STATE_ITEM_TEXT;
        return 0;
    }
    frame->state = punctuation(frame, c);
    frame->data++;
    return frame->state == STATE_FAILED ? -EBADMSG : frame->state == STATE_END ? FRAME_END : 0;
}

static int next_value(struct frame *frame, struct frame_piece *ret) {
    const char *to = scan_value(frame, frame->data);
    struct frame_piece piece;
    bool is_item = frame->state == STATE_ITEM_TEXT;
    int r;

    if (!to)
        return keep_rest(frame);
    r = hand_out(frame, to, &piece);
    if (r < 0)
        return fail(frame, r);
    if (!is_item) {
        piece.key = frame->key;
        piece.key_size = frame->n_key;
    }
    frame->state = is_item ? STATE_ITEM_DONE : STATE_VALUE_DONE;
    *ret = piece;
    return is_item ? FRAME_OBJECT : FRAME_MEMBER;
}

int frame_next(struct frame *frame, struct frame_piece *ret) {
    int r;

    reuse(frame);
    if (frame->state == STATE_LINE)
        return next_line(frame, ret);
    if (frame->state == STATE_FAILED)
        return -EBADMSG;
    while (frame->data < frame->end) {
        if (frame->state == STATE_VALUE_TEXT || frame->state == STATE_ITEM_TEXT)
            return next_value(frame, ret);
        r = frame->state == STATE_KEY_TEXT ? scan_key(frame) : step(frame);
        if (r < 0)
            return fail(frame, r);
        if (r > 0)
            return r;
    }
    return FRAME_NEED_MORE;
}

bool frame_is_partial(const struct frame *frame) {
    if (frame->state == STATE_LINE)
        return frame->n_kept > 0 && !frame->handed;
    return frame->state != STATE_START && frame->state != STATE_END;
}

bool frame_has_items(const struct frame *frame) {
    return frame->items_seen;
}
