/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of a kubeconfig's secrets in this process when its endpoint is gone: nothing that could be found.
 *
 * The test itself must not have them in memory: they are made, and written to the file, in a child, and compared
 * inverted here. The last letters count; of a long text that grows letter by letter libyaml leaves its beginnings.
 */
#include "nodewall/kubeconfig.h"
#include "scratch.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/wait.h>

enum { LENGTH = 60, COMPARED = 20 };

/* Letter i of secret n, inverted. */
static unsigned char inverted(unsigned n, unsigned i) {
    unsigned mixed = (i + 1) * 2654435761u ^ (n + 1) * 40503u * 65537u;

    return (unsigned char)~("abcdefghijklmnopqrstuvwxyz0123456789"[(mixed >> 15) % 36]);
}

static void reveal(char *ret, unsigned n) {
    for (unsigned i = 0; i < LENGTH; i++)
        ret[i] = (char)~inverted(n, i);
    ret[LENGTH] = 0;
}

static void write_in_child(void) {
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        char secrets[4][LENGTH + 1], key[2 * LENGTH] = "";
        FILE *file = fopen(scratch_path("k"), "we");

        for (unsigned n = 0; n < 4; n++)
            reveal(secrets[n], n);
        EVP_EncodeBlock((unsigned char *)key, (const unsigned char *)secrets[1], LENGTH);
        fprintf(file, "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}, {name: y, context: {cluster: c, user: e}}]\n"
                      "clusters: [{name: c, cluster: {server: 'https://h', proxy-url: 'http://me:%s@p'}}]\n"
                      "users:\n- {name: u, user: {token: %s, client-certificate-data: YQ==, client-key-data: %s}}\n"
                      "- {name: e, user: {exec: {command: c, apiVersion: client.authentication.k8s.io/v1beta1, env: [{name: A, value: \"%s\"}]}}}\n",
                secrets[2], secrets[0], key, secrets[3]);
        for (unsigned i = 0; i < 300; i++) /* so that it is read in several pieces */
            fprintf(file, "# %60u\n", i);
        _exit(fclose(file) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static bool is_secret(const unsigned char *data, unsigned n) {
    for (unsigned i = 0; i < COMPARED; i++)
        if (data[i] != (unsigned char)~inverted(n, LENGTH - COMPARED + i))
            return false;
    return true;
}

static void count_in(size_t found[4], const unsigned char *data, size_t size) {
    bool begins[256] = {false};

    for (unsigned n = 0; n < 4; n++)
        begins[(unsigned char)~inverted(n, LENGTH - COMPARED)] = true;
    for (size_t at = 0; at + COMPARED <= size; at++)
        for (unsigned n = 0; begins[data[at]] && n < 4; n++)
            found[n] += is_secret(data + at, n);
}

/* How often each secret stands in memory that we can write to. */
static void count(size_t found[4]) {
    FILE *maps = fopen("/proc/self/maps", "re"), *memory = fopen("/proc/self/mem", "re");
    static unsigned char piece[1 << 16];
    char line[512];

    memset(found, 0, 4 * sizeof(*found));
    assert_non_null(maps);
    assert_non_null(memory);
    setvbuf(memory, NULL, _IONBF, 0);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char rights[8];

        /* What is larger is a sanitizer's own. */
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] != 'w' || to - from > 1ul << 24)
            continue;
        for (unsigned long at = from; at < to; at += sizeof(piece) - COMPARED) {
            size_t size = MIN(sizeof(piece), to - at);

            if (at <= (unsigned long)piece && (unsigned long)piece < at + size)
                continue; /* where we look with */
            if (fseek(memory, (long)at, SEEK_SET) == 0)
                count_in(found, piece, fread(piece, 1, size, memory));
        }
        OPENSSL_cleanse(piece, sizeof(piece));
    }
    fclose(maps);
    fclose(memory);
}

static void nothing_is_left(void **state) {
    static const char *const contexts[] = {"x", "y"};
    struct endpoint *endpoints[2] = {0};
    size_t found[4];

    write_in_child();
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(endpoint_from_kubeconfig(&endpoints[i], scratch_path("k"), contexts[i], NULL), 0);
    count(found);
    for (unsigned n = 0; n < 4; n++) /* where they are to be and nowhere else; both contexts have the proxy */
        assert_int_equal(found[n], n == 2 ? 2 : 1);
    for (unsigned i = 0; i < 2; i++)
        endpoint_free(endpoints[i]);
    count(found);
    for (unsigned n = 0; n < 4; n++)
        assert_int_equal(found[n], 0);
}

int main(void) {
    const struct CMUnitTest cases[] = {cmocka_unit_test(nothing_is_left)};

    return cmocka_run_group_tests(cases, scratch_make, scratch_remove);
}
