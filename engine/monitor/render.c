/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Render - msgpack to JSON in one pass, straight into the line.
 *
 * Keeps: a line is one event's whole JSON or what it was before; its length is bounded by MONITOR_LINE_MAX, however much
 * a byte of msgpack becomes (with indentation a thousand). Does not: sort, or look for a key that comes twice: both are
 * printed, and readers of JSON take the last.
 */
#include "number.h"
#include "text.h"
#include "walk.h"

#include <string.h>

/* Salt's ext types: a time as "%Y%m%dT%H:%M:%S.%f", and a constant as the pair of its name and value. */
#define EXT_TIME 78
#define EXT_CONSTANT 79

#define LITERAL(line, text) line_add(line, text, sizeof(text) - 1)

struct render {
    struct line *line;
    enum render_style style;
    bool in_key;            /* a key's JSON, itself to be a string: a container as a key in there is refused */
};

static int render_any(struct render *render, const uint8_t *data, size_t size);

static bool is_pretty(const struct render *render) {
    return render->style >= RENDER_PRETTY;
}

enum colour { PLAIN, KEY, TEXT, NUMBER, WORD };

static int paint(const struct render *render, enum colour colour) {
    static const char *const codes[] = {"\x1b[0m", "\x1b[34m", "\x1b[32m", "\x1b[36m", "\x1b[35m"};

    return render->style == RENDER_COLOUR ? line_add(render->line, codes[colour], strlen(codes[colour])) : 0;
}

static int quote(const struct render *render, const uint8_t *text, size_t size) {
    int r = line_add(render->line, "\"", 1);

    if (r == 0)
        r = text_escape(render->line, text, size, is_pretty(render) ? TEXT_HEX : TEXT_BASE64);
    return r < 0 ? r : line_add(render->line, "\"", 1);
}

/* A constant's name, from the pair of both; whatever else it holds stays bytes. */
static void constant_name(struct step *step) {
    struct token token;
    int n = step->token.count > 1 && step->payload[0] == 0x92
                ? token_read(&token, step->payload + 1, step->token.count - 1)
                : 0;

    if (n > 0 && (token.kind == TOKEN_STR || token.kind == TOKEN_BIN) && token.count <= step->token.count - 1 - (size_t)n) {
        step->payload += 1 + n;
        step->token.count = token.count;
    }
}

static int render_ext(const struct render *render, const struct step *step) {
    int r = line_printf(render->line, "{\"ext\":%s%d,%s\"hex\":%s\"", render->style ? " " : "", step->token.ext,
                        render->style ? " " : "", render->style ? " " : "");

    if (r == 0)
        r = step->token.count < MONITOR_LINE_MAX / 2 ? line_reserve(render->line, (size_t)step->token.count * 2) : -E2BIG;
    for (size_t i = 0; r == 0 && i < step->token.count; i++) {
        static const char digits[] = "0123456789abcdef";
        char pair[2] = {digits[step->payload[i] >> 4], digits[step->payload[i] & 15]};

        r = line_add(render->line, pair, 2);
    }
    return r < 0 ? r : LITERAL(render->line, "\"}");
}

static int render_scalar(struct render *render, struct step *step) {
    const struct token *token = &step->token;

    switch (token->kind) {
    case TOKEN_NIL: return LITERAL(render->line, "null");
    case TOKEN_BOOL: return token->number.b ? LITERAL(render->line, "true") : LITERAL(render->line, "false");
    case TOKEN_INT: return number_signed(render->line, token->number.i);
    case TOKEN_UINT: return number_unsigned(render->line, token->number.u);
    case TOKEN_FLOAT: return number_float(render->line, token->number.f);
    case TOKEN_EXT:
        if (token->ext != EXT_TIME && token->ext != EXT_CONSTANT)
            return render_ext(render, step);
        if (token->ext == EXT_CONSTANT)
            constant_name(step);
        return quote(render, step->payload, step->token.count);
    default: return quote(render, step->payload, token->count);
    }
}

static int render_value(struct render *render, struct step *step) {
    enum colour colour = step->token.kind >= TOKEN_STR ? TEXT : step->token.kind >= TOKEN_INT ? NUMBER : WORD;
    int r = paint(render, colour);

    if (r == 0)
        r = render_scalar(render, step);
    return r < 0 ? r : paint(render, PLAIN);
}

static bool is_container(const struct step *step) {
    return step->token.kind == TOKEN_ARRAY || step->token.kind == TOKEN_MAP;
}

/* A key that is no text: its JSON, as a text. */
static int render_odd_key(struct render *render, struct walk *walk, struct step *step) {
    CLEANUP(line_done) struct line text = {0};
    struct render inner = {&text, RENDER_COMPACT, true};
    int r = 0;

    if (is_container(step)) {
        if (render->in_key)
            return -E2BIG;
        r = walk_skip_open(walk, step);
    }
    if (r == 0)
        r = render_any(&inner, step->head, (size_t)(walk->at - step->head));
    return r < 0 ? r : quote(render, (uint8_t *)text.data, text.size);
}

static int render_key(struct render *render, struct walk *walk, struct step *step) {
    enum token_kind kind = step->token.kind;
    int r = paint(render, KEY);

    if (r == 0) {
        if (kind == TOKEN_STR || kind == TOKEN_BIN) { /* base64 is no name */
            r = line_add(render->line, "\"", 1);
            if (r == 0)
                r = text_escape(render->line, step->payload, step->token.count, TEXT_HEX);
            if (r == 0)
                r = line_add(render->line, "\"", 1);
        } else {
            r = render_odd_key(render, walk, step);
        }
    }
    if (r == 0)
        r = paint(render, PLAIN);
    return r < 0 ? r : line_add(render->line, ": ", render->style == RENDER_COMPACT ? 1 : 2);
}

static int new_line(struct render *render, unsigned depth) {
    int r = line_reserve(render->line, 1 + 2 * (size_t)depth);

    if (r < 0)
        return r;
    render->line->data[render->line->size++] = '\n';
    memset(render->line->data + render->line->size, ' ', 2 * (size_t)depth);
    render->line->size += 2 * (size_t)depth;
    return 0;
}

/* What stands before a member: a comma, a space, a new line. */
static int separate(struct render *render, const struct step *step, bool after_key) {
    int r = 0;

    if (after_key || step->depth == 0)
        return 0;
    if (!step->first)
        r = line_add(render->line, ", ", render->style == RENDER_SPACED ? 2 : 1);
    return r < 0 || !is_pretty(render) ? r : new_line(render, step->depth);
}

static int render_end(struct render *render, const struct step *step) {
    int r = is_pretty(render) && !step->first ? new_line(render, step->depth) : 0;

    return r < 0 ? r : line_add(render->line, step->token.kind == TOKEN_MAP ? "}" : "]", 1);
}

static int render_any(struct render *render, const uint8_t *data, size_t size) {
    struct walk walk;
    struct step step;
    bool after_key = false;
    int r;

    walk_begin(&walk, data, size);
    while ((r = walk_next(&walk, &step)) > 0) {
        if (step.kind == STEP_END) {
            r = render_end(render, &step);
            after_key = false;
        } else {
            r = separate(render, &step, after_key);
            after_key = step.kind == STEP_KEY;
            if (r == 0 && after_key)
                r = render_key(render, &walk, &step);
            else if (r == 0 && is_container(&step))
                r = line_add(render->line, step.token.kind == TOKEN_MAP ? "{" : "[", 1);
            else if (r == 0)
                r = render_value(render, &step);
        }
        if (r < 0)
            return r;
    }
    return r;
}

int render_json(struct line *line, enum render_style style, const uint8_t *data, size_t size) {
    struct render render = {line, style, false};
    size_t before = line->size;
    int r = render_any(&render, data, size);

    if (r < 0)
        line->size = before;
    return r;
}

int render_string(struct line *line, const void *text, size_t size) {
    const struct render render = {line, RENDER_PRETTY, false}; /* what is no text in a name stays readable */

    return quote(&render, text, size);
}

int render_tag(struct line *line, const char *tag, size_t size) {
    return text_escape(line, (const uint8_t *)tag, size, TEXT_TAG);
}
