/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec plugin - the stanza `exec:` of a user, and what its plugin is told about the cluster.
 *
 * Whoever can write this stanza runs programs as us, so a kubeconfig that others can write to is refused when it has
 * one. As kubectl does it, a command with a slash is found from the kubeconfig's directory and one without in PATH, and
 * arguments are passed as they are: there is no shell to read them.
 *
 * Keeps: a stanza that asks for what a daemon cannot give (a terminal, a version that is gone) is a problem at once, not
 * at the first expiry. Does not: look for the command, or run it. Owns: the values, overwritten where secret.
 */
#include "exec_plugin.h"

#include "credential.h"
#include "nodewall/json.h"

#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define GROUP "client.authentication.k8s.io/"
#define LIST_LIMIT 1024

struct exec_plugin *exec_plugin_free(struct exec_plugin *plugin) {
    if (!plugin)
        return NULL;
    free(plugin->command);
    strings_free(plugin->arguments);
    for (char **pair = plugin->environment; pair && *pair; pair++)
        secret_free(*pair);
    free(plugin->environment);
    free(plugin->install_hint);
    free(plugin->api_version);
    free(plugin->cluster_config);
    free(plugin);
    return NULL;
}

static int check_writers(const struct field *exec, struct problem *problem) {
    struct stat st;

    if (stat(exec->document->path, &st) < 0)
        return 0; /* it was there a moment ago; what was read is judged by its content */
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return field_problem(exec, problem, "chmod go-w it", "would run a program that others may choose: the file is writable for them");
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return field_problem(exec, problem, "chown it to root, or to the user that nodewall runs as",
                             "would run a program that another user chose: the file belongs to uid %u", (unsigned)st.st_uid);
    return 0;
}

static int read_command(struct exec_plugin *plugin, const struct field *exec, struct problem *problem) {
    struct field field;
    int r;

    if (!field_get(&field, exec, "command") || field_is_empty(&field))
        return field_problem(exec, problem, "add command: PROGRAM", "has no command");
    r = field_string(&plugin->command, &field, problem);
    if (r < 0 || !strchr(plugin->command, '/'))
        return r;
    return field_path(&plugin->command, &field, problem);
}

static int read_version(struct exec_plugin *plugin, const struct field *exec, struct problem *problem) {
    struct field field;
    int r;

    if (!field_get(&field, exec, "apiVersion") || field_is_empty(&field))
        return field_problem(exec, problem, "add apiVersion: " GROUP "v1", "has no apiVersion");
    r = field_string(&plugin->api_version, &field, problem);
    if (r < 0 || strcmp(plugin->api_version, GROUP "v1") == 0 || strcmp(plugin->api_version, GROUP "v1beta1") == 0)
        return r;
    if (strcmp(plugin->api_version, GROUP "v1alpha1") == 0)
        return field_problem(&field, problem, "have the plugin's own tool write the kubeconfig anew: kubectl has dropped it in 1.24",
                             "is v1alpha1, which is no more");
    return field_problem(&field, problem, "write " GROUP "v1 or " GROUP "v1beta1", "is \"%.80s\"", plugin->api_version);
}

/* We never have a terminal to offer, and say so to the plugin. */
static int check_mode(const struct exec_plugin *plugin, const struct field *exec, struct problem *problem) {
    static const char *const modes[] = {"Never", "IfAvailable", "Always", NULL};
    struct field field;
    int mode, r;

    if (!field_get(&field, exec, "interactiveMode") || field_is_empty(&field)) {
        if (plugin->api_version && strcmp(plugin->api_version, GROUP "v1") == 0)
            return field_problem(exec, problem, "add interactiveMode: Never", "has no interactiveMode, which v1 must have");
        return 0;
    }
    r = field_choice(&mode, &field, modes, problem);
    if (r >= 0 && mode == 2)
        return field_problem(&field, problem, "use credentials that need nobody, such as a service account's",
                             "is Always: the plugin wants a person to answer it, and there is none here");
    return r;
}

/* Any text, also an empty one or one of several lines. */
static int copy_text(char **ret, const struct field *field, struct problem *problem) {
    if (!json_object_is_type(field->value, json_type_string))
        return field_problem(field, problem, "put it in quotes", "is no text");
    if (json_object_get_string_len(field->value) > CREDENTIAL_LIMIT / 2) /* the kernel takes 128 KiB */
        return field_problem(field, problem, "", "is longer than a program can be given");
    *ret = strdup(json_object_get_string(field->value));
    return *ret ? 0 : -ENOMEM;
}

/* The list `key` into *ret (with room for a NULL), or none. */
static int begin_list(char ***ret, struct field *list, const struct field *exec, const char *key, struct problem *problem) {
    if (!field_get(list, exec, key))
        return 0;
    if (!json_object_is_type(list->value, json_type_array) || field_length(list) > LIST_LIMIT)
        return field_problem(list, problem, "", "must be a list, of at most %d", LIST_LIMIT);
    *ret = calloc(field_length(list) + 1, sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

static int read_arguments(struct exec_plugin *plugin, const struct field *exec, struct problem *problem) {
    struct field list = {0}, item;
    int r = begin_list(&plugin->arguments, &list, exec, "args", problem);

    for (size_t i = 0; r >= 0 && plugin->arguments && i < field_length(&list); i++) {
        field_item(&item, &list, i);
        r = copy_text(&plugin->arguments[i], &item, problem);
    }
    return r;
}

static int read_variable(char **ret, const struct field *item, struct problem *problem) {
    CLEANUP(secret_freep) char *name = NULL, *value = NULL;
    struct field field;
    size_t size;
    int r;

    if (!field_get(&field, item, "name"))
        return field_problem(item, problem, "write {name: NAME, value: VALUE}", "has no name");
    r = field_string(&name, &field, problem);
    if (r >= 0 && strchr(name, '='))
        return field_problem(&field, problem, "", "has a '=' in it");
    if (r >= 0 && field_get(&field, item, "value"))
        r = copy_text(&value, &field, problem);
    if (r < 0)
        return r;
    size = strlen(name) + 1 + (value ? strlen(value) : 0) + 1;
    *ret = malloc(size); /* asprintf would leave pieces behind where it grows */
    if (!*ret)
        return -ENOMEM;
    snprintf(*ret, size, "%s=%s", name, value ? value : "");
    return 0;
}

static int read_environment(struct exec_plugin *plugin, const struct field *exec, struct problem *problem) {
    struct field list = {0}, item;
    int r = begin_list(&plugin->environment, &list, exec, "env", problem);

    for (size_t i = 0; r >= 0 && plugin->environment && i < field_length(&list); i++) {
        field_item(&item, &list, i);
        r = read_variable(&plugin->environment[i], &item, problem);
    }
    return r;
}

/* For people, on one line. */
static int read_hint(struct exec_plugin *plugin, const struct field *exec, struct problem *problem) {
    struct field field;
    int r;

    if (!field_get(&field, exec, "installHint") || field_is_empty(&field))
        return 0;
    r = copy_text(&plugin->install_hint, &field, problem);
    if (r < 0)
        return r;
    for (char *c = plugin->install_hint; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return 0;
}

static int read_cluster(struct exec_plugin *plugin, const struct field *exec, const struct field *cluster,
                        struct problem *problem) {
    struct field field, list, item;
    int r = field_get(&field, exec, "provideClusterInfo") ? field_bool(&plugin->wants_cluster, &field, problem) : 0;

    if (r < 0 || !plugin->wants_cluster || !cluster || !field_get(&list, cluster, "extensions"))
        return r;
    for (size_t i = 0; i < field_length(&list); i++) {
        field_item(&item, &list, i);
        if (!field_get(&field, &item, "name") || !json_object_is_type(field.value, json_type_string) ||
            strcmp(json_object_get_string(field.value), GROUP "exec") != 0 || !field_get(&field, &item, "extension"))
            continue;
        plugin->cluster_config = strdup(json_object_to_json_string_ext(field.value, JSON_C_TO_STRING_PLAIN));
        return plugin->cluster_config ? 0 : -ENOMEM;
    }
    return 0;
}

int exec_plugin_read(struct exec_plugin **ret, const struct field *exec, const struct field *cluster, struct problem *problem) {
    CLEANUP(exec_plugin_freep) struct exec_plugin *plugin = calloc(1, sizeof(*plugin));
    struct reading reading = {.all = problem};
    int r;

    if (!plugin)
        return -ENOMEM;
    r = field_mapping(exec, NULL, problem);
    if (r < 0)
        return r;
    r = reading_take(&reading, check_writers(exec, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_command(plugin, exec, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_version(plugin, exec, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, check_mode(plugin, exec, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_arguments(plugin, exec, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_environment(plugin, exec, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_hint(plugin, exec, &reading.one));
    if (r >= 0)
        r = reading_take(&reading, read_cluster(plugin, exec, cluster, &reading.one));
    if (r < 0 || reading.bad)
        return r < 0 ? r : -EINVAL;
    *ret = TAKE_PTR(plugin);
    return 0;
}

/* ---- KUBERNETES_EXEC_INFO ---- */

/* Takes `value` over. */
static int add(json_object *to, const char *key, json_object *value) {
    if (value && json_object_object_add(to, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static int add_ca(json_object *to, const char *ca, size_t size) {
    CLEANUP(cleanup_free) char *text = malloc((size + 2) / 3 * 4 + 1);

    if (!text)
        return -ENOMEM;
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)ca, (int)size);
    return add(to, "certificate-authority-data", json_object_new_string(text));
}

static int cluster_info(json_object *to, const struct endpoint *endpoint, const char *ca, size_t ca_size) {
    const struct exec_plugin *plugin = endpoint->exec;
    int r = add(to, "server", json_object_new_string(endpoint->server));

    if (r >= 0 && endpoint->tls_server_name)
        r = add(to, "tls-server-name", json_object_new_string(endpoint->tls_server_name));
    if (r >= 0 && endpoint->insecure)
        r = add(to, "insecure-skip-tls-verify", json_object_new_boolean(true));
    if (r >= 0 && ca)
        r = add_ca(to, ca, ca_size);
    if (r >= 0 && endpoint->proxy)
        r = add(to, "proxy-url", json_object_new_string(endpoint->proxy));
    if (r >= 0 && endpoint->disable_compression)
        r = add(to, "disable-compression", json_object_new_boolean(true));
    if (r < 0 || !plugin->cluster_config)
        return r < 0 ? r : json_object_object_add(to, "config", NULL) < 0 ? -ENOMEM : 0;
    return add(to, "config", json_tokener_parse(plugin->cluster_config));
}

int exec_plugin_info(char **ret, const struct endpoint *endpoint, const char *ca, size_t ca_size) {
    CLEANUP(json_putp) json_object *info = json_object_new_object();
    json_object *spec = json_object_new_object(), *cluster = NULL;
    int r;

    if (!info || !spec) {
        json_object_put(spec);
        return -ENOMEM;
    }
    r = add(info, "kind", json_object_new_string("ExecCredential"));
    if (r >= 0)
        r = add(info, "apiVersion", json_object_new_string(endpoint->exec->api_version));
    if (r < 0) {
        json_object_put(spec);
        return r;
    }
    r = add(info, "spec", spec);
    if (r >= 0)
        r = add(spec, "interactive", json_object_new_boolean(false));
    if (r >= 0 && endpoint->exec->wants_cluster) {
        cluster = json_object_new_object();
        r = add(spec, "cluster", cluster);
        if (r >= 0)
            r = cluster_info(cluster, endpoint, ca, ca_size);
    }
    if (r < 0)
        return r;
    *ret = strdup(json_object_to_json_string_ext(info, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    return *ret ? 0 : -ENOMEM;
}
