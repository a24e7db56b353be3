/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credential - base64 as kubeconfigs have it, and memory that forgets.
 *
 * Keeps: decoding accepts exactly one spelling of every byte string (right padding, no stray bits), so that a cut or doubled paste
 * is found here and not as a strange TLS error. Owns: nothing.
 */
#include "credential.h"

#include <openssl/crypto.h>
#include <string.h>

static int digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

char *secret_free(char *secret) {
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
    return NULL;
}

void credential_done(struct credential *credential) {
    if (credential->data)
        OPENSSL_cleanse(credential->data, credential->size);
    free(credential->data);
    free(credential->path);
    *credential = (struct credential){0};
}

int base64_decode(struct credential *ret, const char *text) {
    CLEANUP(credential_done) struct credential decoded = {.data = calloc(1, strlen(text) / 4 * 3 + 4)};
    unsigned n_bits = 0, n_digits = 0, n_pads = 0;
    uint32_t bits = 0;

    if (!decoded.data)
        return -ENOMEM;
    for (; *text; text++) {
        if (*text == '\n' || *text == '\r')
            continue;
        if (*text == '=') {
            n_pads++;
            continue;
        }
        if (digit(*text) < 0 || n_pads)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)digit(*text);
        n_digits++;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            decoded.data[decoded.size++] = (char)(bits >> n_bits);
            bits &= (1u << n_bits) - 1;
        }
    }
    if (!decoded.size || (n_digits + n_pads) % 4 || n_pads > 2 || bits)
        return -EINVAL;
    credential_done(ret);
    *ret = decoded;
    decoded = (struct credential){0};
    return 0;
}
