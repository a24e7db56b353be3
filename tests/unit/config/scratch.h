/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scratch - a directory of this test's own. Texts that go into it and sentences that are expected write its name as DIR, so that
 * a table of cases can stand still.
 */
#pragma once

#include "nodewall/base.h"
#include "../unit.h"

#include <ftw.h>
#include <sys/stat.h>

static char scratch[64];

static inline int scratch_make(void **state) {
    snprintf(scratch, sizeof(scratch), "/tmp/nodewall-unit.XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static inline int scratch_remove(void **state) {
    return nftw(scratch, scratch_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *scratch_path(const char *name) {
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
    return path;
}

/* The text with every DIR replaced; the caller frees it. */
static inline char *scratch_expand(const char *text) {
    char *expanded = calloc(1, strlen(text) * 16 + 64), *to = expanded;

    assert_non_null(expanded);
    while (*text)
        if (strncmp(text, "DIR", 3) == 0) {
            to = stpcpy(to, scratch);
            text += 3;
        } else {
            *to++ = *text++;
        }
    return expanded;
}

static inline void scratch_write(const char *name, const char *text) {
    char *expanded = scratch_expand(text);

    assert_int_equal(file_write_atomic(scratch_path(name), expanded, strlen(expanded), 0600, false), 0);
    free(expanded);
}

static inline void assert_sentence(const struct problem *problem, const char *expected) {
    char *expanded = scratch_expand(expected), sentence[2048];

    assert_string_equal(problem_format(problem, sentence, sizeof(sentence)), expanded);
    free(expanded);
}
