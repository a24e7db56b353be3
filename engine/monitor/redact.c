/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redact - a copy of an event's msgpack without what should not stand on a screen, in a log or in a recording.
 *
 * The bus carries jobs with their pillar, keys at each sign-in, and what pillar.* functions returned. Only values go: the
 * shape of the event stays, and so do its counts. By names, hence no promise: a password that a state printed into its
 * comment is not found. Does not: copy when nothing is to go, which is nearly always.
 */
#include "text.h"
#include "walk.h"

#include <string.h>
#include <strings.h>

#define NAME_MAX_ 64    /* what is longer is the id of a state, not the name of a secret */

static const uint8_t mark[] = "\xaa(redacted)";

#define NAME(text, whole) {text, sizeof(text) - 1, whole}
static const struct {
    const char *text;
    size_t size;
    bool whole;         /* else: a name that ends so, too */
} names[] = {
    NAME("pub", true), NAME("priv", true), NAME("tok", true), NAME("aes", true), NAME("session", true),
    NAME("pillar_override", true), NAME("credentials", true), NAME("pillar", false), NAME("token", false),
    NAME("secret", false), NAME("password", false), NAME("passwd", false), NAME("passphrase", false),
    NAME("private_key", false), NAME("priv_key", false), NAME("api_key", false), NAME("apikey", false),
    NAME("access_key", false), NAME("secret_key", false),
};

static bool is_secret(const char *name, size_t size) {
    char last;

    if (size < 3 || size > NAME_MAX_)
        return false;
    last = (char)(name[size - 1] | 0x20);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (last == names[i].text[names[i].size - 1] && (names[i].whole ? size == names[i].size : size >= names[i].size) &&
            !strncasecmp(name + size - names[i].size, names[i].text, names[i].size))
            return true;
    return false;
}

/* The event is the return of a function that shows pillar: pillar.items, runner.pillar.show_pillar. */
static bool returns_pillar(const uint8_t *data, size_t size) {
    const char *fun;
    size_t n;

    if (!memmem(data, size, "pillar.", 7) || !field_text("fun", &fun, &n, data, size))
        return false;
    return (n >= 7 && !memcmp(fun, "pillar.", 7)) || memmem(fun, n, ".pillar.", 8);
}

struct copy {
    struct line *line;
    const uint8_t *copied;  /* up to here, of the original */
    bool any;
};

/* The original up to the value, the mark for it, and on behind it. */
static int replace(struct copy *copy, struct walk *walk) {
    const uint8_t *value = walk->at;
    int r = walk_skip_value(walk);

    if (r == 0)
        r = line_add(copy->line, copy->copied, (size_t)(value - copy->copied));
    if (r == 0)
        r = line_add(copy->line, mark, sizeof(mark) - 1);
    copy->copied = walk->at;
    copy->any = true;
    return r;
}

int redact(struct line *ret, const uint8_t *data, size_t size) {
    bool pillar = returns_pillar(data, size);
    struct copy copy = {ret, data, false};
    struct walk walk;
    struct step step;
    int r;

    ret->size = 0;
    walk_begin(&walk, data, size);
    while ((r = walk_next(&walk, &step)) > 0) {
        const char *name = (const char *)step.payload;

        if (step.kind != STEP_KEY || (step.token.kind != TOKEN_STR && step.token.kind != TOKEN_BIN))
            continue;
        if (is_secret(name, step.token.count) ||
            (pillar && step.depth == 1 && step.token.count == 6 && !memcmp(name, "return", 6)))
            r = replace(&copy, &walk);
        if (r < 0)
            return r;
    }
    if (r < 0 || !copy.any)
        return r;
    r = line_add(ret, copy.copied, (size_t)(data + size - copy.copied));
    return r < 0 ? r : 1;
}
