/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus - what both ways to Salt's bus have in common: the outbox, the state as told, the one timer.
 *
 * The timer wakes for whatever is next: the transport's own time, or an entry that the transport can take. How an event
 * gets there and how that is known is the transport's (local.c, minion.c).
 * Keeps: nothing is sent unless connected. No callback runs inside bus_publish or bus_new. Does not: log, judge events,
 * or know what they are about. Owns: the outbox, the transport, and the timer, whose closing frees all of it.
 */
#include "transport.h"

#include "nodewall/json.h"
#include "nodewall/pack.h"

#include <signal.h>
#include <string.h>

struct bus {
    uv_timer_t timer;
    struct transport *transport;
    struct bus_handler handler;
    void *userdata;
    struct outbox *outbox;
    enum bus_state state;
    char detail[1000];
    bool listen_only, was_connected, freed;
    uint64_t reconnects, received;
};

static void on_timer(uv_timer_t *timer);

const char *bus_framing_name(enum bus_framing framing) {
    static const char *const names[] = {"auto", "bare", "len32"};

    return names[framing];
}

int bus_framing_parse(enum bus_framing *ret, const char *name) {
    for (int framing = BUS_FRAMING_AUTO; framing <= BUS_FRAMING_LEN32; framing++)
        if (!strcmp(bus_framing_name((enum bus_framing)framing), name)) {
            *ret = (enum bus_framing)framing;
            return 0;
        }
    return -EINVAL;
}

const char *bus_state_name(enum bus_state state) {
    static const char *const names[] = {"waiting", "probing", "connected"};

    return names[state];
}

bool bus_is_freed(const struct bus *bus) {
    return bus->freed;
}

static bool can_send(const struct bus *bus) {
    return bus->state == BUS_CONNECTED && !bus->listen_only && bus->transport->ops->takes(bus->transport);
}

/* When on_timer may have something to do. */
static msec next_due(const struct bus *bus) {
    msec due = bus->transport->ops->due(bus->transport);

    return can_send(bus) ? MIN(due, outbox_due(bus->outbox)) : due;
}

void bus_schedule(struct bus *bus) {
    msec due, now;

    if (bus->freed)
        return;
    due = next_due(bus);
    now = clock_now();
    if (due == MSEC_NEVER)
        uv_timer_stop(&bus->timer);
    else
        uv_timer_start(&bus->timer, on_timer, (uint64_t)(due > now ? due - now : 0), 0);
}

void bus_enter(struct bus *bus, enum bus_state state, const char *detail) {
    bool changed = state != bus->state || strcmp(detail, bus->detail);

    if (bus->freed)
        return;
    bus->state = state;
    bus_schedule(bus);
    if (!changed)
        return;
    snprintf(bus->detail, sizeof(bus->detail), "%s", detail);
    if (bus->handler.on_state)
        bus->handler.on_state(bus->userdata, state, bus->detail);
}

void bus_enter_connected(struct bus *bus) {
    bus->reconnects += bus->was_connected;
    bus->was_connected = true;
    outbox_reconnected(bus->outbox, clock_now());
    bus_enter(bus, BUS_CONNECTED, "");
}

/* As much as the transport takes. */
static void pump(struct bus *bus) {
    const struct transport_ops *ops = bus->transport->ops;
    struct outbox_entry entry;

    while (ops->takes(bus->transport) && outbox_next(bus->outbox, clock_now(), &entry))
        ops->send(bus->transport, &entry);
    if (ops->flush)
        ops->flush(bus->transport);
    if (outbox_is_stuck(bus->outbox))
        ops->stuck(bus->transport);
}

static void on_timer(uv_timer_t *timer) {
    struct bus *bus = timer->data;
    msec now = clock_now();

    /* libuv rounds, and knows another clock: it may be too early for both */
    if (now >= bus->transport->ops->due(bus->transport))
        bus->transport->ops->turn(bus->transport, now);
    else if (can_send(bus) && now >= outbox_due(bus->outbox))
        pump(bus);
    bus_schedule(bus);
}

bool bus_event_id(const struct bus_message *message, char ret[OUTBOX_ID_DIGITS + 1]) {
    CLEANUP(json_putp) json_object *data = NULL;
    const char *id;

    if (message->data_size > PACK_MAX || unpack_data(&data, message->data, message->data_size) < 0 ||
        !json_object_is_type(json_get(data, "event_id"), json_type_string))
        return false;
    id = json_object_get_string(json_get(data, "event_id"));
    if (!hex_is(id, OUTBOX_ID_DIGITS))
        return false;
    memcpy(ret, id, OUTBOX_ID_DIGITS + 1);
    return true;
}

/* Taken out of the outbox before anybody is told, so that what they publish meanwhile cannot meet it. */
bool bus_delivered(struct bus *bus, const char *tag, const char *id) {
    if (!outbox_echo(bus->outbox, tag, id, clock_now()))
        return false;
    bus_schedule(bus);
    if (bus->handler.on_delivered)
        bus->handler.on_delivered(bus->userdata, tag, id);
    return true;
}

static void check_echo(struct bus *bus, const struct bus_message *message) {
    char tag[PACK_TAG_MAX + 1], id[OUTBOX_ID_DIGITS + 1];

    if (!outbox_waits_for(bus->outbox, message->tag, message->tag_size) || !bus_event_id(message, id))
        return;
    memcpy(tag, message->tag, message->tag_size);
    tag[message->tag_size] = 0;
    bus_delivered(bus, tag, id);
}

void bus_heard(struct bus *bus, const struct bus_message *message) {
    bus->received++;
    if (bus->state == BUS_CONNECTED && !bus->listen_only)
        check_echo(bus, message);
    if (!bus->freed && bus->handler.on_message)
        bus->handler.on_message(bus->userdata, message);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct bus *bus = handle->data;

    bus->transport->ops->free(bus->transport);
    outbox_free(bus->outbox);
    free(bus);
}

int bus_new(struct bus **ret, uv_loop_t *loop, const struct bus_options *options, const struct bus_handler *handler,
            void *userdata) {
    CLEANUP(cleanup_free) struct bus *bus = calloc(1, sizeof(*bus));
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    int r;

    if (!bus)
        return -ENOMEM;
    r = outbox_new(&outbox);
    if (r == 0)
        r = options->minion ? minion_new(&bus->transport, options) : local_new(&bus->transport, options);
    if (r < 0)
        return r;
    signal(SIGPIPE, SIG_IGN); /* a master that stops must not end us; libuv leaves that to the program */
    bus->transport->bus = bus;
    bus->transport->loop = loop;
    bus->outbox = TAKE_PTR(outbox);
    bus->listen_only = options->listen_only;
    bus->handler = *handler;
    bus->userdata = userdata;
    uv_timer_init(loop, &bus->timer);
    bus->timer.data = bus;
    bus_schedule(bus);
    *ret = TAKE_PTR(bus);
    return 0;
}

struct bus *bus_free(struct bus *bus) {
    if (bus) {
        bus->freed = true;
        bus->transport->ops->stop(bus->transport);
        uv_close((uv_handle_t *)&bus->timer, on_timer_closed);
    }
    return NULL;
}

int bus_publish(struct bus *bus, enum outbox_kind kind, const char *key, const char *tag, struct json_object *data,
                char ret_id[OUTBOX_ID_DIGITS + 1], struct problem *problem) {
    char stamp[TIME_TEXT_MAX];
    int r;

    /* Salt's own senders add it, and so its readers look for it. */
    if (json_object_is_type(data, json_type_object) && !json_get(data, "_stamp")) {
        json_object *value = json_object_new_string(time_format_stamp(clock_wall(), stamp));

        if (!value || json_object_object_add(data, "_stamp", value) < 0) {
            json_object_put(value);
            return -ENOMEM;
        }
    }
    r = outbox_add(bus->outbox, kind, key, tag, data, clock_now(), ret_id, problem);
    if (r < 0)
        return r;
    bus_schedule(bus);
    return 0;
}

struct bus_stats bus_stats(const struct bus *bus) {
    struct bus_stats stats = {
        .state = bus->state,
        .one_way = bus->transport->ops->one_way,
        .reconnects = bus->reconnects,
        .received = bus->received,
        .outbox = outbox_stats(bus->outbox),
    };

    bus->transport->ops->stats(bus->transport, &stats);
    return stats;
}

const char *bus_detail(const struct bus *bus) {
    return bus->detail;
}
