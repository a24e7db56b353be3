/* SPDX-License-Identifier: Apache-2.0 */
#include "script_protobuf.h"

#include <string.h>

void script_fail(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    printf("Bail out! ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

static void unroll(json_object *to, json_object *item) {
    json_object *times = json_get(item, "repeat"), *body = json_get(item, "do");

    if (!times) {
        json_object_array_add(to, json_object_get(item));
        return;
    }
    for (int64_t i = 0; i < json_object_get_int64(times); i++)
        for (size_t j = 0; j < json_object_array_length(body); j++)
            unroll(to, json_object_array_get_idx(body, j));
}

json_object *script_load(const char *directory, const char *name) {
    CLEANUP(cleanup_file) FILE *file = NULL;
    CLEANUP(cleanup_free) char *line = NULL;
    json_object *all = json_object_new_array();
    char path[4096];
    size_t size = 0, number = 0;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "r");
    if (!file)
        script_fail("%s cannot be read", path);
    while (getline(&line, &size, file) > 0) {
        CLEANUP(json_putp) json_object *item = json_tokener_parse(line);

        number++;
        if (!json_object_is_type(item, json_type_object))
            script_fail("%s:%zu is no JSON object", path, number);
        if (!json_get(item, "note"))
            unroll(all, item);
    }
    if (json_object_array_length(all) == 0)
        script_fail("%s says nothing", path);
    return all;
}

void bytes_done(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}

/* "name uid rv word…" */
static void put_node(FILE *to, const char *text) {
    char word[256], *copy = strdup(text), *rest = copy, *token;
    unsigned n = 0;
    bool first = true;

    while ((token = strsep(&rest, " "))) {
        char *equals = strchr(token, '=');

        if (n == 0)
            fprintf(to, "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"", token);
        else if (n == 1)
            fprintf(to, ",\"uid\":\"%s\"", token);
        else if (n == 2)
            fprintf(to, ",\"resourceVersion\":\"%s\",\"labels\":{\"odd\":\"\xf0\x9f\x99\x82 ]}\\\\\\\"{[\"}", token);
        else if (strcmp(token, "leaving") == 0)
            fprintf(to, ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"");
        else {
            snprintf(word, sizeof(word), "%.*s", equals ? (int)(equals - token) : 10, equals ? token : "InternalIP");
            fprintf(to, "%s{\"type\":\"%s\",\"address\":\"%s\"}", first ? "},\"status\":{\"addresses\":[" : ",", word,
                    equals ? equals + 1 : token);
            first = false;
        }
        n++;
    }
    if (n < 3)
        script_fail("a node is \"name uid rv address...\", not \"%s\"", text);
    fputs(first ? "},\"status\":{}}" : "]}}", to);
    free(copy);
}

static void put_list(FILE *to, json_object *list) {
    json_object *nodes = json_get(list, "nodes"), *next = json_get(list, "continue"), *rv = json_get(list, "rv");

    fprintf(to, "{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%s\"",
            rv ? json_object_get_string(rv) : "");
    if (next)
        fprintf(to, ",\"continue\":\"%s\",\"remainingItemCount\":1", json_object_get_string(next));
    fputs("},\"items\":[", to);
    for (size_t i = 0; nodes && i < json_object_array_length(nodes); i++) {
        fputs(i > 0 ? "," : "", to);
        put_node(to, json_object_get_string(json_object_array_get_idx(nodes, i)));
    }
    fputs("]}\n", to);
}

/* "TYPE name uid rv …", "BOOKMARK rv", "ERROR code reason message…", or {"raw": "…"}, {"fill": bytes} */
static void put_line(FILE *to, json_object *line) {
    const char *text = json_object_get_string(line), *rest;
    char type[32], reason[64] = "";
    int code = 0, n = 0;

    if (json_get(line, "raw")) {
        fputs(json_object_get_string(json_get(line, "raw")), to);
        return;
    }
    if (json_get(line, "fill")) {
        fputs("{\"type\":\"ADDED\",\"object\":{\"kind\":\"Node\",\"x\":\"", to);
        for (int64_t i = json_object_get_int64(json_get(line, "fill")); i > 0; i--)
            fputc('x', to);
        fputs("\",\"metadata\":{\"name\":\"large\",\"uid\":\"u-large\",\"resourceVersion\":\"900\"}}}\n", to);
        return;
    }
    if (!json_object_is_type(line, json_type_string) || sscanf(text, "%31s %n", type, &n) != 1)
        script_fail("no line of a watch: %s", text);
    rest = text + n;
    fprintf(to, "{\"type\":\"%s\",\"object\":", type);
    if (strcmp(type, "BOOKMARK") == 0) {
        fprintf(to, "{\"kind\":\"Node\",\"metadata\":{\"resourceVersion\":\"%s\"},\"spec\":{},\"status\":{}}", rest);
    } else if (strcmp(type, "ERROR") == 0) {
        sscanf(rest, "%d %63s", &code, reason);
        fprintf(to, "{\"kind\":\"Status\",\"metadata\":{\"resourceVersion\":\"777\"},\"reason\":\"%s\"", reason);
        if (strcmp(reason, "TooLarge") == 0)
            fputs(",\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}],\"retryAfterSeconds\":1}", to);
        if (code)
            fprintf(to, ",\"code\":%d", code);
        fputs(",\"message\":\"the server's words\"}", to);
    } else {
        put_node(to, rest);
    }
    fputs("}\n", to);
}

struct bytes script_lines(json_object *lines, bool protobuf) {
    struct bytes bytes = {0}, frames;
    FILE *to = open_memstream(&bytes.data, &bytes.n);

    for (size_t i = 0; i < json_object_array_length(lines); i++)
        put_line(to, json_object_array_get_idx(lines, i));
    fclose(to);
    if (!protobuf)
        return bytes;
    frames = script_protobuf_lines(&bytes);
    bytes_done(&bytes);
    return frames;
}

static struct bytes object(json_object *list, json_object *body) {
    struct bytes bytes = {0};
    FILE *to = open_memstream(&bytes.data, &bytes.n);

    if (list)
        put_list(to, list);
    else if (json_object_is_type(body, json_type_string))
        fputs(json_object_get_string(body), to);
    else if (body)
        fputs(json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN), to);
    fclose(to);
    return bytes;
}

struct bytes script_body(json_object *answer, bool *protobuf) {
    json_object *lines = json_get(answer, "lines"), *cut = json_get(answer, "cut");
    struct bytes bytes, other;

    *protobuf = *protobuf && !json_get(answer, "type") && !json_get(answer, "json");
    if (lines) {
        bytes = script_lines(lines, *protobuf);
    } else {
        bytes = object(json_get(answer, "list"), json_get(answer, "body"));
        *protobuf = *protobuf && (json_get(answer, "list") || json_get(answer, "status")) &&
                    script_protobuf_object(&other, &bytes);
        if (*protobuf) {
            bytes_done(&bytes);
            bytes = other;
        }
    }
    if (cut) /* negative: so many from the end */
        bytes.n = (size_t)(json_object_get_int64(cut) + (json_object_get_int64(cut) < 0 ? (int64_t)bytes.n : 0));
    return bytes;
}

json_object *script_node(const struct node *node) {
    char text[4096];
    size_t n = (size_t)snprintf(text, sizeof(text), "%s %s %s%s", node->name, node->uid, node->rv,
                                node->leaving ? " leaving" : "");

    for (size_t i = 0; i < node->n_addresses && n < sizeof(text) - 400; i++) {
        bool internal = strcmp(node->addresses[i].type, "InternalIP") == 0;

        n += (size_t)snprintf(text + n, sizeof(text) - n, " %s%s%s", internal ? "" : node->addresses[i].type,
                              internal ? "" : "=", node->addresses[i].text);
    }
    return json_object_new_string(text);
}
