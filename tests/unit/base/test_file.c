/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/base.h"
#include "../unit.h"

#include <dirent.h>
#include <sys/stat.h>

static unsigned count_entries(const char *directory) {
    DIR *dir = opendir(directory);
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void written_whole_with_mode(void **state) {
    char directory[] = "/tmp/nodewall-file.XXXXXX", path[64], *data = NULL;
    struct stat st;
    size_t size;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/set.json", directory);
    for (int durable = 0; durable < 2; durable++) {
        assert_int_equal(file_write_atomic(path, "12345", 5, 0640, durable), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(file_read(&data, &size, path, 5), 0);
        assert_int_equal(size, 5);
        assert_string_equal(data, "12345");
        free(TAKE_PTR(data));
    }
    assert_int_equal(file_read(&data, &size, path, 4), -EFBIG);
    assert_null(data);
    assert_int_equal(count_entries(directory), 1);
    unlink(path);
    rmdir(directory);
}

static void failure_leaves_nothing_behind(void **state) {
    char directory[] = "/tmp/nodewall-file.XXXXXX", path[64];

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/x", directory);
    assert_int_equal(mkdir(path, 0700), 0); /* rename over a directory fails */
    assert_true(file_write_atomic(path, "1", 1, 0640, true) < 0);
    assert_int_equal(count_entries(directory), 1);
    assert_int_equal(file_write_atomic("/nonexistent/x", "1", 1, 0640, true), -ENOENT);
    rmdir(path);
    rmdir(directory);
}

RUN(cmocka_unit_test(written_whole_with_mode), cmocka_unit_test(failure_leaves_nothing_behind))
