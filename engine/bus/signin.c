/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sign-in - Salt's `_auth`, version 3 of its protocol.
 *
 * We send our public key; the master answers with keys that only we can read, in a load that only it can sign. Order of
 * belief: the answer names the master's public key, that key must be the pinned one, the load must be signed with it
 * and hold our nonce, and the key of the session is decrypted last. The `sig` inside and the token prove the same again in
 * Salt's older way, and are checked as well.
 * Keeps: nothing of an answer counts before its signature does, but for a "wait". Does not: remember attempts, read the
 * clock, pin (minion.c does). Owns: nothing; keys on the way are wiped.
 */
#include "signin.h"

#include "fields.h"
#include "out.h"

#include <openssl/crypto.h>
#include <string.h>

void signin_answer_done(struct signin_answer *answer) {
    EVP_PKEY_free(answer->master);
    answer->master = NULL;
    crypticle_wipe(&answer->crypticle);
}

void signin_pack_hash(struct out *out, enum minion_hash hash) {
    out_string(out, "enc_algo");
    out_string(out, hash == MINION_HASH_SHA224 ? "OAEP-SHA224" : "OAEP-SHA1");
    out_string(out, "sig_algo");
    out_string(out, hash == MINION_HASH_SHA224 ? "PKCS1v15-SHA224" : "PKCS1v15-SHA1");
}

int signin_pack(uint8_t **ret, size_t *ret_size, const struct signin *signin) {
    CLEANUP(out_done) struct out out = {0};
    CLEANUP(cleanup_free) char *pem = NULL;
    uint8_t token[CRYPT_RSA_MAX];
    size_t token_size = 0;
    int r = key_to_public_pem(&pem, signin->key);

    if (r == 0 && signin->master)
        r = crypt_encrypt(token, &token_size, signin->master, signin->hash, signin->token, SIGNIN_TOKEN);
    if (r < 0)
        return r;
    out_begin(&out);
    msgpack_pack_map(&out.packer, 3);
    out_string(&out, "enc");
    out_string(&out, "clear");
    out_string(&out, "version");
    msgpack_pack_int(&out.packer, 3);
    out_string(&out, "load");
    msgpack_pack_map(&out.packer, signin->master ? 7 : 6);
    out_string(&out, "cmd");
    out_string(&out, "_auth");
    out_string(&out, "id");
    out_string(&out, signin->id);
    out_string(&out, "nonce");
    out_string(&out, signin->nonce);
    signin_pack_hash(&out, signin->hash);
    out_string(&out, "pub");
    out_string(&out, pem);
    if (signin->master) {
        /* As bin: as str it would have to be UTF-8 for the master's unpacker. */
        out_string(&out, "token");
        msgpack_pack_bin(&out.packer, token_size);
        msgpack_pack_bin_body(&out.packer, token, token_size);
    }
    return out_take(&out, ret, ret_size);
}

static bool text_is(const struct value *value, const char *text) {
    return value_is_text(value) && value->size == strlen(text) && !memcmp(value->data, text, value->size);
}

static bool find_text(struct value *ret, const struct value *map, const char *key) {
    return fields_find(ret, map->data, map->size, key) == 0 && value_is_text(ret);
}

/* `ret` of a refusal, signed or not. */
static int refusal(const struct value *load) {
    struct value ret;

    if (fields_find(&ret, load->data, load->size, "ret") < 0)
        return SIGNIN_GARBAGE;
    if (ret.head.kind == TOKEN_BOOL)
        return ret.head.number.b ? SIGNIN_PENDING : SIGNIN_REJECTED;
    if (text_is(&ret, "full"))
        return SIGNIN_FULL;
    if (text_is(&ret, "bad sig algo") || text_is(&ret, "bad enc algo"))
        return SIGNIN_HASH;
    return SIGNIN_GARBAGE;
}

static bool is_trusted(const struct signin *signin, EVP_PKEY *master) {
    uint8_t finger[MINION_FINGER_SIZE];

    if (signin->master)
        return EVP_PKEY_eq(signin->master, master) == 1;
    if (signin->n_fingers == 0)
        return true;
    for (enum key_form form = 0; form < KEY_FORM_MAX; form++)
        for (size_t i = 0; i < signin->n_fingers; i++)
            if (key_finger(finger, master, form) == 0 && !memcmp(signin->fingers[i], finger, sizeof(finger)))
                return true;
    return false;
}

/* The text of a field that is encrypted for us. */
static int decrypt(uint8_t ret[CRYPT_RSA_MAX], size_t *ret_size, const struct signin *signin, const struct value *load,
                   const char *key) {
    struct value value;

    if (!find_text(&value, load, key))
        return -ENOENT;
    return crypt_decrypt(ret, ret_size, signin->key, signin->hash, value.data, value.size);
}

/* The inner signature is over the hex digest of the decrypted `aes`. */
static bool aes_is_signed(EVP_PKEY *master, const struct value *load, const uint8_t *aes, size_t size) {
    uint8_t digest[32], recovered[CRYPT_RSA_MAX] = {0};
    char hex[65];
    struct value sig;
    size_t n;

    if (!find_text(&sig, load, "sig") || x931_recover(recovered, &n, master, sig.data, sig.size) < 0 ||
        EVP_Digest(aes, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    hex_format(hex, digest, sizeof(digest));
    return n == 64 && !CRYPTO_memcmp(recovered, hex, n);
}

/* The token comes back by itself, or (auth_mode 2) behind `aes`, which is then cut to what is before it. */
static bool token_came_back(const struct signin *signin, const struct value *load, const uint8_t *aes,
                            size_t *aes_size) {
    static const char between[] = "_|-";
    uint8_t token[CRYPT_RSA_MAX];
    const uint8_t *found = memmem(aes, *aes_size, between, sizeof(between) - 1);
    size_t n = 0;

    if (found) {
        n = (size_t)(aes + *aes_size - found) - (sizeof(between) - 1);
        memcpy(token, found + sizeof(between) - 1, n);
        *aes_size = (size_t)(found - aes);
    } else if (decrypt(token, &n, signin, load, "token") < 0) {
        n = 0;
    }
    return !signin->master || (n == SIGNIN_TOKEN && !CRYPTO_memcmp(token, signin->token, n));
}

static int take_keys(struct signin_answer *ret, const struct signin *signin, EVP_PKEY *master,
                     const struct value *load) {
    uint8_t aes[CRYPT_RSA_MAX], session[CRYPT_RSA_MAX];
    size_t n_aes, n_session;
    int r = decrypt(aes, &n_aes, signin, load, "aes"), outcome = SIGNIN_FORGED;

    if (r == -ENOMEM)
        return r;
    if (r == 0 && aes_is_signed(master, load, aes, n_aes) && token_came_back(signin, load, aes, &n_aes)) {
        r = decrypt(session, &n_session, signin, load, "session");
        ret->has_session = r != -ENOENT;
        if (r == -ENOENT)
            r = crypticle_parse(&ret->crypticle, (const char *)aes, n_aes);
        else if (r == 0)
            r = crypticle_parse(&ret->crypticle, (const char *)session, n_session);
        outcome = r == 0 ? SIGNIN_ACCEPTED : SIGNIN_FORGED;
    }
    OPENSSL_cleanse(aes, sizeof(aes));
    OPENSSL_cleanse(session, sizeof(session));
    return outcome;
}

/* The signed bytes, of which nothing is believed yet. */
static int read_signed(struct signin_answer *ret, const struct signin *signin, const struct value *bytes,
                       const struct value *sig) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *named = NULL;
    EVP_PKEY *master = signin->master;
    struct value load, nonce, pub;
    int r;

    if (value_read(&load, bytes->data, bytes->size) < 0 || load.head.kind != TOKEN_MAP)
        return SIGNIN_GARBAGE;
    if (!find_text(&nonce, &load, "nonce") || !text_is(&nonce, signin->nonce))
        return SIGNIN_FORGED;
    if (find_text(&pub, &load, "pub_key")) {
        if (key_from_public_pem(&named, (const char *)pub.data, pub.size) < 0)
            return SIGNIN_GARBAGE;
        master = named;
    }
    if (named && !is_trusted(signin, named)) {
        ret->master = TAKE_PTR(named);
        return SIGNIN_OTHER_MASTER;
    }
    if (!master) /* a refusal names no key: there is nothing to verify it with, and nothing to be had by it */
        return refusal(&load);
    if (crypt_verify(master, signin->hash, bytes->data, bytes->size, sig->data, sig->size) < 0)
        return SIGNIN_FORGED;
    if (!named)
        return refusal(&load);
    r = take_keys(ret, signin, named, &load);
    if (r == SIGNIN_ACCEPTED)
        ret->master = TAKE_PTR(named);
    return r;
}

int signin_read(struct signin_answer *ret, const struct signin *signin, const uint8_t *reply, size_t size) {
    struct signin_answer answer = {0};
    struct value top, load, sig;
    int r;

    if (value_read(&top, reply, size) < 0)
        return SIGNIN_GARBAGE;
    if (text_is(&top, "bad load"))
        return SIGNIN_REFUSED;
    if (top.head.kind != TOKEN_MAP || fields_find(&load, top.data, top.size, "load") < 0)
        return SIGNIN_GARBAGE;
    if (load.head.kind == TOKEN_MAP)
        return refusal(&load);
    if (!value_is_text(&load) || !find_text(&sig, &top, "sig"))
        return SIGNIN_GARBAGE;
    r = read_signed(&answer, signin, &load, &sig);
    if (r == SIGNIN_ACCEPTED || r == SIGNIN_OTHER_MASTER)
        *ret = answer;
    else
        signin_answer_done(&answer);
    return r;
}
