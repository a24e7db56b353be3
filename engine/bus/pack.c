/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pack - the outgoing half: JSON to Salt's event body, refused where it would hurt those who listen.
 *
 * Salt's Reactor process dies of data that is no map, on 3006 of a tag that is no UTF-8 as well, and whoever listens
 * gets all keys as bytes when one text is no UTF-8. So everything is checked before a byte is written.
 * Keeps: what pack_event returns, Salt's own unpacker reads as a dict with text keys.
 */
#include "nodewall/pack.h"
#include "out.h"

#include <json-c/json.h>
#include <math.h>
#include <string.h>

static bool has_control(const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f))
            return true;
    return false;
}

/* Salt itself acts on these: jobs, keys and their like; a cluster's peers; a syndic's forwarding; a minion's refresh;
 * the master's keys; and the tags of twenty digits by which job returns were known before they had a path. */
static bool is_reserved(const char *tag) {
    static const char *const first[] = {"salt", "cluster", "syndic", "minion"};
    static const char *const whole[] = {"rotate_cluster_aes_key", "rotate_aes_key", "fire_master",
                                        "new_job", "key", "auth"};
    size_t n = strcspn(tag, "/");

    for (size_t i = 0; i < ARRAY_LENGTH(first); i++)
        if (strlen(first[i]) == n && !strncmp(tag, first[i], n))
            return true;
    for (size_t i = 0; i < ARRAY_LENGTH(whole); i++)
        if (!strcmp(tag, whole[i]))
            return true;
    return strspn(tag, "0123456789") == n && n == 20;
}

int pack_check_tag(const char *tag, struct problem *problem) {
    static const char example[] = "for example my/own/tag";
    size_t n = strlen(tag);

    if (n == 0)
        return problem_set(problem, "tag", example, "it is empty");
    if (n > PACK_TAG_MAX)
        return problem_set(problem, "tag", NULL, "it has %zu bytes, and at most %d are allowed", n, PACK_TAG_MAX);
    if (!utf8_is(tag, n))
        return problem_set(problem, "tag", example, "it is not UTF-8");
    if (has_control(tag))
        return problem_set(problem, "tag", example, "it has a control character");
    if (is_reserved(tag))
        return problem_set(problem, "tag", example, "'%.100s' is reserved: Salt itself acts on it", tag);
    return 0;
}

struct check {
    struct problem *problem;
    size_t size;            /* a lower bound of what it takes, so that nothing huge is packed in order to be refused */
};

static int check_value(struct check *check, const char *key, json_object *value, unsigned depth);

static int check_members(struct check *check, json_object *map, unsigned depth) {
    json_object_object_foreach(map, key, value) {
        int r;

        check->size += strlen(key) + 1;
        if (!utf8_is(key, strlen(key)))
            return problem_set(check->problem, "data", NULL, "a key is not UTF-8");
        r = check_value(check, key, value, depth);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_value(struct check *check, const char *key, json_object *value, unsigned depth) {
    size_t size;
    int r = 0;

    check->size++;
    if (depth > PACK_DEPTH)
        return problem_set(check->problem, "data", NULL, "it is nested deeper than %d", PACK_DEPTH);
    if (check->size > PACK_MAX)
        return 0; /* pack_event says so */
    switch (json_object_get_type(value)) {
    case json_type_object: return check_members(check, value, depth + 1);
    case json_type_array:
        for (size_t i = 0; i < json_object_array_length(value) && r == 0; i++)
            r = check_value(check, key, json_object_array_get_idx(value, i), depth + 1);
        return r;
    case json_type_string:
        size = (size_t)json_object_get_string_len(value);
        check->size += size;
        if (!utf8_is(json_object_get_string(value), size))
            return problem_set(check->problem, "data", NULL, "the text of '%.60s' is not UTF-8", key);
        return 0;
    case json_type_double:
        if (!isfinite(json_object_get_double(value)))
            return problem_set(check->problem, "data", NULL, "'%.60s' is no finite number", key);
        return 0;
    default: return 0;
    }
}

static void pack_integer(struct out *out, json_object *value) {
    int64_t number = json_object_get_int64(value);

    /* json-c clips what does not fit, so only the largest may be larger. */
    if (number == INT64_MAX)
        msgpack_pack_uint64(&out->packer, json_object_get_uint64(value));
    else
        msgpack_pack_int64(&out->packer, number);
}

/* Recursion is bounded: check_value came first. A buffer that ran out of memory is seen at the end, by its size. */
static void pack_value(struct out *out, json_object *value) {
    switch (json_object_get_type(value)) {
    case json_type_null: msgpack_pack_nil(&out->packer); break;
    case json_type_boolean:
        if (json_object_get_boolean(value))
            msgpack_pack_true(&out->packer);
        else
            msgpack_pack_false(&out->packer);
        break;
    case json_type_double: msgpack_pack_double(&out->packer, json_object_get_double(value)); break;
    case json_type_int: pack_integer(out, value); break;
    case json_type_string:
        out_text(out, json_object_get_string(value), (size_t)json_object_get_string_len(value));
        break;
    case json_type_array:
        msgpack_pack_array(&out->packer, json_object_array_length(value));
        for (size_t i = 0; i < json_object_array_length(value); i++)
            pack_value(out, json_object_array_get_idx(value, i));
        break;
    case json_type_object:
        msgpack_pack_map(&out->packer, (size_t)json_object_object_length(value));
        json_object_object_foreach(value, key, member) {
            out_text(out, key, strlen(key));
            pack_value(out, member);
        }
        break;
    }
}

static int too_large(struct problem *problem) {
    problem_set(problem, "data", NULL, "the event is larger than %d bytes, which is all that Salt takes", PACK_MAX);
    return -EMSGSIZE;
}

int pack_event(uint8_t **ret, size_t *ret_size, const char *tag, struct json_object *data, struct problem *problem) {
    CLEANUP(out_done) struct out out = {0};
    struct check check = {.problem = problem};
    int r = pack_check_tag(tag, problem);

    if (r < 0)
        return r;
    if (!json_object_is_type(data, json_type_object))
        return problem_set(problem, "data", "for example {\"reason\": \"test\"}", "it is no map");
    r = check_value(&check, "", data, 0);
    if (r < 0)
        return r;
    if (check.size + strlen(tag) > PACK_MAX)
        return too_large(problem);

    out_begin(&out);
    out_bytes(&out, tag, strlen(tag));
    out_bytes(&out, "\n\n", 2);
    pack_value(&out, data);
    if (!out.failed && out.buffer.size > PACK_MAX)
        return too_large(problem);
    return out_take(&out, ret, ret_size);
}
