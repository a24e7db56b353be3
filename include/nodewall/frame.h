/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frame - cuts what the API server sends into objects, wherever the network cut it. Pure: bytes in, bytes out.
 *
 * A watch is one object after the other; a list is one object whose `items` may be a hundred megabytes, so its elements
 * come out one by one, as they arrive. Each in the two encodings of an API server, JSON and protobuf. Memory is bounded by the largest single object, never by the response.
 * Nothing here looks into an object; decode.h does.
 */
#pragma once

#include "nodewall/base.h"

#define FRAME_LIMIT (16 * 1024 * 1024)      /* bytes of one object; client-go's bound for a watch frame */

enum frame_shape {
    FRAME_LINES,            /* a watch: one JSON object a line */
    FRAME_LIST,             /* one JSON object with `items` */
    FRAME_PROTOBUF_EVENTS,  /* a watch: each event behind its length in four bytes, the highest first */
    FRAME_PROTOBUF_LIST,    /* "k8s\0" and a runtime.Unknown, whose raw is a NodeList */
};

enum frame_kind {
    FRAME_NEED_MORE = 0,
    FRAME_OBJECT = 1,       /* LINES: one non-empty line, without its newline; a list: one element of `items` */
    FRAME_MEMBER = 2,       /* a list: another member of the outermost object; `key`: its name, as between the quotes.
                             * In protobuf: "typeMeta" and "metadata" */
    FRAME_END = 3,          /* a list is closed; only white space may follow, or fields of Unknown that say nothing */
};

struct frame_piece {
    const char *data;       /* size bytes, valid until the next call; not NUL-terminated */
    size_t size;
    const char *key;        /* MEMBER: key_size bytes */
    size_t key_size;
};

struct frame;
int frame_new(struct frame **ret, enum frame_shape shape, size_t limit);
struct frame *frame_free(struct frame *frame);
DEFINE_CLEANUP(struct frame, frame_free)

/* Hands over the next bytes; they must stay valid until frame_next has returned FRAME_NEED_MORE (or an error), and has
 * kept what it still needs. */
void frame_feed(struct frame *frame, const char *data, size_t size);
/* A frame_kind, or -EBADMSG: a list that is no JSON object by its brackets and quotes, or whose `items` is no array; what
 * is no protobuf by its tags and lengths; -E2BIG: an object over the limit; -ENOMEM. After an error the frame is only to be freed. */
int frame_next(struct frame *frame, struct frame_piece *ret);
/* Whether bytes of an unfinished object are kept: at the end of a stream they are a cut. */
bool frame_is_partial(const struct frame *frame);
/* A list: whether `items` was there and an array; an empty one has no element that would tell. Protobuf knows no such
 * difference: there it is whether the NodeList was there. */
bool frame_has_items(const struct frame *frame);
