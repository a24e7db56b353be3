/* SPDX-License-Identifier: Apache-2.0 */
/* Out - a growing buffer that msgpack-c packs into. Private to engine/bus. */
#pragma once

#include "nodewall/base.h"

#include <msgpack/pack.h>
#include <msgpack/sbuffer.h>

struct out {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    bool failed;                /* memory ran out; the packer ignores what its writer returns */
};

void out_begin(struct out *out);                /* *out stays where it is */
void out_done(struct out *out);                 /* for CLEANUP, after out_begin; wipes what is in it */
void out_bytes(struct out *out, const void *data, size_t size);     /* as they are */
void out_text(struct out *out, const void *text, size_t size);      /* a msgpack str */
void out_string(struct out *out, const char *text);
/* What was packed, -ENOMEM if anything of it failed. The caller frees *ret. */
int out_take(struct out *out, uint8_t **ret, size_t *ret_size);
