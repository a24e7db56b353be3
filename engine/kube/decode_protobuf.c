/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode protobuf - the same few fields as decode.c takes, out of Kubernetes' own encoding of its objects.
 *
 * It is what client-go asks for: no byte of what isn't wanted is looked at, so a list costs a tenth of what its JSON
 * does. Field numbers are of k8s.io/api/core/v1/generated.proto and k8s.io/apimachinery/pkg/{apis/meta/v1,runtime}/
 * generated.proto; an API never changes them. Objects that stand alone have four bytes before them, "k8s" and a NUL,
 * and are wrapped in a runtime.Unknown, which says their kind.
 *
 * Keeps: as decode.c, what would become a wrong picture must be right, and what only explains is taken as far as it
 * goes. A field that is there twice counts as its last one, as the format wants it; fields of the wrong wire type make
 * the object invalid.
 * Does not: tell an absent string from an empty one, which the format can't either. Owns: nothing beyond a call.
 */
#include "decode_fields.h"
#include "protobuf.h"

#include <string.h>

/* Field numbers. */
enum {
    UNKNOWN_TYPE_META = 1, UNKNOWN_RAW = 2, /* runtime.Unknown */
    TYPE_META_KIND = 2, /* runtime.TypeMeta */
    EVENT_TYPE = 1, EVENT_OBJECT = 2, RAW_EXTENSION_RAW = 1, /* WatchEvent, runtime.RawExtension */
    LIST_META_RV = 2, LIST_META_CONTINUE = 3, LIST_META_REMAINING = 4, /* ListMeta */
    NODE_METADATA = 1, NODE_STATUS = 3, /* Node */
    META_NAME = 1, META_UID = 5, META_RV = 6, META_DELETION = 9, /* ObjectMeta */
    NODE_STATUS_ADDRESSES = 5, ADDRESS_TYPE = 1, ADDRESS_TEXT = 2, /* NodeStatus, NodeAddress */
    STATUS_MESSAGE = 3, STATUS_REASON = 4, STATUS_DETAILS = 5, STATUS_CODE = 6, /* Status */
    DETAILS_CAUSES = 4, DETAILS_RETRY_AFTER = 5, CAUSE_REASON = 1, CAUSE_MESSAGE = 2, /* StatusDetails, StatusCause */
};

struct text {                   /* BYTES; nothing at all is as empty */
    const char *data;
    size_t size;
};

static struct text text_of(const struct protobuf_field *field) {
    return (struct text){.data = field->data, .size = field->size};
}

static struct protobuf walk(struct text message) {
    return (struct protobuf){.at = message.data, .end = message.size > 0 ? message.data + message.size : message.data};
}

static bool is_plain_text(struct text text) {
    return utf8_is(text.data, text.size) && !memchr(text.data, '\0', text.size);
}

/* The next field; `of_bytes` names by bits the numbers that must be BYTES. As protobuf_next. */
static int next(struct protobuf *message, struct protobuf_field *ret, uint32_t of_bytes) {
    int r = protobuf_next(message, ret);

    if (r > 0 && ret->number < 32 && (of_bytes >> ret->number & 1) && ret->wire != PROTOBUF_BYTES)
        return -EBADMSG;
    return r;
}
#define BIT(number) (UINT32_C(1) << (number))

/* ---- Node ---- */

static int read_metadata(struct node *node, struct text metadata) {
    struct protobuf message = walk(metadata);
    struct protobuf_field field;
    int r;

    while ((r = next(&message, &field, BIT(META_NAME) | BIT(META_UID) | BIT(META_RV) | BIT(META_DELETION))) > 0) {
        if (field.number == META_NAME)
            r = field_name(node->name, field.data, field.size);
        else if (field.number == META_UID)
            r = field_uid(node->uid, field.data, field.size);
        else if (field.number == META_RV)
            r = field_rv(node->rv, field.data, field.size);
        else if (field.number == META_DELETION)
            node->leaving = field.size > 0;
        if (r < 0)
            return r;
    }
    return r;
}

/* As field_address. */
static int read_address(struct node_address *ret, struct text address) {
    struct protobuf message = walk(address);
    struct text type = {.data = ""}, text = {.data = ""};
    struct protobuf_field field;
    int r;

    while ((r = next(&message, &field, BIT(ADDRESS_TYPE) | BIT(ADDRESS_TEXT))) > 0) {
        if (field.number == ADDRESS_TYPE)
            type = text_of(&field);
        else if (field.number == ADDRESS_TEXT)
            text = text_of(&field);
    }
    if (r < 0)
        return r;
    return field_address(ret, type.data, type.size, text.data, text.size);
}

static int add_address(struct node *node, struct text address) {
    struct node_address spare;
    bool full = node->n_addresses == NODE_ADDRESSES_MAX;
    int r = read_address(full ? &spare : &node->addresses[node->n_addresses], address);

    if (r < 0)
        return r;
    if (full)
        node->more++;
    else
        node->n_addresses += (size_t)r;
    return 0;
}

/* Counts first, so that one allocation is enough. */
static int read_status_of_node(struct node *node, struct text status) {
    struct protobuf message = walk(status);
    struct protobuf_field field;
    size_t n = 0;
    int r;

    while ((r = next(&message, &field, BIT(NODE_STATUS_ADDRESSES))) > 0)
        n += field.number == NODE_STATUS_ADDRESSES;
    if (r >= 0 && n > 0)
        r = field_addresses_new(node, n);
    if (r < 0 || n == 0)
        return r;
    message = walk(status);
    while (protobuf_next(&message, &field) > 0) {
        if (field.number != NODE_STATUS_ADDRESSES)
            continue;
        r = add_address(node, text_of(&field));
        if (r < 0)
            return r;
    }
    return 0;
}

/* The two submessages that matter; which may be absent. */
static int split_node(struct text object, struct text *metadata, struct text *status) {
    struct protobuf message = walk(object);
    struct protobuf_field field;
    int r;

    *metadata = *status = (struct text){.data = ""};
    while ((r = next(&message, &field, BIT(NODE_METADATA) | BIT(NODE_STATUS))) > 0) {
        if (field.number == NODE_METADATA)
            *metadata = text_of(&field);
        else if (field.number == NODE_STATUS)
            *status = text_of(&field);
    }
    return r;
}

static int read_node(struct node **ret, struct text object) {
    CLEANUP(node_freep) struct node *node = NULL;
    struct text metadata, status;
    int r = split_node(object, &metadata, &status);

    if (r < 0)
        return r;
    node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    r = read_metadata(node, metadata);
    if (r >= 0 && (!node->name[0] || !node->uid[0]))
        r = -EBADMSG;
    if (r >= 0)
        r = read_status_of_node(node, status);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(node);
    return 0;
}

static int decode_node_message(struct node **ret, const char *data, size_t size) {
    return read_node(ret, (struct text){.data = data, .size = size});
}

static int decode_node_message_name(char ret[NODE_NAME_MAX + 1], const char *data, size_t size) {
    struct text metadata, status;
    struct protobuf message;
    struct protobuf_field field;

    if (split_node((struct text){.data = data, .size = size}, &metadata, &status) < 0)
        return -EBADMSG;
    message = walk(metadata);
    while (protobuf_next(&message, &field) > 0)
        if (field.number == META_NAME && field.wire == PROTOBUF_BYTES)
            return field_name(ret, field.data, field.size);
    return -EBADMSG;
}

/* ---- objects that stand alone ---- */

static struct text kind_of(struct text type_meta) {
    struct protobuf message = walk(type_meta);
    struct text kind = {.data = ""};
    struct protobuf_field field;

    while (protobuf_next(&message, &field) > 0)
        if (field.number == TYPE_META_KIND && field.wire == PROTOBUF_BYTES)
            kind = text_of(&field);
    return kind;
}

static bool text_is(struct text text, const char *word) {
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* Takes the k8s prefix and runtime.Unknown off an object of this kind. */
static int unwrap(struct text *ret, struct text object, const char *kind) {
    struct text type_meta = {.data = ""}, raw = {.data = ""};
    struct protobuf message;
    struct protobuf_field field;
    int r;

    if (object.size < 4 || memcmp(object.data, "k8s", 4) != 0)
        return -EBADMSG;
    message = walk((struct text){.data = object.data + 4, .size = object.size - 4});
    while ((r = next(&message, &field, BIT(UNKNOWN_TYPE_META) | BIT(UNKNOWN_RAW))) > 0) {
        if (field.number == UNKNOWN_TYPE_META)
            type_meta = text_of(&field);
        else if (field.number == UNKNOWN_RAW)
            raw = text_of(&field);
    }
    if (r < 0 || !text_is(kind_of(type_meta), kind))
        return -EBADMSG;
    *ret = raw;
    return 0;
}

static bool cause_is_too_large(struct text cause) {
    struct protobuf message = walk(cause);
    struct protobuf_field field;

    while (protobuf_next(&message, &field) > 0)
        if (field.wire == PROTOBUF_BYTES &&
            ((field.number == CAUSE_REASON && field_reason_is_too_large(field.data, field.size)) ||
             (field.number == CAUSE_MESSAGE && field_message_is_too_large(field.data, field.size))))
            return true;
    return false;
}

static void read_details(struct kube_status *status, struct text details) {
    struct protobuf message = walk(details);
    struct protobuf_field field;

    while (protobuf_next(&message, &field) > 0) {
        if (field.number == DETAILS_RETRY_AFTER && field.wire == PROTOBUF_VARINT)
            field_retry_after(status, (int32_t)field.value);
        else if (field.number == DETAILS_CAUSES && field.wire == PROTOBUF_BYTES)
            status->too_large = status->too_large || cause_is_too_large(text_of(&field));
    }
}

static int read_status(struct kube_status *ret, struct text object) {
    struct kube_status status = {.retry_after = -1};
    struct protobuf message;
    struct protobuf_field field;
    struct text raw;

    if (unwrap(&raw, object, "Status") < 0)
        return -EBADMSG;
    message = walk(raw);
    while (protobuf_next(&message, &field) > 0) {
        if (field.number == STATUS_CODE && field.wire == PROTOBUF_VARINT)
            field_code(&status, (int32_t)field.value);
        if (field.wire != PROTOBUF_BYTES)
            continue;
        if (field.number == STATUS_DETAILS)
            read_details(&status, text_of(&field));
        else if (!is_plain_text(text_of(&field)))
            continue;
        else if (field.number == STATUS_REASON)
            field_plain(status.reason, sizeof(status.reason), field.data, field.size);
        else if (field.number == STATUS_MESSAGE) {
            field_plain(status.message, sizeof(status.message), field.data, field.size);
            status.too_large = status.too_large || field_message_is_too_large(field.data, field.size);
        }
    }
    *ret = status;
    return 0;
}

static int decode_status_message(struct kube_status *ret, const char *data, size_t size) {
    return read_status(ret, (struct text){.data = data, .size = size});
}

/* ---- a watch ---- */

/* WatchEvent{type, RawExtension{raw}}. */
static int split_event(struct text event, enum watch_type *type, struct text *object) {
    struct protobuf message = walk(event);
    struct text name = {.data = ""}, extension = {.data = ""};
    struct protobuf_field field;
    int r;

    while ((r = next(&message, &field, BIT(EVENT_TYPE) | BIT(EVENT_OBJECT))) > 0) {
        if (field.number == EVENT_TYPE)
            name = text_of(&field);
        else if (field.number == EVENT_OBJECT)
            extension = text_of(&field);
    }
    if (r < 0)
        return r;
    *object = (struct text){.data = ""};
    message = walk(extension);
    while ((r = next(&message, &field, BIT(RAW_EXTENSION_RAW))) > 0)
        if (field.number == RAW_EXTENSION_RAW)
            *object = text_of(&field);
    return r < 0 ? r : field_watch_type(type, name.data, name.size);
}

/* A Node with a resourceVersion and nothing else, not even a name. */
static int read_bookmark(char rv[RV_MAX + 1], struct text raw) {
    struct text metadata, status;
    struct protobuf message;
    struct protobuf_field field;
    int r = split_node(raw, &metadata, &status);

    if (r < 0)
        return r;
    message = walk(metadata);
    while ((r = next(&message, &field, BIT(META_RV))) > 0)
        if (field.number == META_RV && field_rv(rv, field.data, field.size) < 0)
            return -EBADMSG;
    return r;
}

static int decode_event(struct watch_line *ret, const char *data, size_t size) {
    CLEANUP(watch_line_done) struct watch_line made = {.status = {.retry_after = -1}};
    struct text object, raw;
    int r = split_event((struct text){.data = data, .size = size}, &made.type, &object);

    if (r < 0)
        return r;
    if (made.type == WATCH_ERROR)
        r = read_status(&made.status, object);
    else
        r = unwrap(&raw, object, "Node");
    if (r >= 0 && made.type == WATCH_BOOKMARK)
        r = read_bookmark(made.rv, raw);
    else if (r >= 0 && made.type != WATCH_ERROR)
        r = read_node(&made.node, raw);
    if (r < 0)
        return r;
    if (made.node)
        memcpy(made.rv, made.node->rv, sizeof(made.rv));
    if (made.type != WATCH_ERROR && !made.rv[0])
        return -EBADMSG; /* every event of a watch has a place in its order */
    *ret = made;
    made.node = NULL;
    return 0;
}

/* ---- a list ---- */

static int read_list_metadata(struct list_head *head, struct text metadata) {
    struct protobuf message = walk(metadata);
    struct protobuf_field field;
    int r;

    head->remaining = -1;
    head->next[0] = '\0';
    while ((r = next(&message, &field, BIT(LIST_META_RV) | BIT(LIST_META_CONTINUE))) > 0) {
        if (field.number == LIST_META_RV)
            r = field_rv(head->rv, field.data, field.size);
        else if (field.number == LIST_META_CONTINUE)
            r = is_plain_text(text_of(&field)) ? field_continue(head, field.data, field.size) : -EBADMSG;
        else if (field.number == LIST_META_REMAINING && field.wire == PROTOBUF_VARINT)
            head->remaining = (int64_t)field.value;
        if (r < 0)
            return r;
    }
    return r;
}

static int decode_member(struct list_head *head, const char *key, size_t key_size, const char *data, size_t size) {
    struct text value = {.data = data, .size = size};

    if (text_is((struct text){.data = key, .size = key_size}, "metadata"))
        return read_list_metadata(head, value);
    if (text_is((struct text){.data = key, .size = key_size}, "typeMeta"))
        head->is_node_list = text_is(kind_of(value), "NodeList");
    return 0;
}

const struct decoder decode_protobuf = {
    .node = decode_node_message,
    .node_name = decode_node_message_name,
    .watch_line = decode_event,
    .status = decode_status_message,
    .list_member = decode_member,
};
