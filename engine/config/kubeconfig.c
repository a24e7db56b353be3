/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubeconfig - picks one context out of a kubeconfig and turns its cluster and user into an endpoint.
 *
 * A kubeconfig is three lists of named things that refer to each other by name; most of what goes wrong is a name that leads
 * nowhere, so every problem says which file, context and user it is about, and what there is instead. As kubectl does,
 * unknown keys are passed over (people keep extensions in these files), and data wins over a file.
 *
 * Keeps: a way to authenticate that we cannot use is refused by name, never skipped: skipping it would mean
 * speaking to the API as somebody else. Does not: open the files that are named inside. Owns: the endpoint it builds.
 */
#include "credential.h"
#include "endpoint.h"
#include "field.h"

#include <string.h>

struct lookup {
    struct field root;
    const char *context;        /* name, borrowed */
    struct problem *problem;
};

/* An optional string or secret: absent leaves *ret. */
static int get_string(char **ret, const struct field *parent, const char *key, struct problem *problem) {
    struct field field;

    return field_get(&field, parent, key) ? field_string(ret, &field, problem) : 0;
}

static const char *entry_name(const struct field *entry) {
    struct field name;

    return field_get(&name, entry, "name") && json_object_is_type(name.value, json_type_string)
               ? json_object_get_string(name.value)
               : NULL;
}

/* "a, b, c" of what the list has, for a hint. */
static void list_names(const struct field *list, char *buffer, size_t size) {
    size_t n = (size_t)snprintf(buffer, size, "there is no other");

    for (size_t i = 0; i < field_length(list) && i < 8 && n < size; i++) {
        struct field entry;
        const char *name;

        field_item(&entry, list, i);
        name = entry_name(&entry);
        if (i == 0)
            n = (size_t)snprintf(buffer, size, "there are: ");
        n += (size_t)snprintf(buffer + n, size - n, "%s%.60s", i ? ", " : "", name ? name : "(no name)");
    }
    if (n < size && field_length(list) > 8)
        snprintf(buffer + n, size - n, ", and more");
}

/* Finds `name` in the list `plural` and gives what stands under `singular`. */
static int find(struct field *ret, const struct lookup *lookup, const char *plural, const char *singular, const char *name) {
    struct field list = {0}, entry;
    char hint[300];

    if (!field_get(&list, &lookup->root, plural))
        return field_problem(&lookup->root, lookup->problem, "is this a kubeconfig?", "the list \"%s\" is missing", plural);
    if (!json_object_is_type(list.value, json_type_array))
        return field_problem(&list, lookup->problem, "is this a kubeconfig?", "must be a list");
    for (size_t i = 0; i < field_length(&list); i++) {
        const char *found;

        field_item(&entry, &list, i);
        found = entry_name(&entry);
        if (!found || strcmp(found, name) != 0)
            continue;
        if (!field_get(ret, &entry, singular) || !json_object_is_type(ret->value, json_type_object))
            return field_problem(&entry, lookup->problem, "", "(%.100s) has no \"%s\" with something in it", name, singular);
        snprintf(ret->name, sizeof(ret->name), "%s \"%.100s\"", singular, name);
        return 0;
    }
    list_names(&list, hint, sizeof(hint));
    if (strcmp(singular, "context") == 0)
        return field_problem(&list, lookup->problem, hint, "does not have the context \"%.100s\"", name);
    return field_problem(&list, lookup->problem, hint, "does not have \"%.100s\", which context \"%.100s\" names", name,
                         lookup->context);
}

static int get_path(char **ret, const struct field *parent, const char *key, struct problem *problem) {
    struct field field;

    return field_get(&field, parent, key) ? field_path(ret, &field, problem) : 0;
}

/* `<key>-data` as base64, else `<key>` as a path. */
static int get_credential(struct credential *ret, const struct field *parent, const char *key, struct problem *problem) {
    CLEANUP(secret_freep) char *text = NULL;
    char data_key[64];
    struct field field;
    int r;

    snprintf(data_key, sizeof(data_key), "%s-data", key);
    if (!field_get(&field, parent, data_key) || json_object_get_string_len(field.value) == 0)
        return get_path(&ret->path, parent, key, problem);
    r = field_secret(&text, &field, problem);
    if (r < 0)
        return r;
    r = base64_decode(ret, text);
    return r == -EINVAL ? field_problem(&field, problem, "was it cut when it was copied?", "is not base64") : r;
}

static int get_bool(bool *ret, const struct field *parent, const char *key, struct problem *problem) {
    struct field field;

    return field_get(&field, parent, key) ? field_bool(ret, &field, problem) : 0;
}

static int read_proxy(struct endpoint *endpoint, const struct field *cluster, struct problem *problem) {
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    struct field field;
    int r;

    if (!field_get(&field, cluster, "proxy-url"))
        return 0;
    r = field_secret(&endpoint->proxy, &field, problem);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        const char *rest = endpoint->proxy + strlen(schemes[i]);

        if (strncmp(endpoint->proxy, schemes[i], strlen(schemes[i])) == 0 && *rest && *rest != '/' &&
            !endpoint->proxy[strcspn(endpoint->proxy, " \t\r\n\"<>")])
            return 0;
    }
    return field_problem(&field, problem, "write http://, https:// or socks5:// and a host", "is no URL of a proxy");
}

static int read_cluster(struct endpoint *endpoint, const struct field *cluster, struct problem *problem) {
    CLEANUP(cleanup_free) char *server = NULL;
    char where[512];
    struct field field;
    int r;

    if (!field_get(&field, cluster, "server"))
        return field_problem(cluster, problem, "add server: https://HOST:PORT", "has no server");
    r = field_string(&server, &field, problem);
    if (r < 0)
        return r;
    snprintf(where, sizeof(where), "%.400s:%u", field.document->path, field.line);
    r = endpoint_set_server(endpoint, server, where, problem);
    if (r >= 0)
        r = get_credential(&endpoint->ca, cluster, "certificate-authority", problem);
    if (r >= 0)
        r = get_bool(&endpoint->insecure, cluster, "insecure-skip-tls-verify", problem);
    if (r >= 0)
        r = get_bool(&endpoint->disable_compression, cluster, "disable-compression", problem);
    if (r >= 0)
        r = read_proxy(endpoint, cluster, problem);
    if (r < 0)
        return r;
    if (endpoint->insecure && (endpoint->ca.data || endpoint->ca.path))
        return field_problem(cluster, problem, "remove insecure-skip-tls-verify",
                             "has a CA and says that it is not to be checked against");
    if (!field_get(&field, cluster, "tls-server-name"))
        return 0;
    r = field_string(&endpoint->tls_server_name, &field, problem);
    if (r >= 0 && !host_is_name(endpoint->tls_server_name))
        return field_problem(&field, problem, "write the name that the certificate has", "is no host name");
    return r;
}

static int read_extra(struct impersonation *as, const struct field *user, struct problem *problem) {
    struct field extra;
    size_t n = 0;
    int r;

    if (!field_get(&extra, user, "as-user-extra"))
        return 0;
    r = field_mapping(&extra, NULL, problem);
    if (r < 0)
        return r;
    as->extra = calloc(2 * 64 + 1, sizeof(*as->extra));
    if (!as->extra)
        return -ENOMEM;
    json_object_object_foreach(extra.value, key, value) {
        CLEANUP(strings_freep) char **values = NULL;
        struct field field;

        (void)value;
        field_get(&field, &extra, key);
        r = field_strings(&values, &field, 64, problem);
        if (r < 0)
            return r;
        for (size_t i = 0; values[i]; i++) {
            if (n == 2 * 64)
                return field_problem(&extra, problem, "", "has more than 64 values");
            as->extra[n] = strdup(key);
            if (!as->extra[n])
                return -ENOMEM;
            for (char *c = as->extra[n]; *c; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
            as->extra[n + 1] = strdup(values[i]);
            if (!as->extra[n + 1])
                return -ENOMEM;
            n += 2;
        }
    }
    return 0;
}

static int read_impersonation(struct impersonation *as, const struct field *user, struct problem *problem) {
    struct field groups;
    int r = get_string(&as->user, user, "as", problem);

    if (r >= 0)
        r = get_string(&as->uid, user, "as-uid", problem);
    if (r >= 0 && field_get(&groups, user, "as-groups"))
        r = field_strings(&as->groups, &groups, 64, problem);
    if (r >= 0)
        r = read_extra(as, user, problem);
    if (r < 0)
        return r;
    if (!as->user && (as->uid || as->groups || as->extra))
        return field_problem(user, problem, "add \"as: NAME\"", "impersonates a uid, groups or extra without a user");
    return 0;
}

/* What we would have to do and cannot. */
static int refuse_unsupported(const struct lookup *lookup, const struct field *user) {
    struct field way, command;

    if (field_get(&way, user, "exec")) {
        const char *name = field_get(&command, &way, "command") ? json_object_get_string(command.value) : "?";

        return field_problem(&way, lookup->problem, "give this user a token, a tokenFile or a client certificate",
                             "(context \"%.80s\"): the exec plugin \"%.80s\" would have to be run; exec plugins are not supported yet",
                             lookup->context, name);
    }
    if (field_get(&way, user, "auth-provider"))
        return field_problem(&way, lookup->problem, "give this user a token, a tokenFile or a client certificate",
                             "(context \"%.80s\"): auth-provider is not supported, and kubectl has dropped it too",
                             lookup->context);
    if (field_get(&way, user, "username") || field_get(&way, user, "password"))
        return field_problem(&way, lookup->problem, "give this user a token, a tokenFile or a client certificate",
                             "(context \"%.80s\"): API servers have not taken user names and passwords since 1.19", lookup->context);
    return 0;
}

static int read_token(struct endpoint *endpoint, const struct field *user, struct problem *problem) {
    struct field field;
    int r = get_path(&endpoint->token_file, user, "tokenFile", problem);

    if (r < 0 || endpoint->token_file || !field_get(&field, user, "token"))
        return r;
    r = field_secret(&endpoint->token, &field, problem);
    if (r < 0)
        return r;
    for (const char *c = endpoint->token; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return field_problem(&field, problem, "was it copied whole, and on one line?",
                                 "has a character that no token has");
    return 0;
}

static int read_user(struct endpoint *endpoint, const struct lookup *lookup, const struct field *user) {
    struct problem *problem = lookup->problem;
    int r = refuse_unsupported(lookup, user);

    if (r >= 0)
        r = read_token(endpoint, user, problem);
    if (r >= 0)
        r = get_credential(&endpoint->certificate, user, "client-certificate", problem);
    if (r >= 0)
        r = get_credential(&endpoint->key, user, "client-key", problem);
    if (r >= 0)
        r = read_impersonation(&endpoint->as, user, problem);
    if (r < 0)
        return r;
    if ((endpoint->certificate.data || endpoint->certificate.path) != (endpoint->key.data || endpoint->key.path))
        return field_problem(user, problem, "give both client-certificate and client-key", "has a client %s without its %s",
                             endpoint->key.data || endpoint->key.path ? "key" : "certificate",
                             endpoint->key.data || endpoint->key.path ? "certificate" : "key");
    return 0;
}

/* The context's name into lookup->context (borrowed), its mapping into *ret. */
static int find_context(struct field *ret, struct lookup *lookup, const char *context) {
    struct field current, contexts;
    char hint[300];

    if (!json_object_is_type(lookup->root.value, json_type_object))
        return field_problem(&lookup->root, lookup->problem, "is this a kubeconfig?", "there is no mapping in this file");
    lookup->context = context;
    if (!context && field_get(&current, &lookup->root, "current-context") &&
        json_object_get_string_len(current.value) > 0)
        lookup->context = json_object_get_string(current.value);
    if (!lookup->context) {
        if (!field_get(&contexts, &lookup->root, "contexts"))
            return field_problem(&lookup->root, lookup->problem, "is this a kubeconfig?", "the list \"contexts\" is missing");
        list_names(&contexts, hint, sizeof(hint));
        return field_problem(&lookup->root, lookup->problem, hint, "there is no current-context, and no context was named");
    }
    return find(ret, lookup, "contexts", "context", lookup->context);
}

static int build(struct endpoint *endpoint, struct lookup *lookup, const char *context) {
    CLEANUP(cleanup_free) char *cluster_name = NULL, *user_name = NULL;
    struct field at, cluster, user, name;
    int r = find_context(&at, lookup, context);

    if (r < 0)
        return r;
    if (!field_get(&name, &at, "cluster"))
        return field_problem(&at, lookup->problem, "add \"cluster: NAME\"", "names no cluster");
    r = field_string(&cluster_name, &name, lookup->problem);
    if (r >= 0)
        r = find(&cluster, lookup, "clusters", "cluster", cluster_name);
    if (r >= 0)
        r = read_cluster(endpoint, &cluster, lookup->problem);
    if (r < 0)
        return r;
    /* kubectl writes `user: ""` for a context without one: anonymous, which some proxies in front of an API expect. */
    if (field_get(&name, &at, "user") && json_object_get_string_len(name.value) > 0) {
        r = field_string(&user_name, &name, lookup->problem);
        if (r >= 0)
            r = find(&user, lookup, "users", "user", user_name);
        if (r >= 0)
            r = read_user(endpoint, lookup, &user);
        if (r < 0)
            return r;
    }
    if (asprintf(&endpoint->origin, "context %s in %s", lookup->context, lookup->root.document->path) < 0) {
        endpoint->origin = NULL;
        return -ENOMEM;
    }
    return 0;
}

int endpoint_from_kubeconfig(struct endpoint **ret, const char *path, const char *context, struct problem *problem) {
    CLEANUP(document_freep) struct document *document = NULL;
    CLEANUP(endpoint_freep) struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    struct lookup lookup = {.problem = problem};
    int r;

    if (!endpoint)
        return -ENOMEM;
    r = document_load(&document, path, KUBECONFIG_LIMIT, problem);
    if (r < 0)
        return r;
    field_root(&lookup.root, document);
    r = build(endpoint, &lookup, context);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(endpoint);
    return 0;
}
