/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics - Prometheus text format, version 0.0.4.
 *
 * Label values hold names that came from outside, so they are escaped, and what is not UTF-8 in them becomes '?': one
 * odd name must not cost the whole page.
 */
#include "nodewall/status.h"

#include <math.h>
#include <string.h>

static void add(struct metrics *metrics, const char *data, size_t size) {
    size_t capacity = metrics->capacity ? metrics->capacity : 4096;
    char *text;

    if (metrics->error)
        return;
    while (capacity - metrics->size <= size) /* and a NUL */
        capacity *= 2;
    if (capacity != metrics->capacity) {
        text = realloc(metrics->text, capacity);
        if (!text) {
            metrics->error = -ENOMEM;
            return;
        }
        metrics->text = text;
        metrics->capacity = capacity;
    }
    memcpy(metrics->text + metrics->size, data, size);
    metrics->size += size;
    metrics->text[metrics->size] = 0;
}

static void add_text(struct metrics *metrics, const char *text) {
    add(metrics, text, strlen(text));
}

/* HELP wants backslash and line feed escaped; a label's value, a quote as well. */
static void add_escaped(struct metrics *metrics, const char *text, bool quoted) {
    bool is_utf8 = utf8_is(text, strlen(text));

    for (; *text; text++) {
        if (*text == '\\')
            add(metrics, "\\\\", 2);
        else if (*text == '\n')
            add(metrics, "\\n", 2);
        else if (*text == '"' && quoted)
            add(metrics, "\\\"", 2);
        else if ((unsigned char)*text >= 0x80 && !is_utf8)
            add(metrics, "?", 1);
        else
            add(metrics, text, 1);
    }
}

static void add_labels(struct metrics *metrics, const char *const *labels) {
    const char *before = "{";

    if (!labels || !*labels)
        return;
    for (; labels[0] && labels[1]; labels += 2) {
        add_text(metrics, before);
        add_text(metrics, labels[0]);
        add(metrics, "=\"", 2);
        add_escaped(metrics, labels[1], true);
        add(metrics, "\"", 1);
        before = ",";
    }
    add(metrics, "}", 1);
}

static void add_value(struct metrics *metrics, double value) {
    char text[40];

    if (isnan(value))
        snprintf(text, sizeof(text), "NaN");
    else if (isinf(value))
        snprintf(text, sizeof(text), "%cInf", value < 0 ? '-' : '+');
    else
        for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same number */
            snprintf(text, sizeof(text), "%.*g", digits, value);
            if (strtod(text, NULL) == value)
                break;
        }
    add_text(metrics, text);
}

void metrics_add(struct metrics *metrics, enum metric_type type, const char *name, const char *help,
                 const char *const *labels, double value) {
    if (!metrics->last || strcmp(metrics->last, name)) {
        add_text(metrics, "# HELP ");
        add_text(metrics, name);
        add(metrics, " ", 1);
        add_escaped(metrics, help, false);
        add_text(metrics, "\n# TYPE ");
        add_text(metrics, name);
        add_text(metrics, type == METRIC_COUNTER ? " counter\n" : " gauge\n");
        metrics->last = name;
    }
    add_text(metrics, name);
    add_labels(metrics, labels);
    add(metrics, " ", 1);
    add_value(metrics, value);
    add(metrics, "\n", 1);
}

int metrics_take(struct metrics *metrics, char **ret, size_t *ret_size) {
    add(metrics, "", 0);
    if (metrics->error)
        return metrics->error;
    *ret = TAKE_PTR(metrics->text);
    *ret_size = metrics->size;
    *metrics = (struct metrics){0};
    return 0;
}

void metrics_done(struct metrics *metrics) {
    free(metrics->text);
    *metrics = (struct metrics){0};
}
