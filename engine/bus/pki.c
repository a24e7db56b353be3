/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pki - reads, makes and pins keys.
 *
 * Keeps: a private key never has a name before it is whole and readable for its owner alone; two processes that make
 * one at the same time end up with the same; one that others can read is refused, for they could publish in our name.
 * Does not: cache, know when a key is wanted. Owns: nothing; PEM texts of private keys are wiped.
 */
#include "pki.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define OWN_BITS 3072
#define PEM_MAX 65536

static int say(struct problem *problem, int r, const char *path, const char *hint) {
    problem_set(problem, path, hint, "%s", strerror(-r));
    return r;
}

/* A whole small file; `ret` is to be wiped by whoever reads secrets. */
static int read_pem(char **ret, size_t *ret_size, const char *path, struct problem *problem) {
    int r = file_read(ret, ret_size, path, PEM_MAX);

    return r < 0 && r != -ENOENT ? say(problem, r, path, "it has to be a key in PEM form") : r;
}

static int check_private(const char *path, struct problem *problem) {
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) || (st.st_uid != geteuid() && st.st_uid != 0))
        return problem_set(problem, path,
                           "chown it to the engine's user and chmod 0400, or remove it: a new one is made",
                           "others could read or replace this private key");
    return 0;
}

static int read_own(EVP_PKEY **ret, const char *path, struct problem *problem) {
    CLEANUP(cleanup_free) char *pem = NULL;
    size_t size = 0;
    int r = check_private(path, problem);

    if (r == 0)
        r = read_pem(&pem, &size, path, problem);
    if (r == -EINVAL || r == -ENOENT)
        return r;
    if (r < 0)
        return say(problem, r, path, "run it as the user that the engine runs as");
    r = key_from_private_pem(ret, pem, size);
    OPENSSL_cleanse(pem, size);
    if (r == -EBADMSG)
        return problem_set(problem, path, "remove it: a new one is made, to be accepted anew",
                           "this is no RSA key of at least %d bits", CRYPT_RSA_LEAST);
    return r;
}

/* As PEM under a name that nobody looks for; then the real name, unless somebody was faster. */
static int store_private(const char *path, EVP_PKEY *key) {
    char draft[PATH_MAX], tail[17];
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long size = 0;
    int r = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? 0 : -ENOMEM;

    if (r == 0)
        size = BIO_get_mem_data(bio, &data);
    if (r == 0)
        r = random_hex(tail, sizeof(tail) - 1);
    if (r == 0 && snprintf(draft, sizeof(draft), "%s.%s", path, tail) >= (int)sizeof(draft))
        r = -ENAMETOOLONG;
    if (r == 0)
        r = file_write_atomic(draft, data, (size_t)size, 0400, true);
    if (r == 0) {
        r = link(draft, path) < 0 && errno != EEXIST ? -errno : 0;
        unlink(draft);
    }
    if (data)
        OPENSSL_cleanse(data, (size_t)size);
    BIO_free_all(bio);
    return r;
}

static int store_public(const char *path, EVP_PKEY *key) {
    CLEANUP(cleanup_free) char *pem = NULL, *line = NULL;
    int r = key_to_public_pem(&pem, key);

    if (r < 0)
        return r;
    if (asprintf(&line, "%s\n", pem) < 0) {
        line = NULL;
        return -ENOMEM;
    }
    return file_write_atomic(path, line, strlen(line), 0644, true);
}

static int make_own(const char *dir, const char *path, struct problem *problem) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
    int r;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return say(problem, -errno, dir, "state_dir has to exist, and belong to the user that the engine runs as");
    key = EVP_RSA_gen(OWN_BITS);
    r = key ? store_private(path, key) : -ENOMEM;
    ERR_clear_error();
    return r < 0 ? say(problem, r, path, "it has to belong to the user that the engine runs as") : 0;
}

int pki_own_key(EVP_PKEY **ret, const char *dir, struct problem *problem) {
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
    char path[PATH_MAX], public_path[PATH_MAX];
    int r;

    if (snprintf(path, sizeof(path), "%s/minion.pem", dir) >= (int)sizeof(path))
        return say(problem, -ENAMETOOLONG, dir, NULL);
    snprintf(public_path, sizeof(public_path), "%s/minion.pub", dir);
    r = read_own(&key, path, problem);
    if (r == -ENOENT) {
        r = make_own(dir, path, problem);
        if (r == 0)
            r = read_own(&key, path, problem);
        if (r == 0 && (r = store_public(public_path, key)) < 0)
            return say(problem, r, public_path, NULL);
    }
    if (r < 0)
        return r == -EINVAL ? r : problem && problem->what[0] ? r : say(problem, r, path, NULL);
    *ret = TAKE_PTR(key);
    return 0;
}

int pki_master_key(EVP_PKEY **ret, const char *path, struct problem *problem) {
    CLEANUP(cleanup_free) char *pem = NULL;
    size_t size;
    int r = read_pem(&pem, &size, path, problem);

    if (r == -ENOENT)
        return say(problem, r, path, "copy pki/master/master.pub from the salt-master");
    if (r < 0)
        return r;
    r = key_from_public_pem(ret, pem, size);
    if (r == -EBADMSG)
        return problem_set(problem, path, "copy pki/master/master.pub from the salt-master",
                           "this is no public RSA key of at least %d bits", CRYPT_RSA_LEAST);
    return r;
}

static int pinned_path(char ret[PATH_MAX], const char *dir, const struct minion_master *master) {
    int n = snprintf(ret, PATH_MAX, "%s/masters/%s_%u.pub", dir, master->host, master->port);

    return n >= PATH_MAX || strchr(master->host, '/') ? -EINVAL : 0;
}

int pki_pinned(EVP_PKEY **ret, const char *dir, const struct minion_master *master, struct problem *problem) {
    char path[PATH_MAX];
    int r = pinned_path(path, dir, master);

    if (r < 0)
        return say(problem, r, dir, NULL);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    return pki_master_key(ret, path, problem);
}

int pki_pin(const char *dir, const struct minion_master *master, EVP_PKEY *key, struct problem *problem) {
    char path[PATH_MAX], masters[PATH_MAX];
    int r = pinned_path(path, dir, master);

    if (r == 0 && snprintf(masters, sizeof(masters), "%s/masters", dir) >= (int)sizeof(masters))
        r = -ENAMETOOLONG;
    if (r == 0 && mkdir(masters, 0700) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0)
        r = store_public(path, key);
    return r < 0 ? say(problem, r, path, NULL) : 0;
}
