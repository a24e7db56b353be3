/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any event, as a monitor shows it: one line of JSON in UTF-8 on which no terminal acts, with and without secrets; and a filter
 * that only says yes or no. The bytes up to the first NUL are a glob and a field's path, the rest is the event.
 */
#include "fuzz.h"
#include "nodewall/json.h"
#include "nodewall/monitor.h"

static void check_text(const struct line *line, enum render_style style) {
    MUST(utf8_is(line->data, line->size));
    for (size_t i = 0; i < line->size; i++) {
        unsigned char c = (unsigned char)line->data[i];

        MUST(c >= 0x20 || (c == '\n' && style == RENDER_PRETTY));
        MUST(c != 0x7f && !(c == 0xc2 && (unsigned char)line->data[i + 1] < 0xa0));
    }
}

static void check_json(const struct line *line) {
    CLEANUP(json_putp) json_object *object = NULL;
    struct json_tokener *tokener = json_tokener_new_ex(MONITOR_DEPTH + 2);

    MUST(tokener);
    object = json_tokener_parse_ex(tokener, line->data, (int)line->size);
    MUST(json_tokener_get_error(tokener) == json_tokener_success || json_tokener_get_error(tokener) == json_tokener_continue);
    json_tokener_free(tokener);
}

static void show(const uint8_t *data, size_t size) {
    int first = 0;

    for (int style = RENDER_COMPACT; style <= RENDER_PRETTY; style++) {
        CLEANUP(line_done) struct line line = {0};
        int r = render_json(&line, (enum render_style)style, data, size);

        MUST(r == 0 || r == -EBADMSG || r == -E2BIG);
        MUST(style == RENDER_COMPACT || (r == 0) == (first == 0) || r == -E2BIG || first == -E2BIG);
        first = style == RENDER_COMPACT ? r : first;
        if (r < 0) {
            MUST(line.size == 0);
            continue;
        }
        check_text(&line, (enum render_style)style);
        check_json(&line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size ? memchr(data, 0, MIN(size, 64)) : NULL;
    CLEANUP(filter_freep) struct filter *filter = NULL;
    CLEANUP(line_done) struct line safe = {0};
    const char *words = (const char *)data;
    int r;

    if (!end)
        return 0;
    data = end + 1;
    size -= (size_t)(data - (const uint8_t *)words);
    show(data, size);
    r = redact(&safe, data, size);
    MUST(r == 0 || r == 1 || r == -EBADMSG || r == -E2BIG);
    if (r == 1)
        show((const uint8_t *)safe.data, safe.size);
    MUST(filter_new(&filter) == 0 && filter_add_tag(filter, words) == 0);
    if (filter_add_field(filter, words[0] & 1, words, NULL) == 0)
        (void)filter_fields(filter, words, strlen(words), data, size);
    (void)filter_tag(filter, (const char *)data, size);
    return 0;
}
