/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Last words - what a program said when it failed, fit to be logged.
 *
 * "Unable to locate credentials" is what a person needs to read, and it stands on the plugin's stderr; so may, with
 * --debug and the like, the very token. So the values of the variables that the kubeconfig gives it are blotted out, and
 * so is every long word that has a digit in it and no dot, slash or colon: that is what tokens and their parts look
 * like. Names of files and hosts survive; an id of a request does not, which is the smaller loss.
 *
 * Keeps: what comes out is one line of UTF-8 that fits. Does not: promise to know every secret. Owns: nothing.
 */
#include "exec.h"

#include <string.h>

#define BLOT "[...]"
#define WORD_LONG 16
#define VALUE_SHORT 6           /* shorter values are "true", "1", a region; blotting them out would hide the sentence */

static bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("+=_-~%", c));
}

static size_t word_length(const char *text, bool *ret_digit) {
    size_t n = 0;

    *ret_digit = false;
    for (; in_word(text[n]); n++)
        *ret_digit = *ret_digit || (text[n] >= '0' && text[n] <= '9');
    return n;
}

/* How much of `text` is a variable's value. */
static size_t value_length(const char *text, char *const *environment) {
    size_t longest = 0;

    for (; environment && *environment; environment++) {
        const char *value = strchr(*environment, '=');
        size_t n = value ? strlen(++value) : 0;

        if (n >= VALUE_SHORT && n > longest && strncmp(text, value, n) == 0)
            longest = n;
    }
    return longest;
}

static void blot(char *ret, size_t size, const char *line, char *const *environment) {
    size_t used = 0;

    while (*line && used + sizeof(BLOT) < size) {
        bool digit;
        size_t n = value_length(line, environment), word = 0;

        if (!n) {
            word = word_length(line, &digit);
            n = word >= WORD_LONG && digit ? word : 0;
        }
        if (n) {
            memcpy(ret + used, BLOT, sizeof(BLOT) - 1);
            used += sizeof(BLOT) - 1;
            line += n;
            continue;
        }
        for (word = MAX(word, (size_t)1); word && used + sizeof(BLOT) < size; word--) {
            if (value_length(line, environment)) /* within a word */
                break;
            ret[used++] = *line++;
        }
    }
    ret[used] = 0;
}

void last_words(char *ret, size_t size, const char *text, size_t n, char *const *environment) {
    char line[512];
    size_t end = n, begin, length;
    bool good;

    while (end && strchr(" \t\r\n", text[end - 1]))
        end--;
    for (begin = end; begin && text[begin - 1] != '\n' && text[begin - 1] != '\r';)
        begin--;
    length = MIN(end - begin, sizeof(line) - 1);
    memcpy(line, text + begin, length);
    line[length] = 0;
    blot(ret, size, line, environment);
    good = utf8_is(ret, strlen(ret));
    for (char *c = ret; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || (!good && (unsigned char)*c >= 0x80))
            *c = (unsigned char)*c >= 0x80 ? '?' : ' ';
}
