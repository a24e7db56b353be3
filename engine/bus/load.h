/* SPDX-License-Identifier: Apache-2.0 */
/* Load - events to a master that let us in, and its answer. Pure. Private to engine/bus. */
#pragma once

#include "crypt.h"
#include "crypticle.h"

#define LOAD_NONCE 32

struct load_event {
    const char *tag;
    const uint8_t *body;        /* pack_event's: tag "\n\n" msgpack */
    size_t size;
};

/* All is borrowed. */
struct load {
    const char *id;
    enum minion_hash hash;
    const struct crypticle *crypticle;
    const uint8_t *proof;       /* x931_sign of LOAD_PROOF with our key */
    size_t proof_size;
    char nonce[LOAD_NONCE + 1];
    uint8_t iv[16];
    msec wall;
};
#define LOAD_PROOF "salt"

enum load_outcome {
    LOAD_TAKEN,
    LOAD_BAD,                   /* "bad load": the key is no longer the master's, or never was; sign in again */
    LOAD_NOT_READY,             /* it says that it cannot now */
    LOAD_FAILED,                /* the master's handler failed at it */
    LOAD_FORGED,                /* no answer of this master to this request */
};

/* One request with these events, or none: that asks only whether we are still let in. The caller frees *ret. */
int load_pack(uint8_t **ret, size_t *ret_size, const struct load *load, const struct load_event *events, size_t n);
/* enum load_outcome, or -ENOMEM. */
int load_read(const struct load *load, const uint8_t *reply, size_t size);
