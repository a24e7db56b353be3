/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folder - notices changes of files in a directory.
 *
 *   event, or RESCAN ──▶ look: as it was acted on ──▶ rest
 *                         │ other than at the last look ──▶ look again after `settle`
 *                         ╰ as at the last look, or it never rests ──▶ changed()
 *
 * inotify tells at once, but not of a network file system, nor of what stands behind a symbolic link; so there is a slow look
 * beside it. What counts is a stamp over names, sizes, times and inodes, never the events: they say that something happened, in
 * floods, and are lost when there are too many.
 *
 * Keeps: a change is told at most once, and never missed for longer than RESCAN.
 * Owns: its handles.
 */
#include "folder.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

enum {
    RESCAN = 10000,     /* ms */
    RESTLESS = 5000,    /* ms after which a directory that never rests is read all the same */
};

struct folder {
    uv_fs_event_t event;
    uv_timer_t timer;
    char *path, *suffix;
    msec settle;
    void (*changed)(void *userdata);
    void *userdata;
    bool watching;
    uint64_t seen, acted;       /* stamps */
    msec restless;              /* since when `seen` is not `acted`; MSEC_NEVER */
    unsigned n_handles;
};

static uint64_t mix(uint64_t hash, const void *data, size_t size) {
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

static bool counts(const struct folder *folder, const char *name) {
    size_t n = strlen(name), suffix = strlen(folder->suffix);

    return name[0] != '.' && n > suffix && !strcmp(name + n - suffix, folder->suffix);
}

/* The order in which the directory tells its entries does not matter: sums of one hash each. */
static uint64_t look(const struct folder *folder) {
    DIR *dir = opendir(folder->path);
    uint64_t stamp = dir ? 1 : 0;
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        uint64_t hash = 0xcbf29ce484222325;
        struct stat st;

        if (!counts(folder, entry->d_name))
            continue;
        hash = mix(hash, entry->d_name, strlen(entry->d_name));
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0) {
            hash = mix(hash, &st.st_ino, sizeof(st.st_ino));
            hash = mix(hash, &st.st_size, sizeof(st.st_size));
            hash = mix(hash, &st.st_mtim, sizeof(st.st_mtim));
            hash = mix(hash, &st.st_ctim, sizeof(st.st_ctim));
        }
        stamp += hash;
    }
    if (dir)
        closedir(dir);
    return stamp;
}

static void on_timer(uv_timer_t *timer);

static void wait(struct folder *folder, msec duration) {
    uv_timer_start(&folder->timer, on_timer, (uint64_t)duration, 0);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status) {
    struct folder *folder = event->data;

    (void)name;
    (void)events;
    if (status < 0) {
        folder->watching = false;
        uv_fs_event_stop(event);
    }
    if (folder->restless == MSEC_NEVER)
        folder->restless = clock_now();
    wait(folder, clock_now() - folder->restless >= RESTLESS ? 0 : folder->settle);
}

/* A directory that was replaced by another one of its name is watched no more, so it is taken up anew each time. */
static void follow(struct folder *folder) {
    if (folder->watching)
        uv_fs_event_stop(&folder->event);
    folder->watching = uv_fs_event_start(&folder->event, on_event, folder->path, 0) == 0;
}

static void on_timer(uv_timer_t *timer) {
    struct folder *folder = timer->data;
    msec now = clock_now();
    uint64_t stamp;

    follow(folder);
    stamp = look(folder);
    if (stamp == folder->acted) {
        folder->seen = stamp;
        folder->restless = MSEC_NEVER;
    } else if (folder->seen == stamp || (folder->restless != MSEC_NEVER && now - folder->restless >= RESTLESS)) {
        folder->seen = folder->acted = stamp;
        folder->restless = MSEC_NEVER;
        wait(folder, RESCAN);
        folder->changed(folder->userdata);
        return;
    } else {
        folder->seen = stamp;
        if (folder->restless == MSEC_NEVER)
            folder->restless = now;
        wait(folder, folder->settle);
        return;
    }
    wait(folder, RESCAN);
}

static void on_closed(uv_handle_t *handle) {
    struct folder *folder = handle->data;

    if (--folder->n_handles > 0)
        return;
    free(folder->path);
    free(folder->suffix);
    free(folder);
}

int folder_new(struct folder **ret, uv_loop_t *loop, const char *path, const char *suffix, msec settle,
               void (*changed)(void *userdata), void *userdata) {
    struct folder *folder = calloc(1, sizeof(*folder));

    if (!folder)
        return -ENOMEM;
    folder->path = strdup(path);
    folder->suffix = strdup(suffix);
    if (!folder->path || !folder->suffix) {
        free(folder->path);
        free(folder->suffix);
        free(folder);
        return -ENOMEM;
    }
    folder->settle = settle;
    folder->changed = changed;
    folder->userdata = userdata;
    folder->restless = MSEC_NEVER;
    folder->n_handles = 2;
    uv_fs_event_init(loop, &folder->event);
    uv_timer_init(loop, &folder->timer);
    folder->event.data = folder->timer.data = folder;
    follow(folder);
    folder->seen = folder->acted = look(folder);
    wait(folder, RESCAN);
    *ret = folder;
    return 0;
}

struct folder *folder_free(struct folder *folder) {
    if (folder) {
        uv_close((uv_handle_t *)&folder->event, on_closed);
        uv_close((uv_handle_t *)&folder->timer, on_closed);
    }
    return NULL;
}
