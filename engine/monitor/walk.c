/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walk - msgpack as a sequence of steps, so that rendering and redacting need neither a tree nor recursion.
 *
 * Keeps: nothing behind `end` is read, whatever lengths and counts claim; the stack is MONITOR_DEPTH deep and no more.
 * Does not: allocate, judge values. A container's claimed count costs nothing until its objects are there.
 */
#include "walk.h"

#include "nodewall/pack.h"

#include <string.h>

void walk_begin(struct walk *walk, const uint8_t *data, size_t size) {
    walk->at = data;
    walk->end = data + size;
    walk->depth = 0;
    walk->started = false;
}

static int close_one(struct walk *walk, struct step *ret) {
    walk->depth--;
    ret->kind = STEP_END;
    ret->token.kind = walk->open[walk->depth].map ? TOKEN_MAP : TOKEN_ARRAY;
    ret->head = walk->at;
    ret->first = walk->open[walk->depth].first;
    ret->depth = walk->depth;
    return 1;
}

static int open_one(struct walk *walk, const struct step *step) {
    if (walk->depth == MONITOR_DEPTH)
        return -E2BIG;
    walk->open[walk->depth].map = step->token.kind == TOKEN_MAP;
    walk->open[walk->depth].left = (uint64_t)step->token.count << (step->token.kind == TOKEN_MAP);
    walk->open[walk->depth].first = true;
    walk->depth++;
    return 1;
}

int walk_next(struct walk *walk, struct step *ret) {
    int n;

    if (walk->depth == 0) {
        if (walk->started)
            return walk->at == walk->end ? 0 : -EBADMSG;
        walk->started = true;
        ret->kind = STEP_VALUE;
        ret->first = true;
    } else {
        __typeof__(walk->open[0]) *top = &walk->open[walk->depth - 1];

        if (top->left == 0)
            return close_one(walk, ret);
        ret->kind = top->map && top->left % 2 == 0 ? STEP_KEY : STEP_VALUE;
        ret->first = top->first;
        top->first = false;
        top->left--;
    }
    ret->depth = walk->depth;
    ret->head = walk->at;
    n = token_read(&ret->token, walk->at, (size_t)(walk->end - walk->at));
    if (n <= 0)
        return -EBADMSG;
    walk->at += n;
    ret->payload = walk->at;
    switch (ret->token.kind) {
    case TOKEN_ARRAY:
    case TOKEN_MAP: return open_one(walk, ret);
    case TOKEN_STR:
    case TOKEN_BIN:
    case TOKEN_EXT:
        if (ret->token.count > (size_t)(walk->end - walk->at))
            return -EBADMSG;
        walk->at += ret->token.count;
        return 1;
    default: return 1;
    }
}

static int skip_object(struct walk *walk) {
    struct unpack_skip skip = {0};
    size_t size = (size_t)(walk->end - walk->at), used;

    if (unpack_skip(&skip, walk->at, size, size, &used) != 1)
        return -EBADMSG;
    walk->at += used;
    return 0;
}

int walk_skip_value(struct walk *walk) {
    walk->open[walk->depth - 1].left--;
    return skip_object(walk);
}

int walk_skip_open(struct walk *walk, const struct step *step) {
    walk->depth = step->depth;
    walk->at = step->head;
    return skip_object(walk);
}
