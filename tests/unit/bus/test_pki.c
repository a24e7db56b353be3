/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: made once, kept to their owner, and refused when they are not what they should be. */
#include "pki.h"
#include "recorded.h"

#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64], pki[80], private_path[128], public_path[128];

static void write_file(const char *path, const char *text, unsigned mode) {
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode, false), 0);
}

static int setup(void **state) {
    snprintf(dir, sizeof(dir), "/tmp/nodewall-pki.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(pki, sizeof(pki), "%s/pki", dir);
    snprintf(private_path, sizeof(private_path), "%s/minion.pem", pki);
    snprintf(public_path, sizeof(public_path), "%s/minion.pub", pki);
    return 0;
}

static int teardown(void **state) {
    char path[160];

    unlink(private_path);
    unlink(public_path);
    snprintf(path, sizeof(path), "%s/masters/::1_4506.pub", pki);
    unlink(path);
    snprintf(path, sizeof(path), "%s/masters", pki);
    rmdir(path);
    rmdir(pki);
    return rmdir(dir); /* nothing was left lying about */
}

static unsigned mode_of(const char *path) {
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void made_once(void **state) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *first = NULL, *second = NULL, *shown = NULL;
    struct problem problem = {0};

    assert_int_equal(pki_own_key(&first, pki, &problem), 0);
    assert_true(EVP_PKEY_get_bits(first) >= 2048);
    assert_int_equal(mode_of(private_path), 0400);
    assert_int_equal(mode_of(pki), 0700);
    assert_int_equal(pki_own_key(&second, pki, &problem), 0);
    assert_int_equal(EVP_PKEY_eq(first, second), 1);
    assert_int_equal(pki_master_key(&shown, public_path, &problem), 0);
    assert_int_equal(EVP_PKEY_eq(first, shown), 1);
}

/* Several that begin at the same moment end up with one key. */
static void made_by_several(void **state) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *kept = NULL;
    uint8_t expected[MINION_FINGER_SIZE], seen[MINION_FINGER_SIZE];
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    for (unsigned i = 0; i < 3; i++) {
        if (fork() == 0) {
            EVP_PKEY *key = NULL;

            if (pki_own_key(&key, pki, NULL) == 0 && key_finger(seen, key, KEY_FORM_BODY) == 0)
                _exit(write(pipes[1], seen, sizeof(seen)) != sizeof(seen));
            _exit(1);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(pki_own_key(&kept, pki, NULL), 0);
    assert_int_equal(key_finger(expected, kept, KEY_FORM_BODY), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(read(pipes[0], seen, sizeof(seen)), sizeof(seen));
        assert_memory_equal(seen, expected, sizeof(seen));
    }
    close(pipes[0]);
    close(pipes[1]);
}

static void not_for_others(void **state) {
    static const unsigned modes[] = {0440, 0404, 0620, 0644};
    EVP_PKEY *key = NULL;

    assert_int_equal(mkdir(pki, 0700), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct problem problem = {0};

        write_file(private_path, text_in(recorded, "key"), modes[i]);
        assert_int_equal(chmod(private_path, modes[i]), 0);
        assert_int_equal(pki_own_key(&key, pki, &problem), -EINVAL);
        assert_string_equal(problem.where, private_path);
        assert_non_null(strstr(problem.hint, "chmod 0400"));
        assert_int_equal(mode_of(private_path), modes[i]);
    }
    assert_null(key);
}

static void no_key_in_it(void **state) {
    static const char *const texts[] = {"", "x", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"};
    EVP_PKEY *key = NULL;

    assert_int_equal(mkdir(pki, 0700), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct problem problem = {0};

        write_file(private_path, texts[i], 0400);
        assert_int_equal(pki_own_key(&key, pki, &problem), -EINVAL);
        assert_non_null(strstr(problem.what, "no RSA key"));
        assert_int_equal(pki_master_key(&key, private_path, &problem), -EINVAL);
        assert_non_null(strstr(problem.hint, "master.pub"));
    }
    assert_null(key);
}

static void nowhere_to_put_it(void **state) {
    struct problem problem = {0};
    EVP_PKEY *key = NULL;
    char below[160];

    snprintf(below, sizeof(below), "%s/none/pki", dir);
    assert_int_equal(pki_own_key(&key, below, &problem), -ENOENT);
    assert_string_equal(problem.where, below);
    assert_non_null(strstr(problem.hint, "state_dir"));
    assert_int_equal(pki_master_key(&key, below, &problem), -ENOENT);
    assert_null(key);
}

static void pinned(void **state) {
    const struct minion_master one = {"::1", 4506}, two = {"::1", 4507}, bad = {"../../x", 1};
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = own_key(), *found = NULL, *none = NULL;
    struct problem problem = {0};

    assert_int_equal(mkdir(pki, 0700), 0);
    assert_int_equal(pki_pinned(&none, pki, &one, &problem), 0);
    assert_int_equal(pki_pin(pki, &one, key, &problem), 0);
    assert_int_equal(pki_pinned(&found, pki, &one, &problem), 0);
    assert_int_equal(EVP_PKEY_eq(found, key), 1);
    assert_int_equal(pki_pinned(&none, pki, &two, &problem), 0);
    assert_null(none);
    assert_true(pki_pin(pki, &bad, key, &problem) < 0);
    assert_true(pki_pinned(&none, pki, &bad, &problem) < 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest cases[] = {
        CASE(made_once),    CASE(made_by_several),   CASE(not_for_others),
        CASE(no_key_in_it), CASE(nowhere_to_put_it), CASE(pinned),
    };

    return cmocka_run_group_tests(cases, recorded_load, recorded_unload);
}
