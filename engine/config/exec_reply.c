/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec reply - the ExecCredential that a plugin prints, JSON or YAML, as client-go takes it.
 *
 * Keeps: nothing that was printed is in a problem, for half a secret is one, too; the version is the one that was asked
 * for; a certificate comes with its key. Does not: look into the PEM, or at the clock. Owns: the reply's memory,
 * overwritten when it goes.
 */
#include "nodewall/exec_plugin.h"

#include "credential.h"
#include "field.h"

#include <string.h>

#define BY_HAND "run it by hand and look at what it prints"

void exec_reply_done(struct exec_reply *reply) {
    reply->token = secret_free(reply->token);
    credential_done(&reply->certificate);
    credential_done(&reply->key);
}

static bool is(const struct field *parent, const char *key, const char *value) {
    struct field field;

    return field_get(&field, parent, key) && json_object_is_type(field.value, json_type_string) &&
           strcmp(json_object_get_string(field.value), value) == 0;
}

/* 0 also if there is none; an empty one is none. */
static int take_text(char **ret, size_t *ret_size, const struct field *status, const char *key) {
    struct field field;

    if (!field_get(&field, status, key))
        return 0;
    if (!json_object_is_type(field.value, json_type_string))
        return -EINVAL;
    if (json_object_get_string_len(field.value) == 0)
        return 0;
    *ret = strdup(json_object_get_string(field.value));
    if (!*ret)
        return -ENOMEM;
    *ret_size = strlen(*ret);
    return 0;
}

static int take_expiry(msec *ret, const struct field *status) {
    struct field field;

    if (!field_get(&field, status, "expirationTimestamp"))
        return 0;
    if (!json_object_is_type(field.value, json_type_string))
        return -EINVAL;
    return time_parse(ret, json_object_get_string(field.value));
}

static bool token_is(const char *token) {
    for (; *token; token++)
        if ((unsigned char)*token <= 0x20 || (unsigned char)*token >= 0x7f)
            return false;
    return true;
}

static int take_status(struct exec_reply *reply, const struct field *status, const char *where, struct problem *problem) {
    size_t size = 0;
    int r = take_text(&reply->token, &size, status, "token");

    if (r >= 0)
        r = take_text(&reply->certificate.data, &reply->certificate.size, status, "clientCertificateData");
    if (r >= 0)
        r = take_text(&reply->key.data, &reply->key.size, status, "clientKeyData");
    if (r == -EINVAL)
        return problem_set(problem, where, BY_HAND, "the exec plugin's status has something else than texts in it");
    if (r < 0)
        return r;
    if (take_expiry(&reply->expires, status) < 0)
        return problem_set(problem, where, BY_HAND, "the exec plugin's expirationTimestamp is no time");
    if (!reply->certificate.data != !reply->key.data)
        return problem_set(problem, where, BY_HAND, "the exec plugin gave a %s without its %s",
                           reply->key.data ? "key" : "certificate", reply->key.data ? "certificate" : "key");
    if (!reply->token && !reply->key.data)
        return problem_set(problem, where, BY_HAND, "the exec plugin gave neither a token nor a certificate");
    if (reply->token && !token_is(reply->token))
        return problem_set(problem, where, BY_HAND, "the exec plugin's token has a character that no token has");
    return 0;
}

int exec_reply_parse(struct exec_reply *ret, const struct exec_plugin *plugin, const char *text, size_t size,
                     struct problem *problem) {
    CLEANUP(document_freep) struct document *document = NULL;
    CLEANUP(exec_reply_done) struct exec_reply reply = {.expires = MSEC_NEVER};
    const char *where = plugin->command;
    struct field root, status;
    int r = document_parse(&document, where, text, size, NULL);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return problem_set(problem, where, BY_HAND, "what the exec plugin printed is neither JSON nor YAML");
    field_root(&root, document);
    if (!is(&root, "kind", "ExecCredential"))
        return problem_set(problem, where, BY_HAND, "what the exec plugin printed is no ExecCredential");
    if (!is(&root, "apiVersion", plugin->api_version))
        return problem_set(problem, where, "have both say the same version",
                           "the exec plugin does not answer in %s, which the kubeconfig asks for", plugin->api_version);
    if (!field_get(&status, &root, "status") || !json_object_is_type(status.value, json_type_object))
        return problem_set(problem, where, BY_HAND, "the exec plugin's answer has no status");
    r = take_status(&reply, &status, where, problem);
    if (r < 0)
        return r;
    *ret = reply;
    reply = (struct exec_reply){0};
    return 0;
}
