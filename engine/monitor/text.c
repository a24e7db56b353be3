/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text - what may stand between two quotes, and on a terminal.
 *
 * A tag or a value is anybody's, and a terminal obeys what it is shown: titles, colours, key bindings, replies that are
 * typed for the user. So C0, DEL and C1 are escaped wherever they stand, and the marks that turn the direction of text
 * or end a line for some readers. Runs of plain text, which is nearly all, are found eight bytes at a time and copied.
 */
#include "text.h"

#include <string.h>

#define EACH(byte) (0x0101010101010101ull * (byte))
#define HIGH_BITS EACH(0x80)

/* Whether one of eight bytes is a control character, DEL, a quote, a backslash, or not ASCII. May say yes for a byte
 * beside one that is; never no. */
static bool special8(uint64_t word) {
    uint64_t quote = word ^ EACH('"'), backslash = word ^ EACH('\\'), del = word ^ EACH(0x7f);

    return ((word - EACH(0x20)) | word | (quote - EACH(1)) | (backslash - EACH(1)) | (del - EACH(1))) & HIGH_BITS;
}

static bool special(uint8_t byte) {
    return byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\';
}

static size_t plain_run(const uint8_t *text, size_t size) {
    size_t n = 0;
    uint64_t word;

    while (n + sizeof(word) <= size) {
        memcpy(&word, text + n, sizeof(word));
        if (special8(word))
            break;
        n += sizeof(word);
    }
    while (n < size && !special(text[n]))
        n++;
    return n;
}

/* The length of the character here; 0: none is. *ret_code is it. */
static size_t character(const uint8_t *text, size_t size, uint32_t *ret_code) {
    size_t n = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

    if (n > size || !utf8_is(text, n))
        return 0;
    *ret_code = n == 1 ? text[0] : text[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        *ret_code = *ret_code << 6 | (text[i] & 0x3f);
    return n;
}

/* What a terminal or a reader of lines takes for more than text. */
static bool acts(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static int write_escaped(struct line *line, uint32_t code) {
    static const char digits[] = "0123456789abcdef";
    static const char shorts[] = "\b\f\n\r\t", letters[] = "bfnrt";
    const char *at = code && code < 0x20 ? strchr(shorts, (int)code) : NULL;
    char text[6] = {'\\', 'u', digits[code >> 12 & 15], digits[code >> 8 & 15], digits[code >> 4 & 15], digits[code & 15]};

    if (!at)
        return line_add(line, text, 6);
    text[1] = letters[at - shorts];
    return line_add(line, text, 2);
}

static int write_byte(struct line *line, uint8_t byte, enum text_bytes bytes) {
    char text[8];
    int n = snprintf(text, sizeof(text), bytes == TEXT_TAG ? "\\x%02x" : "\\\\x%02x", byte);

    return line_add(line, text, (size_t)n);
}

static int write_base64(struct line *line, const uint8_t *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int r = line_reserve(line, (size + 2) / 3 * 4);

    for (size_t i = 0; r == 0 && i < size; i += 3) {
        uint32_t word = (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) |
                        (i + 2 < size ? data[i + 2] : 0);
        char four[4] = {digits[word >> 18], digits[word >> 12 & 63], i + 1 < size ? digits[word >> 6 & 63] : '=',
                        i + 2 < size ? digits[word & 63] : '='};

        r = line_add(line, four, sizeof(four));
    }
    return r;
}

/* The one at *text, which is not plain; *used is how long it was. */
static int write_special(struct line *line, const uint8_t *text, size_t size, enum text_bytes bytes, size_t *used) {
    uint32_t code;

    *used = character(text, size, &code);
    if (*used == 0) {
        *used = 1;
        return write_byte(line, *text, bytes);
    }
    if (acts(code))
        return write_escaped(line, code);
    if ((code == '"' || code == '\\') && bytes != TEXT_TAG) {
        char pair[2] = {'\\', (char)code};

        return line_add(line, pair, 2);
    }
    return line_add(line, text, *used);
}

int text_escape(struct line *line, const uint8_t *text, size_t size, enum text_bytes bytes) {
    size_t n = plain_run(text, size), used;
    int r = line_add(line, text, n);

    if (r < 0 || n == size)
        return r;
    if (bytes == TEXT_BASE64 && !utf8_is(text + n, size - n)) {
        line->size -= n;
        return write_base64(line, text, size);
    }
    while (r == 0 && n < size) {
        r = write_special(line, text + n, size - n, bytes, &used);
        n += used;
        if (r == 0 && n < size) {
            used = plain_run(text + n, size - n);
            r = line_add(line, text + n, used);
            n += used;
        }
    }
    return r;
}
