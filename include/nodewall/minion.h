/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minion - publishing to a salt-master from anywhere, as a minion that has signed in over ZeroMQ (port 4506).
 *
 * It is what any accepted minion may do, and no more: the key is accepted on the master with salt-key, and until then
 * it waits. The master proves itself by its key, which is given here, as a file or by its fingerprint; trust on first
 * use is for those who ask for it. Of several masters it speaks to the first that lets it in.
 */
#pragma once

#include "nodewall/base.h"

#define MINION_PORT 4506
#define MINION_FINGER_SIZE 32           /* SHA-256, as `salt-key -F master` shows it */

/* What RSA is used with; sha224 is what a master in FIPS mode wants, sha1 the only one that old masters know. */
enum minion_hash { MINION_HASH_AUTO, MINION_HASH_SHA1, MINION_HASH_SHA224 };
const char *minion_hash_name(enum minion_hash hash);    /* auto, sha1, sha224 */

struct minion_master {
    const char *host;                   /* a name or an address, without brackets */
    uint16_t port;
};

/* All is copied by bus_new, but for `wire`. */
struct minion_options {
    const struct minion_master *masters;
    size_t n_masters;                   /* at least one; the first that lets us in is taken, the next when it fails */
    const char *id;                     /* name_is_node */
    const char *pki_dir;                /* minion.pem (0400) and minion.pub are made there; and masters/ with first use */
    const char *master_key;             /* path of a PEM file, or NULL */
    const uint8_t (*fingers)[MINION_FINGER_SIZE];       /* any of these will do */
    size_t n_fingers;
    bool trust_first_use;
    enum minion_hash hash;
    const struct wire_ops *wire;        /* NULL: the module that has libzmq in it */
};

/* Hex with or without colons; false: no fingerprint. */
bool minion_finger_parse(uint8_t ret[MINION_FINGER_SIZE], const char *text);

struct minion_stats {
    char master[280];                   /* host:port that it is signed in to, or tries */
    uint64_t sign_ins, requests;
};
