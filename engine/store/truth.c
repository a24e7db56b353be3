/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Truth - reading store/<cluster>.json back.
 *
 * The checksum is over the very bytes of the value of "store", so it finds a damaged disk before any parser does. What
 * passes it is still checked like anything from outside: the file may have been edited, or copied from another cluster.
 */
#include "content.h"

#include "nodewall/json.h"

#include <string.h>

/* More than store_prepare lets a policy have, for here it stands one level deeper. */
enum { DEPTH = 2 * JSON_TOKENER_DEFAULT_DEPTH };

static void tokener_done(struct json_tokener **tokener) {
    json_tokener_free(*tokener);
}

static int unwrap(const char **ret_body, size_t *ret_size, const char *data, size_t size) {
    const size_t head = strlen(TRUTH_HEAD), middle = strlen(TRUTH_MIDDLE), tail = strlen(TRUTH_TAIL);
    char checksum[DIGEST_DIGITS + 1];
    int r;

    if (size < head + DIGEST_DIGITS + middle + tail || memcmp(data, TRUTH_HEAD, head) ||
        memcmp(data + head + DIGEST_DIGITS, TRUTH_MIDDLE, middle) || memcmp(data + size - tail, TRUTH_TAIL, tail))
        return -EBADMSG;
    *ret_body = data + head + DIGEST_DIGITS + middle;
    *ret_size = size - (head + DIGEST_DIGITS + middle + tail);
    r = content_checksum(checksum, *ret_body, *ret_size);
    if (r < 0)
        return r;
    return memcmp(checksum, data + head, DIGEST_DIGITS) ? -EBADMSG : 0;
}

static int parse_json(json_object **ret, const char *data, size_t size) {
    CLEANUP(tokener_done) struct json_tokener *tokener = json_tokener_new_ex(DEPTH);
    CLEANUP(json_putp) json_object *object = NULL;

    if (!tokener)
        return -ENOMEM;
    if (size > INT32_MAX)
        return -EBADMSG;
    object = json_tokener_parse_ex(tokener, data, (int)size);
    if (json_tokener_get_error(tokener) != json_tokener_success || json_tokener_get_parse_end(tokener) != size ||
        !json_object_is_type(object, json_type_object))
        return -EBADMSG;
    *ret = TAKE_PTR(object);
    return 0;
}

static const char *get_string(json_object *object, const char *key) {
    json_object *value = json_get(object, key);

    if (!json_object_is_type(value, json_type_string) ||
        strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
        return NULL;
    return json_object_get_string(value);
}

static json_object *get_array(json_object *object, const char *key) {
    json_object *value = json_get(object, key);

    return json_object_is_type(value, json_type_array) ? value : NULL;
}

static int get_generation(uint64_t *ret, json_object *object) {
    json_object *value = json_get(object, "generation");
    int64_t number;

    if (!json_object_is_type(value, json_type_int))
        return -EBADMSG;
    number = json_object_get_int64(value);
    if (number < 1 || number >= (int64_t)1 << 53)
        return -EBADMSG;
    *ret = (uint64_t)number;
    return 0;
}

static int get_rv(char ret[RV_MAX + 1], json_object *object) {
    const char *rv = get_string(object, "rv");

    if (!rv || (*rv && !decimal_is(rv)))
        return -EBADMSG;
    snprintf(ret, RV_MAX + 1, "%s", rv);
    return 0;
}

static int get_digest(char ret[DIGEST_DIGITS + 1], json_object *object, const char *key) {
    const char *digest = get_string(object, key);

    if (!digest || !hex_is(digest, DIGEST_DIGITS))
        return -EBADMSG;
    memcpy(ret, digest, DIGEST_DIGITS + 1);
    return 0;
}

static int parse_address(struct address *ret, json_object *text) {
    if (!json_object_is_type(text, json_type_string) ||
        address_parse(ret, json_object_get_string(text), (size_t)json_object_get_string_len(text)) < 0)
        return -EBADMSG;
    return 0;
}

/* ["203.0.113.7","node-a"], with the time since when behind it in the set itself */
static int parse_member(struct member *ret, json_object *pair) {
    json_object *label;

    if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) < 2 ||
        json_object_array_length(pair) > 3)
        return -EBADMSG;
    label = json_object_array_get_idx(pair, 1);
    if (!json_object_is_type(label, json_type_string))
        return -EBADMSG;
    label_make(ret->label, json_object_get_string(label));
    return parse_address(&ret->address, json_object_array_get_idx(pair, 0));
}

static int parse_members(struct set *set, json_object *list) {
    size_t n = json_object_array_length(list);
    int r;

    for (size_t i = 0; i < n; i++) {
        struct member member;

        r = parse_member(&member, json_object_array_get_idx(list, i));
        if (r >= 0)
            r = set_append(set, &member.address, member.label);
        if (r < 0)
            return r == -E2BIG ? -EBADMSG : r;
    }
    return 0;
}

static int parse_added(struct delta *delta, json_object *list) {
    size_t n = json_object_array_length(list);

    if (n > SET_LIMIT)
        return -EBADMSG;
    delta->added = calloc(n + 1, sizeof(*delta->added));
    if (!delta->added)
        return -ENOMEM;
    for (; delta->n_added < n; delta->n_added++) {
        int r = parse_member(&delta->added[delta->n_added], json_object_array_get_idx(list, delta->n_added));

        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_delta(struct delta **ret, json_object *object) {
    CLEANUP(delta_freep) struct delta *delta = calloc(1, sizeof(*delta));
    json_object *adds = get_array(object, "added"), *removes = get_array(object, "removed");
    int r;

    if (!delta)
        return -ENOMEM;
    if (!adds || !removes || get_generation(&delta->generation, object) < 0 || get_rv(delta->rv, object) < 0 ||
        get_digest(delta->base, object, "base") < 0 || get_digest(delta->digest, object, "digest") < 0)
        return -EBADMSG;
    r = parse_added(delta, adds);
    if (r < 0)
        return r;
    delta->removed = calloc(json_object_array_length(removes) + 1, sizeof(*delta->removed));
    if (!delta->removed)
        return -ENOMEM;
    for (; delta->n_removed < json_object_array_length(removes); delta->n_removed++) {
        r = parse_address(&delta->removed[delta->n_removed], json_object_array_get_idx(removes, delta->n_removed));
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(delta);
    return 0;
}

static int parse_deltas(struct content *content, json_object *list) {
    char tip[DIGEST_DIGITS + 1] = "";
    uint64_t generation = 0;
    int r;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        CLEANUP(delta_freep) struct delta *delta = NULL;

        r = parse_delta(&delta, json_object_array_get_idx(list, i));
        if (r < 0)
            return r;
        if ((*tip && strcmp(tip, delta->base)) || delta->generation <= generation)
            return -EBADMSG;
        memcpy(tip, delta->digest, sizeof(tip));
        generation = delta->generation;
        r = content_add_delta(content, delta);
        if (r < 0)
            return r;
    }
    if (*tip && (!content->set || strcmp(tip, content->set->version.digest) ||
                 generation != content->set->version.generation))
        return -EBADMSG;
    return 0;
}

static int parse_set(struct set **ret, json_object *object, json_object *addresses) {
    CLEANUP(set_freep) struct set *set = NULL;
    char digest[DIGEST_DIGITS + 1];
    const char *as_of = get_string(object, "as_of");
    int r = set_new(&set);

    if (r < 0)
        return r;
    if (!as_of || time_parse(&set->version.as_of, as_of) < 0 || get_generation(&set->version.generation, object) < 0 ||
        get_rv(set->version.rv, object) < 0 || get_digest(digest, object, "digest") < 0)
        return -EBADMSG;
    r = parse_members(set, addresses);
    if (r < 0)
        return r;
    r = set_seal(set);
    if (r < 0)
        return r;
    if (strcmp(digest, set->version.digest))
        return -EBADMSG;
    *ret = TAKE_PTR(set);
    return 0;
}

static int parse_content(struct content **ret, const char *cluster, json_object *object) {
    CLEANUP(content_freep) struct content *content = calloc(1, sizeof(*content));
    const char *name = get_string(object, "cluster"), *epoch = get_string(object, "epoch");
    json_object *addresses = NULL, *policy = json_get(object, "policy"), *deltas = get_array(object, "deltas");
    int r;

    if (!content)
        return -ENOMEM;
    if (!name || strcmp(name, cluster) || !epoch || !hex_is(epoch, EPOCH_DIGITS) || !deltas ||
        !json_object_object_get_ex(object, "addresses", &addresses) ||
        (addresses && !json_object_is_type(addresses, json_type_array)))
        return -EBADMSG;
    memcpy(content->epoch, epoch, sizeof(content->epoch));
    if (addresses) {
        r = parse_set(&content->set, object, addresses);
        if (r == 0)
            r = since_parse(&content->since, content->set, addresses);
        if (r < 0)
            return r;
        memcpy(content->set->version.epoch, epoch, sizeof(content->set->version.epoch));
    }
    r = parse_deltas(content, deltas);
    if (r < 0)
        return r;
    if (policy) {
        content->policy = strdup(json_object_to_json_string_ext(policy, JSON_C_TO_STRING_PLAIN));
        if (!content->policy)
            return -ENOMEM;
    }
    content->must_commit = json_object_get_boolean(json_get(object, "must_commit"));
    *ret = TAKE_PTR(content);
    return 0;
}

int content_parse_truth(struct content **ret, const char *cluster, const char *data, size_t size) {
    CLEANUP(json_putp) json_object *object = NULL;
    const char *body;
    size_t body_size;
    int r = unwrap(&body, &body_size, data, size);

    if (r < 0)
        return r;
    r = parse_json(&object, body, body_size);
    if (r < 0)
        return r;
    return parse_content(ret, cluster, object);
}
