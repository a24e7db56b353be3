/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handoff - reads what the shim left on the memfd.
 *
 * Keeps: only a memfd that nobody can write any more is believed.
 * Does not: decide anything. Options that the configuration file also has are merged by cmd/run.c.
 */
#include "handoff.h"

#include "nodewall/json.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { HANDOFF_LIMIT = 65536 };

struct handoff *handoff_free(struct handoff *handoff) {
    if (handoff) {
        free(handoff->config);
        free(handoff->sock_dir);
        free(handoff->log_file);
        free(handoff->log_level);
        free(handoff->salt_version);
        free(handoff->id);
        free(handoff);
    }
    return NULL;
}

static int take_string(json_object *from, const char *key, bool required, char **ret, struct problem *problem) {
    json_object *value;

    if (!json_object_object_get_ex(from, key, &value) || !value) {
        if (required)
            return problem_set(problem, "--salt-fd", "reinstall the engine shim", "'%s' is missing", key);
        return 0;
    }
    if (!json_object_is_type(value, json_type_string) ||
        strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
        return problem_set(problem, "--salt-fd", "reinstall the engine shim", "'%s' is no text", key);
    *ret = strdup(json_object_get_string(value));
    return *ret ? 0 : -ENOMEM;
}

static int take_port(json_object *from, const char *key, int *ret, struct problem *problem) {
    json_object *value;
    int64_t number;

    if (!json_object_object_get_ex(from, key, &value))
        return 0;
    number = json_object_get_int64(value);
    if (!json_object_is_type(value, json_type_int) || number < 1 || number > 65535)
        return problem_set(problem, "--salt-fd", "see the master's configuration", "'%s' is no port", key);
    *ret = (int)number;
    return 0;
}

static int take_framing(json_object *from, const char *key, int *ret, struct problem *problem) {
    CLEANUP(cleanup_free) char *text = NULL;
    int r = take_string(from, key, false, &text, problem);

    if (r < 0)
        return r;
    *ret = !text ? -1 : !strcmp(text, "len32") ? 1 : !strcmp(text, "bare") ? 0 : -1;
    return 0;
}

static bool flag(json_object *from, const char *key) {
    json_object *value;

    return json_object_object_get_ex(from, key, &value) && json_object_get_boolean(value);
}

static int interpret(struct handoff *handoff, json_object *root, struct problem *problem) {
    CLEANUP(cleanup_free) char *ipc_mode = NULL;
    json_object *value;
    int r;

    if ((r = take_string(root, "config", true, &handoff->config, problem)) < 0 ||
        (r = take_string(root, "sock_dir", true, &handoff->sock_dir, problem)) < 0 ||
        (r = take_string(root, "log_file", false, &handoff->log_file, problem)) < 0 ||
        (r = take_string(root, "log_level", false, &handoff->log_level, problem)) < 0 ||
        (r = take_string(root, "salt_version", false, &handoff->salt_version, problem)) < 0 ||
        (r = take_string(root, "id", false, &handoff->id, problem)) < 0 ||
        (r = take_string(root, "ipc_mode", false, &ipc_mode, problem)) < 0 ||
        (r = take_port(root, "pub_port", &handoff->pub_port, problem)) < 0 ||
        (r = take_port(root, "pull_port", &handoff->pull_port, problem)) < 0 ||
        (r = take_framing(root, "write_framing", &handoff->write_len32, problem)) < 0 ||
        (r = take_framing(root, "read_framing", &handoff->read_len32, problem)) < 0)
        return r;
    handoff->tcp = ipc_mode && !strcmp(ipc_mode, "tcp");
    handoff->ipv6 = flag(root, "ipv6");
    if (json_object_object_get_ex(root, "parent_pid", &value))
        handoff->parent_pid = json_object_get_int(value);
    return 0;
}

static int read_sealed(int fd, char **ret, size_t *ret_size, struct problem *problem) {
    const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    CLEANUP(cleanup_free) char *data = NULL;
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) < 0)
        return problem_set(problem, "--salt-fd", "without Salt, start 'nodewall run' with -c",
                           "%d is not the sealed memory that Salt's engine shim hands over", fd);
    if (st.st_size < 2 || st.st_size > HANDOFF_LIMIT)
        return problem_set(problem, "--salt-fd", NULL, "%lld bytes are no handoff", (long long)st.st_size);
    data = malloc((size_t)st.st_size);
    if (!data)
        return -ENOMEM;
    if (pread(fd, data, (size_t)st.st_size, 0) != st.st_size)
        return -EIO;
    *ret = TAKE_PTR(data);
    *ret_size = (size_t)st.st_size;
    return 0;
}

int handoff_read(struct handoff **ret, int fd, struct problem *problem) {
    CLEANUP(handoff_freep) struct handoff *handoff = calloc(1, sizeof(*handoff));
    CLEANUP(cleanup_close) int owned = fd;
    CLEANUP(json_putp) json_object *root = NULL;
    CLEANUP(cleanup_free) char *data = NULL;
    json_tokener *tokener;
    size_t size = 0;
    int r;

    if (!handoff)
        return -ENOMEM;
    r = read_sealed(owned, &data, &size, problem);
    if (r < 0)
        return r;
    tokener = json_tokener_new_ex(4);
    if (!tokener)
        return -ENOMEM;
    root = json_tokener_parse_ex(tokener, data, (int)size);
    json_tokener_free(tokener);
    if (!json_object_is_type(root, json_type_object))
        return problem_set(problem, "--salt-fd", "reinstall the engine shim", "the handoff is no JSON map");
    r = interpret(handoff, root, problem);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(handoff);
    return 0;
}

int handoff_bind_to_parent(const struct handoff *handoff) {
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        return -errno;
    return handoff->parent_pid > 0 && getppid() != (pid_t)handoff->parent_pid ? -ESRCH : 0;
}
