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

/* Length of the character that begins at `text`, 0 if it is none: the table of well-formed sequences of the Unicode
 * standard, by the range that the lead byte allows its second byte. */
static size_t utf8_length(const uint8_t *text, size_t size) {
    uint8_t lead = text[0], low = 0x80, high = 0xbf;
    size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;

    if (n <= 1)
        return n;
    if (n > size)
        return 0;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool utf8_is(const void *text, size_t size) {
    const uint8_t *bytes = text;

    for (size_t i = 0, n; i < size; i += n) {
        n = utf8_length(bytes + i, size - i);
        if (n == 0)
            return false;
    }
    return true;
}

char *text_clean(char *text) {
    size_t size = strlen(text);

    for (size_t i = 0, n; i < size; i += n) {
        uint8_t *at = (uint8_t *)text + i;

        n = utf8_length(at, size - i);
        if (n == 0)
            *at = '?';
        else if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0)) /* C0, DEL, C1 */
            memset(at, ' ', n);
        n = MAX(n, (size_t)1);
    }
    return text;
}

void text_append(char *buffer, size_t size, const char *format, ...) {
    size_t n = strlen(buffer);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(buffer + n, size - n, format, arguments);
    va_end(arguments);
}

void hex_format(char *ret, const void *bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;

    for (size_t i = 0; i < size; i++) {
        ret[2 * i] = digits[from[i] >> 4];
        ret[2 * i + 1] = digits[from[i] & 15];
    }
    ret[2 * size] = '\0';
}
