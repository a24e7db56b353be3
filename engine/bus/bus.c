/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus - the states between "nobody answers" and "an event went there and back".
 *
 *              both connections open             the probe's echo
 *   WAITING ─────────────────────────▶ PROBING ───────────────────▶ CONNECTED ──▶ outbox
 *    ▲  │ ▲                              │  ▲                           │
 *    │  └─┘ backoff, at most 5 s         │  └─┘ no echo: other framing  │
 *    └───────────────────────────────────┴──────────────────────────────┘ a connection is lost, or the outbox stuck
 *
 * Keeps: nothing of the outbox is sent before an echo has proved the framing, for what goes out in the wrong one is
 * swallowed without a word. One timer wakes for whatever is next. No callback runs inside bus_publish or bus_new.
 * Does not: log, judge events, or know what they are about.
 * Owns: the outbox, the two links of the moment, the timer, whose closing frees all of it.
 */
#include "link.h"
#include "probe.h"
#include "stream.h"

#include "nodewall/json.h"

#include <signal.h>
#include <string.h>

#define DEFAULT_SOCK_DIR "/var/run/salt/master"
#define DEFAULT_PUB_PORT 4512
#define DEFAULT_PULL_PORT 4513

#define BACKOFF_FIRST 100
#define BACKOFF_MAX 5000
#define CONNECT_PATIENCE 5000       /* on one machine it takes no time, or, with a listener that hangs, for ever */
#define QUEUE_MAX (128 * 1024)      /* written and not taken by the kernel; the rest waits in the outbox */

struct bus {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct bus_options options;
    char *sock_dir;
    struct bus_handler handler;
    void *userdata;
    struct link *listening, *pushing;
    struct stream stream;
    struct probe probe;
    struct outbox *outbox;
    enum bus_state state;
    enum bus_framing write;         /* as proved */
    char detail[320];
    unsigned failures;              /* since it was connected last */
    msec retry_at, connect_until;
    bool was_connected, freed;
    uint64_t reconnects, received, malformed, oversized;
};

static void on_timer(uv_timer_t *timer);
static const struct link_handler link_handler;

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

/* When on_timer may have something to do. */
static msec next_due(const struct bus *bus) {
    if (!bus->listening)
        return bus->retry_at;
    if (!link_is_open(bus->listening) || (!bus->options.listen_only && !link_is_open(bus->pushing)))
        return bus->connect_until;
    if (bus->state == BUS_PROBING)
        return bus->probe.due;
    if (bus->options.listen_only || link_queued(bus->pushing) >= QUEUE_MAX)
        return MSEC_NEVER;
    return outbox_due(bus->outbox);
}

static void schedule(struct bus *bus) {
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

/* Arms the timer for the new state and tells of a change. The last thing to do: the bus may be freed after it. */
static void set_state(struct bus *bus, enum bus_state state, const char *detail) {
    bool changed = state != bus->state || strcmp(detail, bus->detail);

    if (bus->freed)
        return;
    bus->state = state;
    schedule(bus);
    if (!changed)
        return;
    snprintf(bus->detail, sizeof(bus->detail), "%s", detail);
    if (bus->handler.on_state)
        bus->handler.on_state(bus->userdata, state, bus->detail);
}

static void drop_links(struct bus *bus) {
    bus->listening = link_free(bus->listening);
    bus->pushing = link_free(bus->pushing);
    bus->malformed += bus->stream.malformed;
    bus->oversized += bus->stream.oversized;
    stream_done(&bus->stream);
    bus->stream = (struct stream){.framing = bus->options.read};
    bus->write = BUS_FRAMING_AUTO;
}

static void wait_and_retry(struct bus *bus, const char *detail) {
    drop_links(bus);
    bus->retry_at = clock_now() + MIN(BACKOFF_MAX, (msec)BACKOFF_FIRST << MIN(bus->failures, 8));
    bus->failures++;
    set_state(bus, BUS_WAITING, detail);
}

static void name_of_end(const struct bus *bus, bool pushing, char *ret, size_t size) {
    if (bus->options.tcp)
        snprintf(ret, size, "%s port %u", bus->options.ipv6 ? "::1" : "127.0.0.1",
                 pushing ? bus->options.pull_port : bus->options.pub_port);
    else
        snprintf(ret, size, "%s/master_event_%s.ipc", bus->sock_dir, pushing ? "pull" : "pub");
}

static void lost(struct bus *bus, bool pushing, const char *why) {
    char name[192], detail[256];

    name_of_end(bus, pushing, name, sizeof(name));
    snprintf(detail, sizeof(detail), "%s: %s", name, why);
    wait_and_retry(bus, detail);
}

static int open_link(struct bus *bus, bool pushing, struct link **ret) {
    char path[4096];

    snprintf(path, sizeof(path), "%s/master_event_%s.ipc", bus->sock_dir, pushing ? "pull" : "pub");
    bus->connect_until = clock_now() + CONNECT_PATIENCE;
    return link_new(ret, bus->loop, bus->options.tcp ? NULL : path,
                    pushing ? bus->options.pull_port : bus->options.pub_port, bus->options.ipv6, &link_handler, bus);
}

static void connect_links(struct bus *bus) {
    int r = open_link(bus, false, &bus->listening);

    if (r < 0) {
        lost(bus, false, uv_strerror(r));
        return;
    }
    r = bus->options.listen_only ? 0 : open_link(bus, true, &bus->pushing);
    if (r < 0) {
        lost(bus, true, uv_strerror(r));
        return;
    }
    schedule(bus);
}

/* A new connection for the next probe. */
static void reopen_pushing(struct bus *bus) {
    int r;

    bus->pushing = link_free(bus->pushing);
    r = open_link(bus, true, &bus->pushing);
    if (r < 0)
        lost(bus, true, uv_strerror(r));
    else
        schedule(bus);
}

static void become_connected(struct bus *bus) {
    bus->write = bus->options.listen_only ? BUS_FRAMING_AUTO : bus->probe.framing;
    bus->failures = 0;
    bus->reconnects += bus->was_connected;
    bus->was_connected = true;
    outbox_reconnected(bus->outbox, clock_now());
    set_state(bus, BUS_CONNECTED, "");
}

static void on_open(void *userdata, struct link *link) {
    struct bus *bus = userdata;

    if (!link_is_open(bus->listening) || (!bus->options.listen_only && !link_is_open(bus->pushing)))
        return; /* the other one will say so, or the timer */
    if (bus->options.listen_only) {
        become_connected(bus);
        return;
    }
    if (bus->state == BUS_PROBING) {
        probe_reopened(&bus->probe, clock_now());
        schedule(bus);
        return;
    }
    probe_begin(&bus->probe, bus->options.write, clock_now());
    set_state(bus, BUS_PROBING, "waiting for an event to come back");
}

static void on_lost(void *userdata, struct link *link, int error) {
    struct bus *bus = userdata;

    lost(bus, link == bus->pushing, error ? uv_strerror(error) : "closed by the master");
}

static void send_probe(struct bus *bus) {
    uint8_t *frame;
    size_t size;
    int r = probe_make(&bus->probe, clock_now(), &frame, &size);

    if (r < 0) {
        lost(bus, true, uv_strerror(r));
        return;
    }
    link_write(bus->pushing, frame, size);
    schedule(bus);
}

static void give_up_probe(struct bus *bus) {
    char detail[128];

    probe_failed(&bus->probe);
    snprintf(detail, sizeof(detail), "nothing comes back of what is sent (tried %u times, framing %s)",
             bus->probe.attempts, bus->probe.fixed ? bus_framing_name(bus->probe.framing) : "bare and len32");
    reopen_pushing(bus);
    /* The first miss is what one of two framings always is. */
    if (bus->state == BUS_PROBING && bus->probe.attempts > 1)
        set_state(bus, BUS_PROBING, detail);
}

/* As much as the kernel takes. */
static void pump(struct bus *bus) {
    struct outbox_entry entry;

    while (link_is_open(bus->pushing) && link_queued(bus->pushing) < QUEUE_MAX &&
           outbox_next(bus->outbox, clock_now(), &entry)) {
        uint8_t *frame;
        size_t size;

        if (frame_make(&frame, &size, bus->write, entry.body, entry.size) < 0)
            break; /* no memory; the outbox has it due again soon */
        link_write(bus->pushing, frame, size);
    }
    if (outbox_is_stuck(bus->outbox)) {
        lost(bus, true, "what is sent does not come back any more");
        return;
    }
    schedule(bus);
}

static void on_timer(uv_timer_t *timer) {
    struct bus *bus = timer->data;

    if (clock_now() < next_due(bus)) /* libuv rounds, and knows another clock */
        schedule(bus);
    else if (!bus->listening)
        connect_links(bus);
    else if (!link_is_open(bus->listening))
        lost(bus, false, "no connection within 5 s");
    else if (!bus->options.listen_only && !link_is_open(bus->pushing))
        lost(bus, true, "no connection within 5 s");
    else if (bus->state == BUS_PROBING)
        bus->probe.sent ? give_up_probe(bus) : send_probe(bus);
    else if (bus->state == BUS_CONNECTED && !bus->options.listen_only)
        pump(bus);
}

static void on_written(void *userdata, struct link *link) {
    schedule(userdata);
}

/* The event_id of an event that may be one of ours; false when it has none. */
static bool event_id(const struct bus_message *message, char ret[OUTBOX_ID_DIGITS + 1]) {
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

static void check_probe(struct bus *bus, const struct bus_message *message) {
    char id[OUTBOX_ID_DIGITS + 1];
    enum bus_framing framing;

    /* Whoever sends lengths wants them, too; the reverse does not hold. */
    if (!bus->probe.fixed && bus->stream.framing == BUS_FRAMING_LEN32 && bus->probe.framing == BUS_FRAMING_BARE) {
        probe_prefer(&bus->probe, BUS_FRAMING_LEN32);
        reopen_pushing(bus);
        return;
    }
    if (message->tag_size != strlen(PROBE_TAG) || memcmp(message->tag, PROBE_TAG, message->tag_size) ||
        !event_id(message, id))
        return;
    framing = probe_echo(&bus->probe, id);
    if (framing == BUS_FRAMING_AUTO)
        return;
    if (framing == bus->probe.framing && bus->probe.sent && link_is_open(bus->pushing)) {
        become_connected(bus);
    } else if (framing != bus->probe.framing) {
        probe_prefer(&bus->probe, framing);
        reopen_pushing(bus);
    }
}

/* An echo takes the entry out before anybody is told, so that what they publish meanwhile cannot meet it. */
static void check_echo(struct bus *bus, const struct bus_message *message) {
    char tag[PACK_TAG_MAX + 1], id[OUTBOX_ID_DIGITS + 1];

    if (!outbox_waits_for(bus->outbox, message->tag, message->tag_size) || !event_id(message, id))
        return;
    memcpy(tag, message->tag, message->tag_size);
    tag[message->tag_size] = 0;
    if (!outbox_echo(bus->outbox, tag, id, clock_now()))
        return;
    schedule(bus);
    if (bus->handler.on_delivered)
        bus->handler.on_delivered(bus->userdata, tag, id);
}

static void on_data(void *userdata, struct link *link, const uint8_t *data, size_t size) {
    struct bus *bus = userdata;
    struct bus_message message;
    int r = 0;

    if (link != bus->listening)
        return; /* Salt says nothing on the other */
    stream_feed(&bus->stream, data, size);
    /* What is called here may free the bus or, by a probe, lose the links; both end the reading. */
    while (!bus->freed && link == bus->listening && (r = stream_next(&bus->stream, &message)) > 0) {
        bus->received++;
        if (bus->state == BUS_PROBING)
            check_probe(bus, &message);
        else if (!bus->options.listen_only)
            check_echo(bus, &message);
        if (!bus->freed && link == bus->listening && bus->handler.on_message)
            bus->handler.on_message(bus->userdata, &message);
    }
    if (r < 0 && !bus->freed && link == bus->listening)
        lost(bus, false, r == -EBADMSG ? "what comes is no event stream" : uv_strerror(r));
}

static const struct link_handler link_handler = {
    .on_open = on_open,
    .on_data = on_data,
    .on_written = on_written,
    .on_lost = on_lost,
};

static void on_timer_closed(uv_handle_t *handle) {
    struct bus *bus = handle->data;

    stream_done(&bus->stream);
    outbox_free(bus->outbox);
    free(bus->sock_dir);
    free(bus);
}

int bus_new(struct bus **ret, uv_loop_t *loop, const struct bus_options *options, const struct bus_handler *handler,
            void *userdata) {
    struct bus *bus = calloc(1, sizeof(*bus));
    int r;

    if (!bus)
        return -ENOMEM;
    bus->sock_dir = strdup(options->sock_dir ? options->sock_dir : DEFAULT_SOCK_DIR);
    r = bus->sock_dir ? outbox_new(&bus->outbox) : -ENOMEM;
    if (r < 0) {
        free(bus->sock_dir);
        free(bus);
        return r;
    }
    signal(SIGPIPE, SIG_IGN); /* a master that stops must not end us; libuv leaves that to the program */
    bus->loop = loop;
    bus->options = *options;
    bus->options.sock_dir = bus->sock_dir;
    bus->options.pub_port = options->pub_port ? options->pub_port : DEFAULT_PUB_PORT;
    bus->options.pull_port = options->pull_port ? options->pull_port : DEFAULT_PULL_PORT;
    bus->handler = *handler;
    bus->userdata = userdata;
    bus->stream.framing = options->read;
    bus->retry_at = clock_now();
    uv_timer_init(loop, &bus->timer);
    bus->timer.data = bus;
    schedule(bus);
    *ret = bus;
    return 0;
}

struct bus *bus_free(struct bus *bus) {
    if (bus) {
        bus->freed = true;
        bus->listening = link_free(bus->listening);
        bus->pushing = link_free(bus->pushing);
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
    schedule(bus);
    return 0;
}

struct bus_stats bus_stats(const struct bus *bus) {
    return (struct bus_stats){
        .state = bus->state,
        .write = bus->write,
        .read = bus->stream.framing,
        .reconnects = bus->reconnects,
        .received = bus->received,
        .malformed = bus->malformed + bus->stream.malformed,
        .oversized = bus->oversized + bus->stream.oversized,
        .outbox = outbox_stats(bus->outbox),
    };
}

const char *bus_detail(const struct bus *bus) {
    return bus->detail;
}
