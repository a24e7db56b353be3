/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What answers on a salt-master's port, before anything of it is verified, and what stands in a box that is. First byte: to a
 * sign-in with a pinned key, to one with fingerprints, to a load, or sealed as the answer to a load.
 */
#include "fuzz.h"
#include "load.h"
#include "signin.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

static EVP_PKEY *key(void) {
    static EVP_PKEY *made;

    if (!made)
        made = EVP_RSA_gen(2048);
    MUST(made);
    return made;
}

static void sign_in(const uint8_t *data, size_t size, bool pinned) {
    static const uint8_t fingers[1][MINION_FINGER_SIZE];
    struct signin signin = {.id = "m", .key = key(), .hash = MINION_HASH_SHA224, .nonce = "0123456789abcdef0123456789abcdef",
                            .master = pinned ? key() : NULL, .fingers = fingers, .n_fingers = !pinned};
    struct signin_answer answer = {0};
    int r = signin_read(&answer, &signin, data, size);

    MUST(r > SIGNIN_ACCEPTED && r <= SIGNIN_GARBAGE); /* nobody has signed it */
    MUST(!answer.master == (r != SIGNIN_OTHER_MASTER));
    signin_answer_done(&answer);
}

static void load(const uint8_t *data, size_t size, bool sealed) {
    static const struct crypticle crypticle = {.aes = {1}};
    static const uint8_t iv[16] = {2};
    struct load of = {.id = "m", .crypticle = &crypticle, .nonce = "0123456789abcdef0123456789abcdef"};
    CLEANUP(cleanup_free) uint8_t *box = NULL, *reply = NULL;
    size_t n;
    int r;

    if (!sealed) {
        r = load_read(&of, data, size);
        MUST(r == LOAD_BAD || r == LOAD_NOT_READY || r == LOAD_FORGED);
        return;
    }
    MUST(crypticle_seal(&box, &n, &crypticle, iv, data, size) == 0);
    reply = malloc(n + 5);
    MUST(reply);
    memcpy(reply, (uint8_t[]){0xc6, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}, 5);
    memcpy(reply + 5, box, n);
    r = load_read(&of, reply, n + 5);
    MUST(r == LOAD_TAKEN || r == LOAD_FAILED || r == LOAD_FORGED);
    MUST(r == LOAD_FORGED || (size > LOAD_NONCE && !memcmp(data, of.nonce, LOAD_NONCE)));
    reply[n - 20] ^= 1; /* a byte of the MAC */
    MUST(load_read(&of, reply, n + 5) == LOAD_FORGED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    switch (data[0] & 3) {
    case 0: sign_in(data + 1, size - 1, true); break;
    case 1: sign_in(data + 1, size - 1, false); break;
    default: load(data + 1, size - 1, data[0] & 1);
    }
    return 0;
}
