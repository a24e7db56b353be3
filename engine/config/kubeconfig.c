/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubeconfig - picks one context out of one or several kubeconfigs and turns its cluster and user into an endpoint.
 *
 * A kubeconfig is three lists of named things that refer to each other by name; most of what goes wrong is a name that leads
 * nowhere, so every problem says which file, context and user it is about, and what there is instead. Several files are
 * looked through in their order, and the first that has a name, or a current-context, wins (client-go, tools/clientcmd/
 * loader.go): a cluster of one file is never mixed with that of another, and its paths are from its own file's directory.
 *
 * Keeps: whatever is wrong with the context, its cluster and its user is told at once.
 * Does not: open the files that are named inside. Owns: the endpoint it builds; the documents for as long as that takes.
 */
#include "endpoint.h"
#include "field.h"
#include "kubeconfig_entry.h"

#include <string.h>

#define FILES_MAX 64

struct lookup {
    struct document *documents[FILES_MAX];
    struct field roots[FILES_MAX];
    size_t n;
    const char *context;        /* name, borrowed */
    struct problem *problem;
};

static void lookup_done(struct lookup *lookup) {
    for (size_t i = 0; i < lookup->n; i++)
        document_free(lookup->documents[i]);
}

static const char *entry_name(const struct field *entry) {
    struct field name;

    return field_get(&name, entry, "name") && json_object_is_type(name.value, json_type_string)
               ? json_object_get_string(name.value)
               : NULL;
}

/* "a, b, c" of what the lists have, for a hint. */
static const char *list_names(const struct lookup *lookup, const char *plural, char *buffer, size_t size) {
    size_t n = (size_t)snprintf(buffer, size, "there is no other"), n_names = 0;

    for (size_t i = 0; i < lookup->n; i++) {
        struct field list, entry;

        for (size_t j = 0; field_get(&list, &lookup->roots[i], plural) && j < field_length(&list) && n < size; j++) {
            const char *name;

            if (++n_names > 8) {
                snprintf(buffer + n, size - n, ", and more");
                return buffer;
            }
            field_item(&entry, &list, j);
            name = entry_name(&entry);
            if (n_names == 1)
                n = (size_t)snprintf(buffer, size, "there are: ");
            n += (size_t)snprintf(buffer + n, size - n, "%s%.60s", n_names > 1 ? ", " : "", name ? name : "(no name)");
        }
    }
    return buffer;
}

/* The entry `name` of a list; 1: it has none of that name. */
static int find_in(struct field *ret, const struct field *list, const char *singular, const char *name, struct problem *problem) {
    struct field entry, first = {0};
    int r = 1;

    if (!json_object_is_type(list->value, json_type_array))
        return field_problem(list, problem, "is this a kubeconfig?", "must be a list");
    for (size_t i = 0; i < field_length(list); i++) {
        const char *found;

        field_item(&entry, list, i);
        found = entry_name(&entry);
        if (!found || strcmp(found, name) != 0)
            continue;
        if (r == 0)
            return field_problem(&entry, problem, "keep one of them", "(%.100s) is there twice, the first is in line %u", name, first.line);
        if (!field_get(ret, &entry, singular) || !json_object_is_type(ret->value, json_type_object))
            return field_problem(&entry, problem, "", "(%.100s) has no \"%s\" with something in it", name, singular);
        first = entry;
        r = 0;
    }
    if (r == 0)
        snprintf(ret->name, sizeof(ret->name), "%s \"%.100s\"", singular, name);
    return r;
}

/* Finds `name` in the lists `plural`, in the files' order, and gives what stands under `singular`. */
static int find(struct field *ret, const struct lookup *lookup, const char *plural, const char *singular, const char *name,
                struct problem *problem) {
    struct field last = {0};
    bool any = false;
    char hint[300];

    for (size_t i = 0; i < lookup->n; i++) {
        struct field list;
        int r;

        if (!field_get(&list, &lookup->roots[i], plural))
            continue;
        r = find_in(ret, &list, singular, name, problem);
        if (r <= 0)
            return r;
        last = list;
        any = true;
    }
    if (!any)
        return field_problem(&lookup->roots[0], problem, "is this a kubeconfig?", "the list \"%s\" is missing", plural);
    list_names(lookup, plural, hint, sizeof(hint));
    if (strcmp(singular, "context") == 0)
        return field_problem(&last, problem, hint, "does not have the context \"%.100s\"", name);
    return field_problem(&last, problem, hint, "does not have \"%.100s\", which the context names", name);
}

/* The context's name into lookup->context (borrowed), its mapping into *ret. */
static int find_context(struct field *ret, struct lookup *lookup, const char *context) {
    char hint[300];

    lookup->context = context;
    for (size_t i = 0; i < lookup->n && !lookup->context; i++) {
        struct field current;

        if (field_get(&current, &lookup->roots[i], "current-context") && !field_is_empty(&current))
            lookup->context = json_object_get_string(current.value);
    }
    if (!lookup->context) {
        struct field contexts;

        for (size_t i = 0; i < lookup->n; i++)
            if (field_get(&contexts, &lookup->roots[i], "contexts"))
                return field_problem(&lookup->roots[0], lookup->problem, list_names(lookup, "contexts", hint, sizeof(hint)),
                                     "there is no current-context, and no context was named");
        return field_problem(&lookup->roots[0], lookup->problem, "is this a kubeconfig?", "the list \"contexts\" is missing");
    }
    return find(ret, lookup, "contexts", "context", lookup->context, lookup->problem);
}

/* What `key` of the context names, in the lists `key`s. 1: it names none. */
static int follow(struct field *ret, const struct lookup *lookup, const struct field *context, const char *key, struct problem *problem) {
    CLEANUP(cleanup_free) char *name = NULL;
    struct field field;
    char plural[16];
    int r;

    if (!field_get(&field, context, key) || field_is_empty(&field))
        return 1;
    r = field_string(&name, &field, problem);
    if (r < 0)
        return r;
    snprintf(plural, sizeof(plural), "%ss", key);
    return find(ret, lookup, plural, key, name, problem);
}

/* Cluster and user, each with all that is wrong with it. */
static int read_both(struct endpoint *endpoint, const struct lookup *lookup, const struct field *context, struct problem *problem) {
    struct reading reading = {.all = problem};
    struct field cluster, user;
    bool has_cluster;
    int r = follow(&cluster, lookup, context, "cluster", &reading.one);

    if (r == 1)
        r = field_problem(context, &reading.one, "add \"cluster: NAME\"", "names no cluster");
    has_cluster = r == 0;
    r = reading_take(&reading, r);
    if (has_cluster) {
        reading.one = (struct problem){0};
        r = reading_take(&reading, kubeconfig_read_cluster(endpoint, &cluster, &reading.one));
    }
    if (r < 0)
        return r;
    /* kubectl writes `user: ""` for a context without one: anonymous, which some proxies in front of an API expect. */
    r = follow(&user, lookup, context, "user", &reading.one);
    if (r == 0) {
        reading.one = (struct problem){0};
        r = kubeconfig_read_user(endpoint, &user, has_cluster ? &cluster : NULL, &reading.one);
    }
    r = reading_take(&reading, r);
    return r < 0 ? r : reading.bad ? -EINVAL : 0;
}

static int build(struct endpoint *endpoint, struct lookup *lookup, const char *context, const char *paths) {
    struct problem found = {0};
    struct field at, user;
    bool has_user;
    int r = find_context(&at, lookup, context);

    if (r < 0)
        return r;
    r = read_both(endpoint, lookup, &at, &found);
    if (r == -EINVAL)
        return problem_set(lookup->problem, found.where, found.hint, "context \"%.100s\": %s", lookup->context, found.what);
    if (r < 0)
        return r;
    has_user = field_get(&user, &at, "user") && !field_is_empty(&user);
    if (asprintf(&endpoint->origin, "context %s%s%s%s in %s", lookup->context, has_user ? " (user " : "",
                 has_user ? json_object_get_string(user.value) : "", has_user ? ")" : "", paths) < 0) {
        endpoint->origin = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int load(struct lookup *lookup, const char *path, bool must_exist, struct problem *problem) {
    struct document *document = NULL;
    int r;

    if (!must_exist && access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (lookup->n == FILES_MAX)
        return problem_set(problem, path, "", "more than %d kubeconfigs", FILES_MAX);
    r = document_load(&document, path, KUBECONFIG_LIMIT, problem);
    if (r < 0)
        return r;
    lookup->documents[lookup->n] = document;
    field_root(&lookup->roots[lookup->n], document);
    if (!json_object_is_type(document->root, json_type_object) && document->root)
        return field_problem(&lookup->roots[lookup->n++], problem, "is this a kubeconfig?", "there is no mapping in this file");
    lookup->n++;
    return 0;
}

/* One file, which must be there; or several, of which one must. */
static int load_all(struct lookup *lookup, const char *paths) {
    struct reading reading = {.all = lookup->problem};
    bool several = strchr(paths, ':') && access(paths, F_OK) < 0;
    CLEANUP(cleanup_free) char *copy = strdup(paths);
    char *rest = copy;
    int r = copy ? 0 : -ENOMEM;

    for (char *path; r >= 0 && (path = several ? strsep(&rest, ":") : TAKE_PTR(rest));)
        if (path[0])
            r = reading_take(&reading, load(lookup, path, !several, &reading.one));
    if (r < 0 || reading.bad)
        return r < 0 ? r : -EINVAL;
    if (lookup->n == 0)
        return problem_set(lookup->problem, paths, "create one of them, or name another", "none of these files exists");
    if (lookup->n == 1 && !lookup->documents[0]->root)
        return field_problem(&lookup->roots[0], lookup->problem, "is this a kubeconfig?", "there is no mapping in this file");
    return 0;
}

int endpoint_from_kubeconfig(struct endpoint **ret, const char *path, const char *context, struct problem *problem) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    struct problem found = {0};
    CLEANUP(lookup_done) struct lookup lookup = {.problem = &found};
    int r;

    if (!endpoint)
        return -ENOMEM;
    r = load_all(&lookup, path);
    if (r >= 0)
        r = build(endpoint, &lookup, context, path);
    if (r == -EINVAL && problem)
        *problem = found;
    if (r < 0)
        return r;
    *ret = TAKE_PTR(endpoint);
    return 0;
}
