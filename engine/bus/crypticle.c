/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crypticle - IV, AES-192-CBC of "pickle::" and the message, HMAC-SHA256 over both.
 *
 * The mark is left over from the days when Salt pickled; what follows it is msgpack.
 * Keeps: the HMAC is compared first and in constant time, so that no padding is ever looked at in a forged box.
 * Does not: know the message, make nonces. Owns: nothing that outlives the call; plaintexts on the way are wiped.
 */
#include "crypticle.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define IV_SIZE 16
#define MAC_SIZE 32
#define TEXT_SIZE 76        /* base64 of 56 bytes, without a newline */

static const char mark[] = "pickle::";
#define MARK_SIZE (sizeof(mark) - 1)

static void cleanup_cipher(EVP_CIPHER_CTX **ctx) {
    EVP_CIPHER_CTX_free(*ctx);
}

void crypticle_wipe(struct crypticle *crypticle) {
    OPENSSL_cleanse(crypticle, sizeof(*crypticle));
}

int crypticle_parse(struct crypticle *ret, const char *text, size_t size) {
    uint8_t bytes[TEXT_SIZE / 4 * 3];
    int n;

    while (size > 0 && text[size - 1] == '\n')
        size--;
    if (size != TEXT_SIZE)
        return -EBADMSG;
    n = EVP_DecodeBlock(bytes, (const uint8_t *)text, TEXT_SIZE); /* counts the one byte of "=" as 0 */
    if (n != (int)sizeof(bytes) || text[TEXT_SIZE - 1] != '=' || text[TEXT_SIZE - 2] == '=') {
        OPENSSL_cleanse(bytes, sizeof(bytes));
        return -EBADMSG;
    }
    memcpy(ret->aes, bytes, sizeof(ret->aes));
    memcpy(ret->mac, bytes + sizeof(ret->aes), sizeof(ret->mac));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return 0;
}

static int authenticate(uint8_t ret[MAC_SIZE], const struct crypticle *crypticle, const uint8_t *data, size_t size) {
    unsigned n = MAC_SIZE;

    return HMAC(EVP_sha256(), crypticle->mac, sizeof(crypticle->mac), data, size, ret, &n) ? 0 : -ENOMEM;
}

int crypticle_seal(uint8_t **ret, size_t *ret_size, const struct crypticle *crypticle, const uint8_t iv[16],
                   const void *data, size_t size) {
    CLEANUP(cleanup_cipher) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    CLEANUP(cleanup_free) uint8_t *box = size < INT32_MAX / 2 ? malloc(size + CRYPTICLE_OVERHEAD) : NULL;
    int n[3] = {0};
    size_t used;

    if (!ctx || !box)
        return -ENOMEM;
    memcpy(box, iv, IV_SIZE);
    if (EVP_EncryptInit_ex(ctx, EVP_aes_192_cbc(), NULL, crypticle->aes, iv) != 1 ||
        EVP_EncryptUpdate(ctx, box + IV_SIZE, &n[0], (const uint8_t *)mark, MARK_SIZE) != 1 ||
        EVP_EncryptUpdate(ctx, box + IV_SIZE + n[0], &n[1], data, (int)size) != 1 ||
        EVP_EncryptFinal_ex(ctx, box + IV_SIZE + n[0] + n[1], &n[2]) != 1) {
        ERR_clear_error();
        return -ENOMEM;
    }
    used = IV_SIZE + (size_t)n[0] + (size_t)n[1] + (size_t)n[2];
    if (authenticate(box + used, crypticle, box, used) < 0)
        return -ENOMEM;
    *ret_size = used + MAC_SIZE;
    *ret = TAKE_PTR(box);
    return 0;
}

int crypticle_open(uint8_t **ret, size_t *ret_size, const struct crypticle *crypticle, const void *box, size_t size) {
    CLEANUP(cleanup_cipher) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    CLEANUP(cleanup_free) uint8_t *plain = NULL;
    const uint8_t *bytes = box;
    uint8_t mac[MAC_SIZE];
    int n[2] = {0};
    size_t used;

    if (size < CRYPTICLE_LEAST || size > INT32_MAX)
        return -EBADMSG;
    size -= MAC_SIZE;
    if (authenticate(mac, crypticle, bytes, size) < 0)
        return -ENOMEM;
    if (CRYPTO_memcmp(mac, bytes + size, MAC_SIZE))
        return -EBADMSG;
    plain = malloc(size);
    if (!ctx || !plain)
        return -ENOMEM;
    if (EVP_DecryptInit_ex(ctx, EVP_aes_192_cbc(), NULL, crypticle->aes, bytes) != 1 ||
        EVP_DecryptUpdate(ctx, plain, &n[0], bytes + IV_SIZE, (int)(size - IV_SIZE)) != 1 ||
        EVP_DecryptFinal_ex(ctx, plain + n[0], &n[1]) != 1) {
        ERR_clear_error();
        return -EBADMSG;
    }
    used = (size_t)n[0] + (size_t)n[1];
    if (used <= MARK_SIZE || memcmp(plain, mark, MARK_SIZE))
        return -EBADMSG;
    memmove(plain, plain + MARK_SIZE, used - MARK_SIZE);
    *ret_size = used - MARK_SIZE;
    *ret = TAKE_PTR(plain);
    return 0;
}
