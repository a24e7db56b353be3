/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Script protobuf - writes messages field by field, with the numbers of k8s.io/api/core/v1/generated.proto and
 * k8s.io/apimachinery's; written from these, not from the decoder that it tests. As gogo's marshaller does, empty
 * strings are there, with length 0.
 */
#include "script_protobuf.h"

#include <string.h>

static void put_varint(FILE *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        fputc((int)(value & 0x7f) | 0x80, to);
    fputc((int)value, to);
}

static void put_number(FILE *to, unsigned number, uint64_t value) {
    put_varint(to, number << 3);
    put_varint(to, value);
}

static void put_bytes(FILE *to, unsigned number, const void *data, size_t size) {
    put_varint(to, number << 3 | 2);
    put_varint(to, size);
    fwrite(data, 1, size, to);
}

static void put_text(FILE *to, unsigned number, json_object *from, const char *key) {
    const char *text = json_get(from, key) ? json_object_get_string(json_get(from, key)) : "";

    put_bytes(to, number, text, strlen(text));
}

/* A submessage that `put` writes. */
static void put_message(FILE *to, unsigned number, void (*put)(FILE *to, json_object *object), json_object *object) {
    CLEANUP(bytes_done) struct bytes bytes = {0};
    FILE *within = open_memstream(&bytes.data, &bytes.n);

    put(within, object);
    fclose(within);
    put_bytes(to, number, bytes.data, bytes.n);
}

static void put_label(FILE *to, json_object *labels) {
    put_bytes(to, 1, "odd", 3);
    put_text(to, 2, labels, "odd");
}

static void put_time(FILE *to, json_object *object) {
    put_number(to, 1, 1767225600);
    put_number(to, 2, 0);
}

static void put_object_meta(FILE *to, json_object *metadata) {
    put_text(to, 1, metadata, "name");
    put_text(to, 2, metadata, "generateName");
    put_text(to, 5, metadata, "uid");
    put_text(to, 6, metadata, "resourceVersion");
    put_number(to, 7, 3);
    if (json_get(metadata, "deletionTimestamp"))
        put_message(to, 9, put_time, metadata);
    if (json_get(metadata, "labels"))
        put_message(to, 11, put_label, json_get(metadata, "labels"));
}

static void put_address(FILE *to, json_object *address) {
    put_text(to, 1, address, "type");
    put_text(to, 2, address, "address");
}

static void put_node_status(FILE *to, json_object *status) {
    json_object *addresses = json_get(status, "addresses");

    put_text(to, 3, status, "phase");
    for (size_t i = 0; addresses && i < json_object_array_length(addresses); i++)
        put_message(to, 5, put_address, json_object_array_get_idx(addresses, i));
    put_bytes(to, 8, "image", 5);
}

static void put_filler(FILE *to, json_object *object) {
    put_text(to, 1, object, "x");
}

static void put_node(FILE *to, json_object *node) {
    put_message(to, 1, put_object_meta, json_get(node, "metadata"));
    put_message(to, 2, put_filler, node);
    put_message(to, 3, put_node_status, json_get(node, "status"));
}

static void put_list_meta(FILE *to, json_object *metadata) {
    put_text(to, 1, metadata, "selfLink");
    put_text(to, 2, metadata, "resourceVersion");
    put_text(to, 3, metadata, "continue");
    if (json_get(metadata, "remainingItemCount"))
        put_number(to, 4, (uint64_t)json_object_get_int64(json_get(metadata, "remainingItemCount")));
}

static void put_node_list(FILE *to, json_object *list) {
    json_object *items = json_get(list, "items");

    put_message(to, 1, put_list_meta, json_get(list, "metadata"));
    for (size_t i = 0; i < json_object_array_length(items); i++)
        put_message(to, 2, put_node, json_object_array_get_idx(items, i));
}

static void put_cause(FILE *to, json_object *cause) {
    put_text(to, 1, cause, "reason");
    put_text(to, 2, cause, "message");
    put_text(to, 3, cause, "field");
}

static void put_details(FILE *to, json_object *details) {
    json_object *causes = json_get(details, "causes"), *retry = json_get(details, "retryAfterSeconds");

    put_text(to, 1, details, "name");
    for (size_t i = 0; causes && i < json_object_array_length(causes); i++)
        put_message(to, 4, put_cause, json_object_array_get_idx(causes, i));
    put_number(to, 5, retry ? (uint64_t)json_object_get_int64(retry) : 0);
}

static void put_status(FILE *to, json_object *status) {
    json_object *code = json_get(status, "code");

    put_message(to, 1, put_list_meta, json_get(status, "metadata"));
    put_text(to, 2, status, "status");
    put_text(to, 3, status, "message");
    put_text(to, 4, status, "reason");
    if (json_get(status, "details"))
        put_message(to, 5, put_details, json_get(status, "details"));
    put_number(to, 6, code ? (uint64_t)json_object_get_int64(code) : 0);
}

static void put_type_meta(FILE *to, json_object *object) {
    put_text(to, 1, object, "apiVersion");
    put_text(to, 2, object, "kind");
}

/* runtime.Unknown behind the prefix. */
static void put_alone(FILE *to, json_object *object, void (*put)(FILE *to, json_object *object)) {
    fwrite("k8s", 1, 4, to);
    put_message(to, 1, put_type_meta, object);
    put_message(to, 2, put, object);
    put_bytes(to, 3, "", 0);
    put_bytes(to, 4, "", 0);
}

static bool is_kind(json_object *object, const char *kind) {
    json_object *said = json_get(object, "kind");

    return said && strcmp(json_object_get_string(said), kind) == 0;
}

static void put_raw(FILE *to, json_object *object) {
    CLEANUP(bytes_done) struct bytes bytes = {0};
    FILE *within = open_memstream(&bytes.data, &bytes.n);

    put_alone(within, object, is_kind(object, "Status") ? put_status : put_node);
    fclose(within);
    put_bytes(to, 1, bytes.data, bytes.n);
}

static void put_frame(FILE *to, const void *data, size_t size, size_t more) {
    for (int shift = 24; shift >= 0; shift -= 8)
        fputc((int)((size + more) >> shift & 0xff), to);
    fwrite(data, 1, size, to);
}

static void put_event(FILE *to, json_object *event) {
    CLEANUP(bytes_done) struct bytes bytes = {0};
    FILE *within = open_memstream(&bytes.data, &bytes.n);

    put_text(within, 1, event, "type");
    put_message(within, 2, put_raw, json_get(event, "object"));
    fclose(within);
    put_frame(to, bytes.data, bytes.n, 0);
}

struct bytes script_protobuf_lines(const struct bytes *lines) {
    const char *at = lines->data, *end = at + lines->n;
    struct bytes bytes = {0};
    FILE *to = open_memstream(&bytes.data, &bytes.n);

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline ? newline : end) - at);
        CLEANUP(cleanup_free) char *line = strndup(at, n);
        CLEANUP(json_putp) json_object *event = newline ? json_tokener_parse(line) : NULL;

        if (json_object_is_type(json_get(event, "object"), json_type_object))
            put_event(to, event);
        else if (n > 0)
            put_frame(to, line, n, newline ? 0 : 100); /* one that can't be read, or that is cut */
        at += n + 1;
    }
    fclose(to);
    return bytes;
}

bool script_protobuf_object(struct bytes *ret, const struct bytes *text) {
    CLEANUP(cleanup_free) char *terminated = strndup(text->data, text->n);
    CLEANUP(json_putp) json_object *object = json_tokener_parse(terminated);
    bool is_list = is_kind(object, "NodeList") && json_object_is_type(json_get(object, "items"), json_type_array);
    struct bytes bytes = {0};
    FILE *to;

    if (!is_list && !is_kind(object, "Status"))
        return false;
    to = open_memstream(&bytes.data, &bytes.n);
    put_alone(to, object, is_list ? put_node_list : put_status);
    fclose(to);
    *ret = bytes;
    return true;
}
