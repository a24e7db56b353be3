/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words - within, extra and except, made ready for asking.
 *
 * `except` is taken out last, so also out of an extra network: that is cut into the parts around it, for a set has
 * members and no exceptions.
 */
#include "words.h"

#include <string.h>

void words_done(struct words *words) {
    free(words->within);
    free(words->except);
    words->extra = set_free(words->extra);
    *words = (struct words){0};
}

static bool any_has(const struct address *networks, size_t n, const struct address *address) {
    for (size_t i = 0; i < n; i++)
        if (address_within(address, &networks[i]))
            return true;
    return false;
}

static bool reaches_into(const struct words *words, const struct address *network) {
    for (size_t i = 0; i < words->n_except; i++)
        if (address_within(&words->except[i], network))
            return true;
    return false;
}

/* At most 128 levels deep; each level leaves one half whole, or ends. */
static int add_extra(struct words *words, const struct address *network) {
    struct address half = *network;
    int r;

    if (any_has(words->except, words->n_except, network))
        return 0;
    if (!reaches_into(words, network)) {
        r = set_append(words->extra, network, EXTRA_LABEL);
        return r == -E2BIG ? 0 : r;
    }
    half.length++;
    r = add_extra(words, &half);
    if (r < 0)
        return r;
    half.bytes[(half.length - 1) / 8] |= (uint8_t)(0x80u >> ((half.length - 1) % 8));
    return add_extra(words, &half);
}

static int copy(struct address **ret, const struct address *from, size_t n) {
    struct address *to = calloc(n + 1, sizeof(*to));

    if (!to)
        return -ENOMEM;
    if (n)
        memcpy(to, from, n * sizeof(*to));
    *ret = to;
    return 0;
}

int words_copy(struct words *ret, const struct policy_options *options) {
    CLEANUP(words_done) struct words words = {
        .grace = MAX(options->grace, (msec)0),
        .max_removal = MIN(options->max_removal, 100u),
        .max_total = options->max_total ? MIN(options->max_total, (size_t)SET_LIMIT) : SET_LIMIT,
        .max_per_node = options->max_per_node,
        .n_within = options->n_within,
        .n_except = options->n_except,
    };
    int r = copy(&words.within, options->within, options->n_within);

    if (r == 0)
        r = copy(&words.except, options->except, options->n_except);
    if (r == 0)
        r = set_new(&words.extra);
    for (size_t i = 0; i < options->n_extra && r == 0; i++)
        r = add_extra(&words, &options->extra[i]);
    if (r == 0)
        r = set_seal(words.extra);
    if (r < 0)
        return r;
    *ret = words;
    words = (struct words){0};
    return 0;
}

bool words_forbid(const struct words *words, const struct address *address) {
    if (any_has(words->except, words->n_except, address))
        return true;
    return words->n_within && !any_has(words->within, words->n_within, address);
}

bool words_have_extra(const struct words *words, const struct address *address) {
    return set_has(words->extra, address);
}
