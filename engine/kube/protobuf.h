/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf - walks over the fields of one message that lies in memory. For nobody else.
 *
 * Our own sixty lines, and not nanopb or protobuf-c: of a Node's thirteen kilobytes eight fields are wanted, the rest is
 * passed over by its length, and no library does less than that. They would bring a compiler into the build, its output
 * into the tree, and (protobuf-c) an allocation for each field that nobody wants.
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */
#pragma once

#include "nodewall/base.h"

enum protobuf_wire { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

struct protobuf {               /* what is left of a message */
    const char *at, *end;
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;             /* VARINT */
    const char *data;           /* BYTES: size bytes of the message */
    size_t size;
};

/* Takes a varint from the message's beginning. 0; -EAGAIN: it goes on behind the end; -EBADMSG: longer than ten bytes,
 * or than 64 bits. */
int protobuf_varint(struct protobuf *message, uint64_t *ret);
/* The field number and wire type of a tag; -EBADMSG: number 0 or above 2^29 - 1, a group, or a wire type that is none. */
int protobuf_tag(uint64_t tag, struct protobuf_field *ret);
/* 1: *ret is the next field; 0: there is none; -EBADMSG: cut, or no message. */
int protobuf_next(struct protobuf *message, struct protobuf_field *ret);
