/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/log.h"
#include "../unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void assert_has(const char *path, const char *line, bool has) {
    char *data = NULL;
    size_t size;

    assert_int_equal(file_read(&data, &size, path, 65536), 0);
    assert_int_equal(strstr(data, line) != NULL, has);
    free(data);
}

/* As logrotate does it with Salt's package: rename, and a new file by `create`, or none. */
static void salts_file_is_followed(void **state) {
    char directory[] = "/tmp/nodewall-log.XXXXXX", path[64], old[64];
    struct stat st;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/master", directory);
    snprintf(old, sizeof(old), "%s/master.1", directory);
    assert_int_equal(log_to_salt(path), 0);
    log_error("first\nline");
    assert_has(path, "first\nline", false);
    assert_int_equal(rename(path, old), 0);
    log_error("second line");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0640, 0);
    assert_has(path, "second line", true);
    assert_has(old, "second line", false);
    assert_int_equal(rename(path, old), 0);
    assert_int_equal(file_write_atomic(path, "Salt's own\n", 11, 0640, false), 0);
    log_error("third line");
    assert_has(path, "Salt's own\n", true);
    assert_has(path, "third line", true);
    assert_has(old, "third line", false);
    unlink(path);
    unlink(old);
    rmdir(directory);
    log_error("nowhere to go, and no harm");
}

static void a_file_that_cannot_be_opened(void **state) {
    assert_int_equal(log_to_salt("/nonexistent/master"), -ENOENT);
}

RUN(cmocka_unit_test(a_file_that_cannot_be_opened), cmocka_unit_test(salts_file_is_followed))
