/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files - a store's files on disk.
 *
 * The truth is replaced by rename after an fsync, and the directory is synced after it, so that at any moment, power
 * cuts included, one whole version stands there. The one before stays beside it as a second name of the same file (a
 * hard link), which costs no second write. The derived files are renamed without an fsync: they are made again from
 * the truth at every start.
 */
#include "files.h"

#include <dirent.h>
#include <string.h>

enum { FILE_MODE = 0640, TRUTH_MAX = 64 * 1024 * 1024 };

void files_done(struct files *files) {
    free(files->truth);
    free(files->previous);
    free(files->public_set);
    free(files->announce);
    free(files->cluster);
    *files = (struct files){0};
}

static int path_make(char **ret, const char *directory, const char *middle, const char *cluster, const char *end) {
    char *path;

    if (asprintf(&path, "%s/%s/%s%s", directory, middle, cluster, end) < 0)
        return -ENOMEM;
    *ret = path;
    return 0;
}

int files_init(struct files *ret, const char *state_dir, const char *cluster) {
    CLEANUP(files_done) struct files files = {0};

    files.cluster = strdup(cluster);
    if (!files.cluster || path_make(&files.truth, state_dir, "store", cluster, ".json") < 0 ||
        path_make(&files.previous, state_dir, "store", cluster, ".json.1") < 0 ||
        path_make(&files.public_set, state_dir, "files/nodewall", cluster, ".json") < 0 ||
        path_make(&files.announce, state_dir, "announce", cluster, ".json") < 0)
        return -ENOMEM;
    *ret = files;
    files = (struct files){0};
    return 0;
}

int files_copy(struct files *ret, const struct files *from) {
    CLEANUP(files_done) struct files files = {
        .truth = strdup(from->truth),
        .previous = strdup(from->previous),
        .public_set = strdup(from->public_set),
        .announce = strdup(from->announce),
        .cluster = strdup(from->cluster),
    };

    if (!files.truth || !files.previous || !files.public_set || !files.announce || !files.cluster)
        return -ENOMEM;
    *ret = files;
    files = (struct files){0};
    return 0;
}

/* file_write_atomic and keep_previous write under <path>.XXXXXX first: letters and digits only, for prod.json.a.json
 * is the file of the cluster prod.json.a. */
static bool is_leftover(const char *name, const char *base, size_t n) {
    return !strncmp(name, base, n) && name[n] == '.' && strlen(name + n + 1) == 6 && !strchr(name + n + 1, '.');
}

static void sweep(const char *path) {
    const char *base = strrchr(path, '/') + 1;
    size_t n = strlen(base);
    CLEANUP(cleanup_free) char *directory = strndup(path, (size_t)(base - path));
    struct dirent *entry;
    DIR *dir = directory ? opendir(directory) : NULL;

    if (!dir)
        return;
    while ((entry = readdir(dir)))
        if (is_leftover(entry->d_name, base, n))
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

void files_sweep(const struct files *files) {
    sweep(files->truth);
    sweep(files->previous);
    sweep(files->public_set);
    sweep(files->announce);
}

static int keep_by_copy(const struct files *files) {
    CLEANUP(cleanup_free) char *data = NULL;
    size_t size;
    int r = file_read(&data, &size, files->truth, TRUTH_MAX);

    return r < 0 ? r : file_write_atomic(files->previous, data, size, FILE_MODE, false);
}

static int keep_previous(const struct files *files) {
    CLEANUP(cleanup_free) char *temporary = NULL;
    char suffix[7];
    int r = random_hex(suffix, 6);

    if (r < 0)
        return r;
    if (asprintf(&temporary, "%s.%s", files->previous, suffix) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    if (link(files->truth, temporary) < 0) {
        if (errno == ENOENT)
            return 0; /* the first commit */
        return errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK ? keep_by_copy(files) : -errno;
    }
    if (rename(temporary, files->previous) < 0) {
        r = -errno;
        unlink(temporary);
        return r;
    }
    /* Two names of one file make rename do nothing; then the temporary name is still there. */
    unlink(temporary);
    return 0;
}

int files_write_truth(const struct files *files, const struct content *content) {
    CLEANUP(cleanup_free) char *data = NULL;
    size_t size;
    int r = content_format_truth(content, files->cluster, &data, &size);

    if (r < 0)
        return r;
    if (size > TRUTH_MAX)
        return -EFBIG;
    r = keep_previous(files);
    if (r < 0)
        return r;
    return file_write_atomic(files->truth, data, size, FILE_MODE, true);
}

int files_write_announce(const struct files *files, const struct content *content) {
    CLEANUP(cleanup_free) char *data = NULL;
    size_t size;
    int r = content_format_announce(content, files->cluster, &data, &size);

    return r < 0 ? r : file_write_atomic(files->announce, data, size, FILE_MODE, false);
}

/* The set before the announcement: whoever is told of a version must find it. */
int files_write_derived(const struct files *files, const struct content *content) {
    CLEANUP(cleanup_free) char *data = NULL;
    size_t size;
    int r = content_format_public(content, files->cluster, &data, &size);

    if (r < 0)
        return r;
    r = file_write_atomic(files->public_set, data, size, FILE_MODE, false);
    return r < 0 ? r : files_write_announce(files, content);
}

int files_read_truth(const struct files *files, bool previous, struct content **ret) {
    CLEANUP(cleanup_free) char *data = NULL;
    size_t size;
    int r = file_read(&data, &size, previous ? files->previous : files->truth, TRUTH_MAX);

    if (r < 0)
        return r == -EFBIG ? -EBADMSG : r;
    return content_parse_truth(ret, files->cluster, data, size);
}

int files_put_aside(const struct files *files, bool previous) {
    const char *path = previous ? files->previous : files->truth;
    CLEANUP(cleanup_free) char *aside = NULL;

    if (asprintf(&aside, "%s.bad", path) < 0) {
        aside = NULL;
        return -ENOMEM;
    }
    return rename(path, aside) < 0 ? -errno : 0;
}
