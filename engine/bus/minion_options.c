/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minion options - a copy of them that lives as long as the transport: the configuration may be read again meanwhile.
 */
#include "transport.h"

#include <string.h>

const char *minion_hash_name(enum minion_hash hash) {
    static const char *const names[] = {"auto", "sha1", "sha224"};

    return names[hash];
}

bool minion_finger_parse(uint8_t ret[MINION_FINGER_SIZE], const char *text) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    uint8_t finger[MINION_FINGER_SIZE];

    for (size_t i = 0; i < MINION_FINGER_SIZE; i++) {
        const char *high = text[0] ? strchr(digits, text[0]) : NULL;
        const char *low = high && text[1] ? strchr(digits, text[1]) : NULL;

        if (!low)
            return false;
        finger[i] = (uint8_t)(((high - digits) % 16) << 4 | (low - digits) % 16);
        text += 2;
        if (*text == ':' && i + 1 < MINION_FINGER_SIZE)
            text++;
    }
    if (*text)
        return false;
    memcpy(ret, finger, sizeof(finger));
    return true;
}

struct minion_options *minion_options_free(struct minion_options *options) {
    if (!options)
        return NULL;
    for (size_t i = 0; options->masters && i < options->n_masters; i++)
        free((char *)options->masters[i].host);
    free((struct minion_master *)options->masters);
    free((void *)options->fingers);
    free((char *)options->id);
    free((char *)options->pki_dir);
    free((char *)options->master_key);
    free(options);
    return NULL;
}

static int copy_masters(struct minion_options *ret, const struct minion_options *from) {
    struct minion_master *masters = calloc(from->n_masters, sizeof(*masters));

    ret->masters = masters;
    for (ret->n_masters = 0; masters && ret->n_masters < from->n_masters; ret->n_masters++) {
        masters[ret->n_masters] = from->masters[ret->n_masters];
        masters[ret->n_masters].host = strdup(from->masters[ret->n_masters].host);
        if (!masters[ret->n_masters].host)
            return -ENOMEM;
    }
    return masters ? 0 : -ENOMEM;
}

static int copy_fingers(struct minion_options *ret, const struct minion_options *from) {
    uint8_t(*fingers)[MINION_FINGER_SIZE] = calloc(from->n_fingers + 1, sizeof(*fingers));

    if (!fingers)
        return -ENOMEM;
    if (from->n_fingers)
        memcpy(fingers, from->fingers, from->n_fingers * sizeof(*fingers));
    ret->fingers = (const uint8_t(*)[MINION_FINGER_SIZE])fingers;
    ret->n_fingers = from->n_fingers;
    return 0;
}

int minion_options_copy(struct minion_options **ret, const struct minion_options *from) {
    CLEANUP(minion_options_freep) struct minion_options *copy = calloc(1, sizeof(*copy));

    if (!copy || copy_masters(copy, from) < 0 || copy_fingers(copy, from) < 0)
        return -ENOMEM;
    copy->id = strdup(from->id);
    copy->pki_dir = strdup(from->pki_dir);
    copy->master_key = from->master_key ? strdup(from->master_key) : NULL;
    if (!copy->id || !copy->pki_dir || !copy->master_key != !from->master_key)
        return -ENOMEM;
    copy->trust_first_use = from->trust_first_use;
    copy->hash = from->hash;
    copy->wire = from->wire;
    *ret = TAKE_PTR(copy);
    return 0;
}
