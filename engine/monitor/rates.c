/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates - how many events of which kind, over the last interval.
 *
 * A kind is the first two parts of the tag; of jobs, which all begin alike, the part behind the id. Keeps: at most
 * RATES_MAX kinds, for tags are anybody's; those beyond are counted together. Does not: ask a clock.
 */
#include "nodewall/monitor.h"

#include <string.h>

int rates_new(struct rates **ret) {
    struct rates *rates = calloc(1, sizeof(*rates));

    if (!rates)
        return -ENOMEM;
    *ret = rates;
    return 0;
}

struct rates *rates_free(struct rates *rates) {
    free(rates);
    return NULL;
}

/* Where the n-th part of the tag ends. */
static size_t end_of_part(const char *tag, size_t size, size_t from) {
    const char *slash = from < size ? memchr(tag + from, '/', size - from) : NULL;

    return slash ? (size_t)(slash - tag) : size;
}

static size_t name_of(char name[RATE_NAME_MAX], const char *tag, size_t size) {
    size_t first = end_of_part(tag, size, 0), second = end_of_part(tag, size, first + 1), n;

    if (second == 8 && !memcmp(tag, "salt/job", 8) && second < size) {
        size_t id = end_of_part(tag, size, second + 1), what = end_of_part(tag, size, id + 1);

        if (id < size) {
            n = (size_t)snprintf(name, RATE_NAME_MAX, "salt/job/*/%.*s", (int)MIN(what - id - 1, RATE_NAME_MAX), tag + id + 1);
            return MIN(n, RATE_NAME_MAX - 1);
        }
    }
    n = MIN(second, RATE_NAME_MAX - 1);
    memcpy(name, tag, n);
    return n;
}

void rates_feed(struct rates *rates, const char *tag, size_t tag_size, size_t bytes) {
    char name[RATE_NAME_MAX];
    size_t n = name_of(name, tag, tag_size), i = 0;

    while (i < rates->n && (rates->items[i].name_size != n || memcmp(rates->items[i].name, name, n)))
        i++;
    rates->total.events++;
    rates->total.bytes += bytes;
    if (i == RATES_MAX) {
        rates->others.events++;
        rates->others.bytes += bytes;
        return;
    }
    if (i == rates->n) {
        rates->items[i] = (struct rate){.name_size = n};
        memcpy(rates->items[i].name, name, n);
        rates->n++;
    }
    rates->items[i].events++;
    rates->items[i].bytes += bytes;
    /* What comes often moves to the front, where it is found at once. */
    if (i && rates->items[i].events > rates->items[i - 1].events) {
        struct rate moved = rates->items[i];

        rates->items[i] = rates->items[i - 1];
        rates->items[i - 1] = moved;
    }
}

static int compare_rates(const void *a, const void *b) {
    const struct rate *first = a, *second = b;

    if (first->events != second->events)
        return first->events < second->events ? 1 : -1;
    return memcmp(first->name, second->name, MIN(first->name_size, second->name_size));
}

void rates_sort(struct rates *rates) {
    qsort(rates->items, rates->n, sizeof(rates->items[0]), compare_rates);
}

void rates_clear(struct rates *rates) {
    *rates = (struct rates){0};
}
