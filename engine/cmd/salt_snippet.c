/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Salt snippet - reads Salt's own configuration, to tell a person what is missing there.
 *
 * As Salt merges it: among the files of master.d lists and maps are joined; a key that stands in any of them replaces the
 * same key of `master`. Files that are YAML beyond what is understood here are named, and what they may hold is not guessed.
 * Does not: change anything, or know Salt's defaults (none of them names nodewall).
 */
#include "cmd/salt_snippet.h"

#include "config/document.h"
#include "nodewall/json.h"

#include <glob.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_LIMIT = 1024 * 1024 };

static const char *const keys[SNIPPET_MAX] = {
    [SNIPPET_MODULES] = "module_dirs",  [SNIPPET_ENGINE] = "engines",    [SNIPPET_PILLAR] = "ext_pillar",
    [SNIPPET_REACTOR] = "reactor",      [SNIPPET_STATES] = "file_roots", [SNIPPET_SETS] = "file_roots",
};

const char *snippet_need_text(enum snippet_need need) {
    static const char *const texts[SNIPPET_MAX] = {
        [SNIPPET_MODULES] = "module_dirs: a directory with _engines/nodewall.py",
        [SNIPPET_ENGINE] = "engines: nodewall",
        [SNIPPET_PILLAR] = "ext_pillar: nodewall",
        [SNIPPET_REACTOR] = "reactor: nodewall/*/addresses, with a file that exists",
        [SNIPPET_STATES] = "file_roots: base: a directory with _modules/nodewall",
        [SNIPPET_SETS] = "file_roots: base: files/ of the state directory",
    };

    return texts[need];
}

static bool has_file(const char *directory, const char *file) {
    CLEANUP(cleanup_free) char *path = NULL;

    return asprintf(&path, "%s/%s", directory, file) >= 0 && access(path, F_OK) == 0;
}

/* Calls back for each string of a list, and for each key of a map, and for each key of the maps in a list. */
static bool any(json_object *value, bool (*matches)(const char *text, json_object *below, const char *state_dir),
                const char *state_dir) {
    if (json_object_is_type(value, json_type_string))
        return matches(json_object_get_string(value), NULL, state_dir);
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            if (any(json_object_array_get_idx(value, i), matches, state_dir))
                return true;
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, below) {
            if (matches(key, below, state_dir))
                return true;
        }
    }
    return false;
}

static bool is_nodewall(const char *text, json_object *below, const char *state_dir) {
    (void)below;
    (void)state_dir;
    return !strcmp(text, "nodewall");
}

static bool is_modules(const char *text, json_object *below, const char *state_dir) {
    (void)below;
    (void)state_dir;
    return has_file(text, "_engines/nodewall.py") || has_file(text, "engines/nodewall.py");
}

static bool is_states(const char *text, json_object *below, const char *state_dir) {
    (void)below;
    (void)state_dir;
    return has_file(text, "_modules/nodewall/__init__.py");
}

static bool is_sets(const char *text, json_object *below, const char *state_dir) {
    CLEANUP(cleanup_free) char *real = realpath(text, NULL), *path = NULL, *ours = NULL;

    (void)below;
    if (asprintf(&path, "%s/files", state_dir) < 0)
        return false;
    ours = realpath(path, NULL);
    return real && ours ? !strcmp(real, ours) : !strcmp(text, path);
}

static bool exists(const char *text, json_object *below, const char *state_dir) {
    (void)below;
    (void)state_dir;
    return !strncmp(text, "salt://", 7) || access(text, F_OK) == 0;
}

static bool is_reaction(const char *text, json_object *below, const char *state_dir) {
    return !strcmp(text, "nodewall/*/addresses") && any(below, exists, state_dir);
}

static void look(struct snippet *snippet, json_object *root, const char *state_dir, bool seen[SNIPPET_MAX]) {
    for (size_t i = 0; i < SNIPPET_MAX; i++) {
        json_object *value = json_get(root, keys[i]);
        bool roots = i == SNIPPET_STATES || i == SNIPPET_SETS;

        if (!value)
            continue;
        seen[i] = true;
        if (roots)
            value = json_get(value, "base");
        snippet->found[i] = snippet->found[i] || any(value,
                                                     i == SNIPPET_MODULES   ? is_modules
                                                     : i == SNIPPET_REACTOR ? is_reaction
                                                     : i == SNIPPET_STATES  ? is_states
                                                     : i == SNIPPET_SETS    ? is_sets
                                                                            : is_nodewall,
                                                     state_dir);
    }
}

static void read_one(struct snippet *snippet, const char *path, const char *state_dir, bool seen[SNIPPET_MAX]) {
    CLEANUP(document_freep) struct document *document = NULL;
    struct problem problem = {0};
    size_t used = strlen(snippet->unread);
    int r = document_load(&document, path, FILE_LIMIT, &problem);

    if (r == 0)
        look(snippet, document->root, state_dir, seen);
    else
        snprintf(snippet->unread + used, sizeof(snippet->unread) - used, "%s%s: %s", used ? "; " : "",
                 problem.where[0] ? problem.where : path, problem.what[0] ? problem.what : strerror(-r));
}

int snippet_read(struct snippet *ret, const char *dir, const char *state_dir) {
    CLEANUP(cleanup_free) char *master = NULL, *pattern = NULL;
    bool seen[SNIPPET_MAX] = {false}, in_master[SNIPPET_MAX] = {false};
    struct snippet snippet = {0}, from_master = {0};
    struct stat st;
    glob_t files;

    if (stat(dir, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (asprintf(&master, "%s/master", dir) < 0 || asprintf(&pattern, "%s/master.d/*.conf", dir) < 0)
        return -ENOMEM;
    if (glob(pattern, 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc; i++)
            read_one(&snippet, files.gl_pathv[i], state_dir, seen);
        globfree(&files);
    }
    if (access(master, F_OK) == 0)
        read_one(&from_master, master, state_dir, in_master);
    for (size_t i = 0; i < SNIPPET_MAX; i++)
        if (!seen[i])
            snippet.found[i] = from_master.found[i];
    if (from_master.unread[0] && !snippet.unread[0])
        memcpy(snippet.unread, from_master.unread, sizeof(snippet.unread));
    *ret = snippet;
    return 0;
}

static void user_of(char **user, const char *path) {
    CLEANUP(document_freep) struct document *document = NULL;
    json_object *value;

    if (document_load(&document, path, FILE_LIMIT, NULL) < 0)
        return;
    value = json_get(document->root, "user");
    if (!json_object_is_type(value, json_type_string))
        return;
    free(*user);
    *user = strdup(json_object_get_string(value));
}

char *salt_user(const char *dir) {
    CLEANUP(cleanup_free) char *master = NULL, *pattern = NULL;
    char *user = NULL;
    glob_t files;

    if (asprintf(&master, "%s/master", dir) < 0 || asprintf(&pattern, "%s/master.d/*.conf", dir) < 0)
        return NULL;
    user_of(&user, master);
    if (glob(pattern, 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc; i++)
            user_of(&user, files.gl_pathv[i]);
        globfree(&files);
    }
    return user;
}
