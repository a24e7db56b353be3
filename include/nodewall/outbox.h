/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outbox - what is to be said on the bus until the bus has proved that it heard. Pure: `now` comes in, bytes come
 * out.
 *
 * The bus acknowledges nothing, so an event is delivered when its echo is seen: same tag, same `event_id`, which
 * outbox_add puts into the data. Until then it is sent again: after a reconnection at once, otherwise when no echo
 * came in 2, 4, 8, … 30 s. Whoever must not act twice compares event_id.
 *
 * Bounded: of a cluster's announcements for everybody only the newest is kept (and makes its queued repairs
 * pointless); at most OUTBOX_REPAIRS repairs per cluster; of all other events the newest OUTBOX_EVENTS. What is
 * pushed out is counted. Events with the same key keep their order: the next is sent after the echo of the one
 * before.
 */
#pragma once

#include "nodewall/base.h"

struct json_object;

#define OUTBOX_EVENTS 1024
#define OUTBOX_REPAIRS 8
#define OUTBOX_ID_DIGITS 32

enum outbox_kind { OUTBOX_ANNOUNCEMENT, OUTBOX_REPAIR, OUTBOX_EVENT };

struct outbox;
struct outbox *outbox_free(struct outbox *outbox);
DEFINE_CLEANUP(struct outbox, outbox_free)
int outbox_new(struct outbox **ret);

/* `key`: the cluster of an announcement or a repair; for other events whatever must stay in order, such as
 * cluster/node. `data` gets an event_id (ret_id, may be NULL) and is not kept. -EINVAL, -EMSGSIZE as pack_event. */
int outbox_add(struct outbox *outbox, enum outbox_kind kind, const char *key, const char *tag, struct json_object *data,
               msec now, char ret_id[OUTBOX_ID_DIGITS + 1], struct problem *problem);

struct outbox_entry {
    const char *tag, *id;
    const uint8_t *body;        /* pack_event's; valid until the next call of the outbox */
    size_t size;
    unsigned attempts;          /* before this one */
};
/* The next one to send now, announcements first; counts as sent. false: nothing to send at `now`. */
bool outbox_next(struct outbox *outbox, msec now, struct outbox_entry *ret);
msec outbox_due(const struct outbox *outbox);                       /* when outbox_next may have one; MSEC_NEVER */
/* Whether an echo with this tag could come; only then is it worth while to decode what has it. */
bool outbox_waits_for(const struct outbox *outbox, const char *tag, size_t tag_size);
/* An event of ours was seen. True: it was waited for; it is delivered. */
bool outbox_echo(struct outbox *outbox, const char *tag, const char *id, msec now);
void outbox_reconnected(struct outbox *outbox, msec now);           /* everything unproved is due again */
bool outbox_is_stuck(const struct outbox *outbox);  /* something went three times and did not come back in time */

struct outbox_stats {
    uint64_t added, sent, resent, delivered, superseded, dropped;
    size_t waiting;
};
struct outbox_stats outbox_stats(const struct outbox *outbox);
