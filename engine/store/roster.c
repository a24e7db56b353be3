/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roster - the index of who names which cluster, as a directory of empty files.
 *
 * The files are made by ext_pillar when a minion's pillar names the cluster, with ids that the master has accepted but
 * nobody has tamed, hence the encoding. Only exact encodings are read back, so that two names can never mean one
 * minion.
 * Keeps: no path is left: a decoded id with a slash is an id, but its file name never has one.
 */
#include "nodewall/roster.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct roster *roster_free(struct roster *roster) {
    if (roster) {
        for (size_t i = 0; i < roster->n_minions; i++)
            free(roster->minions[i]);
        free(roster->minions);
        free(roster);
    }
    return NULL;
}

static bool is_plain(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
}

int roster_encode(char **ret, const char *minion) {
    char name[NAME_MAX + 1];
    size_t n = 0, size = strlen(minion);

    if (size < 1 || size > ROSTER_ID_MAX || !utf8_is(minion, size))
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        bool plain = is_plain(minion[i]) && !(i == 0 && minion[i] == '.');

        if (n + (plain ? 1 : 3) > NAME_MAX)
            return -EINVAL;
        if (plain)
            name[n++] = minion[i];
        else
            n += (size_t)snprintf(name + n, sizeof(name) - n, "%%%02X", (unsigned char)minion[i]);
    }
    *ret = strndup(name, n);
    return *ret ? 0 : -ENOMEM;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int roster_decode(char **ret, const char *name) {
    CLEANUP(cleanup_free) char *id = malloc(strlen(name) + 1);
    CLEANUP(cleanup_free) char *again = NULL;
    const char *whole = name;
    size_t n = 0;
    int r;

    if (!id)
        return -ENOMEM;
    while (*name) {
        if (*name != '%') {
            id[n++] = *name++;
            continue;
        }
        if (hex_value(name[1]) < 0 || hex_value(name[2]) < 0 || (name[1] == '0' && name[2] == '0'))
            return -EINVAL;
        id[n++] = (char)(hex_value(name[1]) * 16 + hex_value(name[2]));
        name += 3;
    }
    id[n] = 0;
    r = roster_encode(&again, id);
    if (r < 0)
        return r;
    if (strcmp(again, whole))
        return -EINVAL;
    *ret = TAKE_PTR(id);
    return 0;
}

static int directory_path(char **ret, const char *state_dir, const char *cluster) {
    char *path;

    if (!name_is_cluster(cluster))
        return -EINVAL;
    if (asprintf(&path, "%s/minions/%s", state_dir, cluster) < 0)
        return -ENOMEM;
    *ret = path;
    return 0;
}

/* What changes with every entry that is made or removed. A directory read within the clock's grain of its last change
 * may change again unseen, so such a stamp is not trusted (see roster_changed); it is made odd. */
static uint64_t stamp_of(const struct stat *st) {
    return (((uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec) << 1) + 2;
}

static bool is_fresh(const struct stat *st) {
    return st->st_mtim.tv_sec > clock_wall() / 1000 - 2;
}

static int add(struct roster *roster, size_t *capacity, char *minion) {
    if (roster->n_minions == *capacity) {
        size_t grown = *capacity ? *capacity * 2 : 64;
        char **minions = reallocarray(roster->minions, grown, sizeof(*minions));

        if (!minions)
            return -ENOMEM;
        roster->minions = minions;
        *capacity = grown;
    }
    roster->minions[roster->n_minions++] = minion;
    return 0;
}

static int read_entries(struct roster *roster, DIR *dir) {
    struct dirent *entry;
    size_t capacity = 0;

    for (;;) {
        CLEANUP(cleanup_free) char *minion = NULL;
        int r;

        errno = 0;
        entry = readdir(dir);
        if (!entry)
            return -errno;
        if (entry->d_name[0] == '.')
            continue;
        r = roster_decode(&minion, entry->d_name);
        if (r == -EINVAL)
            continue; /* nobody's id: an editor's or an admin's file */
        if (r < 0)
            return r;
        if (roster->n_minions >= ROSTER_LIMIT)
            return -E2BIG;
        r = add(roster, &capacity, minion);
        if (r < 0)
            return r;
        (void)TAKE_PTR(minion);
    }
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void close_dir(DIR **dir) {
    if (*dir)
        closedir(*dir);
}

int roster_read(struct roster **ret, const char *state_dir, const char *cluster) {
    CLEANUP(roster_freep) struct roster *roster = calloc(1, sizeof(*roster));
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(close_dir) DIR *dir = NULL;
    struct stat st;
    int r;

    if (!roster)
        return -ENOMEM;
    r = directory_path(&path, state_dir, cluster);
    if (r < 0)
        return r;
    dir = opendir(path);
    if (!dir) {
        if (errno != ENOENT)
            return -errno;
        *ret = TAKE_PTR(roster);
        return 0;
    }
    if (fstat(dirfd(dir), &st) < 0)
        return -errno;
    roster->stamp = stamp_of(&st) | is_fresh(&st);
    r = read_entries(roster, dir);
    if (r < 0)
        return r;
    if (roster->n_minions)
        qsort(roster->minions, roster->n_minions, sizeof(*roster->minions), compare_names);
    *ret = TAKE_PTR(roster);
    return 0;
}

bool roster_changed(const struct roster *roster, const char *state_dir, const char *cluster) {
    CLEANUP(cleanup_free) char *path = NULL;
    struct stat st;

    if (directory_path(&path, state_dir, cluster) < 0)
        return true;
    if (stat(path, &st) < 0)
        return roster->stamp != 0;
    return roster->stamp & 1 || roster->stamp != stamp_of(&st);
}

int roster_remove(const char *state_dir, const char *cluster, const char *minion) {
    CLEANUP(cleanup_free) char *directory = NULL;
    CLEANUP(cleanup_free) char *name = NULL;
    CLEANUP(cleanup_free) char *path = NULL;
    int r = directory_path(&directory, state_dir, cluster);

    if (r < 0)
        return r;
    r = roster_encode(&name, minion);
    if (r < 0)
        return r;
    if (asprintf(&path, "%s/%s", directory, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
