/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outbox - a list in the order of adding, each entry with its next due time.
 *
 * An entry waits, is sent, waits for its echo, is sent again; the echo takes it away, or something newer that makes it
 * pointless. An event behind another one of its key is not due before that one has gone.
 * Keeps: the bounds of outbox.h at every moment; never two announcements of one cluster.
 * Does not: know framing, connections or the wall clock. Owns: copies of tags and packed bodies, no JSON.
 */
#include "nodewall/outbox.h"
#include "nodewall/json.h"
#include "nodewall/pack.h"

#include <string.h>

#define RESEND_FIRST 2000
#define RESEND_MAX 30000
#define STUCK_AFTER 3

struct entry {
    struct entry *next;
    struct entry *behind;       /* of an event: the one before with its key, whose echo it waits for */
    enum outbox_kind kind;
    char *key, *tag;
    uint8_t *body;
    size_t size;
    unsigned attempts;          /* in all */
    unsigned tries;             /* since the last reconnection */
    msec due;
    char id[OUTBOX_ID_DIGITS + 1];
};

struct outbox {
    struct entry *first, **end;
    size_t n_events;
    struct outbox_stats stats;
};

static struct entry *entry_free(struct entry *entry) {
    if (!entry)
        return NULL;
    free(entry->key);
    free(entry->tag);
    free(entry->body);
    free(entry);
    return NULL;
}
DEFINE_CLEANUP(struct entry, entry_free)

int outbox_new(struct outbox **ret) {
    struct outbox *outbox = calloc(1, sizeof(*outbox));

    if (!outbox)
        return -ENOMEM;
    outbox->end = &outbox->first;
    *ret = outbox;
    return 0;
}

struct outbox *outbox_free(struct outbox *outbox) {
    if (!outbox)
        return NULL;
    for (struct entry *entry = outbox->first, *next; entry; entry = next) {
        next = entry->next;
        entry_free(entry);
    }
    free(outbox);
    return NULL;
}

static void take_out(struct outbox *outbox, struct entry *gone) {
    struct entry **link = &outbox->first;

    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
    if (outbox->end == &gone->next)
        outbox->end = link;
    for (struct entry *entry = outbox->first; entry; entry = entry->next)
        if (entry->behind == gone)
            entry->behind = gone->behind;
    if (gone->kind == OUTBOX_EVENT)
        outbox->n_events--;
    outbox->stats.waiting--;
    entry_free(gone);
}

/* A newer announcement for everybody says all that older ones and repairs of its cluster would. */
static void supersede(struct outbox *outbox, const char *cluster) {
    for (struct entry *entry = outbox->first, *next; entry; entry = next) {
        next = entry->next;
        if (entry->kind == OUTBOX_EVENT || strcmp(entry->key, cluster))
            continue;
        outbox->stats.superseded++;
        take_out(outbox, entry);
    }
}

/* The oldest of those that share a bound; NULL while there are fewer than `most`. */
static struct entry *surplus(struct outbox *outbox, enum outbox_kind kind, const char *key, size_t most) {
    struct entry *oldest = NULL;
    size_t n = 0;

    for (struct entry *entry = outbox->first; entry; entry = entry->next)
        if (entry->kind == kind && (!key || !strcmp(entry->key, key))) {
            oldest = oldest ? oldest : entry;
            n++;
        }
    return n >= most ? oldest : NULL;
}

static void make_room(struct outbox *outbox, const struct entry *entry) {
    struct entry *oldest = NULL;

    if (entry->kind == OUTBOX_ANNOUNCEMENT)
        supersede(outbox, entry->key);
    else if (entry->kind == OUTBOX_REPAIR)
        oldest = surplus(outbox, OUTBOX_REPAIR, entry->key, OUTBOX_REPAIRS);
    else if (outbox->n_events >= OUTBOX_EVENTS)
        oldest = surplus(outbox, OUTBOX_EVENT, NULL, OUTBOX_EVENTS);
    if (oldest) {
        outbox->stats.dropped++;
        take_out(outbox, oldest);
    }
}

static void append(struct outbox *outbox, struct entry *entry) {
    if (entry->kind == OUTBOX_EVENT) {
        for (struct entry *other = outbox->first; other; other = other->next)
            if (other->kind == OUTBOX_EVENT && !strcmp(other->key, entry->key))
                entry->behind = other;
        outbox->n_events++;
    }
    *outbox->end = entry;
    outbox->end = &entry->next;
    outbox->stats.added++;
    outbox->stats.waiting++;
}

static int make_entry(struct entry **ret, const char *key, const char *tag, struct json_object *data,
                      struct problem *problem) {
    CLEANUP(entry_freep) struct entry *entry = calloc(1, sizeof(*entry));
    json_object *id;
    int r;

    if (!entry)
        return -ENOMEM;
    r = random_hex(entry->id, OUTBOX_ID_DIGITS);
    if (r < 0)
        return r;
    if (json_object_is_type(data, json_type_object)) { /* otherwise pack_event says what is wrong */
        id = json_object_new_string(entry->id);
        if (!id || json_object_object_add(data, "event_id", id) < 0) {
            json_object_put(id);
            return -ENOMEM;
        }
    }
    r = pack_event(&entry->body, &entry->size, tag, data, problem);
    if (r < 0)
        return r;
    entry->key = strdup(key);
    entry->tag = strdup(tag);
    if (!entry->key || !entry->tag)
        return -ENOMEM;
    *ret = TAKE_PTR(entry);
    return 0;
}

int outbox_add(struct outbox *outbox, enum outbox_kind kind, const char *key, const char *tag, struct json_object *data,
               msec now, char ret_id[OUTBOX_ID_DIGITS + 1], struct problem *problem) {
    struct entry *entry;
    int r = make_entry(&entry, key, tag, data, problem);

    if (r < 0)
        return r;
    entry->kind = kind;
    entry->due = now;
    make_room(outbox, entry);
    append(outbox, entry);
    if (ret_id)
        memcpy(ret_id, entry->id, sizeof(entry->id));
    return 0;
}

bool outbox_next(struct outbox *outbox, msec now, struct outbox_entry *ret) {
    struct entry *best = NULL;

    for (struct entry *entry = outbox->first; entry; entry = entry->next)
        if (entry->due <= now && !entry->behind && (!best || entry->kind < best->kind))
            best = entry;
    if (!best)
        return false;
    *ret = (struct outbox_entry){
        .tag = best->tag, .id = best->id, .body = best->body, .size = best->size, .attempts = best->attempts};
    outbox->stats.sent++;
    if (best->attempts)
        outbox->stats.resent++;
    best->due = now + MIN(RESEND_MAX, (msec)RESEND_FIRST << MIN(best->tries, 8));
    best->attempts++;
    best->tries++;
    return true;
}

msec outbox_due(const struct outbox *outbox) {
    msec due = MSEC_NEVER;

    for (const struct entry *entry = outbox->first; entry; entry = entry->next)
        if (!entry->behind)
            due = MIN(due, entry->due);
    return due;
}

bool outbox_waits_for(const struct outbox *outbox, const char *tag, size_t tag_size) {
    for (const struct entry *entry = outbox->first; entry; entry = entry->next)
        if (entry->attempts && strlen(entry->tag) == tag_size && !memcmp(entry->tag, tag, tag_size))
            return true;
    return false;
}

bool outbox_echo(struct outbox *outbox, const char *tag, const char *id, msec now) {
    (void)now;
    for (struct entry *entry = outbox->first; entry; entry = entry->next)
        if (entry->attempts && !strcmp(entry->id, id) && !strcmp(entry->tag, tag)) {
            outbox->stats.delivered++;
            take_out(outbox, entry);
            return true;
        }
    return false;
}

void outbox_reconnected(struct outbox *outbox, msec now) {
    for (struct entry *entry = outbox->first; entry; entry = entry->next) {
        entry->due = now;
        entry->tries = 0;
    }
}

bool outbox_is_stuck(const struct outbox *outbox) {
    for (const struct entry *entry = outbox->first; entry; entry = entry->next)
        if (entry->tries > STUCK_AFTER) /* the next one goes only when the last one's time is over */
            return true;
    return false;
}

struct outbox_stats outbox_stats(const struct outbox *outbox) {
    return outbox->stats;
}
