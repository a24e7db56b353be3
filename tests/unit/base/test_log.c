/* SPDX-License-Identifier: Apache-2.0 */
/* Many lines are counted instead of written, and no text from outside breaks out of its line. */
#include "nodewall/log.h"
#include "../unit.h"

static msec now = 1000000;

msec __wrap_clock_now(void);
msec __wrap_clock_now(void) {
    return now;
}

/* What `write` logs, as text and as a number of lines. */
static size_t written(void (*write)(void), char buffer[32768]) {
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    size_t n, lines = 0;

    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    write();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    n = fread(buffer, 1, 32767, file);
    buffer[n] = 0;
    fclose(file);
    for (size_t i = 0; i < n; i++)
        lines += buffer[i] == '\n';
    return lines;
}

static void many_warnings(void) {
    for (unsigned i = 0; i < 1000; i++)
        log_warning("warning %u", i);
}

static void one_of_each(void) {
    log_warning("after the flood");
    log_error("an error");
}

static void an_attack(void) {
    log_error("%s", "node a\n2026-01-01T00:00:00.000Z INFO    all is well\r\033[2Jb");
}

static void a_long_line(void) {
    char text[8192];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    log_error("%s", text);
}

static void a_flood_is_counted(void **state) {
    char text[32768];

    assert_int_equal(written(many_warnings, text), 50);
    assert_non_null(strstr(text, "warning 49\n"));
    now += 9999;
    assert_int_equal(written(one_of_each, text), 1); /* an error has its own measure */
    assert_non_null(strstr(text, "an error\n"));
    now += 2;
    assert_int_equal(written(one_of_each, text), 3);
    assert_non_null(strstr(text, "951 more lines of this level were left out"));
    assert_non_null(strstr(text, "after the flood\n"));
}

static void a_line_stays_a_line(void **state) {
    char text[32768];

    now += 100000;
    assert_int_equal(written(an_attack, text), 1);
    assert_null(strchr(text, '\033'));
    assert_null(strchr(text, '\r'));
    assert_int_equal(written(a_long_line, text), 1);
    assert_in_range(strlen(text), 2000, 2200);
}

RUN(cmocka_unit_test(a_flood_is_counted), cmocka_unit_test(a_line_stays_a_line))
