/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/roster.h"
#include "../unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static void encoding(void **state) {
    static const struct {
        const char *id, *name;
    } good[] = {
        {"web-1.example.org", "web-1.example.org"},
        {"a_b", "a_b"},
        {".hidden", "%2Ehidden"},
        {"..", "%2E."},
        {"a/../b", "a%2F..%2Fb"},
        {"caf\xc3\xa9", "caf%C3%A9"},
        {"100%", "100%25"},
        {"a b\n", "a%20b%0A"},
    };
    static const char *const no_names[] = {".x", "a%2f", "a%2", "a%", "a%zz", "%41", "a b", "a%00b", "",
                                           "caf\xc3\xa9", "%FF", "%2E%2E"};
    char long_id[ROSTER_ID_MAX + 2], *text = NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_int_equal(roster_encode(&text, good[i].id), 0);
        assert_string_equal(text, good[i].name);
        free(TAKE_PTR(text));
        assert_int_equal(roster_decode(&text, good[i].name), 0);
        assert_string_equal(text, good[i].id);
        free(TAKE_PTR(text));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(no_names); i++)
        assert_int_equal(roster_decode(&text, no_names[i]), -EINVAL);
    memset(long_id, 'a', sizeof(long_id));
    long_id[ROSTER_ID_MAX] = 0;
    assert_int_equal(roster_encode(&text, long_id), 0);
    free(TAKE_PTR(text));
    long_id[0] = '/'; /* its encoding is two longer, and a file name may have 255 */
    assert_int_equal(roster_encode(&text, long_id), 0);
    free(TAKE_PTR(text));
    long_id[1] = '/';
    assert_int_equal(roster_encode(&text, long_id), -EINVAL);
    long_id[ROSTER_ID_MAX] = 'a';
    long_id[ROSTER_ID_MAX + 1] = 0;
    assert_int_equal(roster_encode(&text, long_id), -EINVAL);
    assert_int_equal(roster_encode(&text, ""), -EINVAL);
    assert_int_equal(roster_encode(&text, "\xff"), -EINVAL);
    assert_null(text);
}

static void touch(const char *directory, const char *name) {
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/minions/prod/%s", directory, name);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    close(fd);
}

static void age(const char *path) {
    const struct timespec old[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

static void reading_and_removing(void **state) {
    char directory[] = "/tmp/nodewall-roster.XXXXXX", path[256];
    struct roster *roster = NULL;

    assert_non_null(mkdtemp(directory));
    assert_int_equal(roster_read(&roster, directory, "prod"), 0);
    assert_int_equal(roster->n_minions, 0);
    assert_false(roster_changed(roster, directory, "prod"));
    assert_int_equal(roster_remove(directory, "prod", "nobody"), 0);
    assert_int_equal(roster_remove(directory, "../prod", "nobody"), -EINVAL);

    snprintf(path, sizeof(path), "%s/minions", directory);
    assert_int_equal(mkdir(path, 0750), 0);
    snprintf(path, sizeof(path), "%s/minions/prod", directory);
    assert_int_equal(mkdir(path, 0750), 0);
    touch(directory, "web-2");
    touch(directory, "web-1");
    touch(directory, "a%2Fb");
    touch(directory, ".web-3.swp");
    touch(directory, "a b~");
    assert_true(roster_changed(roster, directory, "prod"));
    roster = roster_free(roster);
    assert_int_equal(roster_read(&roster, directory, "prod"), 0);
    assert_int_equal(roster->n_minions, 3);
    assert_string_equal(roster->minions[0], "a/b");
    assert_string_equal(roster->minions[1], "web-1");
    assert_string_equal(roster->minions[2], "web-2");
    /* Just written: a change in the same instant would not show, so it is not trusted. */
    assert_true(roster_changed(roster, directory, "prod"));
    age(path);
    roster = roster_free(roster);
    assert_int_equal(roster_read(&roster, directory, "prod"), 0);
    assert_false(roster_changed(roster, directory, "prod"));

    assert_int_equal(roster_remove(directory, "prod", "a/b"), 0);
    assert_true(roster_changed(roster, directory, "prod"));
    roster = roster_free(roster);
    assert_int_equal(roster_read(&roster, directory, "prod"), 0);
    assert_int_equal(roster->n_minions, 2);
    assert_string_equal(roster->minions[0], "web-1");
    roster = roster_free(roster);
    assert_int_equal(nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

RUN(cmocka_unit_test(encoding), cmocka_unit_test(reading_and_removing))
