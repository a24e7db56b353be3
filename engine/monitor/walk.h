/* SPDX-License-Identifier: Apache-2.0 */
/* Walk - through the msgpack of one event, step by step and without a tree. Private to engine/monitor. */
#pragma once

#include "nodewall/monitor.h"
#include "token.h"

enum step_kind {
    STEP_VALUE,         /* a value or the head of a container that opens */
    STEP_KEY,           /* the same, in the place of a map's key */
    STEP_END,           /* the container of that depth closes */
};

struct step {
    enum step_kind kind;
    struct token token;         /* of STEP_END: the container's kind */
    const uint8_t *head;        /* where it begins */
    const uint8_t *payload;     /* the bytes of a str, bin or ext: token.count of them */
    bool first;                 /* nothing stands before it in its container */
    unsigned depth;             /* containers around it */
};

struct walk {
    const uint8_t *at, *end;
    unsigned depth;
    bool started;
    struct {
        uint64_t left;          /* objects still to come */
        bool map, first;
    } open[MONITOR_DEPTH];
};

void walk_begin(struct walk *walk, const uint8_t *data, size_t size);
/* 1 and a step; 0: one object was read to its end and nothing stands behind it; -EBADMSG, -E2BIG: deeper than
 * MONITOR_DEPTH. */
int walk_next(struct walk *walk, struct step *ret);
/* After a STEP_KEY that opened nothing: passes over its value. */
int walk_skip_value(struct walk *walk);
/* After a step that opened a container: passes over all of it. */
int walk_skip_open(struct walk *walk, const struct step *step);
