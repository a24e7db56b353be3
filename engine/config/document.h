/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Document - one YAML (or JSON) file as a json-c tree that knows its lines. Private to config.
 *
 * Mappings become objects, sequences arrays, plain true/false/null and decimal integers their JSON counterparts, and
 * everything else is a string. Duplicate keys, aliases, tags, NUL characters, a second document and whatever is too deep or
 * too much is a problem.
 */
#pragma once

#include "nodewall/base.h"

#include <json-c/json.h>

#define DOCUMENT_DEPTH 24           /* a kubeconfig needs 6 */
#define DOCUMENT_NODES 65536

struct document {
    char *path;
    struct json_object *root;       /* NULL: an empty file */
    unsigned line;                  /* of the root */
};

/* 0; -EINVAL with *problem; -ENOMEM. `text` is not kept. */
int document_parse(struct document **ret, const char *path, const char *text, size_t size, struct problem *problem);
/* Why file_read failed, for people; -EINVAL, or -ENOMEM as it is. */
int document_unread(int error, const char *path, size_t limit, struct problem *problem);
/* Reads at most `limit` bytes of `path`; the text is overwritten before it is freed. */
int document_load(struct document **ret, const char *path, size_t limit, struct problem *problem);
/* Overwrites every string before it is freed: a kubeconfig has secrets. */
struct document *document_free(struct document *document);
DEFINE_CLEANUP(struct document, document_free)

/* The line where this key, or this item, stands. */
unsigned document_key_line(struct json_object *mapping, const char *key);
unsigned document_item_line(struct json_object *sequence, size_t index);
