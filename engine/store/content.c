/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content - one version of a store: what it consists of, and how it is written.
 *
 * The parts that several files share and that never change again (deltas, token lists, policy) are kept as the JSON
 * text that they are written as: a commit copies them, and writing is putting them together.
 *
 * Keeps: the delta ring is within its bounds and continuous, each delta's base being the digest of the one before.
 * Does not: touch the disk, or know which version is the confirmed one.
 */
#include "content.h"
#include "text.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

struct content *content_free(struct content *content) {
    if (!content)
        return NULL;
    set_free(content->set);
    free(content->since);
    content_clear_deltas(content);
    for (size_t i = 0; i < content->n_tokens; i++)
        free(content->tokens[i].minions);
    free(content->policy);
    free(content);
    return NULL;
}

int content_new(struct content **ret) {
    CLEANUP(content_freep) struct content *content = calloc(1, sizeof(*content));
    int r;

    if (!content)
        return -ENOMEM;
    r = random_hex(content->epoch, EPOCH_DIGITS);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(content);
    return 0;
}

int content_copy(struct content **ret, const struct content *from) {
    CLEANUP(content_freep) struct content *content = calloc(1, sizeof(*content));
    int r;

    if (!content)
        return -ENOMEM;
    memcpy(content->epoch, from->epoch, sizeof(content->epoch));
    if (from->set) {
        r = set_copy(&content->set, from->set);
        if (r == 0)
            r = since_next(&content->since, from->set, from->since, from->set);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < from->n_deltas; i++) {
        content->deltas[i] = strdup(from->deltas[i]);
        if (!content->deltas[i])
            return -ENOMEM;
        content->n_deltas++;
    }
    content->delta_bytes = from->delta_bytes;
    content->token_bytes = from->token_bytes;
    content->must_commit = from->must_commit;
    for (size_t i = 0; i < from->n_tokens; i++) {
        memcpy(content->tokens[i].token, from->tokens[i].token, sizeof(content->tokens[i].token));
        content->tokens[i].minions = strdup(from->tokens[i].minions);
        if (!content->tokens[i].minions)
            return -ENOMEM;
        content->n_tokens++;
    }
    if (from->policy) {
        content->policy = strdup(from->policy);
        if (!content->policy)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(content);
    return 0;
}

void content_clear_deltas(struct content *content) {
    for (size_t i = 0; i < content->n_deltas; i++)
        free(content->deltas[i]);
    content->n_deltas = content->delta_bytes = 0;
}

static void drop_oldest_delta(struct content *content) {
    content->delta_bytes -= strlen(content->deltas[0]);
    free(content->deltas[0]);
    content->n_deltas--;
    memmove(content->deltas, content->deltas + 1, content->n_deltas * sizeof(content->deltas[0]));
}

static void write_members(struct text *text, const struct member *members, const msec *since, size_t n) {
    char address[ADDRESS_TEXT_MAX];

    text_add(text, "[", 1);
    for (size_t i = 0; i < n; i++) {
        /* Neither an address nor a label (see label_make) holds anything that JSON would want escaped. */
        text_printf(text, "%s[\"%s\",\"%s\"", i ? "," : "", address_format(&members[i].address, address),
                    members[i].label);
        if (since && since[i])
            text_printf(text, ",%" PRId64, since[i]);
        text_add(text, "]", 1);
    }
    text_add(text, "]", 1);
}

static int format_delta(const struct delta *delta, char **ret, size_t *ret_size) {
    CLEANUP(text_done) struct text text = {0};
    char address[ADDRESS_TEXT_MAX];

    text_printf(&text, "{\"generation\":%" PRIu64 ",\"base\":\"%s\",\"digest\":\"%s\",\"rv\":\"%s\",\"added\":",
                delta->generation, delta->base, delta->digest, delta->rv);
    write_members(&text, delta->added, NULL, delta->n_added);
    text_printf(&text, ",\"removed\":[");
    for (size_t i = 0; i < delta->n_removed; i++)
        text_printf(&text, "%s\"%s\"", i ? "," : "", address_format(&delta->removed[i], address));
    text_printf(&text, "]}");
    return text_take(&text, ret, ret_size);
}

int content_add_delta(struct content *content, const struct delta *delta) {
    CLEANUP(cleanup_free) char *text = NULL;
    size_t size;
    int r = format_delta(delta, &text, &size);

    if (r < 0)
        return r;
    if (size > STORE_DELTA_BYTES) {
        /* A chain with a hole is no chain: whoever is behind fetches the whole set. */
        content_clear_deltas(content);
        return 0;
    }
    while (content->n_deltas == STORE_DELTAS || content->delta_bytes + size > STORE_DELTA_BYTES)
        drop_oldest_delta(content);
    content->deltas[content->n_deltas++] = TAKE_PTR(text);
    content->delta_bytes += size;
    return 0;
}

static int format_minions(const char *const *minions, size_t n, char **ret, size_t *ret_size) {
    CLEANUP(text_done) struct text text = {0};

    if (!minions) {
        text_printf(&text, "null");
        return text_take(&text, ret, ret_size);
    }
    text_add(&text, "[", 1);
    for (size_t i = 0; i < n; i++) {
        if (!utf8_is(minions[i], strlen(minions[i])))
            return -EINVAL;
        if (i)
            text_add(&text, ",", 1);
        text_quote(&text, minions[i]);
    }
    text_add(&text, "]", 1);
    return text_take(&text, ret, ret_size);
}

static void drop_oldest_token(struct content *content) {
    content->token_bytes -= strlen(content->tokens[0].minions);
    free(content->tokens[0].minions);
    content->n_tokens--;
    memmove(content->tokens, content->tokens + 1, content->n_tokens * sizeof(content->tokens[0]));
}

int content_add_token(struct content *content, const char *const *minions, size_t n_minions) {
    CLEANUP(cleanup_free) char *list = NULL;
    char token[TOKEN_DIGITS + 1];
    size_t size;
    int r = random_hex(token, TOKEN_DIGITS);

    if (r < 0)
        return r;
    r = format_minions(minions, n_minions, &list, &size);
    if (r < 0)
        return r;
    if (size > TOKEN_BYTES)
        return -E2BIG;
    while (content->n_tokens == STORE_TOKENS || content->token_bytes + size > TOKEN_BYTES)
        drop_oldest_token(content);
    memcpy(content->tokens[content->n_tokens].token, token, sizeof(token));
    content->tokens[content->n_tokens].minions = TAKE_PTR(list);
    content->n_tokens++;
    content->token_bytes += size;
    return 0;
}

static void write_header(struct text *text, const struct content *content, const char *cluster) {
    const struct version *version = &content->set->version;
    char time[TIME_TEXT_MAX];

    text_printf(text, "{\"v\":1,\"cluster\":\"%s\",\"epoch\":\"%s\",\"generation\":%" PRIu64, cluster, version->epoch,
                version->generation);
    text_printf(text, ",\"rv\":\"%s\",\"as_of\":\"%s\"", version->rv, time_format(version->as_of, time));
    text_printf(text, ",\"digest\":\"%s\",\"count\":%zu", version->digest, content->set->n_members);
}

static void write_deltas(struct text *text, const struct content *content) {
    text_printf(text, ",\"deltas\":[");
    for (size_t i = 0; i < content->n_deltas; i++) {
        if (i)
            text_add(text, ",", 1);
        text_add(text, content->deltas[i], strlen(content->deltas[i]));
    }
    text_add(text, "]", 1);
}

int content_format_public(const struct content *content, const char *cluster, char **ret, size_t *ret_size) {
    CLEANUP(text_done) struct text text = {0};

    write_header(&text, content, cluster);
    text_printf(&text, ",\"addresses\":");
    write_members(&text, content->set->members, NULL, content->set->n_members);
    text_printf(&text, "}\n");
    return text_take(&text, ret, ret_size);
}

int content_format_announce(const struct content *content, const char *cluster, char **ret, size_t *ret_size) {
    CLEANUP(text_done) struct text text = {0};

    write_header(&text, content, cluster);
    text_printf(&text, ",\"tokens\":[");
    for (size_t i = 0; i < content->n_tokens; i++) {
        text_printf(&text, "%s{\"token\":\"%s\",\"minions\":", i ? "," : "", content->tokens[i].token);
        text_add(&text, content->tokens[i].minions, strlen(content->tokens[i].minions));
        text_add(&text, "}", 1);
    }
    text_add(&text, "]", 1);
    write_deltas(&text, content);
    text_printf(&text, "}\n");
    return text_take(&text, ret, ret_size);
}

static EVP_MD_CTX *digest_context_free(EVP_MD_CTX *context) {
    EVP_MD_CTX_free(context);
    return NULL;
}
DEFINE_CLEANUP(EVP_MD_CTX, digest_context_free)

int content_checksum(char ret[DIGEST_DIGITS + 1], const char *data, size_t size) {
    CLEANUP(digest_context_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (!context)
        return -ENOMEM;
    if (!EVP_DigestInit_ex(context, EVP_sha256(), NULL) || !EVP_DigestUpdate(context, data, size) ||
        !EVP_DigestFinal_ex(context, digest, &n) || n != DIGEST_DIGITS / 2)
        return -EIO;
    hex_format(ret, digest, n);
    return 0;
}

int content_format_truth(const struct content *content, const char *cluster, char **ret, size_t *ret_size) {
    CLEANUP(text_done) struct text body = {0};
    CLEANUP(text_done) struct text text = {0};
    char checksum[DIGEST_DIGITS + 1];
    int r;

    if (content->set) {
        write_header(&body, content, cluster);
        text_printf(&body, ",\"addresses\":");
        write_members(&body, content->set->members, content->since, content->set->n_members);
    } else {
        text_printf(&body, "{\"v\":1,\"cluster\":\"%s\",\"epoch\":\"%s\",\"addresses\":null", cluster, content->epoch);
    }
    write_deltas(&body, content);
    if (content->must_commit)
        text_printf(&body, ",\"must_commit\":true");
    text_printf(&body, ",\"policy\":");
    text_printf(&body, "%s", content->policy ? content->policy : "null");
    text_add(&body, "}", 1);
    if (body.error)
        return body.error;

    r = content_checksum(checksum, body.data, body.size);
    if (r < 0)
        return r;
    text_printf(&text, TRUTH_HEAD "%s" TRUTH_MIDDLE, checksum);
    text_add(&text, body.data, body.size);
    text_add(&text, TRUTH_TAIL, strlen(TRUTH_TAIL));
    return text_take(&text, ret, ret_size);
}
