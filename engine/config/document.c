/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Document - libyaml's events into one json-c tree that remembers where everything stood.
 *
 * json-c has no place for a line, but each of its values carries a pointer of ours: a mapping's points to a second object
 * (key -> line), a sequence's to an array of lines. Scalars need none, they are asked for through what holds them; a
 * null, which json-c stores as nothing at all, has its line that way too.
 *
 * Keeps: no input makes it recurse deeper than DOCUMENT_DEPTH or hold more than DOCUMENT_NODES values. Aliases
 * are refused outright: nothing that nodewall reads needs them, and they are how a small file becomes a large one.
 * Does not: know any key. Owns: the tree; on the way, what libyaml allocated, overwritten as far as it can be reached.
 */
#include "document.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    const char *path;
    struct problem *problem;
    unsigned n_nodes;
};

static void event_wipe(yaml_event_t *event) {
    if (event->type == YAML_SCALAR_EVENT)
        OPENSSL_cleanse(event->data.scalar.value, event->data.scalar.length);
    yaml_event_delete(event);
    memset(event, 0, sizeof(*event));
}

static void reader_done(struct reader *reader) {
    yaml_parser_t *parser = &reader->parser;

    if (parser->raw_buffer.start)
        OPENSSL_cleanse(parser->raw_buffer.start, (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    if (parser->buffer.start)
        OPENSSL_cleanse(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    yaml_parser_delete(parser);
}

static void json_putp(struct json_object **object) {
    json_object_put(*object);
}

static void lines_free(struct json_object *object, void *userdata) {
    json_object_put(userdata);
}

static int refuse(struct reader *reader, size_t line, const char *hint, const char *what) {
    char where[PATH_MAX + 16];

    snprintf(where, sizeof(where), "%s:%zu", reader->path, line + 1);
    return problem_set(reader->problem, where, hint, "%s", what);
}

static int next(struct reader *reader, yaml_event_t *ret) {
    yaml_parser_t *parser = &reader->parser;
    char what[256];

    if (yaml_parser_parse(parser, ret))
        return 0;
    memset(ret, 0, sizeof(*ret));
    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    snprintf(what, sizeof(what), "this is not YAML: %s", parser->problem ? parser->problem : "unreadable");
    if (parser->error == YAML_READER_ERROR) /* it has an offset, no mark */
        return refuse(reader, parser->mark.line, "save the file as plain UTF-8 text", what);
    return refuse(reader, parser->problem_mark.line, "look at the indentation, quotes and brackets here and in the line before",
                  what);
}

static bool is_one_of(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static bool is_integer(const char *text) {
    size_t n;

    text += *text == '-';
    n = strspn(text, "0123456789");
    return n >= 1 && n <= 18 && !text[n] && (text[0] != '0' || n == 1);
}

/* 0 and *ret, which is NULL for a null. */
static int scalar(struct reader *reader, const yaml_event_t *event, struct json_object **ret) {
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct json_object *value;

    if (memchr(text, 0, size))
        return refuse(reader, event->start_mark.line, "remove it", "a NUL character");
    if (plain && is_one_of(text, (const char *const[]){"", "~", "null", "Null", "NULL", NULL})) {
        *ret = NULL;
        return 0;
    }
    if (plain && is_one_of(text, (const char *const[]){"true", "True", "TRUE", NULL}))
        value = json_object_new_boolean(true);
    else if (plain && is_one_of(text, (const char *const[]){"false", "False", "FALSE", NULL}))
        value = json_object_new_boolean(false);
    else if (plain && is_integer(text))
        value = json_object_new_int64(strtoll(text, NULL, 10));
    else
        value = json_object_new_string_len(text, (int)size);
    if (!value)
        return -ENOMEM;
    *ret = value;
    return 0;
}

static int node(struct reader *reader, const yaml_event_t *event, unsigned depth, struct json_object **ret);

static int new_container(struct json_object **ret, struct json_object **ret_lines, bool mapping) {
    struct json_object *object = mapping ? json_object_new_object() : json_object_new_array();
    struct json_object *lines = mapping ? json_object_new_object() : json_object_new_array();

    if (!object || !lines) {
        json_object_put(object);
        json_object_put(lines);
        return -ENOMEM;
    }
    json_object_set_userdata(object, lines, lines_free);
    *ret = object;
    *ret_lines = lines;
    return 0;
}

static int sequence(struct reader *reader, unsigned depth, struct json_object **ret) {
    CLEANUP(json_putp) struct json_object *array = NULL;
    struct json_object *lines;
    int r = new_container(&array, &lines, false);

    if (r < 0)
        return r;
    for (;;) {
        CLEANUP(event_wipe) yaml_event_t event = {0};
        CLEANUP(json_putp) struct json_object *item = NULL, *line = NULL;

        r = next(reader, &event);
        if (r < 0)
            return r;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        r = node(reader, &event, depth, &item);
        if (r < 0)
            return r;
        line = json_object_new_int64((int64_t)event.start_mark.line + 1);
        if (!line || json_object_array_add(lines, line) < 0)
            return -ENOMEM;
        TAKE_PTR(line);
        if (json_object_array_add(array, item) < 0)
            return -ENOMEM;
        TAKE_PTR(item);
    }
    *ret = TAKE_PTR(array);
    return 0;
}

static int check_key(struct reader *reader, const yaml_event_t *event, struct json_object *object) {
    const char *key = (const char *)event->data.scalar.value;
    char what[256], hint[128];

    if (event->type == YAML_ALIAS_EVENT || event->type != YAML_SCALAR_EVENT)
        return refuse(reader, event->start_mark.line, "write \"name: value\"", "a key that is no plain name");
    if (memchr(key, 0, event->data.scalar.length))
        return refuse(reader, event->start_mark.line, "remove it", "a NUL character");
    if (json_object_object_get_ex(object, key, NULL)) {
        snprintf(what, sizeof(what), "\"%.100s\" is given twice", key);
        snprintf(hint, sizeof(hint), "the first is in line %u; keep one of them", document_key_line(object, key));
        return refuse(reader, event->start_mark.line, hint, what);
    }
    return 0;
}

static int mapping(struct reader *reader, unsigned depth, struct json_object **ret) {
    CLEANUP(json_putp) struct json_object *object = NULL;
    struct json_object *lines;
    int r = new_container(&object, &lines, true);

    if (r < 0)
        return r;
    for (;;) {
        CLEANUP(event_wipe) yaml_event_t key = {0}, event = {0};
        CLEANUP(json_putp) struct json_object *value = NULL, *line = NULL;

        r = next(reader, &key);
        if (r < 0)
            return r;
        if (key.type == YAML_MAPPING_END_EVENT)
            break;
        r = check_key(reader, &key, object);
        if (r < 0)
            return r;
        r = next(reader, &event);
        if (r < 0)
            return r;
        r = node(reader, &event, depth, &value);
        if (r < 0)
            return r;
        line = json_object_new_int64((int64_t)key.start_mark.line + 1);
        if (!line || json_object_object_add(lines, (const char *)key.data.scalar.value, line) < 0)
            return -ENOMEM;
        TAKE_PTR(line);
        if (json_object_object_add(object, (const char *)key.data.scalar.value, value) < 0)
            return -ENOMEM;
        TAKE_PTR(value);
    }
    *ret = TAKE_PTR(object);
    return 0;
}

static bool has_tag(const yaml_event_t *event) {
    return (event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag);
}

static int node(struct reader *reader, const yaml_event_t *event, unsigned depth, struct json_object **ret) {
    size_t line = event->start_mark.line;

    if (++reader->n_nodes > DOCUMENT_NODES)
        return refuse(reader, line, "is this the right file?", "more values than any real configuration has");
    if (has_tag(event))
        return refuse(reader, line, "remove the word that begins with an exclamation mark", "tags are not understood here");
    if (event->type == YAML_SCALAR_EVENT)
        return scalar(reader, event, ret);
    if (event->type == YAML_ALIAS_EVENT)
        return refuse(reader, line, "write the value out, or put it in quotes", "aliases (*name) are not understood here");
    if (depth >= DOCUMENT_DEPTH)
        return refuse(reader, line, "is this the right file?", "nested deeper than any real configuration is");
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return sequence(reader, depth + 1, ret);
    return mapping(reader, depth + 1, ret);
}

/* STREAM-START, then one document or none, then STREAM-END. */
static int stream(struct reader *reader, struct document *document) {
    for (;;) {
        CLEANUP(event_wipe) yaml_event_t event = {0};
        int r = next(reader, &event);

        if (r < 0)
            return r;
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            return 0;
        case YAML_DOCUMENT_START_EVENT:
            if (document->line)
                return refuse(reader, event.start_mark.line, "keep one, and remove the line \"---\" between them",
                              "a second document in the same file");
            document->line = (unsigned)event.start_mark.line + 1;
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        default:
            document->line = (unsigned)event.start_mark.line + 1;
            r = node(reader, &event, 0, &document->root);
            if (r < 0)
                return r;
        }
    }
}

int document_parse(struct document **ret, const char *path, const char *text, size_t size, struct problem *problem) {
    CLEANUP(document_freep) struct document *document = calloc(1, sizeof(*document));
    CLEANUP(reader_done) struct reader reader = {.path = path, .problem = problem};
    int r;

    if (!document || !yaml_parser_initialize(&reader.parser))
        return -ENOMEM;
    document->path = strdup(path);
    if (!document->path)
        return -ENOMEM;
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    r = stream(&reader, document);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(document);
    return 0;
}

int document_unread(int error, const char *path, size_t limit, struct problem *problem) {
    if (error == -ENOMEM)
        return error;
    if (error == -EFBIG)
        return problem_set(problem, path, "is this the right file?", "larger than %zu KiB", limit / 1024);
    return problem_set(problem, path,
                       error == -ENOENT   ? "is the path right?"
                       : error == -EACCES ? "let the user that runs nodewall read it"
                                          : "",
                       "cannot be read: %s", strerror(-error));
}

int document_load(struct document **ret, const char *path, size_t limit, struct problem *problem) {
    char *text = NULL;
    size_t size = 0;
    int r = file_read(&text, &size, path, limit);

    if (r < 0)
        return document_unread(r, path, limit, problem);
    r = document_parse(ret, path, text, size, problem);
    OPENSSL_cleanse(text, size);
    free(text);
    return r;
}

static void wipe(struct json_object *object) {
    switch (json_object_get_type(object)) {
    case json_type_string:
        /* json-c has no call for this; the string is its own copy, and nobody reads it again. */
        OPENSSL_cleanse((char *)json_object_get_string(object), (size_t)json_object_get_string_len(object));
        break;
    case json_type_array:
        for (size_t i = 0; i < json_object_array_length(object); i++)
            wipe(json_object_array_get_idx(object, i));
        break;
    case json_type_object: {
        json_object_object_foreach(object, key, value) {
            (void)key;
            wipe(value);
        }
        break;
    }
    default:
        break;
    }
}

struct document *document_free(struct document *document) {
    if (!document)
        return NULL;
    wipe(document->root);
    json_object_put(document->root);
    free(document->path);
    free(document);
    return NULL;
}

unsigned document_key_line(struct json_object *object, const char *key) {
    struct json_object *line = NULL;

    json_object_object_get_ex(json_object_get_userdata(object), key, &line);
    return (unsigned)json_object_get_int64(line);
}

unsigned document_item_line(struct json_object *object, size_t index) {
    return (unsigned)json_object_get_int64(json_object_array_get_idx(json_object_get_userdata(object), index));
}
