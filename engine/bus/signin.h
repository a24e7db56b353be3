/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-in - one question to a master to let us in, and what it answers. Pure. Private to engine/bus. */
#pragma once

#include "crypt.h"
#include "crypticle.h"

#define SIGNIN_NONCE 32         /* hex digits */
#define SIGNIN_TOKEN 32

/* All is borrowed. */
struct signin {
    const char *id;
    EVP_PKEY *key;              /* ours */
    enum minion_hash hash;      /* not AUTO */
    char nonce[SIGNIN_NONCE + 1];
    uint8_t token[SIGNIN_TOKEN];    /* random too; the master proves with it that it has the key, if that is pinned */
    /* Who may be the master: this key if there is one; else who has one of these fingerprints; else anybody. */
    EVP_PKEY *master;
    const uint8_t (*fingers)[MINION_FINGER_SIZE];
    size_t n_fingers;
};

enum signin_outcome {
    SIGNIN_ACCEPTED,
    SIGNIN_PENDING,             /* nobody has accepted our key yet */
    SIGNIN_REJECTED,            /* somebody rejected it, or the id has another key */
    SIGNIN_FULL,                /* the master takes no more minions (max_minions) */
    SIGNIN_HASH,                /* the master does not take this hash */
    SIGNIN_REFUSED,             /* "bad load": this master wants another protocol */
    SIGNIN_OTHER_MASTER,        /* its key is not the one that is pinned */
    SIGNIN_FORGED,              /* signature, nonce or token are wrong */
    SIGNIN_GARBAGE,             /* no answer of a master */
};

/* What an accepted sign-in gives; signin_answer_done frees it. */
struct signin_answer {
    EVP_PKEY *master;           /* its key; of SIGNIN_OTHER_MASTER, too */
    struct crypticle crypticle;
    bool has_session;           /* the key is ours alone; a master of before 3006.12 gives everybody's */
};
void signin_answer_done(struct signin_answer *answer);

struct out;
/* enc_algo and sig_algo, as two pairs of a map. */
void signin_pack_hash(struct out *out, enum minion_hash hash);

/* The request; the caller frees *ret. */
int signin_pack(uint8_t **ret, size_t *ret_size, const struct signin *signin);
/* enum signin_outcome, or -ENOMEM. *ret is set when it says so above. An answer that cannot be verified, because no key
 * is known yet, may still say PENDING, REJECTED or FULL: all that follows from those is waiting. */
int signin_read(struct signin_answer *ret, const struct signin *signin, const uint8_t *reply, size_t size);
