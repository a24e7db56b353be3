/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus - Salt's event bus, for as long as the engine lives.
 *
 * Two transports. Local: one connection that pushes and one that listens, to the master's own sockets; what was sent is
 * delivered when its echo was seen. Minion (minion.h): requests to a master anywhere, as a signed-in minion; nothing is
 * heard there, and delivered is what the master's answer acknowledges. The master may stop, start, be upgraded or not be
 * there yet: nothing here fails for it. What was given to bus_publish is sent when the bus is there, and again until it
 * is delivered (see outbox.h). Never blocks; always drains what it listens to.
 *
 * Callbacks run on the loop. They may call bus_publish and bus_free.
 */
#pragma once

#include "nodewall/minion.h"
#include "nodewall/outbox.h"

#include <uv.h>

enum bus_framing { BUS_FRAMING_AUTO, BUS_FRAMING_BARE, BUS_FRAMING_LEN32 };
const char *bus_framing_name(enum bus_framing framing);
int bus_framing_parse(enum bus_framing *ret, const char *name);     /* auto, bare, len32; -EINVAL */

/* Strings are copied. Zero is the default of each. */
struct bus_options {
    const char *sock_dir;           /* /var/run/salt/master */
    bool tcp;                       /* ipc_mode: tcp, on 127.0.0.1 (or ::1) */
    bool ipv6;
    unsigned pub_port, pull_port;   /* 4512, 4513 */
    enum bus_framing write, read;   /* auto: found out after each reconnection */
    bool listen_only;               /* a monitor: never opens the pushing side, never probes */
    const struct minion_options *minion;    /* the other transport, with its own options; all above is local's */
};

enum bus_state {
    BUS_WAITING,                    /* nobody answers; tried again with backoff, at most 5 s apart */
    BUS_PROBING,                    /* connected; not yet seen to carry an event there and back (minion: signing in) */
    BUS_CONNECTED,
};
const char *bus_state_name(enum bus_state state);                   /* waiting, probing, connected */

/* One event as it came. Nothing is NUL-terminated or checked; decode with unpack_data what the tag makes worth it. */
struct bus_message {
    const char *tag;
    size_t tag_size;
    const uint8_t *data;
    size_t data_size;
};

struct bus_handler {
    void (*on_message)(void *userdata, const struct bus_message *message);          /* also our own; may be NULL */
    void (*on_state)(void *userdata, enum bus_state state, const char *detail);     /* each change; may be NULL */
    void (*on_delivered)(void *userdata, const char *tag, const char *id);          /* of bus_publish; or NULL */
};

struct bus;
/* Starts connecting with the next turn of the loop. */
int bus_new(struct bus **ret, uv_loop_t *loop, const struct bus_options *options, const struct bus_handler *handler,
            void *userdata);
/* Closes; the memory goes when the loop has run the closing callbacks. No callback comes after this. Returns NULL. */
struct bus *bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus, bus_free)

/* Accepted is not delivered: see on_delivered. Arguments and errors as outbox_add. */
int bus_publish(struct bus *bus, enum outbox_kind kind, const char *key, const char *tag, struct json_object *data,
                char ret_id[OUTBOX_ID_DIGITS + 1], struct problem *problem);

struct bus_stats {
    enum bus_state state;
    bool one_way;                   /* nothing is heard: received stays 0, and no job's return is ever seen */
    struct minion_stats minion;     /* of that transport */
    enum bus_framing write, read;   /* as found; AUTO: not known yet */
    uint64_t reconnects;            /* times that the bus came back */
    uint64_t received;              /* events of anybody */
    uint64_t malformed;             /* frames that were no events, passed over */
    uint64_t oversized;             /* frames above the bound, passed over */
    struct outbox_stats outbox;
};
struct bus_stats bus_stats(const struct bus *bus);
const char *bus_detail(const struct bus *bus);                      /* why it waits, in words; "" when connected */
