/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf - the wire format, as much of it as Kubernetes' messages use: no groups.
 *
 * Keeps: nothing is read behind the end, and a length is compared with what is left before it is added to anything.
 * Does not: copy, allocate, know any message. Owns: nothing.
 */
#include "protobuf.h"

#define VARINT_MAX 10           /* bytes of 64 bits, seven in each */

int protobuf_varint(struct protobuf *message, uint64_t *ret) {
    uint64_t value = 0;

    for (size_t i = 0; i < VARINT_MAX; i++) {
        unsigned char byte;

        if (message->at + i == message->end)
            return -EAGAIN;
        byte = (unsigned char)message->at[i];
        if (i == VARINT_MAX - 1 && byte > 1)
            return -EBADMSG;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            message->at += i + 1;
            *ret = value;
            return 0;
        }
    }
    return -EBADMSG;
}

int protobuf_tag(uint64_t tag, struct protobuf_field *ret) {
    uint64_t number = tag >> 3;

    *ret = (struct protobuf_field){.number = (uint32_t)number, .wire = (enum protobuf_wire)(tag & 7)};
    if (number < 1 || number > (UINT32_C(1) << 29) - 1)
        return -EBADMSG;
    switch (ret->wire) {
    case PROTOBUF_VARINT:
    case PROTOBUF_FIXED64:
    case PROTOBUF_BYTES:
    case PROTOBUF_FIXED32:
        return 0;
    }
    return -EBADMSG;
}

static int take_value(struct protobuf *message, struct protobuf_field *field) {
    uint64_t size;
    int r;

    switch (field->wire) {
    case PROTOBUF_VARINT:
        return protobuf_varint(message, &field->value);
    case PROTOBUF_FIXED64:
        size = 8;
        break;
    case PROTOBUF_FIXED32:
        size = 4;
        break;
    case PROTOBUF_BYTES:
        r = protobuf_varint(message, &size);
        if (r < 0)
            return r;
        break;
    }
    if (size > (size_t)(message->end - message->at))
        return -EBADMSG;
    field->data = message->at;
    field->size = (size_t)size;
    message->at += size;
    return 0;
}

int protobuf_next(struct protobuf *message, struct protobuf_field *ret) {
    uint64_t tag;
    int r;

    if (message->at == message->end)
        return 0;
    r = protobuf_varint(message, &tag);
    if (r >= 0)
        r = protobuf_tag(tag, ret);
    if (r >= 0)
        r = take_value(message, ret);
    return r < 0 ? -EBADMSG : 1;
}
