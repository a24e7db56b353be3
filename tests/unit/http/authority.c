/* SPDX-License-Identifier: Apache-2.0 */
#include "authority.h"

#include "../unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct authority {
    char directory[200];
    X509 *certificate;
    EVP_PKEY *key;
    long serial;
};

static FILE *open_in(const char *directory, const char *file, const char *ending) {
    char path[300];
    FILE *opened;

    snprintf(path, sizeof(path), "%s/%s.%s", directory, file, ending);
    opened = fopen(path, "we");
    assert_non_null(opened);
    return opened;
}

static void extend(X509 *certificate, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *begin(const char *common, EVP_PKEY *key, long serial, int from_day, int to_day) {
    X509 *certificate = X509_new();

    assert_non_null(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_time_adj_ex(X509_getm_notBefore(certificate), from_day, -60, NULL);
    X509_time_adj_ex(X509_getm_notAfter(certificate), to_day, 0, NULL);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)common,
                               -1, -1, 0);
    X509_set_pubkey(certificate, key);
    return certificate;
}

static void write_certificate(const X509 *certificate, const char *directory, const char *file) {
    FILE *opened = open_in(directory, file, "crt");

    assert_int_equal(PEM_write_X509(opened, certificate), 1);
    assert_int_equal(fclose(opened), 0);
}

struct authority *authority_new(const char *directory, const char *file) {
    struct authority *authority = calloc(1, sizeof(*authority));

    assert_non_null(authority);
    snprintf(authority->directory, sizeof(authority->directory), "%s", directory);
    authority->key = EVP_EC_gen("P-256");
    assert_non_null(authority->key);
    authority->certificate = begin(file, authority->key, ++authority->serial, 0, 30);
    X509_set_issuer_name(authority->certificate, X509_get_subject_name(authority->certificate));
    extend(authority->certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(authority->certificate, authority->key, EVP_sha256()) > 0);
    write_certificate(authority->certificate, directory, file);
    return authority;
}

unsigned long authority_hash(const struct authority *authority) {
    return X509_NAME_hash_ex(X509_get_subject_name(authority->certificate), NULL, NULL, NULL);
}

struct authority *authority_free(struct authority *authority) {
    if (authority) {
        X509_free(authority->certificate);
        EVP_PKEY_free(authority->key);
    }
    free(authority);
    return NULL;
}

void authority_issue(struct authority *authority, const char *file, const char *names, int from_day, int to_day) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = begin(file, key, ++authority->serial, from_day, to_day);
    FILE *opened = open_in(authority->directory, file, "key");

    assert_int_equal(PEM_write_PrivateKey(opened, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(opened), 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
    extend(certificate, NID_ext_key_usage, names ? "serverAuth" : "clientAuth");
    if (names)
        extend(certificate, NID_subject_alt_name, names);
    assert_true(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
    write_certificate(certificate, authority->directory, file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}
