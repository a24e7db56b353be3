/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load - the `_minion_event` request with a list of events.
 *
 * In this form each event comes to the bus with its tag and its data as they are, the same as one that was fired on the
 * master itself. The master answers nil when it has put them on its bus.
 * Keeps: `id` is always inside the box: a master's worker never answers anybody again after a load without it. The
 * answer has to hold our nonce. Does not: check tags and data (pack_event did), sign in.
 */
#include "load.h"

#include "fields.h"
#include "out.h"
#include "signin.h"

#include <string.h>

#define EVENT_KEYS 2

static void pack_events(struct out *out, const struct load_event *events, size_t n) {
    msgpack_pack_array(&out->packer, n);
    for (size_t i = 0; i < n; i++) {
        size_t head = strlen(events[i].tag) + 2;

        msgpack_pack_map(&out->packer, EVENT_KEYS);
        out_string(out, "tag");
        out_string(out, events[i].tag);
        out_string(out, "data");
        out_bytes(out, events[i].body + head, events[i].size - head);
    }
}

static int pack_inner(uint8_t **ret, size_t *ret_size, const struct load *load, const struct load_event *events,
                      size_t n) {
    CLEANUP(out_done) struct out out = {0};

    out_begin(&out);
    msgpack_pack_map(&out.packer, 6);
    out_string(&out, "cmd");
    out_string(&out, "_minion_event");
    out_string(&out, "id");
    out_string(&out, load->id);
    out_string(&out, "nonce");
    out_string(&out, load->nonce);
    out_string(&out, "ts");
    msgpack_pack_int64(&out.packer, load->wall / 1000);
    out_string(&out, "tok");
    msgpack_pack_bin(&out.packer, load->proof_size);
    msgpack_pack_bin_body(&out.packer, load->proof, load->proof_size);
    out_string(&out, "events");
    pack_events(&out, events, n);
    return out_take(&out, ret, ret_size);
}

int load_pack(uint8_t **ret, size_t *ret_size, const struct load *load, const struct load_event *events, size_t n) {
    CLEANUP(out_done) struct out out = {0};
    CLEANUP(cleanup_free) uint8_t *inner = NULL, *box = NULL;
    size_t n_inner, n_box;
    int r = pack_inner(&inner, &n_inner, load, events, n);

    if (r == 0)
        r = crypticle_seal(&box, &n_box, load->crypticle, load->iv, inner, n_inner);
    if (r < 0)
        return r;
    out_begin(&out);
    msgpack_pack_map(&out.packer, 6);
    out_string(&out, "enc");
    out_string(&out, "aes");
    out_string(&out, "version");
    msgpack_pack_int(&out.packer, 3);
    out_string(&out, "id");
    out_string(&out, load->id);
    signin_pack_hash(&out, load->hash);
    out_string(&out, "load");
    msgpack_pack_bin(&out.packer, n_box);
    msgpack_pack_bin_body(&out.packer, box, n_box);
    return out_take(&out, ret, ret_size);
}

/* Nonce and the handler's return, out of the opened box. */
static int read_return(const struct load *load, const uint8_t *plain, size_t size) {
    struct value value;

    if (size <= LOAD_NONCE || memcmp(plain, load->nonce, LOAD_NONCE))
        return LOAD_FORGED;
    if (value_read(&value, plain + LOAD_NONCE, size - LOAD_NONCE) < 0)
        return LOAD_FORGED;
    return value.head.kind == TOKEN_NIL ? LOAD_TAKEN : LOAD_FAILED;
}

int load_read(const struct load *load, const uint8_t *reply, size_t size) {
    CLEANUP(cleanup_free) uint8_t *plain = NULL;
    struct value value;
    size_t n;
    int r;

    if (value_read(&value, reply, size) < 0)
        return LOAD_FORGED;
    if (value.head.kind == TOKEN_MAP)
        return LOAD_NOT_READY;
    if (!value_is_text(&value))
        return LOAD_FORGED;
    r = crypticle_open(&plain, &n, load->crypticle, value.data, value.size);
    if (r == 0)
        return read_return(load, plain, n);
    if (r != -EBADMSG)
        return r;
    /* "bad load", and what some masters add to it; in the clear, for it is said when there is no key to say it with */
    return value.size >= 8 && !memcmp(value.data, "bad load", 8) ? LOAD_BAD : LOAD_FORGED;
}
