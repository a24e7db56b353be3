/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pack - Salt's event body, tag "\n\n" msgpack, from and to JSON.
 *
 * Out: a malformed event kills the reactor of whoever listens, so what leaves here is always right: the data is a
 * map, keys are str, every text is UTF-8, the whole is at most PACK_MAX, and tags that Salt itself acts on are
 * refused. In: anything may come. What has no form in JSON gets one that is readable, and nothing is allocated by a
 * number that the bytes only claim.
 */
#pragma once

#include "nodewall/base.h"

struct json_object;

#define PACK_MAX (1024 * 1024)          /* Salt's max_event_size */
#define PACK_TAG_MAX 1000
#define PACK_DEPTH 64
#define UNPACK_MAX (16 * 1024 * 1024)   /* of a body that comes in */

/* 0, or -EINVAL with *problem: empty, too long, not UTF-8, control characters, or reserved (salt/…, cluster/…, …). */
int pack_check_tag(const char *tag, struct problem *problem);
/* tag "\n\n" msgpack(data). -EINVAL with *problem when tag or data are not fit for the bus, -EMSGSIZE (with *problem)
 * above PACK_MAX. `problem` may be NULL. The caller frees *ret. */
int pack_event(uint8_t **ret, size_t *ret_size, const char *tag, struct json_object *data, struct problem *problem);

/* Where the tag ends and the data begins. -EBADMSG: no "\n\n". Points into `body`; the tag may hold any byte. */
int unpack_split(const char **ret_tag, size_t *ret_tag_size, const uint8_t **ret_data, size_t *ret_data_size,
                 const uint8_t *body, size_t size);
/* One msgpack object, nothing behind it. bin is as str; bytes that are no UTF-8 become \xNN; keys that are no text
 * become their JSON text; ext 78 (a time) and 79 (a constant) become their text, other ext {"ext": n, "hex": "…"};
 * NaN and infinities null. Of a key that comes twice the last counts. -EBADMSG: not msgpack, cut, or something behind
 * it; -E2BIG: deeper than PACK_DEPTH, larger than UNPACK_MAX, or about a million values. *ret may be NULL with 0: that
 * is JSON's null. */
int unpack_data(struct json_object **ret, const uint8_t *data, size_t size);

/* Passes over objects in a stream, byte by byte if need be, without keeping them. Start with {0}. */
struct unpack_skip {
    uint64_t objects;       /* still to come until the top-level object ends */
    uint64_t payload;       /* bytes still to come of a str, bin or ext */
    uint8_t head[9];        /* the part that came of a head that is cut */
    uint8_t n_head;
    bool started;
};
/* Reads on at *data; *used is how many bytes belong to the object. 1: the object is complete; 0: more bytes are
 * needed, and all of these were used; -EBADMSG: no msgpack, or a container that claims more than `most` objects. After
 * 1 the next object may follow. */
int unpack_skip(struct unpack_skip *skip, const uint8_t *data, size_t size, uint64_t most, size_t *used);
