/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/status.h"
#include "../unit.h"

#include <sys/socket.h>
#include <sys/un.h>

/* A service manager's end, at `name` ('@': abstract). */
static int manager(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = 0;
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (name[0] == '/'))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void heard(int fd, const char *expect) {
    char text[256];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

    assert_true(n >= 0);
    text[n] = 0;
    assert_string_equal(text, expect);
}

static void said_to_the_manager(void **state) {
    char directory[] = "/tmp/nodewall-notify.XXXXXX", name[64];
    int fd;

    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_send("READY=1"), 0);

    assert_non_null(mkdtemp(directory));
    snprintf(name, sizeof(name), "%s/notify", directory);
    fd = manager(name);
    assert_int_equal(notify_send("READY=1\nSTATUS=2 clusters"), 0);
    heard(fd, "READY=1\nSTATUS=2 clusters");
    close(fd);
    assert_int_equal(notify_send("READY=1"), -ECONNREFUSED);
    unlink(name);
    rmdir(directory);
    assert_int_equal(notify_send("READY=1"), -ENOENT);

    snprintf(name, sizeof(name), "@nodewall-notify-%d", (int)getpid());
    fd = manager(name);
    assert_int_equal(notify_send("WATCHDOG=1"), 0);
    heard(fd, "WATCHDOG=1");
    close(fd);
}

/* A manager that doesn't read fills its queue; that must be an error and no wait. */
static void never_waits(void **state) {
    char name[64];
    int fd, r = 0;

    snprintf(name, sizeof(name), "@nodewall-deaf-%d", (int)getpid());
    fd = manager(name);
    for (int i = 0; i < 100000 && r == 0; i++)
        r = notify_send("WATCHDOG=1");
    assert_int_equal(r, -EAGAIN);
    close(fd);
}

static void odd_names_are_refused(void **state) {
    char name[256];

    setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
    assert_int_equal(notify_send("READY=1"), -EAFNOSUPPORT);
    setenv("NOTIFY_SOCKET", "@", 1);
    assert_int_equal(notify_send("READY=1"), -EINVAL);
    memset(name, 'a', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = 0;
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(notify_send("READY=1"), -EINVAL);
    unsetenv("NOTIFY_SOCKET");
}

static void watchdog_is_ours_or_nobodys(void **state) {
    char pid[32];

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(notify_watchdog(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog(), 15000);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog(), 15000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog(), 0);
    setenv("WATCHDOG_PID", "what", 1);
    assert_int_equal(notify_watchdog(), 0);
    unsetenv("WATCHDOG_PID");
    setenv("WATCHDOG_USEC", "500", 1);
    assert_int_equal(notify_watchdog(), 1);
    static const char *const none[] = {"", "0", "-5", "1s", "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
        setenv("WATCHDOG_USEC", none[i], 1);
        assert_int_equal(notify_watchdog(), 0);
    }
}

RUN(cmocka_unit_test(said_to_the_manager), cmocka_unit_test(never_waits), cmocka_unit_test(odd_names_are_refused),
    cmocka_unit_test(watchdog_is_ours_or_nobodys))
