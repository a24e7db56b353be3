/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter - which events are shown: by the globs of their tags, then by what is in them.
 *
 * Two steps, because the tag is at hand and the fields have to be looked for: whoever asks for one tag in a flood pays
 * for the tags alone. Does not: allocate or change while events pass; a text is matched where it lies.
 */
#include "nodewall/monitor.h"
#include "nodewall/pack.h"
#include "number.h"
#include "token.h"

#include <string.h>

struct condition {
    bool include;
    char *path;
    char *glob;         /* NULL: it is there */
    bool same;          /* an earlier condition asks for the same field, and looks at this one, too */
};

struct filter {
    char **tags;
    size_t n_tags;
    struct condition *conditions;
    size_t n_conditions;
};

int filter_new(struct filter **ret) {
    struct filter *filter = calloc(1, sizeof(*filter));

    if (!filter)
        return -ENOMEM;
    *ret = filter;
    return 0;
}

struct filter *filter_free(struct filter *filter) {
    if (!filter)
        return NULL;
    for (size_t i = 0; i < filter->n_tags; i++)
        free(filter->tags[i]);
    for (size_t i = 0; i < filter->n_conditions; i++) {
        free(filter->conditions[i].path);
        free(filter->conditions[i].glob);
    }
    free(filter->tags);
    free(filter->conditions);
    free(filter);
    return NULL;
}

int filter_add_tag(struct filter *filter, const char *glob) {
    char **tags = reallocarray(filter->tags, filter->n_tags + 1, sizeof(*tags));

    if (!tags)
        return -ENOMEM;
    filter->tags = tags;
    tags[filter->n_tags] = strdup(glob);
    if (!tags[filter->n_tags])
        return -ENOMEM;
    filter->n_tags++;
    return 0;
}

int filter_add_field(struct filter *filter, bool include, const char *text, struct problem *problem) {
    struct condition *conditions = reallocarray(filter->conditions, filter->n_conditions + 1, sizeof(*conditions));
    const char *equals = strchr(text, '=');
    struct condition *new;

    if (!conditions)
        return -ENOMEM;
    filter->conditions = conditions;
    if (!*text || equals == text)
        return problem_set(problem, include ? "-i" : "-x", "FIELD=GLOB, for example fun=state.*",
                           "'%s' names no field", text);
    new = &conditions[filter->n_conditions];
    *new = (struct condition){
        .include = include,
        .path = equals ? strndup(text, (size_t)(equals - text)) : strdup(text),
        .glob = equals ? strdup(equals + 1) : NULL,
    };
    if (!new->path || (equals && !new->glob)) {
        free(new->path);
        free(new->glob);
        return -ENOMEM;
    }
    for (size_t i = 0; i < filter->n_conditions; i++)
        new->same = new->same || (conditions[i].include == include && !strcmp(conditions[i].path, new->path));
    filter->n_conditions++;
    return 0;
}

bool filter_tag(const struct filter *filter, const char *tag, size_t tag_size) {
    for (size_t i = 0; i < filter->n_tags; i++)
        if (glob_matches(filter->tags[i], tag, tag_size))
            return true;
    return filter->n_tags == 0;
}

static bool float_matches(const char *glob, double value) {
    CLEANUP(line_done) struct line text = {0};

    return number_float(&text, value) == 0 && glob_matches(glob, text.data, text.size);
}

static bool scalar_matches(const char *glob, const struct token *token, const uint8_t *payload) {
    char text[24];
    int n;

    switch (token->kind) {
    case TOKEN_NIL: return glob_matches(glob, "null", 4);
    case TOKEN_BOOL: return token->number.b ? glob_matches(glob, "true", 4) : glob_matches(glob, "false", 5);
    case TOKEN_INT: n = snprintf(text, sizeof(text), "%lld", (long long)token->number.i); break;
    case TOKEN_UINT: n = snprintf(text, sizeof(text), "%llu", (unsigned long long)token->number.u); break;
    case TOKEN_FLOAT: return float_matches(glob, token->number.f);
    case TOKEN_STR:
    case TOKEN_BIN:
    case TOKEN_EXT: return glob_matches(glob, (const char *)payload, token->count);
    default: return false;
    }
    return glob_matches(glob, text, (size_t)n);
}

/* `list`: an array's members are looked at, but not theirs. */
static bool value_matches(const char *glob, const uint8_t *value, size_t size, bool list) {
    struct token token;
    int n = token_read(&token, value, size);

    if (n <= 0)
        return false;
    if (token.kind != TOKEN_ARRAY)
        return scalar_matches(glob, &token, value + n);
    value += n;
    size -= (size_t)n;
    for (uint32_t i = 0; list && i < token.count; i++) {
        struct unpack_skip skip = {0};
        size_t used;

        if (unpack_skip(&skip, value, size, size, &used) != 1)
            return false;
        if (value_matches(glob, value, used, false))
            return true;
        value += used;
        size -= used;
    }
    return false;
}

static bool holds(const struct condition *condition, const char *tag, size_t tag_size, const uint8_t *data, size_t size) {
    const char *path = condition->path;

    if (!strcmp(path, "tag"))
        return !condition->glob || glob_matches(condition->glob, tag, tag_size);
    if (*path == '.')
        path++;
    if (!field_find(path, &data, &size, data, size))
        return false;
    return !condition->glob || value_matches(condition->glob, data, size, true);
}

bool filter_fields(const struct filter *filter, const char *tag, size_t tag_size, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < filter->n_conditions; i++) {
        const struct condition *condition = &filter->conditions[i];
        bool found = false;

        if (condition->same)
            continue;
        for (size_t j = i; j < filter->n_conditions && !found; j++)
            if (filter->conditions[j].include == condition->include && !strcmp(filter->conditions[j].path, condition->path))
                found = holds(&filter->conditions[j], tag, tag_size, data, size);
        if (found != condition->include)
            return false;
    }
    return true;
}
