/* SPDX-License-Identifier: Apache-2.0 */
/* A state_dir of one test, gone with it, and short words for sets. */
#pragma once

#include "nodewall/store.h"
#include "../unit.h"

#include <ftw.h>
#include <json-c/json.h>
#include <sys/stat.h>

struct bed {
    char path[64];
    struct state_dir *dir;
};

static inline int bed_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static inline void bed_open(struct bed *bed) {
    struct problem problem;

    snprintf(bed->path, sizeof(bed->path), "/tmp/nodewall-store.XXXXXX");
    assert_non_null(mkdtemp(bed->path));
    if (state_dir_open(&bed->dir, bed->path, &problem) < 0)
        fail_msg("%s %s", problem.where, problem.what);
}

static inline void bed_done(struct bed *bed) {
    bed->dir = state_dir_free(bed->dir);
    assert_int_equal(nftw(bed->path, bed_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* "203.0.113.7 203.0.113.8": each with the label n<position>. */
static inline struct set *bed_set(const char *addresses, const char *rv) {
    CLEANUP(cleanup_free) char *copy = strdup(addresses);
    struct set *set = NULL;
    char *rest = copy, *one, label[16];

    assert_int_equal(set_new(&set), 0);
    for (int i = 0; (one = strtok_r(rest, " ", &rest)); i++) {
        struct address address;

        assert_int_equal(address_parse(&address, one, strlen(one)), 0);
        snprintf(label, sizeof(label), "n%d", i);
        assert_int_equal(set_append(set, &address, label), 0);
    }
    snprintf(set->version.rv, sizeof(set->version.rv), "%s", rv);
    set->version.as_of = 1700000000123;
    assert_int_equal(set_seal(set), 0);
    return set;
}

/* All three steps. */
static inline struct commit *bed_commit(struct store *store, const char *addresses, const char *rv,
                                        struct json_object *policy) {
    CLEANUP(set_freep) struct set *set = bed_set(addresses, rv);
    struct commit *commit = NULL;

    assert_int_equal(store_prepare(&commit, store, set, policy), 0);
    assert_int_equal(store_write(commit), 0);
    store_confirm(store, commit);
    return commit;
}

static inline struct json_object *bed_json(const struct bed *bed, const char *name) {
    CLEANUP(cleanup_free) char *data = NULL;
    struct json_object *object;
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", bed->path, name);
    assert_int_equal(file_read(&data, NULL, path, 1 << 24), 0);
    object = json_tokener_parse(data);
    assert_non_null(object);
    return object;
}

/* The value at a path of keys and indices: "tokens/0/token". */
static inline const char *bed_at(struct json_object *object, const char *pointer) {
    char path[128];
    struct json_object *value = NULL;

    snprintf(path, sizeof(path), "/%s", pointer);
    if (json_pointer_get(object, path, &value) < 0)
        return "(missing)";
    return value ? json_object_get_string(value) : "null";
}
