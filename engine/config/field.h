/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field - a place in a document: its value, its line and its name for people ("clusters.prod.within[2]"), with the readers
 * that turn a value into what the program works with or into a problem. Private to config.
 *
 * Every field_<type> returns 0, -EINVAL with *problem filled, or -ENOMEM; *ret is untouched on failure. Those that
 * return memory free what *ret held before.
 */
#pragma once

#include "document.h"
#include "nodewall/config.h"

struct field {
    const struct document *document;
    struct json_object *value;      /* borrowed; NULL: null */
    unsigned line;
    char name[256];
};

void field_root(struct field *ret, const struct document *document);
/* False: no such key, or null, or `parent` is no mapping. */
bool field_get(struct field *ret, const struct field *parent, const char *key);
void field_item(struct field *ret, const struct field *parent, size_t index);
bool field_is_empty(const struct field *field);         /* a text without a character: for kubectl the same as none */
size_t field_length(const struct field *field);         /* items; 0 if it is no sequence */

int field_problem(const struct field *field, struct problem *problem, const char *hint, const char *format, ...) PRINTF(4, 5);
/* It is a mapping, all of its keys are in `keys` (NULL-terminated; NULL: any will do), none of them is null. */
int field_mapping(const struct field *field, const char *const *keys, struct problem *problem);

/* Strings of at most 4096 bytes without control characters, not empty; the value is never quoted in a problem if `secret`. */
int field_string(char **ret, const struct field *field, struct problem *problem);
int field_secret(char **ret, const struct field *field, struct problem *problem);       /* at most CREDENTIAL_LIMIT * 2 */
int field_path(char **ret, const struct field *field, struct problem *problem);         /* absolute, by the file's directory */
/* One path, several with colons between (as in $PATH), or a list of paths: with colons between, each absolute. */
int field_paths(char **ret, const struct field *field, struct problem *problem);
int field_strings(char ***ret, const struct field *field, size_t most, struct problem *problem);
int field_bool(bool *ret, const struct field *field, struct problem *problem);
int field_unsigned(unsigned *ret, const struct field *field, unsigned least, unsigned most, struct problem *problem);
int field_percent(unsigned *ret, const struct field *field, struct problem *problem);
int field_duration(msec *ret, const struct field *field, msec least, struct problem *problem);
/* The index of the word in `words` (NULL-terminated). */
int field_choice(int *ret, const struct field *field, const char *const *words, struct problem *problem);
int field_addresses(struct address_list *ret, const struct field *field, size_t most, struct problem *problem);

/* A reader that goes on after a problem, so that all of them are told at once: each step writes into `one`. */
struct reading {
    struct problem one, *all;       /* `all` may be NULL */
    bool bad;
};
/* 0: go on, also after a problem (`bad` is set then); -ENOMEM. */
int reading_take(struct reading *reading, int r);

/* NULL-terminated lists of strings. */
char **strings_free(char **strings);
DEFINE_CLEANUP(char *, strings_free)
struct address_list *address_list_done(struct address_list *list);
/* `path` behind `base`'s directory unless it is absolute; NULL: out of memory. */
char *path_beside(const char *base, const char *path);
/* The word of `words` that was probably meant, or NULL. */
const char *nearest(const char *word, const char *const *words);
