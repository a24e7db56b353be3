/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out - msgpack on its way out, whole or not at all.
 *
 * The packer ignores what its writer returns, so a failure is remembered: no message may lack its middle.
 * Does not: check what is packed. Owns: the bytes until out_take.
 */
#include "out.h"

#include <string.h>

static int out_write(void *userdata, const char *bytes, size_t size) {
    struct out *out = userdata;

    if (!out->failed && msgpack_sbuffer_write(&out->buffer, bytes, size) < 0)
        out->failed = true;
    return out->failed ? -1 : 0;
}

void out_begin(struct out *out) {
    *out = (struct out){0};
    msgpack_packer_init(&out->packer, out, out_write);
}

void out_done(struct out *out) {
    if (out->buffer.data)
        explicit_bzero(out->buffer.data, out->buffer.size);
    msgpack_sbuffer_destroy(&out->buffer);
}

void out_bytes(struct out *out, const void *data, size_t size) {
    out_write(out, data, size);
}

void out_text(struct out *out, const void *text, size_t size) {
    msgpack_pack_str(&out->packer, size);
    msgpack_pack_str_body(&out->packer, text, size);
}

void out_string(struct out *out, const char *text) {
    out_text(out, text, strlen(text));
}

int out_take(struct out *out, uint8_t **ret, size_t *ret_size) {
    if (out->failed)
        return -ENOMEM;
    *ret_size = out->buffer.size;
    *ret = (uint8_t *)msgpack_sbuffer_release(&out->buffer);
    return *ret ? 0 : -ENOMEM;
}
