/* SPDX-License-Identifier: Apache-2.0 */
/* RSA and Crypticle against what Salt's own code made, and against everything that is a little wrong. */
#include "recorded.h"

static void finger_is_salt_keys(void **state) {
    for (size_t i = 0; i < n_releases(); i++) {
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = master_key(release_of(i));
        uint8_t finger[MINION_FINGER_SIZE], parsed[MINION_FINGER_SIZE];
        char text[MINION_FINGER_SIZE * 3];

        assert_int_equal(key_finger(finger, key, KEY_FORM_BODY), 0);
        key_finger_format(text, finger);
        assert_string_equal(text, text_in(release_of(i), "finger"));
        assert_true(minion_finger_parse(parsed, text));
        assert_memory_equal(parsed, finger, sizeof(finger));
    }
}

static void finger_of_the_whole(void **state) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = own_key();
    uint8_t finger[MINION_FINGER_SIZE], expected[MINION_FINGER_SIZE];
    char text[MINION_FINGER_SIZE * 3], *pem = NULL, file[2000];

    assert_int_equal(key_finger(finger, key, KEY_FORM_WHOLE), 0);
    assert_true(minion_finger_parse(expected, text_in(recorded, "public_sha256")));
    assert_memory_equal(finger, expected, sizeof(finger));
    key_finger_format(text, finger);
    assert_int_equal(strlen(text), sizeof(text) - 1);
    assert_int_equal(key_to_public_pem(&pem, key), 0);
    snprintf(file, sizeof(file), "%s\n", pem);
    free(pem);
    assert_int_equal(EVP_Digest(file, strlen(file), expected, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(key_finger(finger, key, KEY_FORM_FILE), 0);
    assert_memory_equal(finger, expected, sizeof(finger));
}

static void finger_texts(void **state) {
    uint8_t finger[MINION_FINGER_SIZE] = {0};
    char text[200];

    memset(text, 'A', 64);
    text[64] = 0;
    assert_true(minion_finger_parse(finger, text));
    assert_int_equal(finger[31], 0xaa);
    text[63] = 0;
    assert_false(minion_finger_parse(finger, text));
    memcpy(text + 63, "aa", 3);
    assert_false(minion_finger_parse(finger, text));
    text[64] = ':';
    assert_false(minion_finger_parse(finger, text));
    text[63] = 'g';
    text[64] = 0;
    assert_false(minion_finger_parse(finger, text));
    assert_false(minion_finger_parse(finger, ""));
}

static void proof_is_salts(void **state) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = own_key();
    uint8_t proof[CRYPT_RSA_MAX], back[CRYPT_RSA_MAX];
    size_t n, n_back;

    assert_int_equal(x931_sign(proof, &n, key, "salt", 4), 0);
    for (size_t i = 0; i < n_releases(); i++) {
        size_t size;
        CLEANUP(cleanup_free) uint8_t *expected = bytes_in(case_of(release_of(i), "accepted", MINION_HASH_SHA1), "proof", &size);

        assert_int_equal(n, size);
        assert_memory_equal(proof, expected, size);
    }
    assert_int_equal(x931_recover(back, &n_back, key, proof, n), 0);
    assert_int_equal(n_back, 4);
    assert_memory_equal(back, "salt", 4);
    for (size_t i = 0; i < n; i += 7) {
        proof[i] ^= 1;
        assert_true(x931_recover(back, &n_back, key, proof, n) < 0);
        proof[i] ^= 1;
    }
    assert_int_equal(x931_recover(back, &n_back, key, proof, n - 1), -EBADMSG);
    assert_int_equal(x931_sign(proof, &n, key, back, 254), -EINVAL);
}

/* Half of all messages have the mirror image as signature, so both ways are seen. */
static void proofs_of_many(void **state) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = own_key();

    for (unsigned i = 0; i < 32; i++) {
        uint8_t proof[CRYPT_RSA_MAX], back[CRYPT_RSA_MAX], message[40];
        size_t n, n_back;

        memset(message, (int)(i * 8), sizeof(message));
        assert_int_equal(x931_sign(proof, &n, key, message, sizeof(message)), 0);
        assert_true(proof[0] < 0x80); /* the smaller of the two */
        assert_int_equal(x931_recover(back, &n_back, key, proof, n), 0);
        assert_int_equal(n_back, sizeof(message));
        assert_memory_equal(back, message, n_back);
    }
}

static void encryption(void **state) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = own_key();

    for (enum minion_hash hash = MINION_HASH_SHA1; hash <= MINION_HASH_SHA224; hash++) {
        uint8_t box[CRYPT_RSA_MAX], plain[CRYPT_RSA_MAX];
        size_t n, n_plain;

        assert_int_equal(crypt_encrypt(box, &n, key, hash, "token", 5), 0);
        assert_int_equal(crypt_decrypt(plain, &n_plain, key, hash, box, n), 0);
        assert_int_equal(n_plain, 5);
        assert_memory_equal(plain, "token", 5);
        assert_int_equal(crypt_decrypt(plain, &n_plain, key, hash == MINION_HASH_SHA1 ? MINION_HASH_SHA224 : MINION_HASH_SHA1, box, n), -EBADMSG);
        box[9] ^= 1;
        assert_int_equal(crypt_decrypt(plain, &n_plain, key, hash, box, n), -EBADMSG);
        assert_int_equal(crypt_decrypt(plain, &n_plain, key, hash, box, 3), -EBADMSG);
        assert_int_equal(crypt_decrypt(plain, &n_plain, key, hash, box, 0), -EBADMSG);
    }
}

static void no_keys(void **state) {
    static const char small[] = /* 1024 bits */
        "-----BEGIN PUBLIC KEY-----\n"
        "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCqGKukO1De7zhZj6+H0qtjTkVxwTCpvKe4eCZ0FPqri0cb2JZfXJ/DgYSF6vUpwmJG8wVQZKjeGcjDOL5UlsuusFnc"
        "CzWBQ7RKNUSesmQRMSGkVb1/3j+skZ6UtW+5u09lHNsj6tQ51s1SPrCBkedbNf0Tp0GbMJDyR4e9T04ZZwIDAQAB\n-----END PUBLIC KEY-----\n";
    static const char ed25519[] = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    EVP_PKEY *key = NULL;

    assert_int_equal(key_from_public_pem(&key, small, sizeof(small) - 1), -EBADMSG);
    assert_int_equal(key_from_public_pem(&key, ed25519, sizeof(ed25519) - 1), -EBADMSG);
    assert_int_equal(key_from_public_pem(&key, "", 0), -EBADMSG);
    assert_int_equal(key_from_private_pem(&key, small, sizeof(small) - 1), -EBADMSG);
    assert_null(key);
}

static void crypticle(void **state) {
    static const uint8_t iv[16] = "0123456789abcdef";

    for (size_t i = 0; i < n_releases(); i++) {
        json_object *one = case_of(release_of(i), "accepted", MINION_HASH_SHA224);
        const char *text = text_in(one, "session");
        struct crypticle session;
        CLEANUP(cleanup_free) uint8_t *plain = NULL, *again = NULL;
        size_t size, n, n_again;
        CLEANUP(cleanup_free) uint8_t *box = bytes_in(one, "box", &size);

        assert_int_equal(crypticle_parse(&session, text, strlen(text)), 0);
        assert_int_equal(crypticle_open(&plain, &n, &session, box, size), 0);
        assert_int_equal(n, 4);
        assert_memory_equal(plain, "\x81\xa1" "a\x01", 4);
        /* With Salt's IV it is Salt's box, byte for byte. */
        assert_int_equal(crypticle_seal(&again, &n_again, &session, box, plain, n), 0);
        assert_int_equal(n_again, size);
        assert_memory_equal(again, box, size);
        for (size_t at = 0; at < size; at++) {
            uint8_t *none = NULL;

            box[at] ^= 0x10;
            assert_int_equal(crypticle_open(&none, &n, &session, box, size), -EBADMSG);
            assert_int_equal(crypticle_open(&none, &n, &session, box, at), -EBADMSG);
            box[at] ^= 0x10;
        }
    }
    for (size_t size = 0; size < 70; size++) { /* each padding */
        struct crypticle session = {{1}, {2}};
        CLEANUP(cleanup_free) uint8_t *box = NULL, *plain = NULL;
        uint8_t message[70] = {0x55};
        size_t n, n_plain;

        assert_int_equal(crypticle_seal(&box, &n, &session, iv, message, size), 0);
        assert_true(n <= size + CRYPTICLE_OVERHEAD);
        assert_int_equal(crypticle_open(&plain, &n_plain, &session, box, n), size ? 0 : -EBADMSG);
        assert_true(!size || (n_plain == size && !memcmp(plain, message, size)));
    }
}

static void session_texts(void **state) {
    char text[78];
    struct crypticle session;

    memset(text, 'A', sizeof(text));
    text[75] = '=';
    assert_int_equal(crypticle_parse(&session, text, 76), 0);
    text[76] = '\n'; /* as write_key leaves it */
    assert_int_equal(crypticle_parse(&session, text, 77), 0);
    assert_int_equal(crypticle_parse(&session, text, 75), -EBADMSG);
    assert_int_equal(crypticle_parse(&session, text, 0), -EBADMSG);
    text[74] = '=';
    assert_int_equal(crypticle_parse(&session, text, 76), -EBADMSG);
    text[74] = '!';
    assert_int_equal(crypticle_parse(&session, text, 76), -EBADMSG);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(finger_is_salt_keys), cmocka_unit_test(finger_of_the_whole), cmocka_unit_test(finger_texts), cmocka_unit_test(proof_is_salts),
        cmocka_unit_test(proofs_of_many),      cmocka_unit_test(encryption),   cmocka_unit_test(no_keys),
        cmocka_unit_test(crypticle),           cmocka_unit_test(session_texts),
    };

    return cmocka_run_group_tests(cases, recorded_load, recorded_unload);
}
