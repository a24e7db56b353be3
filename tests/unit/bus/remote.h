/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote - a salt-master's request channel behind a wire without a network: it signs in whoever asks, opens boxes, and
 * can be told to be pending, deaf, gone, forgetful or forging.
 *
 * It is as unforgiving as Salt is: a box of another key is a "bad load", and a request before the answer to the one before
 * fails the test.
 */
#pragma once

#include "crypt.h"
#include "crypticle.h"
#include "wire.h"

enum remote_answer {
    REMOTE_ACCEPTS,
    REMOTE_PENDING,
    REMOTE_REJECTS,
    REMOTE_FULL,
    REMOTE_FORGES,      /* signs with another key than it names */
    REMOTE_OTHER_AES,   /* signs all, and inside another aes than it gives */
    REMOTE_NO_TOKEN,    /* cannot decrypt what was encrypted for the key it names */
    REMOTE_GARBAGE,
    REMOTE_SILENT,
};

struct remote {
    EVP_PKEY *key, *other;
    char session[77];               /* what a new sign-in gives */
    enum remote_answer answer;      /* to sign-ins */
    bool only_sha1;
    bool without_session;           /* as before 3006.12 */
    bool forgets;                   /* every box is a bad load */
    bool closed;                    /* nobody takes the connection */
    unsigned lose;                  /* the next so many connections break with an event's request under way */
    const char *fails_at;           /* a tag */
    unsigned opened, sign_ins, requests;    /* counted */
    char taken[65536];              /* the tags, each with a newline */
    size_t biggest;                 /* events in one request */
    char *ids;                      /* what stood as event_id of the last event */
};

extern struct remote remotes[2];    /* ports 1 and 2 of any address */
extern const struct wire_ops remote_wire;

void remote_setup(EVP_PKEY *key, EVP_PKEY *other);      /* resets both */
void remote_new_session(struct remote *remote);
unsigned remote_open_wires(void);
/* A sign-in's answer whose signed part is as given, for other tests. The caller frees *ret. */
void remote_sign(uint8_t **ret, size_t *ret_size, EVP_PKEY *key, enum minion_hash hash, const uint8_t *load, size_t size);
