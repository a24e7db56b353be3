/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall monitor [TAG...] - the events on Salt's bus, as they come.
 *
 * Only listens, so whoever may open the publishing socket can run it. Events on stdout, everything about them (the bus
 * is away, events are missing) on stderr. Reads always: what the reader of stdout cannot take waits in a queue and, when
 * that is full, is dropped and counted.
 * Keeps: the exit code is 0 when what was asked for came, also when the reader of stdout went away; 1 when it did not.
 */
#include "cmd/cmd.h"
#include "cmd/monitor_format.h"
#include "cmd/monitor_output.h"

#include "bus_setup.h"
#include "nodewall/bus.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#define QUEUE_LIMIT (16 * 1024 * 1024)
#define NOTICES_LIMIT (64 * 1024)
#define LINE_KEPT (1024 * 1024)     /* what a huge event has made larger is given back */
#define TELL_DROPS_EVERY 5000
#define LAST_WORDS 500              /* for what is unwritten when a signal ends it */

struct monitor {
    const struct options *options;
    uv_loop_t loop;
    uv_check_t turn;
    uv_timer_t timeout;
    uv_signal_t signals[2];
    struct bus *bus;
    enum bus_state state;
    bool was_connected;
    char detail[320];
    struct filter *filter, *until;
    struct output *out, *notices;
    struct line line, safe;
    enum format format;
    bool colour, quiet, secrets, ends_by_tag;
    uint64_t shown, told_drops;
    msec tell_drops_at;
    enum { RUNNING, ENOUGH, TIME_OVER, SIGNALLED, READER_GONE, FAILED } end;
    int error;
};

static void finish(struct monitor *monitor, int end) {
    if (monitor->end == RUNNING)
        monitor->end = end;
    uv_stop(&monitor->loop);
}

/* A sentence about the events, on stderr; it may be as stuck as stdout. */
static void notice(struct monitor *monitor, const char *format, ...) PRINTF(2, 3);
static void notice(struct monitor *monitor, const char *format, ...) {
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

    monitor->error = error;
    finish(monitor, error ? FAILED : READER_GONE);
}

static void on_gap(void *userdata, struct line *line, uint64_t lost) {
    struct monitor *monitor = userdata;

    (void)format_gap(line, monitor->format, monitor->colour, clock_wall(), lost, "the reader is slower than the bus");
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
    monitor->tell_drops_at = now + TELL_DROPS_EVERY;
    notice(monitor, "%llu events dropped so far: the reader of standard output is slower than the bus",
           (unsigned long long)dropped);
}

static void show(struct monitor *monitor, const struct bus_message *message) {
    struct format_event event = {clock_wall(), message->tag, message->tag_size, message->data, message->data_size};

    if (monitor->quiet)
        return;
    if (!monitor->secrets) {
        int r = redact(&monitor->safe, message->data, message->data_size);

        if (r == 1) {
            event.data = (const uint8_t *)monitor->safe.data;
            event.data_size = monitor->safe.size;
        } else if (r < 0) {
            event.data_size = 0; /* not to be read, and so not to be trusted to hold no secret */
        }
    }
    monitor->line.size = 0;
    if (format_event(&monitor->line, monitor->format, monitor->colour, &event) < 0)
        monitor->line.size = 0; /* no memory: counted as dropped */
    output_push(monitor->out, &monitor->line, 1);
    if (monitor->line.capacity > LINE_KEPT)
        line_done(&monitor->line);
    if (monitor->safe.capacity > LINE_KEPT)
        line_done(&monitor->safe);
}

static void on_message(void *userdata, const struct bus_message *message) {
    struct monitor *monitor = userdata;
    bool last = monitor->ends_by_tag && filter_tag(monitor->until, message->tag, message->tag_size);

    if (monitor->end != RUNNING || (!last && !filter_tag(monitor->filter, message->tag, message->tag_size)) ||
        !filter_fields(monitor->filter, message->tag, message->tag_size, message->data, message->data_size))
        return;
    show(monitor, message);
    monitor->shown++;
    if (last || monitor->shown == monitor->options->count)
        finish(monitor, ENOUGH);
}

static void on_state(void *userdata, enum bus_state state, const char *detail) {
    struct monitor *monitor = userdata;
    enum bus_state before = monitor->state;

    monitor->state = state;
    snprintf(monitor->detail, sizeof(monitor->detail), "%s", detail);
    if (state == BUS_WAITING && before == BUS_CONNECTED) {
        notice(monitor, "the bus is away, trying again: %s", detail);
    } else if (state == BUS_WAITING && before == BUS_PROBING) {
        notice(monitor, "waiting for the bus: %s", detail);
    } else if (state == BUS_CONNECTED && monitor->was_connected) {
        CLEANUP(line_done) struct line line = {0};

        notice(monitor, "the bus is back; events in between are missing");
        if (!monitor->quiet &&
            format_gap(&line, monitor->format, monitor->colour, clock_wall(), 0, "the bus was away") == 0)
            output_push(monitor->out, &line, 0);
    } else if (state == BUS_CONNECTED && (before == BUS_WAITING || monitor->options->verbose)) {
        notice(monitor, "listening");
    }
    monitor->was_connected = monitor->was_connected || state == BUS_CONNECTED;
}

/* All that one turn of the loop brought goes out at once. */
static void on_turn(uv_check_t *check) {
    struct monitor *monitor = check->data;

    output_flush(monitor->out);
    tell_drops(monitor, false);
}

static void on_timeout(uv_timer_t *timer) {
    finish(timer->data, TIME_OVER);
}

static void on_signal(uv_signal_t *signal, int number) {
    finish(signal->data, SIGNALLED);
}

static bool wants_colour(void) {
    const char *term = getenv("TERM"), *none = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb");
}

static int read_options(struct monitor *monitor, struct bus_options *bus, struct problem *problem) {
    const struct options *options = monitor->options;
    int r = 0;

    for (int i = 0; r == 0 && i < options->n_arguments; i++)
        r = filter_add_tag(monitor->filter, options->arguments[i]);
    for (size_t i = 0; r == 0 && i < options->n_given; i++) {
        const char *text = options->given[i].text;
        char *end;

        switch (options->given[i].letter) {
        case 'i':
        case 'x': r = filter_add_field(monitor->filter, options->given[i].letter == 'i', text, problem); break;
        case 'u':
            r = filter_add_tag(monitor->until, text);
            monitor->ends_by_tag = true;
            break;
        case 'q': monitor->quiet = true; break;
        case 'p': monitor->secrets = true; break;
        default: /* s */
            bus->sock_dir = text;
            bus->pub_port = (unsigned)strtoul(text, &end, 10);
            bus->tcp = *text >= '0' && *text <= '9' && !*end;
            if (bus->tcp && (bus->pub_port == 0 || bus->pub_port > UINT16_MAX))
                return problem_set(problem, "-s", "a directory, or a port such as 4512", "'%s' is no port", text);
        }
    }
    monitor->format = options->json                         ? FORMAT_JSON
                      : options->format ? strcmp(options->format, "text") ? FORMAT_PRETTY : FORMAT_TEXT
                      : isatty(STDOUT_FILENO)               ? FORMAT_PRETTY
                                                            : FORMAT_TEXT;
    monitor->colour = monitor->format == FORMAT_PRETTY && wants_colour();
    return r;
}

/* A socket that is there and may not be opened stays so; one that is not there yet is waited for. */
static int check_access(const struct bus_options *bus, struct problem *problem) {
    char path[4096];

    snprintf(path, sizeof(path), "%s/master_event_pub.ipc", bus->sock_dir);
    if (bus->tcp || faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0 || errno != EACCES)
        return 0;
    return problem_set(problem, path, "run it as root or as the master's user; with Salt 3007 and 3008 the socket's group will do",
                       "this user may not open it");
}

static int open_handles(struct monitor *monitor) {
    const struct output_handler out = {on_closed, on_gap}, notices = {NULL, NULL};
    const int numbers[] = {SIGINT, SIGTERM};
    int r;

    uv_check_init(&monitor->loop, &monitor->turn);
    uv_timer_init(&monitor->loop, &monitor->timeout);
    monitor->turn.data = monitor->timeout.data = monitor;
    uv_check_start(&monitor->turn, on_turn);
    if (monitor->options->timeout != MSEC_NEVER)
        uv_timer_start(&monitor->timeout, on_timeout, (uint64_t)monitor->options->timeout, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        uv_signal_init(&monitor->loop, &monitor->signals[i]);
        monitor->signals[i].data = monitor;
        uv_signal_start(&monitor->signals[i], on_signal, numbers[i]);
    }
    r = output_new(&monitor->out, &monitor->loop, STDOUT_FILENO, QUEUE_LIMIT, &out, monitor);
    return r < 0 ? r : output_new(&monitor->notices, &monitor->loop, STDERR_FILENO, NOTICES_LIMIT, &notices, monitor);
}

static void close_handles(struct monitor *monitor) {
    monitor->bus = bus_free(monitor->bus);
    /* From here on nothing is read any more, so a slow reader may have its time, and Ctrl-C ends it at once. */
    for (size_t i = 0; i < ARRAY_LENGTH(monitor->signals); i++)
        uv_close((uv_handle_t *)&monitor->signals[i], NULL);
    uv_run(&monitor->loop, UV_RUN_NOWAIT);
    if (monitor->out && monitor->end != READER_GONE && monitor->end != FAILED)
        (void)output_drain(monitor->out, monitor->end == SIGNALLED ? LAST_WORDS : MSEC_NEVER);
    if (monitor->out && monitor->notices)
        tell_drops(monitor, true);
    if (monitor->notices)
        (void)output_drain(monitor->notices, LAST_WORDS);
    monitor->out = output_free(monitor->out);
    monitor->notices = output_free(monitor->notices);
    uv_close((uv_handle_t *)&monitor->turn, NULL);
    uv_close((uv_handle_t *)&monitor->timeout, NULL);
    uv_run(&monitor->loop, UV_RUN_DEFAULT);
}

static int exit_code(struct monitor *monitor, const struct bus_options *bus) {
    const struct options *options = monitor->options;
    const char *unit = monitor->end == TIME_OVER ? "in time" : "before it was ended";
    struct problem problem;

    if (monitor->end == FAILED)
        return fail_errno(monitor->error, "cannot write the events");
    if (monitor->end == ENOUGH || monitor->end == READER_GONE)
        return 0;
    if (!monitor->was_connected) {
        problem_set(&problem, bus->tcp ? "Salt's bus (tcp)" : bus->sock_dir, "is salt-master running, and is its sock_dir there?",
                    "no bus %s%s%s", unit, monitor->detail[0] ? ": " : "", monitor->detail);
        return fail(&problem);
    }
    if (!options->count && !monitor->ends_by_tag)
        return 0;
    if (options->count)
        problem_set(&problem, NULL, NULL, "%llu of %lu events came %s", (unsigned long long)monitor->shown, options->count, unit);
    else
        problem_set(&problem, NULL, NULL, "the event that it waited for did not come %s", unit);
    return fail(&problem);
}

static int watch_bus(struct monitor *monitor, const struct bus_options *bus_options) {
    const struct bus_handler handler = {.on_message = on_message, .on_state = on_state};
    int r, code;

    uv_loop_init(&monitor->loop);
    monitor->state = BUS_PROBING; /* neither waiting nor connected yet */
    r = open_handles(monitor);
    if (r == 0)
        r = bus_new(&monitor->bus, &monitor->loop, bus_options, &handler, monitor);
    if (r == 0)
        uv_run(&monitor->loop, UV_RUN_DEFAULT);
    close_handles(monitor);
    code = r < 0 ? fail_errno(r, "cannot watch the bus") : exit_code(monitor, bus_options);
    uv_loop_close(&monitor->loop);
    return code;
}

static int load_bus(struct bus_options *ret, struct config **ret_config, const struct options *options, struct problem *problem) {
    struct bus_setup setup;
    bool has_socket = false;
    int r = 0;

    for (size_t i = 0; i < options->n_given; i++)
        has_socket = has_socket || options->given[i].letter == 's';
    if (!has_socket && (options->config_given || access(options->config, F_OK) == 0))
        r = config_load(ret_config, options->config, problem);
    if (r < 0)
        return r;
    if (*ret_config && (*ret_config)->bus.transport == BUS_TRANSPORT_MINION)
        return problem_set(problem, options->config, "run this on the master, or name its socket with -s",
                           "with transport minion nothing is heard of the bus");
    bus_setup(&setup, *ret_config, NULL);
    *ret = setup.options; /* with the local transport it borrows from the configuration alone */
    ret->listen_only = true;
    return 0;
}

static int monitor_main(const struct options *options) {
    CLEANUP(filter_freep) struct filter *filter = NULL, *until = NULL;
    CLEANUP(config_freep) struct config *config = NULL;
    struct monitor monitor = {.options = options};
    struct bus_options bus;
    struct problem problem = {0};
    int r = load_bus(&bus, &config, options, &problem);

    if (r == 0)
        r = filter_new(&filter);
    if (r == 0)
        r = filter_new(&until);
    monitor.filter = filter;
    monitor.until = until;
    if (r == 0)
        r = read_options(&monitor, &bus, &problem);
    if (r == 0)
        r = check_access(&bus, &problem);
    if (r < 0)
        return r == -EINVAL ? fail(&problem) : fail_errno(r, "cannot begin");
    r = watch_bus(&monitor, &bus);
    line_done(&monitor.line);
    line_done(&monitor.safe);
    return r;
}

const struct command command_monitor = {
    .name = "monitor",
    .summary = "the events on Salt's event bus, as they come",
    .synopsis = "[OPTIONS] [TAG]...",
    .help = "Shows the events on the bus of the master on this machine, whoever fired them: those whose tag matches one of\n"
            "the globs, or all. Only listens; waits for a master that is away and says what it missed.\n\n"
            "FIELD is a path through the event's data, its parts separated by dots: fun, return.changes, minions.0; 'tag' is\n"
            "the tag itself. Without =GLOB the field has to be there. Of several -i with the same field one must match.\n"
            "Values of pillar, passwords and keys are shown as (redacted), unless asked for.\n\n"
            "pretty is for eyes, and what a terminal gets; text (tag, tab, JSON: as salt-run state.event) what else does;\n"
            "json is an object a line: time of arrival, tag, data.\n"
            "Ends with Ctrl-C, after -n events, after the event of -u, or after -t seconds; exit code 1 if -n or -u did not\n"
            "come to pass. With -v it says when it listens.\n",
    .options = "ontixuqpsv",
    .formats = "pretty text json",
    .least = 0,
    .most = 1000,
    .main = monitor_main,
};
