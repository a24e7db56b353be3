/* SPDX-License-Identifier: Apache-2.0 */
/* Crypt - the RSA that Salt's sign-in is made of. Private to engine/bus. */
#pragma once

#include "nodewall/minion.h"

#include <openssl/evp.h>

#define CRYPT_RSA_MAX 1024              /* bytes of the largest key taken: 8192 bits */
#define CRYPT_RSA_LEAST 2048            /* bits of the smallest */

static inline void EVP_PKEY_freep(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
}

/* -EBADMSG for whatever is no key, no RSA, or too small or large a one. */
int key_from_public_pem(EVP_PKEY **ret, const char *pem, size_t size);
int key_from_private_pem(EVP_PKEY **ret, const char *pem, size_t size);
int key_to_public_pem(char **ret, EVP_PKEY *key);                   /* SPKI, no newline at its end, as Salt sends it */
/* What salt-key shows: SHA-256 over the text between PEM's first and last line; 3008 hashes the whole text instead,
 * with the newline at its end if the master's file has one. */
enum key_form { KEY_FORM_BODY, KEY_FORM_WHOLE, KEY_FORM_FILE, KEY_FORM_MAX };
int key_finger(uint8_t ret[MINION_FINGER_SIZE], EVP_PKEY *key, enum key_form form);
void key_finger_format(char ret[MINION_FINGER_SIZE * 3], const uint8_t finger[MINION_FINGER_SIZE]);    /* aa:bb:… */
static inline size_t key_size(const EVP_PKEY *key) {
    return (size_t)EVP_PKEY_get_size(key);
}

/* OAEP with `hash` (not AUTO) for label and mask. `ret` has room for CRYPT_RSA_MAX. -EBADMSG: it does not decrypt. */
int crypt_encrypt(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, enum minion_hash hash, const void *data, size_t size);
int crypt_decrypt(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, enum minion_hash hash, const void *data, size_t size);
/* PKCS #1 v1.5. 0, or -EBADMSG. */
int crypt_verify(EVP_PKEY *key, enum minion_hash hash, const void *data, size_t size, const void *sig,
                 size_t sig_size);
/* The message inside the padding of X9.31, without a hash: what Salt calls private_encrypt and public decrypt. */
int x931_sign(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, const void *data, size_t size);
int x931_recover(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, const void *sig, size_t size);
