/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Str - the shapes of names and numbers that are checked before they reach a path, a tag or a comparison.
 */
#include "nodewall/base.h"

#include <string.h>

static bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool name_is_cluster(const char *name) {
    size_t n = strlen(name);

    if (n < 1 || n > 63 || !is_lower_or_digit(name[0]))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!is_lower_or_digit(name[i]) && name[i] != '.' && name[i] != '-')
            return false;
    return true;
}

bool name_is_node(const char *name) {
    size_t n = strlen(name);

    if (n < 1 || n > 253)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_lower_or_digit(name[i]) && !(name[i] >= 'A' && name[i] <= 'Z') && !strchr("._-", name[i]))
            return false;
    return true;
}

bool hex_is(const char *text, size_t n_digits) {
    return strspn(text, "0123456789abcdef") == n_digits && !text[n_digits];
}

bool decimal_is(const char *text) {
    size_t n = strspn(text, "0123456789");

    return n >= 1 && n <= 40 && !text[n];
}

int decimal_compare(const char *a, const char *b) {
    size_t n, m;
    int r;

    a += strspn(a, "0");
    b += strspn(b, "0");
    n = strlen(a);
    m = strlen(b);
    if (n != m)
        return n < m ? -1 : 1;
    r = strcmp(a, b);
    return (r > 0) - (r < 0);
}
