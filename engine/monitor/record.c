/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record - events as they came, to be looked at again: a head, then for each its time, two lengths, tag and data.
 *
 *   "nodewall events 1\n" { u64 milliseconds since 1970 │ u32 size of tag │ u32 size of data │ tag │ data }*   big-endian
 *
 * A gap is a record with neither tag nor data, which no event is. Keeps: reading believes no length; a file that was cut
 * is read up to there, and that it was cut is said. Does not: open files.
 */
#include "nodewall/monitor.h"
#include "nodewall/pack.h"

#include <string.h>

#define HEAD 16

static void put(uint8_t *to, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(value >> 8 * (n - 1 - i));
}

static uint64_t get(const uint8_t *from, size_t n) {
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | from[i];
    return value;
}

int record_add(struct line *to, const struct recorded *event) {
    uint8_t head[HEAD];
    int r;

    put(head, (uint64_t)event->wall, 8);
    put(head + 8, event->tag_size, 4);
    put(head + 12, event->data_size, 4);
    r = line_add(to, head, sizeof(head));
    if (r == 0)
        r = line_add(to, event->tag, event->tag_size);
    return r < 0 ? r : line_add(to, event->data, event->data_size);
}

int record_read(struct recorded *ret, const uint8_t *data, size_t size, size_t *used) {
    uint64_t wall, tag_size, data_size;

    if (size < HEAD)
        return 0;
    wall = get(data, 8);
    tag_size = get(data + 8, 4);
    data_size = get(data + 12, 4);
    if (wall > INT64_MAX || tag_size > UNPACK_MAX || data_size > UNPACK_MAX)
        return -EBADMSG;
    if (size - HEAD < tag_size + data_size)
        return 0;
    *ret = (struct recorded){(msec)wall, (const char *)data + HEAD, tag_size, data + HEAD + tag_size, data_size};
    *used = HEAD + tag_size + data_size;
    return 1;
}
