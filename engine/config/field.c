/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field - reads one value of a document as one type, and says what is wrong with it where it stands.
 *
 * Keeps: a problem always has file:line, the field's full name, and, where there is one, the way out. A secret's value is in no
 * problem. Does not: know any schema. Owns: nothing; a field borrows from its document.
 */
#include "field.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define STRING_LIMIT 4096

void field_root(struct field *ret, const struct document *document) {
    *ret = (struct field){.document = document, .value = document->root, .line = MAX(document->line, 1u)};
}

bool field_get(struct field *ret, const struct field *parent, const char *key) {
    struct json_object *value = NULL;

    if (!json_object_is_type(parent->value, json_type_object) ||
        !json_object_object_get_ex(parent->value, key, &value) || !value)
        return false;
    ret->document = parent->document;
    ret->value = value;
    ret->line = document_key_line(parent->value, key);
    if (snprintf(ret->name, sizeof(ret->name), "%.120s%s%.120s", parent->name, parent->name[0] ? "." : "", key) < 0)
        ret->name[0] = 0;
    return true;
}

bool field_is_empty(const struct field *field) {
    return json_object_is_type(field->value, json_type_string) && json_object_get_string_len(field->value) == 0;
}

size_t field_length(const struct field *field) {
    return json_object_is_type(field->value, json_type_array) ? json_object_array_length(field->value) : 0;
}

void field_item(struct field *ret, const struct field *parent, size_t index) {
    ret->document = parent->document;
    ret->value = json_object_array_get_idx(parent->value, index);
    ret->line = document_item_line(parent->value, index);
    if (snprintf(ret->name, sizeof(ret->name), "%.200s[%zu]", parent->name, index) < 0)
        ret->name[0] = 0;
}

int field_problem(const struct field *field, struct problem *problem, const char *hint, const char *format, ...) {
    char where[PATH_MAX + 16], what[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    snprintf(where, sizeof(where), "%s:%u", field->document->path, field->line);
    return problem_set(problem, where, hint, "%s%s%s", field->name, field->name[0] ? " " : "", what);
}

static const char *type_name(const struct field *field) {
    switch (json_object_get_type(field->value)) {
    case json_type_null:
        return "empty";
    case json_type_boolean:
        return "true or false";
    case json_type_int:
        return "a number";
    case json_type_array:
        return "a list";
    case json_type_object:
        return "a mapping";
    default:
        return "a text";
    }
}

static int wrong_type(const struct field *field, const char *expected, const char *hint, struct problem *problem) {
    return field_problem(field, problem, hint, "is %s, and must be %s", type_name(field), expected);
}

static int unknown_key(const struct field *field, const char *key, const char *const *keys, struct problem *problem) {
    const char *meant = nearest(key, keys);
    struct field at = *field;
    char hint[300];
    size_t n = 0;

    at.line = document_key_line(field->value, key);
    if (meant) {
        snprintf(hint, sizeof(hint), "did you mean \"%s\"?", meant);
    } else {
        n += (size_t)snprintf(hint, sizeof(hint), "what there is: ");
        for (size_t i = 0; keys[i] && n < sizeof(hint); i++)
            n += (size_t)snprintf(hint + n, sizeof(hint) - n, "%s%s", i ? ", " : "", keys[i]);
    }
    return field_problem(&at, problem, hint, "%sunknown key \"%.100s\"", field->name[0] ? "has the " : "", key);
}

int field_mapping(const struct field *field, const char *const *keys, struct problem *problem) {
    if (!json_object_is_type(field->value, json_type_object))
        return wrong_type(field, "a mapping", "write \"name: value\" lines, indented below it", problem);
    json_object_object_foreach(field->value, key, value) {
        bool known = !keys;

        for (size_t i = 0; !known && keys[i]; i++)
            known = strcmp(key, keys[i]) == 0;
        if (!known)
            return unknown_key(field, key, keys, problem);
        if (!value) {
            struct field at = *field;

            at.line = document_key_line(field->value, key);
            return field_problem(&at, problem, "give it one, or remove the line", "%s\"%.100s\" without a value",
                                 field->name[0] ? "has " : "", key);
        }
    }
    return 0;
}

static int text(char **ret, const struct field *field, size_t limit, bool secret, struct problem *problem) {
    CLEANUP(cleanup_free) char *copy = NULL;
    const char *value;
    size_t size;

    if (json_object_is_type(field->value, json_type_int) || json_object_is_type(field->value, json_type_boolean))
        return wrong_type(field, "a text", "put it in quotes", problem);
    if (!json_object_is_type(field->value, json_type_string))
        return wrong_type(field, "a text", "", problem);
    value = json_object_get_string(field->value);
    size = (size_t)json_object_get_string_len(field->value);
    if (size == 0)
        return field_problem(field, problem, "give it a value, or remove the line", "is an empty text");
    if (size > limit)
        return field_problem(field, problem, "", "is %zu bytes long, and may have %zu", size, limit);
    for (size_t i = 0; !secret && i < size; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return field_problem(field, problem, "keep it on one line", "has a control character");
    copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    free(*ret);
    *ret = TAKE_PTR(copy);
    return 0;
}

int field_string(char **ret, const struct field *field, struct problem *problem) {
    return text(ret, field, STRING_LIMIT, false, problem);
}

int field_secret(char **ret, const struct field *field, struct problem *problem) {
    return text(ret, field, (size_t)CREDENTIAL_LIMIT * 2, true, problem);
}

char *path_beside(const char *base, const char *path) {
    const char *slash = strrchr(base, '/');
    char *joined = NULL;

    if (path[0] == '/' || !slash)
        return strdup(path);
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    return asprintf(&joined, "%.*s/%s", (int)(slash - base), base, path) < 0 ? NULL : joined;
}

int field_path(char **ret, const struct field *field, struct problem *problem) {
    CLEANUP(cleanup_free) char *typed = NULL, *path = NULL;
    int r = field_string(&typed, field, problem);

    if (r < 0)
        return r;
    if (typed[0] == '~')
        return field_problem(field, problem, "write the whole path", "begins with ~, which only a shell understands");
    path = path_beside(field->document->path, typed);
    if (!path)
        return -ENOMEM;
    if (strlen(path) >= PATH_MAX)
        return field_problem(field, problem, "", "is longer than a path can be");
    free(*ret);
    *ret = TAKE_PTR(path);
    return 0;
}

static int add_path(char **paths, const struct field *field, const char *typed, struct problem *problem) {
    CLEANUP(cleanup_free) char *path = NULL;
    char *longer;

    if (typed[0] == '~')
        return field_problem(field, problem, "write the whole path", "begins with ~, which only a shell understands");
    path = path_beside(field->document->path, typed);
    if (!path || asprintf(&longer, "%s%s%s", *paths ? *paths : "", *paths ? ":" : "", path) < 0)
        return -ENOMEM;
    free(*paths);
    *paths = longer;
    return 0;
}

int field_paths(char **ret, const struct field *field, struct problem *problem) {
    bool is_list = json_object_is_type(field->value, json_type_array);
    CLEANUP(cleanup_free) char *paths = NULL;
    struct field item = *field;
    int r = 0;

    if (is_list && field_length(field) == 0)
        return field_problem(field, problem, "name at least one", "is empty");
    for (size_t i = 0; r >= 0 && i < (is_list ? field_length(field) : 1); i++) {
        CLEANUP(cleanup_free) char *typed = NULL;
        char *rest;

        if (is_list)
            field_item(&item, field, i);
        r = field_string(&typed, &item, problem);
        rest = typed;
        for (char *one; r >= 0 && (one = strsep(&rest, ":"));)
            if (one[0]) /* as in $KUBECONFIG, where an empty one is none */
                r = add_path(&paths, &item, one, problem);
    }
    if (r < 0)
        return r;
    if (!paths)
        return field_problem(field, problem, "name at least one", "has no path in it");
    free(*ret);
    *ret = TAKE_PTR(paths);
    return 0;
}

int field_strings(char ***ret, const struct field *field, size_t most, struct problem *problem) {
    CLEANUP(strings_freep) char **strings = NULL;
    size_t n = field_length(field);

    if (!json_object_is_type(field->value, json_type_array))
        return wrong_type(field, "a list", "write it as [first, second]", problem);
    if (n > most)
        return field_problem(field, problem, "", "has %zu items, and may have %zu", n, most);
    strings = calloc(n + 1, sizeof(*strings));
    if (!strings)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct field item;
        int r;

        field_item(&item, field, i);
        r = field_string(&strings[i], &item, problem);
        if (r < 0)
            return r;
    }
    strings_free(*ret);
    *ret = TAKE_PTR(strings);
    return 0;
}

int field_bool(bool *ret, const struct field *field, struct problem *problem) {
    if (!json_object_is_type(field->value, json_type_boolean))
        return wrong_type(field, "true or false", "without quotes; yes and no are not taken", problem);
    *ret = json_object_get_boolean(field->value);
    return 0;
}

int field_unsigned(unsigned *ret, const struct field *field, unsigned least, unsigned most, struct problem *problem) {
    int64_t value;

    if (!json_object_is_type(field->value, json_type_int))
        return wrong_type(field, "a number", "write digits, without quotes", problem);
    value = json_object_get_int64(field->value);
    if (value < least || value > most)
        return field_problem(field, problem, "", "is %" PRId64 ", and must be %u to %u", value, least, most);
    *ret = (unsigned)value;
    return 0;
}

/* As a person typed it, for a problem: numbers and texts alike. */
static const char *typed(const struct field *field) {
    return json_object_get_type(field->value) == json_type_array || json_object_get_type(field->value) == json_type_object
               ? type_name(field)
               : json_object_get_string(field->value);
}

int field_percent(unsigned *ret, const struct field *field, struct problem *problem) {
    const char *value = typed(field);
    size_t n = strspn(value, "0123456789");

    if (!json_object_is_type(field->value, json_type_string) || n < 1 || n > 3 || strcmp(value + n, "%") != 0 ||
        strtoul(value, NULL, 10) > 100)
        return field_problem(field, problem, "write 0% to 100%, like 50%", "is \"%.60s\", which is no percentage", value);
    *ret = (unsigned)strtoul(value, NULL, 10);
    return 0;
}

int field_duration(msec *ret, const struct field *field, msec least, struct problem *problem) {
    static const struct {
        const char *unit;
        msec length;
    } units[] = {{"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
    const char *value = typed(field);
    size_t n = strspn(value, "0123456789");
    msec length = 0;

    if (strcmp(value, "0") == 0)
        length = 1; /* nothing needs no unit */
    for (size_t i = 0; n >= 1 && n <= 6 && i < ARRAY_LENGTH(units); i++)
        if (strcmp(value + n, units[i].unit) == 0)
            length = units[i].length;
    if (!length)
        return field_problem(field, problem, "write a whole number and s, m, h or d: 30s, 5m, 2h, 7d",
                             "is \"%.60s\", which is no duration", value);
    length *= (msec)strtoul(value, NULL, 10);
    if (length < least)
        return field_problem(field, problem, "", "is %.60s, and must be at least %" PRId64 "s", value, least / 1000);
    *ret = length;
    return 0;
}

int field_choice(int *ret, const struct field *field, const char *const *words, struct problem *problem) {
    const char *value = typed(field);
    char hint[200];
    size_t n = 0;

    for (int i = 0; words[i]; i++)
        if (json_object_is_type(field->value, json_type_string) && strcmp(value, words[i]) == 0) {
            *ret = i;
            return 0;
        }
    n = (size_t)snprintf(hint, sizeof(hint), "write ");
    for (size_t i = 0; words[i] && n < sizeof(hint); i++)
        n += (size_t)snprintf(hint + n, sizeof(hint) - n, "%s%s", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
    return field_problem(field, problem, hint, "is \"%.60s\"", value);
}

int reading_take(struct reading *reading, int r) {
    if (r != -EINVAL)
        return r;
    reading->bad = true;
    if (reading->all)
        problem_add(reading->all, &reading->one);
    return 0;
}
