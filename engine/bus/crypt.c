/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crypt - RSA as Salt uses it, through EVP alone.
 *
 * Salt proves with the padding of ANSI X9.31, but without its hash, that somebody has a private key. OpenSSL 3 offers
 * that padding only with a hash, so the padding is made here, around the bare operation, which the library still does.
 * Keeps: keys are RSA of 2048 to 8192 bits, so that buffers of CRYPT_RSA_MAX hold all of it; no failure stays in
 * OpenSSL's queue. Does not: read files (pki.c), know messages (signin.c), wipe what its callers decrypt.
 */
#include "crypt.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#define CLEANUP_OF(type, function)                                                                                     \
    static void cleanup_##function(type **pointer) {                                                                   \
        function(*pointer);                                                                                            \
    }
CLEANUP_OF(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP_OF(EVP_MD_CTX, EVP_MD_CTX_free)
CLEANUP_OF(BIO, BIO_free_all)
CLEANUP_OF(BIGNUM, BN_clear_free)

/* OpenSSL's queue of errors is the thread's: what failed here must not be found by TLS. */
static int failed(int r) {
    ERR_clear_error();
    return r;
}

static const EVP_MD *digest(enum minion_hash hash) {
    return hash == MINION_HASH_SHA224 ? EVP_sha224() : EVP_sha1();
}

static int check_key(EVP_PKEY *key) {
    return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= CRYPT_RSA_LEAST && key_size(key) <= CRYPT_RSA_MAX
               ? 0
               : -EBADMSG;
}

/* Never asks a terminal for a password. */
static int no_password(char *buffer, int size, int writing, void *userdata) {
    return -1;
}

static int read_key(EVP_PKEY **ret, const char *pem, size_t size, bool is_private) {
    CLEANUP(cleanup_BIO_free_all) BIO *bio = size <= INT32_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

    if (!bio)
        return failed(-ENOMEM);
    key = is_private ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
                     : PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    if (!key || check_key(key) < 0)
        return failed(-EBADMSG);
    *ret = TAKE_PTR(key);
    return 0;
}

int key_from_public_pem(EVP_PKEY **ret, const char *pem, size_t size) {
    return read_key(ret, pem, size, false);
}

int key_from_private_pem(EVP_PKEY **ret, const char *pem, size_t size) {
    return read_key(ret, pem, size, true);
}

int key_to_public_pem(char **ret, EVP_PKEY *key) {
    CLEANUP(cleanup_BIO_free_all) BIO *bio = BIO_new(BIO_s_mem());
    char *data, *copy;
    long size;

    if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1)
        return failed(-ENOMEM);
    size = BIO_get_mem_data(bio, &data);
    while (size > 0 && data[size - 1] == '\n')
        size--;
    copy = strndup(data, (size_t)size);
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

int key_finger(uint8_t ret[MINION_FINGER_SIZE], EVP_PKEY *key, enum key_form form) {
    CLEANUP(cleanup_free) char *pem = NULL;
    const char *begin;
    size_t size;
    int r = key_to_public_pem(&pem, key);

    if (r < 0)
        return r;
    begin = pem;
    size = strlen(pem);
    if (form == KEY_FORM_BODY) {
        begin = strchr(pem, '\n') + 1; /* a PEM text has three lines at least */
        size = (size_t)(strrchr(pem, '\n') + 1 - begin);
    } else if (form == KEY_FORM_FILE) {
        pem[size++] = '\n'; /* in the place of the NUL */
    }
    return EVP_Digest(begin, size, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : failed(-ENOMEM);
}

void key_finger_format(char ret[MINION_FINGER_SIZE * 3], const uint8_t finger[MINION_FINGER_SIZE]) {
    for (size_t i = 0; i < MINION_FINGER_SIZE; i++)
        snprintf(ret + i * 3, 4 - (i + 1 == MINION_FINGER_SIZE), "%02x%s", finger[i],
                 i + 1 < MINION_FINGER_SIZE ? ":" : "");
}

static EVP_PKEY_CTX *oaep(EVP_PKEY *key, enum minion_hash hash, int (*init)(EVP_PKEY_CTX *)) {
    CLEANUP(cleanup_EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

    if (!ctx || init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digest(hash)) != 1 || EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest(hash)) != 1)
        return NULL;
    return TAKE_PTR(ctx);
}

int crypt_encrypt(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, enum minion_hash hash, const void *data, size_t size) {
    CLEANUP(cleanup_EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = oaep(key, hash, EVP_PKEY_encrypt_init);
    size_t n = CRYPT_RSA_MAX;

    if (!ctx || EVP_PKEY_encrypt(ctx, ret, &n, data, size) != 1)
        return failed(-ENOMEM);
    *ret_size = n;
    return 0;
}

int crypt_decrypt(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, enum minion_hash hash, const void *data, size_t size) {
    CLEANUP(cleanup_EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = oaep(key, hash, EVP_PKEY_decrypt_init);
    size_t n = CRYPT_RSA_MAX;

    if (!ctx)
        return failed(-ENOMEM);
    if (size != key_size(key) || EVP_PKEY_decrypt(ctx, ret, &n, data, size) != 1)
        return failed(-EBADMSG);
    *ret_size = n;
    return 0;
}

int crypt_verify(EVP_PKEY *key, enum minion_hash hash, const void *data, size_t size, const void *sig,
                 size_t sig_size) {
    CLEANUP(cleanup_EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestVerifyInit(ctx, NULL, digest(hash), NULL, key) != 1)
        return failed(-ENOMEM);
    return EVP_DigestVerify(ctx, sig, sig_size, data, size) == 1 ? 0 : failed(-EBADMSG);
}

/* n - *number, when that is wanted; the two are each other's signature in X9.31. */
static int mirror(EVP_PKEY *key, uint8_t *bytes, size_t size, bool (*wanted)(const BIGNUM *, const BIGNUM *)) {
    CLEANUP(cleanup_BN_clear_free) BIGNUM *n = NULL, *number = BN_bin2bn(bytes, (int)size, NULL), *other = BN_new();

    if (!number || !other || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
        BN_sub(other, n, number) != 1)
        return failed(-ENOMEM);
    if (wanted(number, other) && BN_bn2binpad(other, bytes, (int)size) < 0)
        return failed(-EBADMSG);
    return 0;
}

static bool is_larger(const BIGNUM *number, const BIGNUM *other) {
    return BN_cmp(number, other) > 0;
}

/* What was padded ends in 0xc; modulo 16 its mirror image does not, for n is odd. */
static bool is_mirrored(const BIGNUM *number, const BIGNUM *other) {
    return BN_mod_word(number, 16) != 12;
}

int x931_sign(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, const void *data, size_t size) {
    CLEANUP(cleanup_EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t padded[CRYPT_RSA_MAX];
    size_t n = key_size(key), out = CRYPT_RSA_MAX;
    int r;

    if (size + 3 > n || n > sizeof(padded))
        return -EINVAL;
    memset(padded, 0xbb, n);
    padded[0] = 0x6b;
    padded[n - size - 2] = 0xba;
    memcpy(padded + n - size - 1, data, size);
    padded[n - 1] = 0xcc;
    if (!ctx || EVP_PKEY_sign_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) != 1 ||
        EVP_PKEY_sign(ctx, ret, &out, padded, n) != 1)
        return failed(-ENOMEM);
    r = mirror(key, ret, out, is_larger);
    if (r < 0)
        return r;
    *ret_size = out;
    return 0;
}

int x931_recover(uint8_t *ret, size_t *ret_size, EVP_PKEY *key, const void *sig, size_t size) {
    CLEANUP(cleanup_EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t padded[CRYPT_RSA_MAX];
    size_t n = CRYPT_RSA_MAX, at = 1;
    int r;

    if (!ctx || EVP_PKEY_verify_recover_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) != 1)
        return failed(-ENOMEM);
    if (size != key_size(key) || EVP_PKEY_verify_recover(ctx, padded, &n, sig, size) != 1 || n != size)
        return failed(-EBADMSG);
    r = mirror(key, padded, n, is_mirrored);
    if (r < 0)
        return r;
    while (at < n && padded[at] == 0xbb)
        at++;
    if (padded[0] != 0x6b || padded[n - 1] != 0xcc || at + 1 >= n || padded[at] != 0xba)
        return -EBADMSG;
    at++;
    memcpy(ret, padded + at, n - 1 - at);
    *ret_size = n - 1 - at;
    return 0;
}
