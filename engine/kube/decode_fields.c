/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode fields - the bounds of what is taken from the API server, whatever it is written in.
 *
 * Keeps: names may stand in a path or a tag, a resourceVersion is a decimal and not zero (zero would ask for "any", not
 * for "since"), and what is cut is cut between characters.
 * Does not: know where a field stood. Owns: nothing.
 */
#include "decode_fields.h"

#include <string.h>

#define RETRY_MAX 86400         /* seconds; only so that the sum of milliseconds stays small */

int field_name(char ret[NODE_NAME_MAX + 1], const char *text, size_t size) {
    char name[NODE_NAME_MAX + 1];

    if (size > NODE_NAME_MAX || memchr(text, '\0', size))
        return -EBADMSG;
    memcpy(name, text, size);
    name[size] = '\0';
    if (!name_is_node(name))
        return -EBADMSG;
    memcpy(ret, name, size + 1);
    return 0;
}

int field_uid(char ret[NODE_UID_MAX + 1], const char *text, size_t size) {
    if (size < 1 || size > NODE_UID_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return -EBADMSG;
    memcpy(ret, text, size);
    ret[size] = '\0';
    return 0;
}

int field_rv(char ret[RV_MAX + 1], const char *text, size_t size) {
    bool zero = true;

    if (size > RV_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EBADMSG;
        zero = zero && text[i] == '0';
    }
    if (zero && size > 0)
        return -EBADMSG;
    memcpy(ret, text, size);
    ret[size] = '\0';
    return 0;
}

int field_continue(struct list_head *head, const char *text, size_t size) {
    if (size >= sizeof(head->next))
        return -EBADMSG;
    memcpy(head->next, text, size);
    head->next[size] = '\0';
    return 0;
}

int field_watch_type(enum watch_type *ret, const char *text, size_t size) {
    static const char *const names[] = {
        [WATCH_ADDED] = "ADDED",       [WATCH_MODIFIED] = "MODIFIED", [WATCH_DELETED] = "DELETED",
        [WATCH_BOOKMARK] = "BOOKMARK", [WATCH_ERROR] = "ERROR",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strlen(names[i]) == size && memcmp(text, names[i], size) == 0) {
            *ret = (enum watch_type)i;
            return 0;
        }
    return -EBADMSG;
}

/* How many bytes of text to take when there is room for `room` with a NUL: whole characters. */
static size_t fitting(const char *text, size_t size, size_t room) {
    if (size < room)
        return size;
    size = room - 1;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

int field_address(struct node_address *ret, const char *type, size_t type_size, const char *text, size_t size) {
    bool plain = utf8_is(text, size);

    if (type_size >= sizeof(ret->type) || memchr(type, '\0', type_size) || !utf8_is(type, type_size))
        return 0;
    memcpy(ret->type, type, type_size);
    ret->type[type_size] = '\0';
    size = fitting(text, size, sizeof(ret->text));
    for (size_t i = 0; i < size; i++)
        ret->text[i] = text[i] && (plain || (unsigned char)text[i] < 0x80) ? text[i] : '?';
    ret->text[size] = '\0';
    return 1;
}

int field_addresses_new(struct node *node, size_t n) {
    node->addresses = calloc(MAX(MIN(n, (size_t)NODE_ADDRESSES_MAX), (size_t)1), sizeof(*node->addresses));
    return node->addresses ? 0 : -ENOMEM;
}

void field_plain(char *ret, size_t room, const char *text, size_t size) {
    size_t n = fitting(text, size, room);

    memcpy(ret, text, n);
    ret[n] = '\0';
    text_clean(ret);
}

void field_code(struct kube_status *status, int64_t code) {
    status->code = code >= 100 && code <= 599 ? (unsigned)code : 0;
}

void field_retry_after(struct kube_status *status, int64_t seconds) {
    if (seconds > 0)
        status->retry_after = 1000 * MIN(seconds, RETRY_MAX);
}

bool field_reason_is_too_large(const char *text, size_t size) {
    static const char reason[] = "ResourceVersionTooLarge";

    return size == sizeof(reason) - 1 && memcmp(text, reason, size) == 0;
}

bool field_message_is_too_large(const char *text, size_t size) {
    static const char sentence[] = "Too large resource version";

    return memmem(text, size, sentence, sizeof(sentence) - 1) != NULL;
}
