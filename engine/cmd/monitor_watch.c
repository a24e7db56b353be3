/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor watch - the loop between the bus and the reader of stdout, and what is said when either is not there.
 *
 * Reads always: what the reader cannot take waits in a queue and, when that is full, is dropped and counted.
 * Owns: the handles, from monitor_watch to its end.
 */
#include "cmd/monitor.h"

#include <signal.h>
#include <string.h>

#define QUEUE_LIMIT (16 * 1024 * 1024)
#define NOTICES_LIMIT (64 * 1024)
#define TELL_EVERY 5000
#define FLUSH_EVERY 2
#define VIEW_EVERY 200
#define LAST_WORDS 500              /* for what is unwritten when a signal ends it */

void monitor_finish(struct monitor *monitor, enum monitor_end end) {
    if (monitor->end == RUNNING)
        monitor->end = end;
    uv_stop(&monitor->loop);
}

void monitor_notice(struct monitor *monitor, const char *format, ...) {
    CLEANUP(line_done) struct line line = {0};
    char text[600];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (line_add(&line, "nodewall monitor: ", 18) < 0 || render_tag(&line, text, strlen(text)) < 0 ||
        line_add(&line, "\n", 1) < 0)
        return;
    output_push(monitor->notices, &line, 0);
    output_flush(monitor->notices);
}

static void on_closed(void *userdata, int error) {
    struct monitor *monitor = userdata;

    monitor_finish(monitor, READER_GONE);
    if (error) { /* also of the last lines, when there was enough already */
        monitor->error = error;
        monitor->end = CANNOT_WRITE;
    }
}

static void on_gap(void *userdata, struct line *line, uint64_t lost) {
    struct monitor *monitor = userdata;

    (void)format_gap(line, monitor->format, clock_wall(), lost, "the reader is slower than the bus");
}

/* On stderr at once: the place in stdout may be reached late or never. */
static void tell_drops(struct monitor *monitor, bool last) {
    uint64_t dropped = output_dropped(monitor->out);
    msec now;

    if (dropped == monitor->told_drops)
        return;
    now = clock_now();
    if (!last && now < monitor->tell_drops_at)
        return;
    monitor->told_drops = dropped;
    monitor->tell_drops_at = now + TELL_EVERY;
    monitor_notice(monitor, "%llu events dropped so far: the reader of standard output is slower than the bus",
           (unsigned long long)dropped);
}

static void on_message(void *userdata, const struct bus_message *message) {
    const struct recorded event = {clock_wall(), message->tag, message->tag_size, message->data, message->data_size};

    monitor_event(userdata, &event);
}

static void on_state(void *userdata, enum bus_state state, const char *detail) {
    struct monitor *monitor = userdata;
    enum bus_state before = monitor->state;

    monitor->state = state;
    snprintf(monitor->detail, sizeof(monitor->detail), "%s", detail);
    if (state == BUS_WAITING && before == BUS_CONNECTED) {
        monitor_notice(monitor, "the bus is away, trying again: %s", detail);
    } else if (state == BUS_WAITING && before == BUS_PROBING) {
        monitor_notice(monitor, "waiting for the bus: %s", detail);
    } else if (state == BUS_CONNECTED && monitor->was_connected) {
        monitor_notice(monitor, "the bus is back; events in between are missing");
        monitor_gap(monitor, clock_wall(), "the bus was away");
    } else if (state == BUS_CONNECTED && (before == BUS_WAITING || monitor->options->verbose)) {
        monitor_notice(monitor, "listening");
    }
    monitor->was_connected = monitor->was_connected || state == BUS_CONNECTED;
}

static void tell_malformed(struct monitor *monitor) {
    struct bus_stats stats;
    uint64_t passed;

    if (!monitor->bus)
        return;
    stats = bus_stats(monitor->bus);
    passed = stats.malformed + stats.oversized;
    if (passed == monitor->told_malformed || clock_now() < monitor->tell_malformed_at)
        return;
    monitor->told_malformed = passed;
    monitor->tell_malformed_at = clock_now() + TELL_EVERY;
    monitor_notice(monitor, "%llu frames so far were no events or above 16 MiB, and were passed over", (unsigned long long)passed);
}

static void on_flush(uv_timer_t *timer) {
    struct monitor *monitor = timer->data;

    output_flush(monitor->out);
}

/* What the turns of the loop bring goes out at once, in a flood every other millisecond: a write for each event would
 * be half of what an event costs. */
static void on_turn(uv_check_t *check) {
    struct monitor *monitor = check->data;
    msec now = (msec)uv_now(&monitor->loop);

    if (now - monitor->flushed_at >= FLUSH_EVERY) {
        monitor->flushed_at = now;
        output_flush(monitor->out);
    } else if (!uv_is_active((uv_handle_t *)&monitor->flush)) {
        uv_timer_start(&monitor->flush, on_flush, FLUSH_EVERY, 0);
    }
    tell_drops(monitor, false);
    tell_malformed(monitor);
    if (monitor->record && fflush(monitor->record) == EOF) {
        monitor->error = errno;
        monitor_finish(monitor, CANNOT_RECORD);
    }
}

static void on_timeout(uv_timer_t *timer) {
    monitor_finish(timer->data, TIME_OVER);
}

static void on_signal(uv_signal_t *signal, int number) {
    monitor_finish(signal->data, SIGNALLED);
}

static void on_view(uv_timer_t *timer) {
    monitor_tell(timer->data, clock_wall(), false);
}

static int open_handles(struct monitor *monitor) {
    const struct output_handler out = {on_closed, on_gap}, notices = {NULL, NULL};
    const int numbers[] = {SIGINT, SIGTERM};
    int r;

    uv_check_init(&monitor->loop, &monitor->turn);
    uv_timer_init(&monitor->loop, &monitor->timeout);
    uv_timer_init(&monitor->loop, &monitor->view);
    uv_timer_init(&monitor->loop, &monitor->flush);
    monitor->turn.data = monitor->timeout.data = monitor->view.data = monitor->flush.data = monitor;
    uv_check_start(&monitor->turn, on_turn);
    if (monitor->jobs || monitor->rates)
        uv_timer_start(&monitor->view, on_view, VIEW_EVERY, VIEW_EVERY);
    if (monitor->options->timeout != MSEC_NEVER)
        uv_timer_start(&monitor->timeout, on_timeout, (uint64_t)monitor->options->timeout, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers) && !monitor->replay_path; i++) {
        uv_signal_init(&monitor->loop, &monitor->signals[i]);
        monitor->signals[i].data = monitor;
        uv_signal_start(&monitor->signals[i], on_signal, numbers[i]);
    }
    r = output_new(&monitor->out, &monitor->loop, STDOUT_FILENO, QUEUE_LIMIT, &out, monitor);
    return r < 0 ? r : output_new(&monitor->notices, &monitor->loop, STDERR_FILENO, NOTICES_LIMIT, &notices, monitor);
}

static void close_handles(struct monitor *monitor) {
    monitor->bus = bus_free(monitor->bus);
    if (monitor->out && (monitor->end == TIME_OVER || monitor->end == SIGNALLED || monitor->end == RUNNING))
        monitor_tell(monitor, monitor->replay_path ? monitor->wall : clock_wall(), true);
    /* From here on nothing is read any more, so a slow reader may have its time, and Ctrl-C ends it at once. */
    for (size_t i = 0; i < ARRAY_LENGTH(monitor->signals) && !monitor->replay_path; i++)
        uv_close((uv_handle_t *)&monitor->signals[i], NULL);
    uv_run(&monitor->loop, UV_RUN_NOWAIT);
    if (monitor->out && monitor->end != READER_GONE && monitor->end != CANNOT_WRITE)
        if (!output_drain(monitor->out, monitor->end == SIGNALLED ? LAST_WORDS : MSEC_NEVER))
            monitor_notice(monitor, "the reader of standard output did not take the last %zu KiB", output_waiting(monitor->out) / 1024);
    if (monitor->out && monitor->notices)
        tell_drops(monitor, true);
    if (monitor->notices)
        (void)output_drain(monitor->notices, LAST_WORDS);
    monitor->out = output_free(monitor->out);
    monitor->notices = output_free(monitor->notices);
    uv_close((uv_handle_t *)&monitor->turn, NULL);
    uv_close((uv_handle_t *)&monitor->timeout, NULL);
    uv_close((uv_handle_t *)&monitor->view, NULL);
    uv_close((uv_handle_t *)&monitor->flush, NULL);
    while (uv_run(&monitor->loop, UV_RUN_DEFAULT)) /* the last write may have stopped it once more */
        ;
}

int monitor_watch(struct monitor *monitor, const struct bus_options *bus, struct problem *problem) {
    const struct bus_handler handler = {.on_message = on_message, .on_state = on_state};
    int r;

    uv_loop_init(&monitor->loop);
    monitor->state = BUS_PROBING; /* neither waiting nor connected yet */
    r = open_handles(monitor);
    if (r == 0 && monitor->replay_path) {
        r = monitor_replay(monitor, problem);
    } else if (r == 0) {
        r = bus_new(&monitor->bus, &monitor->loop, bus, &handler, monitor);
        if (r == 0)
            uv_run(&monitor->loop, UV_RUN_DEFAULT);
    }
    close_handles(monitor);
    uv_loop_close(&monitor->loop);
    return r;
}
