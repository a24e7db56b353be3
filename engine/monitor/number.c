/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number - numbers in a line. Integers by hand, for there are many; floats as Python's repr has them, so that a line is
 * the same text as Salt's: the fewest digits that read back as the same number, an exponent below 1e-4 and from 1e16.
 */
#include "number.h"

#include <math.h>
#include <string.h>

int number_unsigned(struct line *line, uint64_t value) {
    char digits[20];
    size_t n = sizeof(digits);

    do
        digits[--n] = (char)('0' + value % 10);
    while (value /= 10);
    return line_add(line, digits + n, sizeof(digits) - n);
}

int number_signed(struct line *line, int64_t value) {
    int r = value < 0 ? line_add(line, "-", 1) : 0;

    return r < 0 ? r : number_unsigned(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* The fewest digits, without the point and without zeros at the end; *ret_exponent is that of the first. */
static size_t shortest(double value, char digits[20], int *ret_exponent) {
    char text[40];
    size_t n = 0;
    char *end;

    /* 15 digits read back as themselves, but for the subnormal, which have fewer. */
    for (int precision = isnormal(value) || value == 0 ? 14 : 0; precision <= 16; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (end = text; *end != 'e'; end++)
        if (*end >= '0' && *end <= '9')
            digits[n++] = *end;
    *ret_exponent = (int)strtol(end + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

int number_float(struct line *line, double value) {
    char digits[20], text[64];
    int exponent, at = 0;
    size_t n;

    if (!isfinite(value))
        return line_add(line, "null", 4);
    n = shortest(value, digits, &exponent);
    if (signbit(value))
        text[at++] = '-';
    if (exponent < -4 || exponent >= 16) {
        at += snprintf(text + at, sizeof(text) - (size_t)at, n > 1 ? "%c.%.*se%+03d" : "%c%.*se%+03d", digits[0],
                       (int)n - 1, digits + 1, exponent);
        return line_add(line, text, (size_t)at);
    }
    if (exponent < 0) {
        at += snprintf(text + at, sizeof(text) - (size_t)at, "0.%.*s%.*s", -exponent - 1, "000", (int)n, digits);
        return line_add(line, text, (size_t)at);
    }
    for (int i = 0; i <= exponent; i++)
        text[at++] = (size_t)i < n ? digits[i] : '0';
    text[at++] = '.';
    if (n <= (size_t)exponent + 1)
        text[at++] = '0';
    for (size_t i = (size_t)exponent + 1; i < n; i++)
        text[at++] = digits[i];
    return line_add(line, text, (size_t)at);
}
