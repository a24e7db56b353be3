/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since - from when on each address has been in the published set, for `nodewall who`.
 *
 * A list beside the set's members, in their order, so that the set itself stays what it is on the wire. 0: from before anybody
 * wrote it down. Only the truth has it: minions need no history.
 */
#include "content.h"

#include "nodewall/json.h"

#include <string.h>

static int compare(const void *address, const void *member) {
    return address_compare(address, &((const struct member *)member)->address);
}

static ssize_t find(const struct set *set, const struct address *address) {
    const struct member *member =
        set->n_members ? bsearch(address, set->members, set->n_members, sizeof(*set->members), compare) : NULL;

    return member ? member - set->members : -1;
}

msec since_of(const struct set *set, const msec *since, const struct address *address) {
    ssize_t i = set && since ? find(set, address) : -1;

    return i < 0 ? 0 : since[i];
}

int since_next(msec **ret, const struct set *before, const msec *since, const struct set *after) {
    msec *next = calloc(after->n_members + 1, sizeof(*next));

    if (!next)
        return -ENOMEM;
    for (size_t i = 0; i < after->n_members; i++) {
        ssize_t j = before ? find(before, &after->members[i].address) : -1;

        next[i] = j < 0 ? after->version.as_of : since ? since[j] : 0;
    }
    free(*ret);
    *ret = next;
    return 0;
}

int since_parse(msec **ret, const struct set *set, struct json_object *list) {
    msec *since = calloc(set->n_members + 1, sizeof(*since));

    if (!since)
        return -ENOMEM;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *entry = json_object_array_get_idx(list, i), *text = json_object_array_get_idx(entry, 0);
        json_object *when = json_object_array_length(entry) > 2 ? json_object_array_get_idx(entry, 2) : NULL;
        int64_t number = json_object_is_type(when, json_type_int) ? json_object_get_int64(when) : 0;
        struct address address;
        ssize_t at = -1;

        if (address_parse(&address, json_object_get_string(text), (size_t)json_object_get_string_len(text)) == 0)
            at = find(set, &address);
        if (at >= 0 && number > 0 && number < INT64_MAX / 4)
            since[at] = number;
    }
    free(*ret);
    *ret = since;
    return 0;
}
