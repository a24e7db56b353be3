/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File - whole files in, whole files out: nobody ever sees half of one.
 */
#include "nodewall/base.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void wipe(char *data, size_t size) {
    if (data)
        explicit_bzero(data, size);
}

int file_read(char **ret, size_t *ret_size, const char *path, size_t limit) {
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    CLEANUP(cleanup_free) char *data = NULL;
    size_t size = 0, capacity = 4096;

    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t n;

        if (!data || size + 1 >= capacity) {
            size_t wanted = data ? 2 * capacity : capacity;
            char *grown = malloc(wanted);

            if (!grown) {
                wipe(data, size);
                return -ENOMEM;
            }
            if (data)
                memcpy(grown, data, size);
            wipe(data, size); /* what is read may be a secret, and realloc would leave it where it was */
            free(data);
            data = grown;
            capacity = wanted;
        }
        n = read(fd, data + size, capacity - size - 1);
        if (n < 0) {
            int error = errno;

            if (error == EINTR)
                continue;
            wipe(data, size);
            return -error;
        }
        if (n == 0)
            break;
        size += (size_t)n;
        if (size > limit) {
            wipe(data, size);
            return -EFBIG;
        }
    }
    data[size] = 0;
    *ret = TAKE_PTR(data);
    if (ret_size)
        *ret_size = size;
    return 0;
}

static int write_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = write(fd, data, size);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int sync_directory(const char *path) {
    const char *slash = strrchr(path, '/');
    CLEANUP(cleanup_free) char *directory =
        !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    CLEANUP(cleanup_close) int fd = -1;

    if (!directory)
        return -ENOMEM;
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_and_rename(int fd, const char *temporary, const char *path, const void *data, size_t size,
                            unsigned mode, bool durable) {
    int r = write_all(fd, data, size);

    if (r < 0)
        return r;
    if (fchmod(fd, (mode_t)mode) < 0 || (durable && fsync(fd) < 0) || rename(temporary, path) < 0)
        return -errno;
    return durable ? sync_directory(path) : 0;
}

int file_write_atomic(const char *path, const void *data, size_t size, unsigned mode, bool durable) {
    CLEANUP(cleanup_free) char *temporary = NULL;
    CLEANUP(cleanup_close) int fd = -1;
    int r;

    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = write_and_rename(fd, temporary, path, data, size, mode, durable);
    if (r < 0)
        unlink(temporary); /* after a successful rename there is nothing under this name */
    return r;
}
