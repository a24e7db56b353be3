/* SPDX-License-Identifier: Apache-2.0 */
/* Sign - what one event on the bus says about minions and one cluster. Private to engine/bus. */
#pragma once

#include "nodewall/json.h"
#include "nodewall/set.h"

#define SIGN_SPLAY_MAX 300000       /* what nodewall.update allows */

enum sign_kind {
    SIGN_NONE,
    SIGN_ALIVE,                     /* the minion is there */
    SIGN_START,                     /* it has just started; what it has is open */
    SIGN_KEY_DELETED,
    SIGN_STATE,                     /* a state run that may have applied rules; it tells no version */
    SIGN_CLEANED,                   /* nodewall.clean: nothing is applied any more */
    SIGN_ANSWER,                    /* a return of nodewall's own about the cluster */
    SIGN_JOB,                       /* a job for the cluster went out to `minions` */
};

enum sign_answer {
    SIGN_HAS,                       /* what the version says */
    SIGN_NOT_MINE,
    SIGN_CONFLICT,
    SIGN_FAILED,                    /* it tried, or could not even */
};

/* All that points does so into the tag or the data. */
struct sign {
    enum sign_kind kind;
    const char *minion;
    size_t minion_size;
    enum sign_answer answer;
    const char *result;             /* the minion's own word; "" when there is none */
    bool has_version;               /* epoch and generation are there and well-formed */
    const char *epoch, *digest, *rv;    /* digest and rv may be "" */
    uint64_t generation;
    msec splay;
    json_object *minions;           /* of a job: an array */
};

bool sign_wants(const char *tag, size_t tag_size);
/* SIGN_NONE for everything that is malformed, contradicts itself, or is about something else. */
void sign_read(struct sign *ret, const char *cluster, const char *tag, size_t tag_size, json_object *data);
