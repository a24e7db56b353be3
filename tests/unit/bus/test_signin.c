/* SPDX-License-Identifier: Apache-2.0 */
/* The sign-in against recorded masters of every release, and against answers that are forged, cut or somebody else's. */
#include "fields.h"
#include "load.h"
#include "recorded.h"

#include <openssl/rsa.h>

struct attempt {
    struct signin signin;
    EVP_PKEY *key, *master;
    uint8_t *reply;
    size_t size;
};

static void attempt_done(struct attempt *attempt) {
    EVP_PKEY_free(attempt->key);
    EVP_PKEY_free(attempt->master);
    free(attempt->reply);
}

static struct attempt attempt_of(json_object *release, const char *state, enum minion_hash hash) {
    struct attempt attempt = {.key = own_key(), .master = master_key(release)};
    size_t n;
    CLEANUP(cleanup_free) uint8_t *token = bytes_in(recorded, "token", &n);

    attempt.reply = bytes_in(case_of(release, state, hash), "reply", &attempt.size);
    attempt.signin = (struct signin){.id = text_in(recorded, "id"), .key = attempt.key, .hash = hash, .master = attempt.master};
    memcpy(attempt.signin.nonce, text_in(recorded, "nonce"), SIGNIN_NONCE + 1);
    assert_int_equal(n, SIGNIN_TOKEN);
    memcpy(attempt.signin.token, token, n);
    return attempt;
}

/* What it says; `session` is checked if it is accepted. */
static int read_attempt(const struct attempt *attempt, const char *session) {
    struct signin_answer answer = {0};
    struct crypticle expected;
    int r = signin_read(&answer, &attempt->signin, attempt->reply, attempt->size);

    if (r == SIGNIN_ACCEPTED) {
        assert_int_equal(EVP_PKEY_eq(answer.master, attempt->master), 1);
        assert_true(answer.has_session);
        if (session) {
            assert_int_equal(crypticle_parse(&expected, session, strlen(session)), 0);
            assert_memory_equal(&answer.crypticle, &expected, sizeof(expected));
        }
    }
    signin_answer_done(&answer);
    return r;
}

/* The i-th of every release with either hash. */
#define N_CASES (n_releases() * 2)
static struct attempt attempt_at(size_t i, const char *state) {
    return attempt_of(release_of(i / 2), state, i % 2 ? MINION_HASH_SHA224 : MINION_HASH_SHA1);
}

static void accepted(void **state) {
    assert_int_equal(n_releases(), 6);
    for (size_t i = 0; i < N_CASES; i++) {
        CLEANUP(attempt_done) struct attempt attempt = attempt_at(i, "accepted");
        const char *session = text_in(case_of(release_of(i / 2), "accepted", attempt.signin.hash), "session");

        assert_int_equal(read_attempt(&attempt, session), SIGNIN_ACCEPTED);
    }
}

static void pending_and_rejected(void **state) {
    for (size_t i = 0; i < N_CASES; i++) {
        CLEANUP(attempt_done) struct attempt attempt = attempt_at(i, "pending");

        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_PENDING);
        attempt.signin.master = NULL; /* a fingerprint alone verifies no refusal, and waiting needs none */
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_PENDING);
    }
    for (size_t i = 0; i < N_CASES; i++) {
        CLEANUP(attempt_done) struct attempt attempt = attempt_at(i, "rejected");

        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_REJECTED);
    }
}

static void refusals_in_the_clear(void **state) {
    for (size_t i = 0; i < n_releases(); i++) {
        CLEANUP(attempt_done) struct attempt attempt = attempt_of(release_of(i), "pending", MINION_HASH_SHA1);
        json_object *pending = json_get(release_of(i), "pending");

        free(attempt.reply);
        attempt.reply = bytes_in(pending, "odd", &attempt.size);
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_HASH);
        free(attempt.reply);
        attempt.reply = bytes_in(pending, "old", &attempt.size);
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_REFUSED);
    }
}

static void who_the_master_is(void **state) {
    static uint8_t fingers[2][MINION_FINGER_SIZE];

    for (size_t i = 0; i < N_CASES; i++) {
        CLEANUP(attempt_done) struct attempt attempt = attempt_at(i, "accepted");
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *other = master_key(release_of((i / 2 + 1) % n_releases()));

        attempt.signin.master = NULL;
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_ACCEPTED); /* nothing pinned: first use */
        attempt.signin.fingers = (const uint8_t(*)[MINION_FINGER_SIZE])fingers;
        attempt.signin.n_fingers = 2;
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_OTHER_MASTER);
        for (enum key_form form = 0; form < KEY_FORM_MAX; form++) {
            assert_int_equal(key_finger(fingers[1], other, form), 0);
            assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_OTHER_MASTER);
            assert_int_equal(key_finger(fingers[1], attempt.master, form), 0);
            assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_ACCEPTED);
        }
        attempt.signin.master = other;
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_OTHER_MASTER);
        memset(fingers, 0, sizeof(fingers));
    }
}

static void of_another_attempt(void **state) {
    for (size_t i = 0; i < N_CASES; i++) {
        CLEANUP(attempt_done) struct attempt attempt = attempt_at(i, "accepted");
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *other = EVP_RSA_gen(2048);

        attempt.signin.nonce[31] ^= 1;
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_FORGED);
        attempt.signin.nonce[31] ^= 1;
        attempt.signin.token[31] ^= 1;
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_FORGED);
        attempt.signin.token[31] ^= 1;
        attempt.signin.hash = attempt.signin.hash == MINION_HASH_SHA1 ? MINION_HASH_SHA224 : MINION_HASH_SHA1;
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_FORGED);
        attempt.signin.hash = attempt.signin.hash == MINION_HASH_SHA1 ? MINION_HASH_SHA224 : MINION_HASH_SHA1;
        attempt.signin.key = other;
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_FORGED);
        if (i == 1)
            break; /* making keys takes its time */
    }
}

/* Nowhere in the answer is there a bit that does not count, and no cut one is read behind its end. */
static void each_byte_counts(void **state) {
    CLEANUP(attempt_done) struct attempt attempt = attempt_of(release_of(n_releases() - 1), "accepted", MINION_HASH_SHA224);
    size_t whole = attempt.size, outside = 0;

    for (size_t at = 0; at < whole; at++) {
        attempt.reply[at] ^= 0x01;
        outside += read_attempt(&attempt, NULL) == SIGNIN_ACCEPTED;
        attempt.reply[at] ^= 0x01;
    }
    assert_true(outside <= 8); /* "enc": "clear", which is outside of the signature and not looked at */
    for (attempt.size = 0; attempt.size < whole; attempt.size++) {
        uint8_t *cut = malloc(attempt.size + 1), *kept = attempt.reply;

        memcpy(cut, kept, attempt.size);
        attempt.reply = realloc(cut, attempt.size ? attempt.size : 1);
        assert_int_equal(read_attempt(&attempt, NULL), SIGNIN_GARBAGE);
        free(attempt.reply);
        attempt.reply = kept;
    }
}

static void garbage(void **state) {
    static const char *const replies[] = {
        "", "\xc0", "\xc1", "\xa3" "bad", "\x80", "\x81\xa4load\x80", "\x81\xa4load\x81\xa3ret\x01", "\x81\xa4load\xa1x",
        "\x82\xa4load\x80\xa3sig\xa1x", "\x82\xa4load\xa1\x80\xa3sig\xa1x", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "HTTP/1.1 400 Bad Request\r\n",
    };
    CLEANUP(attempt_done) struct attempt attempt = attempt_of(release_of(0), "accepted", MINION_HASH_SHA1);

    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        int r;

        free(attempt.reply);
        attempt.size = strlen(replies[i]);
        attempt.reply = malloc(attempt.size + 1);
        memcpy(attempt.reply, replies[i], attempt.size);
        r = read_attempt(&attempt, NULL);
        assert_true(r == SIGNIN_GARBAGE || r == SIGNIN_FORGED);
    }
}

static void what_is_asked(void **state) {
    CLEANUP(attempt_done) struct attempt attempt = attempt_of(release_of(0), "accepted", MINION_HASH_SHA224);
    CLEANUP(cleanup_free) uint8_t *request = NULL, *plain = NULL, *without = NULL;
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *pub = NULL;
    struct value top, load, value;
    uint8_t token[CRYPT_RSA_MAX];
    size_t n;

    attempt.signin.master = attempt.key; /* whose private half the test has */
    assert_int_equal(signin_pack(&request, &n, &attempt.signin), 0);
    assert_int_equal(value_read(&top, request, n), 0);
    assert_int_equal(fields_find(&value, top.data, top.size, "version"), 0);
    assert_int_equal(value.head.number.i, 3);
    assert_int_equal(fields_find(&load, top.data, top.size, "load"), 0);
    assert_int_equal(fields_find(&value, load.data, load.size, "enc_algo"), 0);
    assert_memory_equal(value.data, "OAEP-SHA224", value.size);
    assert_int_equal(fields_find(&value, load.data, load.size, "pub"), 0);
    assert_int_equal(key_from_public_pem(&pub, (const char *)value.data, value.size), 0);
    assert_int_equal(EVP_PKEY_eq(pub, attempt.key), 1);
    assert_int_equal(fields_find(&value, load.data, load.size, "token"), 0);
    assert_int_equal(crypt_decrypt(token, &n, attempt.key, MINION_HASH_SHA224, value.data, value.size), 0);
    assert_int_equal(n, SIGNIN_TOKEN);
    assert_memory_equal(token, attempt.signin.token, n);
    attempt.signin.master = NULL;
    assert_int_equal(signin_pack(&without, &n, &attempt.signin), 0);
    assert_int_equal(value_read(&top, without, n), 0);
    assert_int_equal(fields_find(&load, top.data, top.size, "load"), 0);
    assert_int_equal(fields_find(&value, load.data, load.size, "token"), -ENOENT);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(accepted),           cmocka_unit_test(pending_and_rejected), cmocka_unit_test(refusals_in_the_clear),
        cmocka_unit_test(who_the_master_is),  cmocka_unit_test(of_another_attempt),   cmocka_unit_test(each_byte_counts),
        cmocka_unit_test(garbage),            cmocka_unit_test(what_is_asked),
    };

    return cmocka_run_group_tests(cases, recorded_load, recorded_unload);
}
