/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base - the few words that every other module speaks: ownership, problems, time.
 *
 * Ownership: a local that owns something carries CLEANUP(...) and leaves the function only through TAKE_PTR or
 * TAKE_FD. `x_free` takes NULL and half-built objects and returns NULL, so `p = x_free(p)` is the idiom.
 *
 * Errors: a negative errno travels up unchanged; a positive value is an outcome that the direct caller consumes.
 * What a person typed wrong (configuration, command line) becomes a struct problem, a sentence with a way out.
 */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define PRINTF(template_, first_) __attribute__((format(printf, template_, first_)))
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define TAKE_PTR(pointer)                                                                                              \
    ({                                                                                                                 \
        __typeof__(pointer) taken_ = (pointer);                                                                        \
        (pointer) = NULL;                                                                                              \
        taken_;                                                                                                        \
    })
#define TAKE_FD(fd)                                                                                                    \
    ({                                                                                                                 \
        int taken_ = (fd);                                                                                             \
        (fd) = -1;                                                                                                     \
        taken_;                                                                                                        \
    })

/* Defines `function`p, the form that CLEANUP wants, for `type *function(type *)`. */
#define DEFINE_CLEANUP(type, function)                                                                                 \
    static inline void function##p(type **pointer) {                                                                   \
        if (*pointer)                                                                                                  \
            *pointer = function(*pointer);                                                                             \
    }

static inline void cleanup_free(void *pointer) {
    free(*(void **)pointer);
}

static inline void cleanup_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_file(FILE **file) {
    if (*file)
        fclose(*file);
}

/* Milliseconds. `now` arguments are of the monotonic clock unless the name says `wall`. */
typedef int64_t msec;
#define MSEC_NEVER INT64_MAX

/* clock.c; pure modules do not call these, they are given `now`. */
msec clock_now(void);      /* CLOCK_BOOTTIME: goes on while the machine is suspended, never jumps */
msec clock_wall(void);     /* CLOCK_REALTIME since 1970 */
const char *clock_boot(char buffer[40]);   /* tells one boot of the machine from another; "" if it cannot be known */
#define TIME_TEXT_MAX 32
const char *time_format(msec wall, char buffer[TIME_TEXT_MAX]);          /* 2026-11-24T05:00:00.123Z */
const char *time_format_stamp(msec wall, char buffer[TIME_TEXT_MAX]);    /* Salt's _stamp: 2026-11-24T05:00:00.123000 */
int time_parse(msec *ret_wall, const char *text);                        /* RFC 3339 with any offset; -EINVAL */

/* problem.c: what is wrong, where, and what to do about it; for people. `where` is file:line or an option's name. */
struct problem {
    char where[320];
    char what[640];
    char hint[320];
};
/* Fills *problem (which may be NULL) and returns -EINVAL, so that callers write `return problem_set(...)`. */
int problem_set(struct problem *problem, const char *where, const char *hint, const char *format, ...) PRINTF(4, 5);
/* Puts one more behind what *all has (nothing yet: what is empty), so that a person hears of everything at once. */
void problem_add(struct problem *all, const struct problem *more);
/* "where: what (hint)" on one line; control characters become spaces. */
const char *problem_format(const struct problem *problem, char *buffer, size_t size);

/* random.c */
int random_bytes(void *buffer, size_t size);                             /* getrandom; 0 or -errno */
int random_hex(char *buffer, size_t n_digits);                           /* writes n_digits (at most 64) and a NUL */

/* str.c */
bool name_is_cluster(const char *name);                                  /* [a-z0-9][a-z0-9.-]{0,62} */
bool name_is_node(const char *name);                                     /* [A-Za-z0-9._-]{1,253} */
bool hex_is(const char *text, size_t n_digits);                          /* exactly n lower-case hex digits */
void hex_format(char *ret, const void *bytes, size_t size);              /* 2 * size such digits and a NUL */
/* Compares decimal strings of any length by value; "" sorts first. Both must be decimals or empty. */
int decimal_compare(const char *a, const char *b);
bool decimal_is(const char *text);                                       /* 1 to 40 digits */
bool utf8_is(const void *text, size_t size);                             /* well-formed: no surrogates, not overlong */
/* In place, for what came from outside or was cut: bytes that are no UTF-8 become '?', control characters blanks. Returns
 * `text`. */
char *text_clean(char *text);
/* Writes behind the text in `buffer`, which has room for `size` bytes with a NUL; cut where it is full. */
void text_append(char *buffer, size_t size, const char *format, ...) PRINTF(3, 4);
int file_read(char **ret, size_t *ret_size, const char *path, size_t limit);  /* NUL-terminated; -EFBIG over limit */
/* Writes next to `path` and renames over it; with `durable`, fsyncs the file before and the directory after. */
int file_write_atomic(const char *path, const void *data, size_t size, unsigned mode, bool durable);
