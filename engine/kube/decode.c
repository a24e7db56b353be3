/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode - JSON: json-c's tree of one object, and the few of its fields that are taken along. decode_protobuf.c does the
 * same for the API server's other encoding; decode_fields.c says what a field must be.
 *
 * Two kinds of strictness. What would become a wrong picture (a node's identity, its addresses, a resourceVersion) must
 * be there and right, or the whole object is refused. What only explains (a Status) is taken as far as it goes, for an
 * answer that cannot be read must still be acted upon.
 *
 * Keeps: what comes out is UTF-8 without NUL.
 * Does not: judge addresses, remember anything, keep json-c's tree. Owns: nothing beyond a call.
 */
#include "decode_fields.h"

#include "nodewall/json.h"
#include "prune.h"

#include <limits.h>
#include <string.h>

#define DEPTH_MAX 128           /* managedFields nest to about 12 */
#define CONTAINERS_MAX 65536    /* objects and arrays in what prune leaves of one; json-c makes 760 bytes of "{}" */

/* Absence and null are the same, as in Go's decoder. */
enum presence { ABSENT, PRESENT, WRONG };

static enum presence find(json_object *from, const char *key, enum json_type type, json_object **ret) {
    *ret = json_get(from, key);
    if (!*ret)
        return ABSENT;
    return json_object_is_type(*ret, type) ? PRESENT : WRONG;
}

/* A string without NUL; *ret is borrowed. */
static enum presence find_text(json_object *from, const char *key, const char **ret, size_t *ret_size) {
    json_object *value;
    enum presence presence = find(from, key, json_type_string, &value);

    if (presence != PRESENT)
        return presence;
    *ret = json_object_get_string(value);
    *ret_size = (size_t)json_object_get_string_len(value);
    return strlen(*ret) == *ret_size ? PRESENT : WRONG;
}

static void tokener_freep(struct json_tokener **tokener) {
    if (*tokener)
        json_tokener_free(*tokener);
}

/* json-c 0.18 (Debian 13) compares signed chars with 0x1f, so that its strict mode refuses every letter beyond ASCII. */
static bool strict_takes_letters(void) {
    static const char letter[] = "\"\xc3\xa4\"";
    static int known = -1;

    if (known < 0) {
        CLEANUP(tokener_freep) struct json_tokener *tokener = json_tokener_new();
        CLEANUP(json_putp) json_object *object = NULL;

        if (!tokener)
            return false;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        object = json_tokener_parse_ex(tokener, letter, sizeof(letter) - 1);
        known = object != NULL;
    }
    return known;
}

static bool is_ascii(const char *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)data[i] >= 0x80)
            return false;
    return true;
}

/* Brackets outside of strings. */
static size_t count_containers(const char *data, size_t size) {
    bool string = false;
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        if (string && data[i] == '\\')
            i++;
        else if (data[i] == '"')
            string = !string;
        else if (!string && (data[i] == '{' || data[i] == '['))
            n++;
    }
    return n;
}

/* *ret_cut, which may be NULL: see prune. */
static int parse(json_object **ret, const char *data, size_t size, size_t *ret_cut) {
    CLEANUP(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    CLEANUP(json_putp) json_object *object = NULL;
    CLEANUP(cleanup_free) char *text = malloc(size ? size : 1);
    size_t n, cut;

    if (!tokener || !text)
        return -ENOMEM;
    if (size == 0 || size > INT_MAX || !utf8_is(data, size)) /* json-c's own validation takes overlong forms */
        return -EBADMSG;
    n = prune(text, data, size, &cut);
    if (n > CONTAINERS_MAX && count_containers(text, n) > CONTAINERS_MAX)
        return -EBADMSG;
    if (strict_takes_letters() || is_ascii(text, n))
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    object = json_tokener_parse_ex(tokener, text, (int)n);
    if (json_tokener_get_error(tokener) != json_tokener_success)
        return -EBADMSG;
    for (size_t i = json_tokener_get_parse_end(tokener); i < n; i++) /* only strict mode looks behind the value */
        if (!strchr(" \t\r\n", text[i]) || !text[i])
            return -EBADMSG;
    if (ret_cut)
        *ret_cut = cut;
    *ret = TAKE_PTR(object); /* NULL for a JSON null */
    return 0;
}

/* metadata.resourceVersion; "" when there is none. */
static int read_rv(char ret[RV_MAX + 1], json_object *metadata) {
    const char *text;
    size_t size;

    switch (find_text(metadata, "resourceVersion", &text, &size)) {
    case ABSENT:
        ret[0] = '\0';
        return 0;
    case PRESENT:
        return field_rv(ret, text, size);
    default:
        return -EBADMSG;
    }
}

static bool is_kind(json_object *object, const char *kind, bool may_be_absent) {
    const char *text;
    size_t size;
    enum presence presence = find_text(object, "kind", &text, &size);

    return (presence == ABSENT && may_be_absent) || (presence == PRESENT && strcmp(text, kind) == 0);
}

static int read_identity(struct node *node, json_object *metadata) {
    const char *name, *uid, *leaving;
    size_t name_size, uid_size, leaving_size;

    if (find_text(metadata, "name", &name, &name_size) != PRESENT ||
        find_text(metadata, "uid", &uid, &uid_size) != PRESENT || field_name(node->name, name, name_size) < 0 ||
        field_uid(node->uid, uid, uid_size) < 0)
        return -EBADMSG;
    switch (find_text(metadata, "deletionTimestamp", &leaving, &leaving_size)) {
    case WRONG:
        return -EBADMSG;
    case PRESENT:
        node->leaving = leaving_size > 0;
        break;
    case ABSENT:
        break;
    }
    return read_rv(node->rv, metadata);
}

/* Borrowed; "" when it is absent. A NUL may be in it. */
static int find_own_word(json_object *from, const char *key, const char **ret, size_t *ret_size) {
    json_object *value;
    enum presence presence = find(from, key, json_type_string, &value);

    *ret = presence == PRESENT ? json_object_get_string(value) : "";
    *ret_size = presence == PRESENT ? (size_t)json_object_get_string_len(value) : 0;
    return presence == WRONG ? -EBADMSG : 0;
}

/* As field_address. */
static int read_address(struct node_address *ret, json_object *object) {
    const char *type, *text;
    size_t type_size, text_size;

    if (!json_object_is_type(object, json_type_object) || find_own_word(object, "type", &type, &type_size) < 0 ||
        find_own_word(object, "address", &text, &text_size) < 0)
        return -EBADMSG;
    return field_address(ret, type, type_size, text, text_size);
}

static int read_addresses(struct node *node, json_object *object) {
    json_object *status, *list;
    size_t n;
    int r;

    if (find(object, "status", json_type_object, &status) == WRONG)
        return -EBADMSG;
    switch (find(status, "addresses", json_type_array, &list)) {
    case WRONG:
        return -EBADMSG;
    case ABSENT:
        return 0;
    case PRESENT:
        break;
    }
    n = json_object_array_length(list);
    r = field_addresses_new(node, n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        struct node_address spare;
        bool full = node->n_addresses == NODE_ADDRESSES_MAX;

        r = read_address(full ? &spare : &node->addresses[node->n_addresses], json_object_array_get_idx(list, i));
        if (r < 0)
            return r;
        if (full)
            node->more++;
        else
            node->n_addresses += (size_t)r;
    }
    return 0;
}

struct node *node_free(struct node *node) {
    if (!node)
        return NULL;
    free(node->addresses);
    free(node);
    return NULL;
}

/* `cut`: of its addresses, by prune. */
static int read_node(struct node **ret, json_object *object, size_t cut) {
    CLEANUP(node_freep) struct node *node = NULL;
    json_object *metadata;
    int r;

    /* Elements of a list have no kind of their own. */
    if (!json_object_is_type(object, json_type_object) || !is_kind(object, "Node", true) ||
        find(object, "metadata", json_type_object, &metadata) != PRESENT)
        return -EBADMSG;
    node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    node->more = cut;
    r = read_identity(node, metadata);
    if (r >= 0)
        r = read_addresses(node, object);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(node);
    return 0;
}

static bool cause_is_too_large(json_object *details) {
    json_object *causes;
    const char *text;
    size_t size;

    if (find(details, "causes", json_type_array, &causes) != PRESENT)
        return false;
    for (size_t i = 0; i < json_object_array_length(causes); i++) {
        json_object *cause = json_object_array_get_idx(causes, i);

        if ((find_text(cause, "reason", &text, &size) == PRESENT && field_reason_is_too_large(text, size)) ||
            (find_text(cause, "message", &text, &size) == PRESENT && field_message_is_too_large(text, size)))
            return true;
    }
    return false;
}

static int read_status(struct kube_status *ret, json_object *object) {
    struct kube_status status = {.retry_after = -1};
    json_object *details, *number;
    const char *text;
    size_t size;

    if (!is_kind(object, "Status", false))
        return -EBADMSG;
    if (find(object, "code", json_type_int, &number) == PRESENT)
        field_code(&status, json_object_get_int64(number));
    if (find_text(object, "reason", &text, &size) == PRESENT)
        field_plain(status.reason, sizeof(status.reason), text, size);
    if (find_text(object, "message", &text, &size) == PRESENT) {
        field_plain(status.message, sizeof(status.message), text, size);
        status.too_large = field_message_is_too_large(text, size);
    }
    if (find(object, "details", json_type_object, &details) != PRESENT)
        details = NULL;
    if (find(details, "retryAfterSeconds", json_type_int, &number) == PRESENT)
        field_retry_after(&status, json_object_get_int64(number));
    status.too_large = status.too_large || cause_is_too_large(details);
    *ret = status;
    return 0;
}

int decode_node(struct node **ret, const char *data, size_t size) {
    CLEANUP(json_putp) json_object *object = NULL;
    size_t cut;
    int r = parse(&object, data, size, &cut);

    return r < 0 ? r : read_node(ret, object, cut);
}

int decode_node_name(char ret[NODE_NAME_MAX + 1], const char *data, size_t size) {
    CLEANUP(json_putp) json_object *object = NULL;
    const char *name;
    size_t n;
    int r = parse(&object, data, size, NULL);

    if (r < 0)
        return r;
    if (find_text(json_get(object, "metadata"), "name", &name, &n) != PRESENT)
        return -EBADMSG;
    return field_name(ret, name, n);
}

int decode_status(struct kube_status *ret, const char *data, size_t size) {
    CLEANUP(json_putp) json_object *object = NULL;
    int r = parse(&object, data, size, NULL);

    return r < 0 ? r : read_status(ret, object);
}

void watch_line_done(struct watch_line *line) {
    line->node = node_free(line->node);
}

static int read_type(enum watch_type *ret, json_object *object) {
    const char *text;
    size_t size;

    return find_text(object, "type", &text, &size) == PRESENT ? field_watch_type(ret, text, size) : -EBADMSG;
}

int decode_watch_line(struct watch_line *ret, const char *data, size_t size) {
    CLEANUP(json_putp) json_object *line = NULL;
    CLEANUP(watch_line_done) struct watch_line made = {.status = {.retry_after = -1}};
    json_object *object;
    size_t cut;
    int r = parse(&line, data, size, &cut);

    if (r >= 0)
        r = read_type(&made.type, line);
    if (r < 0)
        return r;
    if (find(line, "object", json_type_object, &object) != PRESENT)
        return -EBADMSG;
    if (made.type == WATCH_ERROR) {
        r = read_status(&made.status, object);
    } else if (made.type == WATCH_BOOKMARK) {
        r = is_kind(object, "Node", true) ? read_rv(made.rv, json_get(object, "metadata")) : -EBADMSG;
    } else {
        r = read_node(&made.node, object, cut);
        if (r >= 0)
            memcpy(made.rv, made.node->rv, sizeof(made.rv));
    }
    if (r < 0)
        return r;
    if (made.type != WATCH_ERROR && !made.rv[0])
        return -EBADMSG; /* every event of a watch has a place in its order */
    *ret = made;
    made.node = NULL;
    return 0;
}

static int read_list_metadata(struct list_head *head, json_object *metadata) {
    const char *next = "";
    size_t size = 0;
    json_object *remaining;
    int r;

    if (!json_object_is_type(metadata, json_type_object))
        return -EBADMSG;
    r = read_rv(head->rv, metadata);
    if (r < 0)
        return r;
    if (find_text(metadata, "continue", &next, &size) == WRONG || field_continue(head, next, size) < 0)
        return -EBADMSG;
    head->remaining = -1;
    if (find(metadata, "remainingItemCount", json_type_int, &remaining) == PRESENT)
        head->remaining = json_object_get_int64(remaining);
    return 0;
}

int decode_list_member(struct list_head *head, const char *key, size_t key_size, const char *data, size_t size) {
    bool kind = key_size == 4 && memcmp(key, "kind", 4) == 0;
    bool metadata = key_size == 8 && memcmp(key, "metadata", 8) == 0;
    CLEANUP(json_putp) json_object *value = NULL;
    int r;

    if (!kind && !metadata)
        return 0;
    r = parse(&value, data, size, NULL);
    if (r < 0)
        return r;
    if (metadata)
        return read_list_metadata(head, value);
    head->is_node_list = json_object_is_type(value, json_type_string) && json_object_get_string_len(value) == 8 &&
                         memcmp(json_object_get_string(value), "NodeList", 8) == 0;
    return 0;
}

const struct decoder decode_json = {
    .node = decode_node,
    .node_name = decode_node_name,
    .watch_line = decode_watch_line,
    .status = decode_status,
    .list_member = decode_list_member,
};
