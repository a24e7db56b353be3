/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubeconfig entry - what stands in one cluster and in one user, read into an endpoint.
 *
 * As kubectl does, unknown keys are passed over (people keep extensions in these files), and data wins over a file.
 *
 * Keeps: a way to authenticate that we cannot use is refused by name, never skipped: skipping it would mean
 * speaking to the API as somebody else. Does not: open the files that are named inside. Owns: nothing.
 */
#include "kubeconfig_entry.h"

#include "credential.h"
#include "endpoint.h"
#include "exec_plugin.h"

#include <string.h>

#define OTHERWISE "give this user a token, a tokenFile, a client certificate or an exec plugin"

/* An empty text is none, as for kubectl. */
static bool present(struct field *ret, const struct field *parent, const char *key) {
    return field_get(ret, parent, key) && !field_is_empty(ret);
}

/* An optional string: absent leaves *ret. */
static int get_string(char **ret, const struct field *parent, const char *key, struct problem *problem) {
    struct field field;

    return present(&field, parent, key) ? field_string(ret, &field, problem) : 0;
}

static int get_path(char **ret, const struct field *parent, const char *key, struct problem *problem) {
    struct field field;

    return present(&field, parent, key) ? field_path(ret, &field, problem) : 0;
}

/* `<key>-data` as base64, else `<key>` as a path. */
static int get_credential(struct credential *ret, const struct field *parent, const char *key, struct problem *problem) {
    CLEANUP(secret_freep) char *text = NULL;
    char data_key[64];
    struct field field;
    int r;

    snprintf(data_key, sizeof(data_key), "%s-data", key);
    if (!present(&field, parent, data_key))
        return get_path(&ret->path, parent, key, problem);
    r = field_secret(&text, &field, problem);
    if (r < 0)
        return r;
    r = base64_decode(ret, text);
    return r == -EINVAL ? field_problem(&field, problem, "was it cut when it was copied?", "is not base64") : r;
}

static int get_bool(bool *ret, const struct field *parent, const char *key, struct problem *problem) {
    struct field field;

    return present(&field, parent, key) ? field_bool(ret, &field, problem) : 0;
}

static int read_proxy(struct endpoint *endpoint, const struct field *cluster, struct problem *problem) {
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    struct field field;
    int r;

    if (!present(&field, cluster, "proxy-url"))
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

static int read_server(struct endpoint *endpoint, const struct field *cluster, struct problem *problem) {
    CLEANUP(cleanup_free) char *server = NULL;
    char where[512];
    struct field field;
    int r;

    if (!present(&field, cluster, "server"))
        return field_problem(cluster, problem, "add server: https://HOST:PORT", "has no server");
    r = field_string(&server, &field, problem);
    if (r < 0)
        return r;
    snprintf(where, sizeof(where), "%.400s:%u", field.document->path, field.line);
    return endpoint_set_server(endpoint, server, where, problem);
}

static int read_server_name(struct endpoint *endpoint, const struct field *cluster, struct problem *problem) {
    struct field field;
    int r = present(&field, cluster, "tls-server-name") ? field_string(&endpoint->tls_server_name, &field, problem) : 0;

    if (r >= 0 && endpoint->tls_server_name && !host_is_name(endpoint->tls_server_name))
        return field_problem(&field, problem, "write the name that the certificate has", "is no host name");
    return r;
}

int kubeconfig_read_cluster(struct endpoint *endpoint, const struct field *cluster, struct problem *problem) {
    struct reading reading = {.all = problem};
    int r = reading_take(&reading, read_server(endpoint, cluster, &reading.one));

    if (r >= 0)
        r = reading_take(&reading, get_credential(&endpoint->ca, cluster, "certificate-authority", &reading.one));
    if (r >= 0)
        r = reading_take(&reading, get_bool(&endpoint->insecure, cluster, "insecure-skip-tls-verify", &reading.one));
    if (r >= 0)
        r = reading_take(&reading, get_bool(&endpoint->disable_compression, cluster, "disable-compression", &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_proxy(endpoint, cluster, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_server_name(endpoint, cluster, &reading.one));
    if (r >= 0 && endpoint->insecure && (endpoint->ca.data || endpoint->ca.path))
        r = reading_take(&reading, field_problem(cluster, &reading.one, "remove insecure-skip-tls-verify",
                                                 "has a CA and says that it is not to be checked against"));
    return r < 0 ? r : reading.bad ? -EINVAL : 0;
}

static int read_extra(struct impersonation *as, const struct field *user, struct problem *problem) {
    struct field extra;
    size_t n = 0;
    int r;

    if (!present(&extra, user, "as-user-extra"))
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
        present(&field, &extra, key);
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
    if (r >= 0 && present(&groups, user, "as-groups"))
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
static int refuse_unsupported(const struct field *user, struct problem *problem) {
    struct field way;

    if (present(&way, user, "auth-provider"))
        return field_problem(&way, problem, OTHERWISE, "is not supported, and kubectl has dropped most of it too");
    if (present(&way, user, "username") || present(&way, user, "password"))
        return field_problem(&way, problem, OTHERWISE, "is no use: API servers have not taken user names and passwords since 1.19");
    return 0;
}

static int read_token(struct endpoint *endpoint, const struct field *user, struct problem *problem) {
    struct field field;
    int r = get_path(&endpoint->token_file, user, "tokenFile", problem);

    if (r < 0 || !present(&field, user, "token"))
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

static int read_pair(struct endpoint *endpoint, const struct field *user, struct problem *problem) {
    bool certificate, key;
    int r = get_credential(&endpoint->certificate, user, "client-certificate", problem);

    if (r >= 0)
        r = get_credential(&endpoint->key, user, "client-key", problem);
    if (r < 0)
        return r;
    certificate = endpoint->certificate.data || endpoint->certificate.path;
    key = endpoint->key.data || endpoint->key.path;
    if (certificate != key)
        return field_problem(user, problem, "give both client-certificate and client-key", "has a client %s without its %s",
                             key ? "key" : "certificate", key ? "certificate" : "key");
    return 0;
}

/* Checked in any case; a token or a certificate beside it is used instead. */
static int read_exec(struct endpoint *endpoint, const struct field *user, const struct field *cluster, struct problem *problem) {
    CLEANUP(exec_plugin_freep) struct exec_plugin *plugin = NULL;
    struct field field;
    int r = present(&field, user, "exec") ? exec_plugin_read(&plugin, &field, cluster, problem) : 0;

    if (r >= 0 && !endpoint->token && !endpoint->token_file && !endpoint->key.data && !endpoint->key.path)
        endpoint->exec = TAKE_PTR(plugin);
    return r;
}

int kubeconfig_read_user(struct endpoint *endpoint, const struct field *user, const struct field *cluster, struct problem *problem) {
    struct reading reading = {.all = problem};
    int r = reading_take(&reading, refuse_unsupported(user, &reading.one));

    if (r >= 0)
        r = reading_take(&reading, read_token(endpoint, user, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_pair(endpoint, user, &reading.one));
    reading.one = (struct problem){0}; /* the next step adds to it */
    if (r >= 0)
        r = reading_take(&reading, read_exec(endpoint, user, cluster, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_impersonation(&endpoint->as, user, &reading.one));
    return r < 0 ? r : reading.bad ? -EINVAL : 0;
}
