/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall monitor [TAG...] - the events on Salt's bus, as they come.
 *
 * Only listens, so whoever may open the publishing socket can run it. Events on stdout, everything about them (the bus
 * is away, events are missing) on stderr.
 * Keeps: the exit code is 0 when what was asked for came, also when the reader of stdout went away; 1 when it did not.
 */
#include "cmd/monitor.h"

#include "bus_setup.h"

#include <fcntl.h>
#include <string.h>

static bool wants_colour(void) {
    const char *term = getenv("TERM"), *none = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb");
}

static int read_socket(struct bus_options *bus, const char *text, struct problem *problem) {
    char *end;

    bus->sock_dir = text;
    bus->pub_port = (unsigned)strtoul(text, &end, 10);
    bus->tcp = *text >= '0' && *text <= '9' && !*end;
    if (bus->tcp && (bus->pub_port == 0 || bus->pub_port > UINT16_MAX))
        return problem_set(problem, "-s", "a directory, or a port such as 4512", "'%s' is no port", text);
    return 0;
}

static int read_rates(struct monitor *monitor, const char *text, struct problem *problem) {
    char *end;
    unsigned long seconds = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || seconds == 0 || seconds > 86400)
        return problem_set(problem, "-R", "1 to 86400", "'%s' is no number of seconds", text);
    monitor->every = (msec)seconds * 1000;
    return monitor->rates ? 0 : rates_new(&monitor->rates);
}

static int read_given(struct monitor *monitor, int letter, const char *text, struct bus_options *bus, struct problem *problem) {
    switch (letter) {
    case 'i':
    case 'x': return filter_add_field(monitor->filter, letter == 'i', text, problem);
    case 'u': monitor->ends_by_tag = true; return filter_add_tag(monitor->until, text);
    case 'q': monitor->quiet = true; return 0;
    case 'p': monitor->secrets = true; return 0;
    case 'w': monitor->record_path = text; return 0;
    case 'r': monitor->replay_path = text; return 0;
    case 'j': return monitor->jobs ? 0 : jobs_new(&monitor->jobs);
    case 'R': return read_rates(monitor, text, problem);
    default: return read_socket(bus, text, problem);
    }
}

static int read_options(struct monitor *monitor, struct bus_options *bus, struct problem *problem) {
    const struct options *options = monitor->options;
    int r = 0;

    for (int i = 0; r == 0 && i < options->n_arguments; i++)
        r = filter_add_tag(monitor->filter, options->arguments[i]);
    for (size_t i = 0; r == 0 && i < options->n_given; i++)
        r = read_given(monitor, options->given[i].letter, options->given[i].text, bus, problem);
    if (r < 0)
        return r;
    if (monitor->jobs && monitor->rates)
        return problem_set(problem, "-j, -R", "start it twice", "jobs and rates are two views");
    if (monitor->record_path && (monitor->jobs || monitor->rates || monitor->replay_path))
        return problem_set(problem, "-w", "record first, then look at it with -r", "it goes with the view of events alone");
    if (!options->format)
        monitor->format = isatty(STDOUT_FILENO) ? FORMAT_PRETTY : FORMAT_TEXT;
    else
        monitor->format = options->json ? FORMAT_JSON : strcmp(options->format, "text") ? FORMAT_PRETTY : FORMAT_TEXT;
    monitor->colour = monitor->format == FORMAT_PRETTY && wants_colour();
    return 0;
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

static int no_bus(const struct monitor *monitor, const struct bus_options *bus, const char *when) {
    struct problem problem;

    problem_set(&problem, bus->tcp ? "Salt's bus (tcp)" : bus->sock_dir, "is salt-master running, and is its sock_dir there?",
                "no bus %s%s%s", when, monitor->detail[0] ? ": " : "", monitor->detail);
    return fail(&problem);
}

static int exit_code(struct monitor *monitor, const struct bus_options *bus) {
    const struct options *options = monitor->options;
    const char *what = monitor->jobs ? "jobs were completed" : monitor->rates ? "intervals passed" : "events came";
    const char *when = monitor->end == TIME_OVER ? "in time" : monitor->replay_path ? "in the recording" : "before it was ended";
    struct problem problem;

    if (monitor->end == CANNOT_WRITE)
        return fail_errno(monitor->error, "cannot write the events");
    if (monitor->end == CANNOT_RECORD)
        return fail_errno(monitor->error, "cannot record to %s", monitor->record_path);
    if (monitor->end == ENOUGH || monitor->end == READER_GONE)
        return 0;
    if (!monitor->was_connected && !monitor->replay_path)
        return no_bus(monitor, bus, when);
    if (!options->count && !monitor->ends_by_tag)
        return 0;
    if (options->count)
        problem_set(&problem, NULL, NULL, "%llu of %lu %s %s", (unsigned long long)monitor->shown, options->count, what, when);
    else
        problem_set(&problem, NULL, NULL, "the event that it waited for did not come %s", when);
    return fail(&problem);
}

static int load_bus(struct bus_options *ret, struct config **ret_config, const struct options *options, struct problem *problem) {
    struct bus_setup setup;
    bool elsewhere = false;
    int r = 0;

    for (size_t i = 0; i < options->n_given; i++)
        elsewhere = elsewhere || strchr("sr", options->given[i].letter);
    if (!elsewhere && (options->config_given || access(options->config, F_OK) == 0))
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

static int begin(struct monitor *monitor, struct bus_options *bus, struct config **ret_config, struct problem *problem) {
    int r = load_bus(bus, ret_config, monitor->options, problem);

    if (r == 0)
        r = filter_new(&monitor->filter);
    if (r == 0)
        r = filter_new(&monitor->until);
    if (r == 0)
        r = read_options(monitor, bus, problem);
    if (r == 0 && !monitor->replay_path)
        r = check_access(bus, problem);
    if (r == 0 && monitor->record_path)
        r = monitor_record_open(monitor, problem);
    return r;
}

static int finish_recording(struct monitor *monitor, int code) {
    FILE *record = TAKE_PTR(monitor->record);

    return record && fclose(record) == EOF && code == 0 ? fail_errno(errno, "cannot record to %s", monitor->record_path) : code;
}

static int monitor_main(const struct options *options) {
    CLEANUP(config_freep) struct config *config = NULL;
    struct monitor monitor = {.options = options};
    struct bus_options bus;
    struct problem problem = {0};
    int r = begin(&monitor, &bus, &config, &problem), code;

    if (r == 0)
        r = monitor_watch(&monitor, &bus, &problem);
    if (r < 0)
        code = r == -EINVAL ? fail(&problem) : fail_errno(r, "cannot begin");
    else
        code = exit_code(&monitor, &bus);
    code = finish_recording(&monitor, code);
    filter_free(monitor.filter);
    filter_free(monitor.until);
    jobs_free(monitor.jobs);
    rates_free(monitor.rates);
    line_done(&monitor.line);
    line_done(&monitor.safe);
    return code;
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
            "-j follows jobs from their beginning to their last return: a line when one is complete, and one with who is missing\n"
            "when nobody has returned for 15 seconds; -n counts complete ones. -R counts events by kind.\n"
            "-w keeps the events in a file that -r shows again.\n"
            "Ends with Ctrl-C, after -n events, after the event of -u, or after -t seconds; exit code 1 if -n or -u did not\n"
            "come to pass. With -v it says when it listens.\n",
    .options = "ontixuqpsvjRwr",
    .formats = "pretty text json",
    .least = 0,
    .most = 1000,
    .main = monitor_main,
};
