/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State dir - the directory of everything that the engine keeps, held by one engine at a time.
 *
 * Keeps: nobody but its owner can plant a file here. What stands in this directory decides whom firewalls let in, so a
 * directory that others may write is refused rather than repaired: whoever could write might already have.
 * Owns: the lock, for as long as the process lives. A lock dies with its holder, so none is ever left behind.
 */
#include "nodewall/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { DIRECTORY_MODE = 0750, FILE_MODE = 0640 };

struct state_dir {
    char *path;
    int lock;
};

struct state_dir *state_dir_free(struct state_dir *dir) {
    if (dir) {
        free(dir->path);
        cleanup_close(&dir->lock);
        free(dir);
    }
    return NULL;
}

const char *state_dir_path(const struct state_dir *dir) {
    return dir->path;
}

static int refuse(int error, struct problem *problem, const char *path, const char *what, const char *hint) {
    (void)problem_set(problem, path, hint, "%s", what);
    return error;
}

static int check_directory(const char *path, struct problem *problem) {
    struct stat st;

    if (lstat(path, &st) < 0)
        return refuse(-errno, problem, path, strerror(errno), "state_dir must be a directory that the engine can use");
    if (!S_ISDIR(st.st_mode))
        return refuse(-ENOTDIR, problem, path, "is no directory", "move it away, or set another state_dir");
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return refuse(-EPERM, problem, path, "belongs to another user",
                      "salt-master runs the engine as its own user; run this as the owner, or give it to this user (chown -R)");
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return refuse(-EPERM, problem, path, "others than its owner may write it",
                      "look at what is in it, then: chmod g-w,o-w");
    return 0;
}

static int make_directory(const char *path, struct problem *problem) {
    if (mkdir(path, DIRECTORY_MODE) == 0) {
        /* Whatever the umask was. */
        if (chmod(path, DIRECTORY_MODE) < 0)
            return refuse(-errno, problem, path, strerror(errno), "check the file system");
    } else if (errno != EEXIST) {
        return refuse(-errno, problem, path, strerror(errno), "make it (mode 0750) for the user that runs the engine");
    }
    return check_directory(path, problem);
}

static int take_lock(int *ret, const char *directory, struct problem *problem) {
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(cleanup_close) int fd = -1;
    char holder[32] = "";
    ssize_t n;

    if (asprintf(&path, "%s/lock", directory) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, FILE_MODE);
    if (fd < 0)
        return refuse(-errno, problem, path, strerror(errno), "the engine must be able to write in its state_dir");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return refuse(-errno, problem, path, strerror(errno), "state_dir must be on a file system with locks");
        n = read(fd, holder, sizeof(holder) - 1);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = 0;
        (void)problem_set(problem, directory, "stop the other one, or give this one its own state_dir",
                          "another engine (process %s) uses this directory", *holder ? holder : "unknown");
        return -EBUSY;
    }
    n = snprintf(holder, sizeof(holder), "%" PRIdMAX "\n", (intmax_t)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, holder, (size_t)n, 0) != n) {
        /* A full disk: the number is for people, the lock holds without it. */
        errno = 0;
    }
    *ret = TAKE_FD(fd);
    return 0;
}

int state_dir_open(struct state_dir **ret, const char *path, struct problem *problem) {
    static const char *const below[] = {"store", "announce", "files", "files/nodewall", "minions", "requests"};
    CLEANUP(state_dir_freep) struct state_dir *dir = calloc(1, sizeof(*dir));
    int r;

    if (!dir)
        return -ENOMEM;
    dir->lock = -1;
    dir->path = strdup(path);
    if (!dir->path)
        return -ENOMEM;
    r = make_directory(path, problem);
    if (r < 0)
        return r;
    r = take_lock(&dir->lock, path, problem);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LENGTH(below); i++) {
        CLEANUP(cleanup_free) char *sub = NULL;

        if (asprintf(&sub, "%s/%s", path, below[i]) < 0) {
            sub = NULL;
            return -ENOMEM;
        }
        r = make_directory(sub, problem);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(dir);
    return 0;
}
