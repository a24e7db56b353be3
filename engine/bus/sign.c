/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sign - reads Salt's events about jobs, starts and keys, and the returns of the execution module nodewall.
 *
 *   salt/job/JID/new            a job went out         salt/minion/ID/start    it starts
 *   salt/job/JID/ret/ID         a return               salt/auth, salt/key     it signed in; keys
 *
 * What a minion has is told by versions, not by words: nodewall.update tells one, nodewall.apply and nodewall.status
 * tell all, a state run none.
 * Keeps: the id in the data must be the one in the tag, which is as far as a claim can be checked here: Salt does not
 * let one minion return in the name of another, though it lets it fire an event that looks so.
 */
#include "sign.h"

#include <string.h>

static bool is(const char *text, size_t size, const char *literal) {
    return strlen(literal) == size && !memcmp(text, literal, size);
}

/* The rest behind the prefix; NULL when it is not there. */
static const char *after(const char *text, size_t *size, const char *prefix) {
    size_t n = strlen(prefix);

    if (*size < n || memcmp(text, prefix, n))
        return NULL;
    *size -= n;
    return text + n;
}

/* The part of a job's tag behind its jid. */
static const char *after_jid(const char *tag, size_t *size) {
    const char *rest = after(tag, size, "salt/job/"), *slash = rest ? memchr(rest, '/', *size) : NULL;

    if (!slash)
        return NULL;
    *size -= (size_t)(slash - rest);
    return slash;
}

enum tag_kind { TAG_OTHER, TAG_NEW, TAG_RETURN, TAG_START, TAG_AUTH, TAG_KEY };

/* *ret_id, *ret_size: the minion's id, where the tag has one. */
static enum tag_kind kind_of(const char *tag, size_t size, const char **ret_id, size_t *ret_size) {
    static const char start[] = "/start";
    const size_t n_start = sizeof(start) - 1;
    const char *rest;
    size_t n = size;

    if (is(tag, size, "salt/auth"))
        return TAG_AUTH;
    if (is(tag, size, "salt/key"))
        return TAG_KEY;
    rest = after(tag, &n, "salt/minion/");
    if (rest) {
        if (n <= n_start || memcmp(rest + n - n_start, start, n_start))
            return TAG_OTHER;
        *ret_id = rest;
        *ret_size = n - n_start;
        return TAG_START;
    }
    n = size;
    rest = after_jid(tag, &n);
    if (!rest)
        return TAG_OTHER;
    if (is(rest, n, "/new"))
        return TAG_NEW;
    rest = after(rest, &n, "/ret/");
    if (!rest || n == 0)
        return TAG_OTHER;
    *ret_id = rest;
    *ret_size = n;
    return TAG_RETURN;
}

bool sign_wants(const char *tag, size_t tag_size) {
    const char *id;
    size_t size;

    return kind_of(tag, tag_size, &id, &size) != TAG_OTHER;
}

/* "" for whatever is no text. */
static const char *text_of(json_object *from, const char *key) {
    json_object *value = json_get(from, key);

    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

/* Function arguments, as Salt passes them on: positional ones, and maps of named ones. */
static json_object *named_argument(json_object *arguments, const char *name) {
    size_t n = json_object_is_type(arguments, json_type_array) ? json_object_array_length(arguments) : 0;

    for (size_t i = 0; i < n; i++) {
        json_object *value = json_get(json_object_array_get_idx(arguments, i), name);

        if (value)
            return value;
    }
    return NULL;
}

static bool arguments_name_cluster(json_object *arguments, const char *cluster) {
    json_object *value = named_argument(arguments, "cluster");

    if (!value && json_object_is_type(arguments, json_type_array))
        value = json_object_array_get_idx(arguments, 0);
    return json_object_is_type(value, json_type_string) && !strcmp(json_object_get_string(value), cluster);
}

/* A dry run tells what would be, not what is. The command line's test=True comes as text. */
static bool is_dry(json_object *arguments) {
    size_t n = json_object_is_type(arguments, json_type_array) ? json_object_array_length(arguments) : 0;

    for (size_t i = 0; i < n; i++) {
        json_object *value = json_object_array_get_idx(arguments, i);

        if (json_object_is_type(value, json_type_string) && !strncmp(json_object_get_string(value), "test=", 5))
            return strcasecmp(json_object_get_string(value) + 5, "false") != 0;
    }
    return json_object_get_boolean(named_argument(arguments, "test"));
}

static void read_version(struct sign *sign, json_object *from) {
    json_object *generation = json_get(from, "generation");
    const char *digest = text_of(from, "digest"), *rv = text_of(from, "rv");

    sign->epoch = text_of(from, "epoch");
    sign->digest = hex_is(digest, DIGEST_DIGITS) ? digest : "";
    sign->rv = decimal_is(rv) ? rv : "";
    if (!hex_is(sign->epoch, EPOCH_DIGITS) || !json_object_is_type(generation, json_type_int) ||
        json_object_get_int64(generation) < 0)
        return;
    sign->generation = (uint64_t)json_object_get_int64(generation);
    sign->has_version = true;
}

static void read_update(struct sign *sign, const char *cluster, json_object *data) {
    json_object *answer = json_get(data, "return");

    if (!json_object_is_type(answer, json_type_object)) { /* no such module, or a traceback */
        if (arguments_name_cluster(json_get(data, "fun_args"), cluster)) {
            sign->kind = SIGN_ANSWER;
            sign->answer = SIGN_FAILED;
            sign->result = "failed";
        }
        return;
    }
    if (strcmp(text_of(answer, "cluster"), cluster))
        return;
    sign->kind = SIGN_ANSWER;
    sign->result = text_of(answer, "result");
    read_version(sign, answer);
    if (!strcmp(sign->result, "not-mine"))
        sign->answer = SIGN_NOT_MINE;
    else if (!strcmp(sign->result, "conflict"))
        sign->answer = SIGN_CONFLICT;
    else if (!sign->has_version)
        sign->answer = SIGN_FAILED;
    /* else what it has counts, also when the rest failed */
}

/* nodewall.apply and nodewall.status: all clusters that are applied. One that is missing was not mentioned, no more. */
static void read_all(struct sign *sign, const char *cluster, json_object *data) {
    json_object *answer = json_get(data, "return"), *entry = json_get(json_get(answer, "clusters"), cluster);
    json_object *applied = json_get(entry, "applied");

    if (!entry || is_dry(json_get(data, "fun_args")) || (applied && !json_object_get_boolean(applied)))
        return;
    read_version(sign, entry);
    if (!sign->has_version)
        return;
    sign->kind = SIGN_ANSWER;
    sign->result = text_of(answer, "result");
    if (!strcmp(sign->result, "conflict"))
        sign->answer = SIGN_CONFLICT;
}

/* Whether a state run had one of nodewall's states: "nodewall_|-id_|-name_|-applied". */
static bool has_our_state(json_object *returned) {
    if (!json_object_is_type(returned, json_type_object))
        return false;
    json_object_object_foreach(returned, key, value) {
        (void)value;
        if (!strncmp(key, "nodewall_|-", 11))
            return true;
    }
    return false;
}

static void read_return(struct sign *sign, const char *cluster, json_object *data) {
    const char *function = text_of(data, "fun");

    sign->kind = SIGN_ALIVE;
    if (!strcmp(function, "nodewall.update"))
        read_update(sign, cluster, data);
    else if (!strcmp(function, "nodewall.apply") || !strcmp(function, "nodewall.status"))
        read_all(sign, cluster, data);
    else if (!strcmp(function, "nodewall.clean") && !is_dry(json_get(data, "fun_args")))
        sign->kind = SIGN_CLEANED;
    else if (!strncmp(function, "state.", 6) && has_our_state(json_get(data, "return")))
        sign->kind = SIGN_STATE;
}

static void read_job(struct sign *sign, const char *cluster, json_object *data) {
    json_object *arguments = json_get(data, "arg"), *minions = json_get(data, "minions");
    double splay = json_object_get_double(named_argument(arguments, "splay"));

    if (strcmp(text_of(data, "fun"), "nodewall.update") || !json_object_is_type(minions, json_type_array) ||
        !arguments_name_cluster(arguments, cluster))
        return;
    sign->kind = SIGN_JOB;
    sign->minions = minions;
    sign->splay = splay > 0 ? (msec)(MIN(splay, SIGN_SPLAY_MAX / 1000) * 1000) : 0;
}

void sign_read(struct sign *ret, const char *cluster, const char *tag, size_t tag_size, json_object *data) {
    const char *id = NULL, *claimed = text_of(data, "id");
    size_t n_id = 0;
    enum tag_kind kind = kind_of(tag, tag_size, &id, &n_id);

    *ret = (struct sign){.result = "", .epoch = "", .digest = "", .rv = ""};
    if (kind == TAG_OTHER || (id && !is(id, n_id, claimed)))
        return;
    ret->minion = claimed;
    ret->minion_size = strlen(claimed);
    switch (kind) {
    case TAG_NEW: read_job(ret, cluster, data); break;
    case TAG_RETURN: read_return(ret, cluster, data); break;
    case TAG_START: ret->kind = SIGN_START; break;
    case TAG_KEY: ret->kind = strcmp(text_of(data, "act"), "delete") ? SIGN_NONE : SIGN_KEY_DELETED; break;
    case TAG_AUTH: ret->kind = json_object_get_boolean(json_get(data, "result")) ? SIGN_ALIVE : SIGN_NONE; break;
    default: break;
    }
}
