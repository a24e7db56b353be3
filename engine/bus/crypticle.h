/* SPDX-License-Identifier: Apache-2.0 */
/* Crypticle - what Salt calls its box of AES and HMAC around every message after sign-in. Private to engine/bus. */
#pragma once

#include "nodewall/base.h"

#define CRYPTICLE_OVERHEAD (8 + 16 + 16 + 32)   /* mark, IV, padding at most, HMAC */
#define CRYPTICLE_LEAST (16 + 16 + 32)          /* the smallest box */

struct crypticle {
    uint8_t aes[24], mac[32];
};

/* From the text that a master gives: base64 of 56 bytes. -EBADMSG. */
int crypticle_parse(struct crypticle *ret, const char *text, size_t size);
void crypticle_wipe(struct crypticle *crypticle);       /* for CLEANUP, too */

/* Into a box with this IV (random, never twice). The caller frees *ret. */
int crypticle_seal(uint8_t **ret, size_t *ret_size, const struct crypticle *crypticle, const uint8_t iv[16],
                   const void *data, size_t size);
/* -EBADMSG: no box, or of another key. The caller frees *ret, which has at least one byte. */
int crypticle_open(uint8_t **ret, size_t *ret_size, const struct crypticle *crypticle, const void *box, size_t size);
