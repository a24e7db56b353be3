/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address list - what a person typed as addresses and networks, each checked, and small helpers on lists and words.
 *
 * Keeps: an address with bits behind its prefix is refused and the network it lies in is named, for it is as often a wrong
 * prefix as a wrong address. Owns: nothing.
 */
#include "field.h"

#include <string.h>

struct address_list *address_list_done(struct address_list *list) {
    free(list->items);
    *list = (struct address_list){0};
    return NULL;
}

static void address_list_cleanup(struct address_list *list) {
    address_list_done(list);
}

/* 10.0.0.7/8 -> 10.0.0.0/8, to say what was perhaps meant. */
static bool suggest_network(const char *typed, char *buffer, size_t size) {
    const char *slash = strrchr(typed, '/');
    char text[ADDRESS_TEXT_MAX], *end;
    struct address address;
    unsigned long length;

    if (!slash || address_parse(&address, typed, (size_t)(slash - typed)) < 0)
        return false;
    length = strtoul(slash + 1, &end, 10);
    if (*end || end == slash + 1 || length >= address.length)
        return false;
    for (unsigned bit = (unsigned)length; bit < address.length; bit++)
        address.bytes[bit / 8] &= (uint8_t)~(0x80u >> (bit % 8));
    address.length = (uint8_t)length;
    snprintf(buffer, size, "the network is %s; one host is written without /%lu", address_format(&address, text), length);
    return true;
}

static int one_address(struct address *ret, const struct field *field, struct problem *problem) {
    CLEANUP(cleanup_free) char *typed = NULL;
    char hint[160];
    int r = field_string(&typed, field, problem);

    if (r < 0)
        return r;
    if (address_parse(ret, typed, strlen(typed)) >= 0)
        return 0;
    if (suggest_network(typed, hint, sizeof(hint)))
        return field_problem(field, problem, hint, "is %.60s, which has bits behind its prefix length", typed);
    return field_problem(field, problem, "write 203.0.113.7, 203.0.113.0/28, 2001:db8::1 or 2001:db8::/64",
                         "is \"%.60s\", which is no address or network", typed);
}

int field_addresses(struct address_list *ret, const struct field *field, size_t most, struct problem *problem) {
    CLEANUP(address_list_cleanup) struct address_list list = {0};
    size_t n = field_length(field);

    if (!json_object_is_type(field->value, json_type_array))
        return field_problem(field, problem, "write it as [203.0.113.7, 203.0.113.0/28]", "must be a list");
    if (n > most)
        return field_problem(field, problem, "", "has %zu items, and may have %zu", n, most);
    list.items = calloc(n ? n : 1, sizeof(*list.items));
    if (!list.items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct field item;
        int r;

        field_item(&item, field, i);
        r = one_address(&list.items[i], &item, problem);
        if (r < 0)
            return r;
        list.n++;
    }
    address_list_done(ret);
    *ret = list;
    list = (struct address_list){0};
    return 0;
}

char **strings_free(char **strings) {
    for (char **s = strings; s && *s; s++)
        free(*s);
    free(strings);
    return NULL;
}

/* Edit distance with neighbours swapped counted as one, cut off at words that are too long to be ours. */
static unsigned distance(const char *a, const char *b) {
    enum { LONGEST = 40 };
    unsigned rows[3][LONGEST + 1];
    size_t n = strlen(a), m = strlen(b);

    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *over = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned cost = a[i - 1] != b[j - 1];

            row[j] = MIN(MIN(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = MIN(row[j], over[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *nearest(const char *word, const char *const *words) {
    const char *best = NULL;
    unsigned least = MIN(2u, (unsigned)strlen(word) / 3 + 1) + 1; /* further away it is another word */

    for (; *words; words++) {
        unsigned d = distance(word, *words);

        if (d < least) {
            least = d;
            best = *words;
        }
    }
    return best;
}
