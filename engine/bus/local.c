/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local - the master's own sockets: from "nobody answers" to "an event went there and back".
 *
 *              both connections open             the probe's echo
 *   WAITING ─────────────────────────▶ PROBING ───────────────────▶ CONNECTED ──▶ outbox
 *    ▲  │ ▲                              │  ▲                           │
 *    │  └─┘ backoff, at most 5 s         │  └─┘ no echo: other framing  │
 *    └───────────────────────────────────┴──────────────────────────────┘ a connection is lost, or the outbox stuck
 *
 * Keeps: nothing of the outbox is sent before an echo has proved the framing, for what goes out in the wrong one is
 * swallowed without a word.
 * Does not: log, judge events, or know what they are about. Owns: the two links of the moment.
 */
#include "link.h"
#include "probe.h"
#include "stream.h"
#include "transport.h"

#include <string.h>

#define DEFAULT_SOCK_DIR "/var/run/salt/master"
#define DEFAULT_PUB_PORT 4512
#define DEFAULT_PULL_PORT 4513

#define BACKOFF_FIRST 100
#define BACKOFF_MAX 5000
#define CONNECT_PATIENCE 5000       /* on one machine it takes no time, or, with a listener that hangs, for ever */
#define QUEUE_MAX (128 * 1024)      /* written and not taken by the kernel; the rest waits in the outbox */

struct local {
    struct transport base;
    struct bus_options options;
    char *sock_dir;
    struct link *listening, *pushing;
    struct stream stream;
    struct probe probe;
    enum bus_state state;
    enum bus_framing write;         /* as proved */
    unsigned failures;              /* since it was connected last */
    msec retry_at, connect_until;
    uint64_t malformed, oversized;
};

static const struct link_handler link_handler;

static struct local *local_of(const struct transport *transport) {
    return (struct local *)transport;
}

/* The last thing to do: the bus may be freed after it. */
static void enter(struct local *local, enum bus_state state, const char *detail) {
    local->state = state;
    bus_enter(local->base.bus, state, detail);
}

static msec due(const struct transport *transport) {
    const struct local *local = local_of(transport);

    if (!local->listening)
        return local->retry_at;
    if (!link_is_open(local->listening) || (!local->options.listen_only && !link_is_open(local->pushing)))
        return local->connect_until;
    return local->state == BUS_PROBING ? local->probe.due : MSEC_NEVER;
}

static void drop_links(struct local *local) {
    local->listening = link_free(local->listening);
    local->pushing = link_free(local->pushing);
    local->malformed += local->stream.malformed;
    local->oversized += local->stream.oversized;
    stream_done(&local->stream);
    local->stream = (struct stream){.framing = local->options.read};
    local->write = BUS_FRAMING_AUTO;
}

static void wait_and_retry(struct local *local, const char *detail) {
    drop_links(local);
    local->retry_at = clock_now() + MIN(BACKOFF_MAX, (msec)BACKOFF_FIRST << MIN(local->failures, 8));
    local->failures++;
    enter(local, BUS_WAITING, detail);
}

static void name_of_end(const struct local *local, bool pushing, char *ret, size_t size) {
    if (local->options.tcp)
        snprintf(ret, size, "%s port %u", local->options.ipv6 ? "::1" : "127.0.0.1",
                 pushing ? local->options.pull_port : local->options.pub_port);
    else
        snprintf(ret, size, "%s/master_event_%s.ipc", local->sock_dir, pushing ? "pull" : "pub");
}

static void lost(struct local *local, bool pushing, const char *why) {
    char name[192], detail[256];

    name_of_end(local, pushing, name, sizeof(name));
    snprintf(detail, sizeof(detail), "%s: %s", name, why);
    wait_and_retry(local, detail);
}

static int open_link(struct local *local, bool pushing, struct link **ret) {
    char path[4096];

    snprintf(path, sizeof(path), "%s/master_event_%s.ipc", local->sock_dir, pushing ? "pull" : "pub");
    local->connect_until = clock_now() + CONNECT_PATIENCE;
    return link_new(ret, local->base.loop, local->options.tcp ? NULL : path,
                    pushing ? local->options.pull_port : local->options.pub_port, local->options.ipv6, &link_handler,
                    local);
}

static void connect_links(struct local *local) {
    int r = open_link(local, false, &local->listening);

    if (r < 0) {
        lost(local, false, uv_strerror(r));
        return;
    }
    r = local->options.listen_only ? 0 : open_link(local, true, &local->pushing);
    if (r < 0) {
        lost(local, true, uv_strerror(r));
        return;
    }
    bus_schedule(local->base.bus);
}

/* A new connection for the next probe. */
static void reopen_pushing(struct local *local) {
    int r;

    local->pushing = link_free(local->pushing);
    r = open_link(local, true, &local->pushing);
    if (r < 0)
        lost(local, true, uv_strerror(r));
    else
        bus_schedule(local->base.bus);
}

static void become_connected(struct local *local) {
    local->write = local->options.listen_only ? BUS_FRAMING_AUTO : local->probe.framing;
    local->failures = 0;
    local->state = BUS_CONNECTED;
    bus_enter_connected(local->base.bus);
}

static void on_open(void *userdata, struct link *link) {
    struct local *local = userdata;

    if (!link_is_open(local->listening) || (!local->options.listen_only && !link_is_open(local->pushing)))
        return; /* the other one will say so, or the timer */
    if (local->options.listen_only) {
        become_connected(local);
        return;
    }
    if (local->state == BUS_PROBING) {
        probe_reopened(&local->probe, clock_now());
        bus_schedule(local->base.bus);
        return;
    }
    probe_begin(&local->probe, local->options.write, clock_now());
    enter(local, BUS_PROBING, "waiting for an event to come back");
}

static void on_lost(void *userdata, struct link *link, int error) {
    struct local *local = userdata;

    lost(local, link == local->pushing, error ? uv_strerror(error) : "closed by the master");
}

static void send_probe(struct local *local) {
    uint8_t *frame;
    size_t size;
    int r = probe_make(&local->probe, clock_now(), &frame, &size);

    if (r < 0) {
        lost(local, true, uv_strerror(r));
        return;
    }
    link_write(local->pushing, frame, size);
    bus_schedule(local->base.bus);
}

static void give_up_probe(struct local *local) {
    char detail[128];

    probe_failed(&local->probe);
    snprintf(detail, sizeof(detail), "nothing comes back of what is sent (tried %u times, framing %s)",
             local->probe.attempts, local->probe.fixed ? bus_framing_name(local->probe.framing) : "bare and len32");
    reopen_pushing(local);
    /* The first miss is what one of two framings always is. */
    if (local->state == BUS_PROBING && local->probe.attempts > 1)
        enter(local, BUS_PROBING, detail);
}

static bool takes(const struct transport *transport) {
    const struct local *local = local_of(transport);

    return link_is_open(local->pushing) && link_queued(local->pushing) < QUEUE_MAX;
}

static void send_entry(struct transport *transport, const struct outbox_entry *entry) {
    struct local *local = local_of(transport);
    uint8_t *frame;
    size_t size;

    if (frame_make(&frame, &size, local->write, entry->body, entry->size) == 0)
        link_write(local->pushing, frame, size); /* else no memory; the outbox has it due again soon */
}

static void stuck(struct transport *transport) {
    lost(local_of(transport), true, "what is sent does not come back any more");
}

static void turn(struct transport *transport, msec now) {
    struct local *local = local_of(transport);

    if (!local->listening)
        connect_links(local);
    else if (!link_is_open(local->listening))
        lost(local, false, "no connection within 5 s");
    else if (!local->options.listen_only && !link_is_open(local->pushing))
        lost(local, true, "no connection within 5 s");
    else if (local->state == BUS_PROBING)
        local->probe.sent ? give_up_probe(local) : send_probe(local);
}

static void on_written(void *userdata, struct link *link) {
    struct local *local = userdata;

    bus_schedule(local->base.bus);
}

static void check_probe(struct local *local, const struct bus_message *message) {
    char id[OUTBOX_ID_DIGITS + 1];
    enum bus_framing framing;

    /* Whoever sends lengths wants them, too; the reverse does not hold. */
    if (!local->probe.fixed && local->stream.framing == BUS_FRAMING_LEN32 && local->probe.framing == BUS_FRAMING_BARE) {
        probe_prefer(&local->probe, BUS_FRAMING_LEN32);
        reopen_pushing(local);
        return;
    }
    if (message->tag_size != strlen(PROBE_TAG) || memcmp(message->tag, PROBE_TAG, message->tag_size) ||
        !bus_event_id(message, id))
        return;
    framing = probe_echo(&local->probe, id);
    if (framing == BUS_FRAMING_AUTO)
        return;
    if (framing == local->probe.framing && local->probe.sent && link_is_open(local->pushing)) {
        become_connected(local);
    } else if (framing != local->probe.framing) {
        probe_prefer(&local->probe, framing);
        reopen_pushing(local);
    }
}

static void on_data(void *userdata, struct link *link, const uint8_t *data, size_t size) {
    struct local *local = userdata;
    struct bus_message message;
    int r = 0;

    if (link != local->listening)
        return; /* Salt says nothing on the other */
    stream_feed(&local->stream, data, size);
    /* What is called here may free the bus or, by a probe, lose the links; both end the reading. */
    while (!bus_is_freed(local->base.bus) && link == local->listening &&
           (r = stream_next(&local->stream, &message)) > 0) {
        if (local->state == BUS_PROBING)
            check_probe(local, &message);
        if (!bus_is_freed(local->base.bus) && link == local->listening)
            bus_heard(local->base.bus, &message);
    }
    if (r < 0 && !bus_is_freed(local->base.bus) && link == local->listening)
        lost(local, false, r == -EBADMSG ? "what comes is no event stream" : uv_strerror(r));
}

static const struct link_handler link_handler = {
    .on_open = on_open,
    .on_data = on_data,
    .on_written = on_written,
    .on_lost = on_lost,
};

static void stats(const struct transport *transport, struct bus_stats *ret) {
    const struct local *local = local_of(transport);

    ret->write = local->write;
    ret->read = local->stream.framing;
    ret->malformed = local->malformed + local->stream.malformed;
    ret->oversized = local->oversized + local->stream.oversized;
}

static void stop(struct transport *transport) {
    struct local *local = local_of(transport);

    local->listening = link_free(local->listening);
    local->pushing = link_free(local->pushing);
}

static void free_local(struct transport *transport) {
    struct local *local = local_of(transport);

    stream_done(&local->stream);
    free(local->sock_dir);
    free(local);
}

static const struct transport_ops ops = {
    .due = due,
    .turn = turn,
    .takes = takes,
    .send = send_entry,
    .stuck = stuck,
    .stats = stats,
    .stop = stop,
    .free = free_local,
};

int local_new(struct transport **ret, const struct bus_options *options) {
    CLEANUP(cleanup_free) struct local *local = calloc(1, sizeof(*local));

    if (!local)
        return -ENOMEM;
    local->sock_dir = strdup(options->sock_dir ? options->sock_dir : DEFAULT_SOCK_DIR);
    if (!local->sock_dir)
        return -ENOMEM;
    local->base.ops = &ops;
    local->options = *options;
    local->options.sock_dir = local->sock_dir;
    local->options.pub_port = options->pub_port ? options->pub_port : DEFAULT_PUB_PORT;
    local->options.pull_port = options->pull_port ? options->pull_port : DEFAULT_PULL_PORT;
    local->stream.framing = options->read;
    local->retry_at = clock_now();
    *ret = &TAKE_PTR(local)->base;
    return 0;
}
