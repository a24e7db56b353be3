/* SPDX-License-Identifier: Apache-2.0 */
/* What real masters answered: tests/vectors/minion.json, of which tests/vectors/minion.py tells how it came to be. */
#pragma once

#include "../unit.h"
#include "nodewall/json.h"
#include "signin.h"

static json_object *recorded;

static int recorded_load(void **state) {
    char path[512];

    snprintf(path, sizeof(path), "%s/vectors/minion.json", getenv("NODEWALL_TESTS"));
    recorded = json_object_from_file(path);
    return recorded ? 0 : -1;
}

static int recorded_unload(void **state) {
    json_object_put(recorded);
    return 0;
}

static inline const char *text_in(json_object *from, const char *key) {
    const char *text = json_object_get_string(json_get(from, key));

    assert_non_null(text);
    return text;
}

/* Exactly as many bytes as there are, so that the sanitizer sees who reads on. */
static inline uint8_t *bytes_in(json_object *from, const char *key, size_t *size) {
    const char *hex = text_in(from, key);
    uint8_t *bytes;

    *size = strlen(hex) / 2;
    bytes = malloc(*size);
    for (size_t i = 0; i < *size; i++) {
        unsigned value;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (uint8_t)value;
    }
    return bytes;
}

static inline json_object *release_of(size_t i) {
    return json_object_array_get_idx(json_get(recorded, "releases"), i);
}

static inline size_t n_releases(void) {
    return json_object_array_length(json_get(recorded, "releases"));
}

/* The case of one state (pending, accepted, rejected) and hash. */
static inline json_object *case_of(json_object *release, const char *state, enum minion_hash hash) {
    json_object *found = json_object_array_get_idx(json_get(json_get(release, state), "cases"), hash == MINION_HASH_SHA224);

    assert_string_equal(text_in(found, "hash"), minion_hash_name(hash));
    return found;
}

static inline EVP_PKEY *own_key(void) {
    const char *pem = text_in(recorded, "key");
    EVP_PKEY *key = NULL;

    assert_int_equal(key_from_private_pem(&key, pem, strlen(pem)), 0);
    return key;
}

static inline EVP_PKEY *master_key(json_object *release) {
    const char *pem = text_in(release, "master");
    EVP_PKEY *key = NULL;

    assert_int_equal(key_from_public_pem(&key, pem, strlen(pem)), 0);
    return key;
}
