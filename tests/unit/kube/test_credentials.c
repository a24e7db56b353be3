/* SPDX-License-Identifier: Apache-2.0 */
/* Files that somebody renews while we read them. Time comes in as a value. */
#include "credentials.h"

#include "../http/bed.h"
#include "../unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

struct case_ {
    struct endpoint endpoint;
    struct credentials credentials;
    struct problem problem;
};

/* An endpoint of these files of bed_directory; each may be NULL. */
static void begin(struct case_ *c, const char *ca, const char *certificate, const char *key, const char *token) {
    bed_directory();
    *c = (struct case_){0};
    c->endpoint.origin = "context test";
    c->endpoint.server = "https://kube.test";
    c->endpoint.ca.path = ca ? bed_path(ca) : NULL;
    c->endpoint.certificate.path = certificate ? bed_path(certificate) : NULL;
    c->endpoint.key.path = key ? bed_path(key) : NULL;
    c->endpoint.token_file = token ? bed_path(token) : NULL;
    credentials_init(&c->credentials, &c->endpoint);
}

static void done(struct case_ *c) {
    credentials_done(&c->credentials);
    free(c->endpoint.ca.path);
    free(c->endpoint.certificate.path);
    free(c->endpoint.key.path);
    free(c->endpoint.token_file);
}

static void copy(const char *from, const char *to, size_t most) {
    CLEANUP(cleanup_free) char *path = bed_path(from), *data = NULL;
    size_t size;

    assert_int_equal(file_read(&data, &size, path, 100000), 0);
    if (most < size)
        data[most] = 0;
    bed_write(to, data);
}

static int refresh(struct case_ *c, msec now) {
    return credentials_refresh(&c->credentials, now, &c->problem);
}

static void assert_trouble(const struct case_ *c, const char *words) {
    if (!strstr(c->credentials.trouble.what, words))
        fail_msg("\"%s\" instead of \"%s\"", c->credentials.trouble.what, words);
}

static void test_token_is_read_after_a_minute(void **state) {
    struct case_ c;

    begin(&c, NULL, NULL, NULL, "token");
    bed_write("token", "  one\n");
    assert_int_equal(refresh(&c, 1000), 0);
    assert_string_equal(c.credentials.token.data, "one");
    bed_write("token", "two\r\n");
    assert_int_equal(refresh(&c, 1000 + 59999), 0);
    assert_string_equal(c.credentials.token.data, "one");
    assert_int_equal(refresh(&c, 1000 + 60000), 0);
    assert_string_equal(c.credentials.token.data, "two");
    assert_int_equal(c.credentials.token.size, 3);
    bed_write("token", "three");
    assert_int_equal(refresh(&c, 61001), 0);
    assert_string_equal(c.credentials.token.data, "two");
    credentials_refused(&c.credentials);
    assert_int_equal(refresh(&c, 61002), 0);
    assert_string_equal(c.credentials.token.data, "three");
    done(&c);
}

static void test_old_token_stays(void **state) {
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "empty"},           {" \n\n", "empty"},           {"two\nlines", "character"},
        {"bl ank", "character"}, {"caf\xc3\xa9", "character"}, {NULL, "cannot be read"},
    };
    CLEANUP(cleanup_free) char *path = NULL;
    struct case_ c;

    begin(&c, NULL, NULL, NULL, "token");
    path = bed_path("token");
    bed_write("token", "one");
    assert_int_equal(refresh(&c, 0), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (bad[i].text)
            bed_write("token", bad[i].text);
        else
            unlink(path);
        assert_int_equal(refresh(&c, 100000), 0);
        assert_string_equal(c.credentials.token.data, "one");
        assert_trouble(&c, bad[i].words);
    }
    bed_write("token", "two");  /* the very next request has it */
    assert_int_equal(refresh(&c, 100001), 0);
    assert_string_equal(c.credentials.token.data, "two");
    assert_string_equal(c.credentials.trouble.what, "");
    done(&c);
}

static void test_never_a_token(void **state) {
    CLEANUP(cleanup_free) char *path = NULL;
    struct case_ c;

    begin(&c, NULL, NULL, NULL, "absent");
    path = bed_path("absent");
    unlink(path);
    assert_int_equal(refresh(&c, 0), -EINVAL);
    assert_string_equal(c.problem.where, path);
    assert_non_null(strstr(c.problem.what, "No such file"));
    assert_int_equal(mkfifo(path, 0600), 0);        /* opening it would wait for ever */
    assert_int_equal(refresh(&c, 0), -EINVAL);
    assert_non_null(strstr(c.problem.what, "no plain file"));
    bed_write("absent", "here");
    assert_int_equal(refresh(&c, 1), 0);
    assert_string_equal(c.credentials.token.data, "here");
    done(&c);
}

static void test_token_of_the_kubeconfig(void **state) {
    struct case_ c;

    begin(&c, NULL, NULL, NULL, NULL);
    c.endpoint.token = "inline";
    assert_int_equal(refresh(&c, 0), 0);
    assert_string_equal(c.credentials.token.data, "inline");
    credentials_refused(&c.credentials);
    assert_int_equal(refresh(&c, 100000), 0);
    assert_string_equal(c.credentials.token.data, "inline");
    done(&c);
}

/* As client-go does it: the file, as soon as it can be read. */
static void test_token_until_the_file_is_there(void **state) {
    CLEANUP(cleanup_free) char *path = NULL;
    struct case_ c;

    begin(&c, NULL, NULL, NULL, "late");
    path = bed_path("late");
    unlink(path);
    c.endpoint.token = "inline";
    assert_int_equal(refresh(&c, 0), 0);
    assert_string_equal(c.credentials.token.data, "inline");
    assert_trouble(&c, "cannot be read");
    bed_write("late", "file");
    assert_int_equal(refresh(&c, 1), 0);
    assert_string_equal(c.credentials.token.data, "file");
    unlink(path);
    assert_int_equal(refresh(&c, 100000), 0);
    assert_string_equal(c.credentials.token.data, "file");
    done(&c);
}

static struct exec_reply reply_of(const char *token, const char *certificate, const char *key, msec expires) {
    struct exec_reply reply = {.token = token ? strdup(token) : NULL, .expires = expires};
    CLEANUP(cleanup_free) char *certificate_path = certificate ? bed_path(certificate) : NULL, *key_path = key ? bed_path(key) : NULL;

    if (certificate)
        assert_int_equal(file_read(&reply.certificate.data, &reply.certificate.size, certificate_path, 100000), 0);
    if (key)
        assert_int_equal(file_read(&reply.key.data, &reply.key.size, key_path, 100000), 0);
    return reply;
}

static void test_what_a_plugin_gave(void **state) {
    const msec day = 24 * 3600 * 1000;
    struct exec_plugin plugin = {.command = "plugin"};
    msec wall = clock_wall();
    struct exec_reply reply;
    struct case_ c;

    begin(&c, NULL, NULL, NULL, NULL);
    c.endpoint.exec = &plugin;
    reply = reply_of("one", "client.crt", "client.key", MSEC_NEVER);
    assert_int_equal(credentials_take(&c.credentials, &reply, 0, wall, &c.problem), 0);
    exec_reply_done(&reply);
    assert_string_equal(c.credentials.token.data, "one");
    assert_int_equal(login_need(&c.credentials.login, wall + 9 * day), LOGIN_FRESH);
    assert_int_equal(login_need(&c.credentials.login, wall + 11 * day), LOGIN_NOW); /* the certificate ends */
    assert_int_equal(refresh(&c, 1), 0);
    assert_non_null(c.credentials.key.data);

    reply = reply_of("two", "client.crt", "good.key", MSEC_NEVER); /* all of it, or nothing */
    assert_int_equal(credentials_take(&c.credentials, &reply, 0, wall, &c.problem), -EINVAL);
    exec_reply_done(&reply);
    assert_non_null(strstr(c.problem.what, "does not belong"));
    assert_string_equal(c.credentials.token.data, "one");

    reply = reply_of("three", NULL, NULL, wall + day); /* and what is not given any more is gone */
    assert_int_equal(credentials_take(&c.credentials, &reply, 0, wall, &c.problem), 0);
    exec_reply_done(&reply);
    assert_null(c.credentials.key.data);
    assert_int_equal(c.credentials.expires, MSEC_NEVER);
    assert_int_equal(login_need(&c.credentials.login, wall + day), LOGIN_NOW);
    done(&c);
}

/* Everything that is wrong, not the first of it. */
static void test_all_at_once(void **state) {
    struct case_ c;

    begin(&c, "no-ca", "client.crt", "good.key", "no-token");
    assert_int_equal(refresh(&c, 0), -EINVAL);
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(strstr(c.problem.where, "no-ca"));
        assert_non_null(strstr(c.problem.what, "does not belong to the client certificate"));
        assert_non_null(strstr(c.problem.what, "no-token: the file cannot be read"));
        c.problem = (struct problem){0};
        assert_int_equal(credentials_check(&c.credentials, 0, 0, &c.problem), -EINVAL);
    }
    done(&c);
}

static void test_ca_is_read_when_it_changes(void **state) {
    struct case_ c;
    size_t size;

    begin(&c, "used-ca.crt", NULL, NULL, NULL);
    copy("ca.crt", "used-ca.crt", SIZE_MAX);
    assert_int_equal(refresh(&c, 0), 0);
    size = c.credentials.ca.size;
    for (size_t most = 0; most < size - 1; most += 37) {        /* every cut but that of the last newline */
        copy("stranger.crt", "used-ca.crt", most);
        assert_int_equal(refresh(&c, 1), 0);
        assert_int_equal(c.credentials.ca.size, size);
        assert_true(c.credentials.trouble.what[0]);
    }
    copy("stranger.crt", "used-ca.crt", SIZE_MAX);
    assert_int_equal(refresh(&c, 1), 0);
    assert_string_equal(c.credentials.trouble.what, "");
    assert_int_not_equal(c.credentials.ca.size, size);
    done(&c);
}

static void test_bundle_is_whole(void **state) {
    CLEANUP(cleanup_free) char *one = NULL, *two = NULL, *both = NULL, *path = NULL, *other = NULL;
    struct case_ c;

    begin(&c, "bundle.crt", NULL, NULL, NULL);
    path = bed_path("ca.crt");
    other = bed_path("stranger.crt");
    assert_int_equal(file_read(&one, NULL, path, 100000), 0);
    assert_int_equal(file_read(&two, NULL, other, 100000), 0);
    assert_true(asprintf(&both, "# ours\n%s# theirs\n%s", one, two) > 0);
    bed_write("bundle.crt", both);
    assert_int_equal(refresh(&c, 0), 0);
    assert_int_equal(c.credentials.ca.size, strlen(both));
    both[strlen(both) - 60] = 0;        /* a good certificate, and one that is being written */
    bed_write("bundle.crt", both);
    assert_int_equal(refresh(&c, 0), 0);
    assert_trouble(&c, "broken or cut off");
    done(&c);
}

static void test_pair_changes_together(void **state) {
    CLEANUP(cleanup_free) char *old = NULL;
    struct case_ c;

    begin(&c, NULL, "used.crt", "used.key", NULL);
    copy("client.crt", "used.crt", SIZE_MAX);
    copy("good.key", "used.key", SIZE_MAX);
    assert_int_equal(refresh(&c, 0), -EINVAL);
    assert_non_null(strstr(c.problem.what, "does not belong"));
    copy("client.key", "used.key", SIZE_MAX);
    assert_int_equal(refresh(&c, 0), 0);
    old = strdup(c.credentials.key.data);

    authority_issue(bed_authority(), "renewed", NULL, 0, 5);
    copy("renewed.crt", "used.crt", SIZE_MAX);          /* the certificate first, … */
    assert_int_equal(refresh(&c, 0), 0);
    assert_trouble(&c, "does not belong");
    assert_string_equal(c.credentials.key.data, old);
    copy("renewed.key", "used.key", 100);               /* … then half of the key, … */
    assert_int_equal(refresh(&c, 0), 0);
    assert_trouble(&c, "private key");
    assert_string_equal(c.credentials.key.data, old);
    copy("renewed.key", "used.key", SIZE_MAX);          /* … then all of it */
    assert_int_equal(refresh(&c, 0), 0);
    assert_string_equal(c.credentials.trouble.what, "");
    assert_string_not_equal(c.credentials.key.data, old);
    done(&c);
}

/* OpenSSL asks on the terminal unless it is told not to. */
static void test_passphrase(void **state) {
    CLEANUP(cleanup_free) char *path = NULL;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct case_ c;
    FILE *file;

    begin(&c, NULL, "client.crt", "locked.key", NULL);
    path = bed_path("locked.key");
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (const unsigned char *)"word", 4, NULL, NULL),
                     1);
    assert_int_equal(fclose(file), 0);
    EVP_PKEY_free(key);
    assert_int_equal(refresh(&c, 0), -EINVAL);
    assert_non_null(strstr(c.problem.what, "passphrase"));
    done(&c);
}

static void test_check(void **state) {
    const msec day = 24 * 3600 * 1000;
    msec wall = clock_wall();
    struct case_ c;

    begin(&c, "ca.crt", "client.crt", "client.key", "token");
    bed_write("token", "one");
    assert_int_equal(credentials_check(&c.credentials, 0, wall, &c.problem), 0);
    assert_int_equal(credentials_check(&c.credentials, 0, wall + 11 * day, &c.problem), -EINVAL);
    assert_non_null(strstr(c.problem.what, "has expired at"));
    bed_write("token", "");     /* refresh would be content with the old one */
    assert_int_equal(credentials_check(&c.credentials, 1, wall, &c.problem), -EINVAL);
    assert_non_null(strstr(c.problem.what, "empty"));
    done(&c);

    begin(&c, "client.key", NULL, NULL, NULL);
    assert_int_equal(credentials_check(&c.credentials, 0, wall, &c.problem), -EINVAL);
    assert_non_null(strstr(c.problem.what, "no PEM certificate"));
    done(&c);
}

RUN(cmocka_unit_test(test_token_is_read_after_a_minute), cmocka_unit_test(test_old_token_stays),
    cmocka_unit_test(test_never_a_token), cmocka_unit_test(test_token_of_the_kubeconfig),
    cmocka_unit_test(test_token_until_the_file_is_there), cmocka_unit_test(test_what_a_plugin_gave), cmocka_unit_test(test_all_at_once),
    cmocka_unit_test(test_ca_is_read_when_it_changes), cmocka_unit_test(test_bundle_is_whole),
    cmocka_unit_test(test_pair_changes_together), cmocka_unit_test(test_passphrase), cmocka_unit_test(test_check))
