/* SPDX-License-Identifier: Apache-2.0 */
#include "remote.h"

#include "../unit.h"
#include "fields.h"
#include "nodewall/json.h"
#include "nodewall/pack.h"
#include "out.h"

#include <sys/eventfd.h>

struct wire {
    struct remote *remote;
    int fds[WIRE_FDS];
    uint8_t *reply, *shown;
    size_t size;
    bool told_writable, asked;
    int error;
};

struct remote remotes[2];
static unsigned open_wires;

unsigned remote_open_wires(void) {
    return open_wires;
}

void remote_new_session(struct remote *remote) {
    uint8_t bytes[56];

    assert_int_equal(random_bytes(bytes, sizeof(bytes)), 0);
    EVP_EncodeBlock((uint8_t *)remote->session, bytes, sizeof(bytes));
}

void remote_setup(EVP_PKEY *key, EVP_PKEY *other) {
    for (size_t i = 0; i < ARRAY_LENGTH(remotes); i++) {
        free(remotes[i].ids);
        remotes[i] = (struct remote){.key = key, .other = other};
        remote_new_session(&remotes[i]);
    }
}

static void wake(struct wire *wire) {
    assert_int_equal(eventfd_write(wire->fds[0], 1), 0);
}

static int wire_open(struct wire **ret, const char *address, unsigned port) {
    struct wire *wire = calloc(1, sizeof(*wire));

    wire->remote = &remotes[port - 1];
    wire->remote->opened++;
    wire->error = wire->remote->closed ? -ECONNREFUSED : 0;
    for (size_t i = 0; i < WIRE_FDS; i++)
        wire->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wake(wire);
    open_wires++;
    *ret = wire;
    return 0;
}

static void wire_close(struct wire *wire) {
    for (size_t i = 0; i < WIRE_FDS; i++)
        close(wire->fds[i]);
    free(wire->reply);
    free(wire->shown);
    free(wire);
    open_wires--;
}

static void wire_fds(const struct wire *wire, int ret[WIRE_FDS]) {
    memcpy(ret, wire->fds, sizeof(wire->fds));
}

static struct value field(const struct value *map, const char *key) {
    struct value value;

    assert_int_equal(fields_find(&value, map->data, map->size, key), 0);
    return value;
}

static bool is(const struct value *value, const char *text) {
    return value->size == strlen(text) && !memcmp(value->data, text, value->size);
}

void remote_sign(uint8_t **ret, size_t *ret_size, EVP_PKEY *key, enum minion_hash hash, const uint8_t *load, size_t size) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t sig[CRYPT_RSA_MAX];
    size_t n = sizeof(sig);
    struct out out;

    assert_int_equal(EVP_DigestSignInit(ctx, NULL, hash == MINION_HASH_SHA224 ? EVP_sha224() : EVP_sha1(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &n, load, size), 1);
    EVP_MD_CTX_free(ctx);
    out_begin(&out);
    msgpack_pack_map(&out.packer, 3);
    out_string(&out, "enc");
    out_string(&out, "clear");
    out_string(&out, "load");
    out_text(&out, load, size);
    out_string(&out, "sig");
    out_text(&out, sig, n);
    assert_int_equal(out_take(&out, ret, ret_size), 0);
    out_done(&out);
}

static void out_encrypted(struct out *out, const char *name, EVP_PKEY *pub, enum minion_hash hash, const void *data, size_t size) {
    uint8_t box[CRYPT_RSA_MAX];
    size_t n;

    assert_int_equal(crypt_encrypt(box, &n, pub, hash, data, size), 0);
    out_string(out, name);
    out_text(out, box, n);
}

static void out_keys(struct out *out, struct remote *remote, const struct value *load, enum minion_hash hash) {
    static const char aes[] = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    struct value pub = field(load, "pub"), token;
    bool has_token;
    CLEANUP(cleanup_free) char *pem = NULL;
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *theirs = NULL;
    uint8_t digest[32], sig[CRYPT_RSA_MAX], plain[CRYPT_RSA_MAX];
    const char *group = remote->without_session ? remote->session : aes;
    char hex[65];
    size_t n, n_plain = 0;

    /* One that was made for another master is left out, as Salt does. */
    has_token = remote->answer != REMOTE_NO_TOKEN && fields_find(&token, load->data, load->size, "token") == 0 &&
                crypt_decrypt(plain, &n_plain, remote->key, hash, token.data, token.size) == 0;
    assert_int_equal(key_from_public_pem(&theirs, (const char *)pub.data, pub.size), 0);
    assert_int_equal(key_to_public_pem(&pem, remote->key), 0);
    assert_int_equal(EVP_Digest(group, 76, digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + i * 2, 3, "%02x", digest[i]);
    hex[63] ^= remote->answer == REMOTE_OTHER_AES;
    assert_int_equal(x931_sign(sig, &n, remote->key, hex, 64), 0);
    msgpack_pack_map(&out->packer, 4 + !remote->without_session + has_token);
    out_string(out, "pub_key");
    out_string(out, pem);
    out_string(out, "sig");
    out_text(out, sig, n);
    out_encrypted(out, "aes", theirs, hash, group, 76);
    if (!remote->without_session)
        out_encrypted(out, "session", theirs, hash, remote->session, 76);
    if (has_token)
        out_encrypted(out, "token", theirs, hash, plain, n_plain);
}

static void sign_in(struct wire *wire, const struct value *load) {
    struct remote *remote = wire->remote;
    struct value nonce = field(load, "nonce"), algorithm = field(load, "sig_algo");
    enum minion_hash hash = is(&algorithm, "PKCS1v15-SHA224") ? MINION_HASH_SHA224 : MINION_HASH_SHA1;
    CLEANUP(cleanup_free) uint8_t *inner = NULL;
    struct out out;
    size_t n;

    remote->sign_ins++;
    if (remote->answer == REMOTE_SILENT)
        return;
    out_begin(&out);
    if (remote->answer == REMOTE_GARBAGE) {
        out_string(&out, "HTTP/1.1 200 OK");
        assert_int_equal(out_take(&out, &wire->reply, &wire->size), 0);
        return;
    }
    if (remote->only_sha1 && hash != MINION_HASH_SHA1) {
        static const char refusal[] = "\x82\xa3" "enc\xa5" "clear\xa4load\x81\xa3ret\xac" "bad sig algo";

        out_bytes(&out, refusal, sizeof(refusal) - 1);
        assert_int_equal(out_take(&out, &wire->reply, &wire->size), 0);
        return;
    }
    if (remote->answer == REMOTE_ACCEPTS || remote->answer == REMOTE_FORGES || remote->answer == REMOTE_OTHER_AES ||
        remote->answer == REMOTE_NO_TOKEN) {
        out_keys(&out, remote, load, hash);
    } else {
        msgpack_pack_map(&out.packer, 2);
        out_string(&out, "ret");
        if (remote->answer == REMOTE_PENDING)
            msgpack_pack_true(&out.packer);
        else if (remote->answer == REMOTE_REJECTS)
            msgpack_pack_false(&out.packer);
        else
            out_string(&out, "full");
    }
    out_string(&out, "nonce");
    out_text(&out, nonce.data, nonce.size);
    assert_int_equal(out_take(&out, &inner, &n), 0);
    out_done(&out);
    remote_sign(&wire->reply, &wire->size, remote->answer == REMOTE_FORGES ? remote->other : remote->key, hash, inner, n);
}

/* Notes each event; false: the handler raised at one. */
static bool take_events(struct remote *remote, const struct value *inner) {
    struct value events = field(inner, "events");
    CLEANUP(json_putp) json_object *list = NULL;

    assert_int_equal(unpack_data(&list, events.data, events.size), 0);
    remote->biggest = MAX(remote->biggest, json_object_array_length(list));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *event = json_object_array_get_idx(list, i);
        const char *tag = json_object_get_string(json_get(event, "tag"));
        const char *id = json_object_get_string(json_get(json_get(event, "data"), "event_id"));
        size_t used = strlen(remote->taken);

        if (remote->fails_at && !strcmp(tag, remote->fails_at))
            return false;
        snprintf(remote->taken + used, sizeof(remote->taken) - used, "%s\n", tag);
        free(remote->ids);
        remote->ids = id ? strdup(id) : NULL;
    }
    return true;
}

static void answer_text(struct wire *wire, const char *text) {
    struct out out;

    out_begin(&out);
    out_string(&out, text);
    assert_int_equal(out_take(&out, &wire->reply, &wire->size), 0);
}

static void handle(struct wire *wire, const struct value *top) {
    struct remote *remote = wire->remote;
    struct value box = field(top, "load"), inner, nonce, id = field(top, "id"), inside;
    CLEANUP(cleanup_free) uint8_t *plain = NULL, *sealed = NULL;
    struct crypticle session;
    uint8_t iv[16], answer[33];
    struct out out;
    size_t n;
    bool good;

    remote->requests++;
    assert_int_equal(crypticle_parse(&session, remote->session, 76), 0);
    if (remote->forgets || crypticle_open(&plain, &n, &session, box.data, box.size) < 0) {
        answer_text(wire, "bad load");
        return;
    }
    assert_int_equal(value_read(&inner, plain, n), 0);
    inside = field(&inner, "id"); /* or a real one would never answer again */
    assert_true(inside.size == id.size && !memcmp(inside.data, id.data, id.size));
    nonce = field(&inner, "nonce");
    assert_int_equal(nonce.size, 32);
    good = take_events(remote, &inner);
    if (remote->lose > 0 && field(&inner, "events").head.count > 0) {
        remote->lose--;
        wire->error = -ECONNRESET;
        return;
    }
    memcpy(answer, nonce.data, 32);
    answer[32] = good ? 0xc0 : 0xa0;
    assert_int_equal(random_bytes(iv, sizeof(iv)), 0);
    assert_int_equal(crypticle_seal(&sealed, &n, &session, iv, answer, sizeof(answer)), 0);
    out_begin(&out);
    out_text(&out, sealed, n);
    assert_int_equal(out_take(&out, &wire->reply, &wire->size), 0);
}

static int wire_send(struct wire *wire, const void *data, size_t size) {
    struct value top, enc, load;

    if (!wire->told_writable || wire->error)
        return -EAGAIN;
    assert_false(wire->asked); /* REQ takes one at a time */
    wire->asked = true;
    assert_int_equal(value_read(&top, data, size), 0);
    enc = field(&top, "enc");
    load = field(&top, "load");
    if (is(&enc, "clear"))
        sign_in(wire, &load);
    else
        handle(wire, &top);
    wake(wire);
    return 0;
}

static int wire_next(struct wire *wire, const uint8_t **ret_data, size_t *ret_size) {
    eventfd_t value;

    eventfd_read(wire->fds[0], &value);
    free(wire->shown);
    wire->shown = NULL;
    if (wire->reply) {
        wire->shown = TAKE_PTR(wire->reply);
        wire->asked = false;
        *ret_data = wire->shown;
        *ret_size = wire->size;
        return 1;
    }
    if (wire->error)
        return wire->error;
    if (!wire->told_writable) {
        wire->told_writable = true;
        return 2;
    }
    return 0;
}

const struct wire_ops remote_wire = {
    .abi = WIRE_ABI,
    .open = wire_open,
    .close = wire_close,
    .fds = wire_fds,
    .send = wire_send,
    .next = wire_next,
};
