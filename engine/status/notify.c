/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notify - systemd's notification protocol (sd_notify(3)): one datagram to the socket that the environment names.
 *
 * Does not: block. A service manager that doesn't read is no reason for firewalls to wait; the next watchdog turn tries
 * again. Does not: fall back to anything when the variables are not ours (WATCHDOG_PID).
 */
#include "nodewall/status.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int notify_send(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP(cleanup_close) int fd = -1;
    size_t n;

    if (!path || !*path)
        return 0;
    n = strlen(path);
    if (path[0] != '/' && path[0] != '@')
        return -EAFNOSUPPORT;
    if (n < 2 || n >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, path, n);
    if (path[0] == '@')
        address.sun_path[0] = 0; /* abstract: its length is its name's, without a NUL behind */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'))) < 0)
        return -errno;
    return 0;
}

static bool read_number(unsigned long long *ret, const char *name) {
    const char *text = getenv(name);
    char *end;

    if (!text || !decimal_is(text))
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0;
}

msec notify_watchdog(void) {
    unsigned long long period, pid;

    if (!read_number(&period, "WATCHDOG_USEC") || period == 0 || period > INT64_MAX)
        return 0;
    if (getenv("WATCHDOG_PID") && (!read_number(&pid, "WATCHDOG_PID") || pid != (unsigned long long)getpid()))
        return 0; /* asked of another process, whose environment we inherited */
    return MAX((msec)(period / 2000), 1);
}
