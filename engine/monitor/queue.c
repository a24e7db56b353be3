/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue - lines between a bus that does not wait and a terminal that may.
 *
 *   data: ....[ first, partly written ][ second ][ third ] ... [ last ]........
 *             head                                                    tail
 *
 * A reader of Salt's bus that stops reading starves the others or fills the master's memory. So what cannot be written
 * is kept here, and above the limit the oldest lines go, a quarter of the limit at once: all gaps are at one place, right
 * behind the line that is half written, and that is where queue_peek tells them. Keeps: a line that was begun is ended.
 * Does not: write, or know what a line is. Owns: one buffer, which shrinks when it is empty.
 */
#include "nodewall/monitor.h"

#include <string.h>

#define KEEP_CAPACITY (1024 * 1024)

struct entry {
    uint32_t size;
    bool gap;           /* says that events were dropped: its weight was counted */
    uint64_t weight;    /* events */
};

struct queue {
    char *data;
    size_t head, tail, capacity, limit;
    struct entry *entries;          /* a ring; the first is at `first` */
    size_t first, n, n_slots;       /* n_slots: a power of two */
    size_t written;                 /* of the first entry; its rest is at `head` */
    uint64_t lost, dropped;         /* events; `lost`: not told yet */
};

int queue_new(struct queue **ret, size_t limit) {
    struct queue *queue = calloc(1, sizeof(*queue));

    if (!queue)
        return -ENOMEM;
    queue->limit = limit;
    *ret = queue;
    return 0;
}

struct queue *queue_free(struct queue *queue) {
    if (queue) {
        free(queue->data);
        free(queue->entries);
        free(queue);
    }
    return NULL;
}

static struct entry *entry_at(const struct queue *queue, size_t index) {
    return &queue->entries[(queue->first + index) & (queue->n_slots - 1)];
}

static bool grow_entries(struct queue *queue) {
    size_t n_slots = queue->n_slots ? queue->n_slots * 2 : 256;
    struct entry *entries;

    if (queue->n < queue->n_slots)
        return true;
    entries = reallocarray(NULL, n_slots, sizeof(*entries));
    if (!entries)
        return false;
    for (size_t i = 0; i < queue->n; i++)
        entries[i] = *entry_at(queue, i);
    free(queue->entries);
    queue->entries = entries;
    queue->first = 0;
    queue->n_slots = n_slots;
    return true;
}

/* Room for `size` bytes at the tail: by moving what is there when that is less than half, else by growing. */
static bool make_room(struct queue *queue, size_t size) {
    size_t live = queue->tail - queue->head, capacity = queue->capacity ? queue->capacity : 65536;
    char *data;

    if (queue->tail + size <= queue->capacity)
        return true;
    if (live + size > queue->capacity / 2) {
        while (capacity < 2 * (live + size))
            capacity *= 2;
        data = realloc(queue->data, capacity);
        if (!data)
            return false;
        queue->data = data;
        queue->capacity = capacity;
    }
    memmove(queue->data, queue->data + queue->head, live);
    queue->head = 0;
    queue->tail = live;
    return true;
}

static void pop_first(struct queue *queue) {
    queue->first = (queue->first + 1) & (queue->n_slots - 1);
    queue->n--;
    queue->written = 0;
}

/* Until `target` bytes are left, or nothing that may go. What is left of a line that was begun moves up to the rest. */
static void drop_oldest(struct queue *queue, size_t target) {
    struct entry begun = {0};
    size_t rest = 0, gone = 0;

    if (queue->written) {
        begun = *entry_at(queue, 0);
        rest = begun.size - queue->written;
        queue->first = (queue->first + 1) & (queue->n_slots - 1);
        queue->n--;
    }
    while (queue->n && queue->tail - queue->head - gone > target) {
        const struct entry *entry = entry_at(queue, 0);

        gone += entry->size;
        queue->lost += entry->weight;
        queue->dropped += entry->gap ? 0 : entry->weight;
        queue->first = (queue->first + 1) & (queue->n_slots - 1);
        queue->n--;
    }
    if (rest) {
        memmove(queue->data + queue->head + gone, queue->data + queue->head, rest);
        queue->first = (queue->first - 1) & (queue->n_slots - 1);
        queue->n++;
        *entry_at(queue, 0) = begun;
    }
    queue->head += gone;
}

void queue_push(struct queue *queue, const void *line, size_t size, unsigned weight) {
    if (queue_size(queue) + size > queue->limit)
        drop_oldest(queue, size > queue->limit ? 0 : MIN(queue->limit - size, queue->limit / 4 * 3));
    if (size == 0 || queue_size(queue) + size > MAX(queue->limit, size) || size > UINT32_MAX || !grow_entries(queue) ||
        !make_room(queue, size)) {
        queue->lost += weight;
        queue->dropped += weight;
        return;
    }
    memcpy(queue->data + queue->tail, line, size);
    queue->tail += size;
    queue->n++;
    *entry_at(queue, queue->n - 1) = (struct entry){.size = (uint32_t)size, .weight = weight};
}

size_t queue_peek(struct queue *queue, const char **ret, uint64_t *ret_lost) {
    *ret_lost = 0;
    if (queue->lost && queue->written == 0) {
        *ret_lost = queue->lost;
        queue->lost = 0;
        return 0;
    }
    *ret = queue->data + queue->head;
    if (queue->lost)
        return entry_at(queue, 0)->size - queue->written;
    return queue->tail - queue->head;
}

void queue_push_front(struct queue *queue, const void *line, size_t size, uint64_t lost) {
    size_t live = queue->tail - queue->head;

    if (size == 0 || queue->written || !grow_entries(queue) || !make_room(queue, size))
        return;
    if (queue->head < size) {
        memmove(queue->data + size, queue->data + queue->head, live);
        queue->head = size;
        queue->tail = size + live;
    }
    queue->head -= size;
    memcpy(queue->data + queue->head, line, size);
    queue->first = (queue->first - 1) & (queue->n_slots - 1);
    queue->n++;
    *entry_at(queue, 0) = (struct entry){.size = (uint32_t)size, .gap = true, .weight = lost};
}

void queue_pass(struct queue *queue, size_t written) {
    queue->head += written;
    while (written) {
        size_t rest = entry_at(queue, 0)->size - queue->written;

        if (written < rest) {
            queue->written += written;
            return;
        }
        written -= rest;
        pop_first(queue);
    }
    if (queue->n)
        return;
    queue->head = queue->tail = 0;
    if (queue->capacity > KEEP_CAPACITY) {
        free(TAKE_PTR(queue->data));
        queue->capacity = 0;
    }
}

size_t queue_size(const struct queue *queue) {
    return queue->tail - queue->head;
}

uint64_t queue_dropped(const struct queue *queue) {
    return queue->dropped;
}
