/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests - see requests.h.
 *
 * Keeps: a request acts at most once (it is removed before it does), only when it is the engine's user's or root's and nobody
 * else can have written it, only for REQUEST_LIFE, and only on what its digest stands for.
 * Does not: trust the file for more than that: it is read like anything from outside.
 */
#include "requests.h"

#include "folder.h"
#include "nodewall/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    AGAIN = 200,            /* ms; a cluster that can't just now */
    REQUEST_MAX = 4096,
    RESULT_MODE = 0640,
};
#define SUFFIX ".release"

struct requests {
    struct folder *folder;
    uv_timer_t timer;
    char *path;
    struct cluster *(*find)(void *userdata, const char *name);
    void *userdata;
};

struct request {
    char id[REQUEST_ID_DIGITS + 1], digest[DIGEST_DIGITS + 1];
};

/* 0, or why it is no request; the text goes into the log. */
static const char *read_bytes(char data[REQUEST_MAX + 1], const char *path) {
    CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    ssize_t n;
    msec age;

    if (fd < 0 || fstat(fd, &st) < 0)
        return strerror(errno);
    age = clock_wall() - ((msec)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) || st.st_mode & (S_IWGRP | S_IWOTH))
        return "others than root and the engine's user may have written it";
    if (age > REQUEST_LIFE || age < -REQUEST_LIFE)
        return "it is too old";
    n = read(fd, data, REQUEST_MAX + 1);
    if (n < 0 || n > REQUEST_MAX)
        return n < 0 ? strerror(errno) : "it is too large";
    data[n] = '\0';
    return NULL;
}

static const char *read_request(struct request *ret, const char *path) {
    CLEANUP(json_putp) json_object *root = NULL;
    char data[REQUEST_MAX + 1];
    const char *why = read_bytes(data, path), *id, *digest;

    if (why)
        return why;
    root = json_tokener_parse(data);
    id = json_object_get_string(json_get(root, "id"));
    digest = json_object_get_string(json_get(root, "digest"));
    if (json_object_get_int64(json_get(root, "v")) != 1 || !id || !hex_is(id, REQUEST_ID_DIGITS) || !digest ||
        !hex_is(digest, DIGEST_DIGITS))
        return "it is no release";
    memcpy(ret->id, id, sizeof(ret->id));
    memcpy(ret->digest, digest, sizeof(ret->digest));
    return NULL;
}

static void answer(const struct requests *requests, const char *cluster, const struct request *request, const char *outcome) {
    CLEANUP(cleanup_free) char *path = NULL, *text = NULL;
    int r = -ENOMEM;

    if (asprintf(&path, "%s/%s.result", requests->path, cluster) < 0)
        path = NULL;
    if (asprintf(&text, "{\"v\":1,\"id\":\"%s\",\"outcome\":\"%s\"}\n", request->id, outcome) < 0)
        text = NULL;
    if (path && text)
        r = file_write_atomic(path, text, strlen(text), RESULT_MODE, false);
    if (r < 0)
        log_error("%s: nobody can be told that it was %s: %s", cluster, outcome, strerror(-r));
}

/* True: it is to be looked at again. */
static bool release(struct requests *requests, const char *path, const char *name) {
    struct cluster *cluster = requests->find(requests->userdata, name);
    struct request request;
    const char *why = read_request(&request, path);
    enum cluster_release outcome = CLUSTER_CHANGED;

    if (why) {
        log_warning("%s: a request to release is not followed: %s", name, why);
        unlink(path);
        return false;
    }
    if (cluster && !cluster_may_release(cluster))
        return true;
    if (unlink(path) < 0) {
        log_error("%s: a request to release cannot be removed, so it is not followed: %s", name, strerror(errno));
        return false;
    }
    if (cluster)
        outcome = cluster_release(cluster, request.digest);
    answer(requests, name, &request, !cluster ? "unknown" : outcome == CLUSTER_RELEASED ? "released" : "changed");
    return false;
}

static bool consider(struct requests *requests, const char *file) {
    CLEANUP(cleanup_free) char *path = NULL;
    size_t n = strlen(file), end = strlen(SUFFIX);
    char name[64];

    if (n <= end || strcmp(file + n - end, SUFFIX) || n - end >= sizeof(name))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)(n - end), file);
    if (!name_is_cluster(name) || asprintf(&path, "%s/%s", requests->path, file) < 0) {
        path = NULL;
        return false;
    }
    return release(requests, path, name);
}

static void look(void *userdata);

static void on_timer(uv_timer_t *timer) {
    look(timer->data);
}

static void look(void *userdata) {
    struct requests *requests = userdata;
    DIR *dir = opendir(requests->path);
    struct dirent *entry;
    bool again = false;

    while (dir && (entry = readdir(dir)))
        again |= consider(requests, entry->d_name);
    if (dir)
        closedir(dir);
    if (again)
        uv_timer_start(&requests->timer, on_timer, AGAIN, 0);
}

static void on_closed(uv_handle_t *handle) {
    struct requests *requests = handle->data;

    free(requests->path);
    free(requests);
}

int requests_new(struct requests **ret, uv_loop_t *loop, const char *state_dir,
                 struct cluster *(*find)(void *userdata, const char *name), void *userdata) {
    struct requests *requests = calloc(1, sizeof(*requests));
    int r;

    if (!requests)
        return -ENOMEM;
    requests->find = find;
    requests->userdata = userdata;
    uv_timer_init(loop, &requests->timer);
    requests->timer.data = requests;
    r = asprintf(&requests->path, "%s/requests", state_dir) < 0 ? -ENOMEM : 0;
    if (r < 0)
        requests->path = NULL;
    else
        r = folder_new(&requests->folder, loop, requests->path, SUFFIX, 0, look, requests);
    if (r < 0) {
        requests_free(requests);
        return r;
    }
    uv_timer_start(&requests->timer, on_timer, 0, 0); /* what came while no engine ran */
    *ret = requests;
    return 0;
}

struct requests *requests_free(struct requests *requests) {
    if (requests) {
        folder_free(requests->folder);
        uv_close((uv_handle_t *)&requests->timer, on_closed);
    }
    return NULL;
}
