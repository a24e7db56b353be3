/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials - today's token, CA, certificate and key of an endpoint, from its files or from its exec plugin.
 *
 * Whoever renews a credential writes files while we read them: a token is replaced every hour, a certificate and its
 * key one after the other, a CA by an editor. So nothing is taken into use before it was found whole: a token is one
 * line, a PEM parses to its end, a key fits its certificate. What is not yet so is looked at again with the next
 * request.
 *
 * Keeps: what worked stays in use until something better is there; certificate and key change together.
 * Does not: know whether the server likes them, open a connection, log. Owns: copies of all four, overwritten when they
 * go.
 */
#include "credentials.h"

#include "exec.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

static void held_done(struct held *held) {
    if (held->data)
        OPENSSL_cleanse(held->data, held->size);
    free(held->data);
    *held = (struct held){0};
}

static void held_replace(struct held *held, struct held *by) {
    held_done(held);
    *held = *by;
    *by = (struct held){0};
}

static void bio_done(BIO **bio) {
    BIO_free(*bio);
}

static void x509_done(X509 **certificate) {
    X509_free(*certificate);
}

static void pkey_done(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
}

void credentials_init(struct credentials *credentials, const struct endpoint *endpoint) {
    *credentials = (struct credentials){.endpoint = endpoint, .expires = MSEC_NEVER};
}

void credentials_done(struct credentials *credentials) {
    held_done(&credentials->ca);
    held_done(&credentials->certificate);
    held_done(&credentials->key);
    held_done(&credentials->token);
}

void credentials_refused(struct credentials *credentials) {
    credentials->token_refused = true;
    login_refused(&credentials->login);
}

void credentials_accepted(struct credentials *credentials) {
    login_accepted(&credentials->login);
}

static bool is_given(const struct credential *source) {
    return source->data || source->path;
}

/* What a problem is pinned to: the file, or the key of the kubeconfig. */
struct place {
    char text[600];
};

static const char *place(struct place *ret, const struct credentials *credentials, const char *path, const char *key) {
    if (path)
        return path;
    snprintf(ret->text, sizeof(ret->text), "%s of %s", key, credentials->endpoint->origin);
    return ret->text;
}

static bool get_stamp(struct stamp *ret, const char *path) {
    struct stat status;

    if (stat(path, &status) < 0)
        return false;
    *ret = (struct stamp){.device = status.st_dev, .inode = status.st_ino, .size = status.st_size,
                          .modified = status.st_mtim, .changed = status.st_ctim};
    return true;
}

static bool same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether the file is, as far as can be told without reading it, the one that is in use. */
static bool is_current(const struct held *held, const struct credential *source) {
    struct stamp now;

    if (!is_given(source))
        return true;
    if (!held->data)
        return false;
    if (!source->path)
        return true;
    return get_stamp(&now, source->path) && now.device == held->stamp.device && now.inode == held->stamp.inode &&
           now.size == held->stamp.size && same_time(&now.modified, &held->stamp.modified) &&
           same_time(&now.changed, &held->stamp.changed);
}

/* The stamp is taken before the file is read: what is written in between is found changed the next time. */
static int read_file(struct held *ret, const char *path, struct problem *problem) {
    struct held held = {0};
    struct stat status;
    int r;

    /* Opening a pipe would wait for its other end, and the whole engine with it. */
    if (stat(path, &status) >= 0 && !S_ISREG(status.st_mode))
        return problem_set(problem, path, "name a plain file", "this is no plain file");
    get_stamp(&held.stamp, path);
    r = file_read(&held.data, &held.size, path, CREDENTIAL_LIMIT);
    if (r == -ENOMEM)
        return r;
    if (r == -EFBIG)
        return problem_set(problem, path, "", "the file is larger than %d KiB", CREDENTIAL_LIMIT / 1024);
    if (r < 0)
        return problem_set(problem, path, "", "the file cannot be read: %s", strerror(-r));
    *ret = held;
    return 0;
}

static int read_source(struct held *ret, const struct credential *source, struct problem *problem) {
    if (source->path)
        return read_file(ret, source->path, problem);
    ret->data = malloc(source->size + 1);
    if (!ret->data)
        return -ENOMEM;
    memcpy(ret->data, source->data, source->size);
    ret->data[source->size] = 0;
    ret->size = source->size;
    return 0;
}

/* Without this OpenSSL would ask for a passphrase on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *userdata) {
    *(bool *)userdata = true;
    return -1;
}

/* Every certificate of a PEM: the first one into *ret. -EINVAL if there is none or one that is not whole. */
static int parse_certificates(X509 **ret, const struct held *held, const char *where, struct problem *problem) {
    CLEANUP(bio_done) BIO *bio = BIO_new_mem_buf(held->data, (int)held->size);
    CLEANUP(x509_done) X509 *first = NULL;
    bool asked = false, at_end;
    unsigned long error;

    if (!bio)
        return -ENOMEM;
    ERR_clear_error();
    for (;;) {
        CLEANUP(x509_done) X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, &asked);

        if (!certificate)
            break;
        if (!first)
            first = TAKE_PTR(certificate);
    }
    error = ERR_peek_last_error();
    at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!at_end)
        return problem_set(problem, where, "is it still being written?", "a certificate in it is broken or cut off");
    if (!first)
        return problem_set(problem, where, "a certificate begins with -----BEGIN CERTIFICATE-----",
                           "there is no PEM certificate in it");
    if (ret)
        *ret = TAKE_PTR(first);
    return 0;
}

static int parse_key(EVP_PKEY **ret, const struct held *held, const char *where, struct problem *problem) {
    CLEANUP(bio_done) BIO *bio = BIO_new_mem_buf(held->data, (int)held->size);
    bool asked = false;
    EVP_PKEY *key;

    if (!bio)
        return -ENOMEM;
    ERR_clear_error();
    key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    ERR_clear_error();
    if (!key && asked)
        return problem_set(problem, where, "store it without one: nobody is there to type it",
                           "the private key is protected by a passphrase");
    if (!key)
        return problem_set(problem, where, "is it still being written?", "there is no whole PEM private key in it");
    *ret = key;
    return 0;
}

static msec expiry_of(const X509 *certificate) {
    struct tm tm;

    if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm))
        return MSEC_NEVER;
    return (msec)timegm(&tm) * 1000;
}

static int load_ca(struct credentials *credentials, struct problem *problem) {
    const struct credential *source = &credentials->endpoint->ca;
    CLEANUP(held_done) struct held held = {0};
    struct place where;
    int r = read_source(&held, source, problem);

    if (r >= 0)
        r = parse_certificates(NULL, &held, place(&where, credentials, source->path, "certificate-authority-data"), problem);
    if (r >= 0)
        held_replace(&credentials->ca, &held);
    return r;
}

/* Both parse, and belong together. */
static int check_pair(msec *ret_expires, const struct held *certificate, const char *certificate_place, const struct held *key,
                      const char *key_place, struct problem *problem) {
    CLEANUP(x509_done) X509 *x509 = NULL;
    CLEANUP(pkey_done) EVP_PKEY *pkey = NULL;
    int r = parse_certificates(&x509, certificate, certificate_place, problem);

    if (r >= 0)
        r = parse_key(&pkey, key, key_place, problem);
    if (r < 0)
        return r;
    r = X509_check_private_key(x509, pkey);
    ERR_clear_error();
    if (r != 1)
        return problem_set(problem, key_place, "they must be renewed together",
                           "the private key does not belong to the client certificate");
    *ret_expires = expiry_of(x509);
    return 0;
}

static int load_pair(struct credentials *credentials, struct problem *problem) {
    const struct endpoint *endpoint = credentials->endpoint;
    CLEANUP(held_done) struct held certificate = {0}, key = {0};
    struct place where, key_where;
    int r = read_source(&certificate, &endpoint->certificate, problem);

    if (r >= 0)
        r = read_source(&key, &endpoint->key, problem);
    if (r >= 0)
        r = check_pair(&credentials->expires, &certificate,
                       place(&where, credentials, endpoint->certificate.path, "client-certificate-data"), &key,
                       place(&key_where, credentials, endpoint->key.path, "client-key-data"), problem);
    if (r < 0)
        return r;
    held_replace(&credentials->certificate, &certificate);
    held_replace(&credentials->key, &key);
    return 0;
}

static void held_take(struct held *ret, char **data, size_t size) {
    *ret = (struct held){.data = TAKE_PTR(*data), .size = size};
}

int credentials_take(struct credentials *credentials, struct exec_reply *reply, msec now, msec wall, struct problem *problem) {
    const char *where = credentials->endpoint->exec->command;
    CLEANUP(held_done) struct held certificate = {0}, key = {0}, token = {0};
    msec expires = MSEC_NEVER;
    int r = 0;

    held_take(&certificate, &reply->certificate.data, reply->certificate.size);
    held_take(&key, &reply->key.data, reply->key.size);
    held_take(&token, &reply->token, reply->token ? strlen(reply->token) : 0);
    if (key.data)
        r = check_pair(&expires, &certificate, where, &key, where, problem);
    if (r < 0)
        return r;
    held_replace(&credentials->certificate, &certificate);
    held_replace(&credentials->key, &key);
    held_replace(&credentials->token, &token);
    credentials->expires = expires;
    login_got(&credentials->login, MIN(expires, reply->expires), now, wall);
    return 0;
}

/* One line; what stands around it is trimmed, as kubectl does it. */
static int trim_token(struct held *held, const char *where, struct problem *problem) {
    size_t begin = 0, end = held->size;

    while (begin < end && strchr(" \t\r\n", held->data[begin]) && held->data[begin])
        begin++;
    while (end > begin && strchr(" \t\r\n", held->data[end - 1]) && held->data[end - 1])
        end--;
    if (begin == end)
        return problem_set(problem, where, "", "the token file is empty");
    for (size_t i = begin; i < end; i++)
        if ((unsigned char)held->data[i] <= 0x20 || (unsigned char)held->data[i] >= 0x7f)
            return problem_set(problem, where, "is this the right file?",
                               "the token has a character that no token has");
    memmove(held->data, held->data + begin, end - begin);
    held->data[end - begin] = 0;
    held->size = end - begin;
    return 0;
}

/* From its file; or, until that was read once, what stands in the kubeconfig. */
static int load_token(struct credentials *credentials, msec now, struct problem *problem) {
    const struct endpoint *endpoint = credentials->endpoint;
    const struct credential file = {.path = endpoint->token_file},
                            text = {.data = endpoint->token, .size = endpoint->token ? strlen(endpoint->token) : 0};
    CLEANUP(held_done) struct held held = {0};
    struct place where;
    int r = read_source(&held, endpoint->token_file ? &file : &text, problem);

    if (r >= 0)
        r = trim_token(&held, place(&where, credentials, endpoint->token_file, "token"), problem);
    if (r >= 0) {
        held_replace(&credentials->token, &held);
        credentials->token_read = now;
        credentials->token_refused = false;
    } else if (r == -EINVAL && endpoint->token_file && endpoint->token && !credentials->token.data) {
        held_done(&held);
        if (read_source(&held, &text, problem) < 0)
            return -ENOMEM;
        held_replace(&credentials->token, &held);
        credentials->token_read = now - TOKEN_AGE_MAX; /* the file is what we want */
    }
    return r;
}

static bool ca_is_current(const struct credentials *credentials) {
    return is_current(&credentials->ca, &credentials->endpoint->ca);
}

static bool pair_is_current(const struct credentials *credentials) {
    return is_current(&credentials->certificate, &credentials->endpoint->certificate) &&
           is_current(&credentials->key, &credentials->endpoint->key);
}

static bool token_is_current(const struct credentials *credentials, msec now) {
    const struct endpoint *endpoint = credentials->endpoint;

    if (!endpoint->token_file)
        return !endpoint->token || credentials->token.data;
    return credentials->token.data && !credentials->token_refused && now - credentials->token_read < TOKEN_AGE_MAX;
}

/* A load that failed: trouble if there is something older to go on with, else `fatal`. 0 or -ENOMEM. */
static int settle(struct credentials *credentials, int r, const struct held *old, const struct problem *found,
                  struct problem *fatal) {
    if (r != -EINVAL)
        return r;
    problem_add(old->data ? &credentials->trouble : fatal, found);
    return 0;
}

int credentials_refresh(struct credentials *credentials, msec now, struct problem *problem) {
    struct problem found = {0}, fatal = {0};
    int r = 0;

    credentials->trouble = (struct problem){0};
    if (!ca_is_current(credentials)) {
        r = load_ca(credentials, &found);
        r = settle(credentials, r, &credentials->ca, &found, &fatal);
    }
    if (r >= 0 && !pair_is_current(credentials)) {
        r = load_pair(credentials, &found);
        r = settle(credentials, r, &credentials->key, &found, &fatal);
    }
    if (r >= 0 && !token_is_current(credentials, now)) {
        r = load_token(credentials, now, &found);
        r = settle(credentials, r, &credentials->token, &found, &fatal);
    }
    if (r < 0 || !fatal.what[0])
        return r;
    if (problem)
        *problem = fatal;
    return -EINVAL;
}

static int check_expiry(const struct credentials *credentials, msec wall, struct problem *problem) {
    char time[TIME_TEXT_MAX];
    struct place where;

    if (credentials->expires >= wall)
        return 0;
    return problem_set(problem, place(&where, credentials, credentials->endpoint->certificate.path, "client-certificate-data"), "renew it",
                       "the client certificate has expired at %s", time_format(credentials->expires, time));
}

static int check_plugin(const struct credentials *credentials, struct problem *problem) {
    CLEANUP(cleanup_free) char *path = NULL;
    int r = exec_find(&path, credentials->endpoint->exec);

    return r < 0 && r != -ENOMEM ? exec_cannot(credentials->endpoint->exec, r, problem) : r;
}

int credentials_check(struct credentials *credentials, msec now, msec wall, struct problem *problem) {
    const struct endpoint *endpoint = credentials->endpoint;
    struct problem one = {0}, all = {0};
    int r = 0;

    for (int step = 0; r >= 0 && step < 5; step++) {
        if (step == 0 && is_given(&endpoint->ca))
            r = load_ca(credentials, &one);
        else if (step == 1 && is_given(&endpoint->certificate))
            r = load_pair(credentials, &one);
        else if (step == 2 && (endpoint->token || endpoint->token_file))
            r = load_token(credentials, now, &one);
        else if (step == 3 && endpoint->exec)
            r = check_plugin(credentials, &one);
        else if (step == 4)
            r = check_expiry(credentials, wall, &one);
        if (r == -EINVAL) {
            problem_add(&all, &one);
            r = 0;
        }
    }
    if (r < 0 || !all.what[0])
        return r;
    if (problem)
        *problem = all;
    return -EINVAL;
}
