/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall run - the engine. Under a salt-master its shim becomes this; alone, systemd or a container starts it.
 *
 * Under Salt a configuration that is no good is waited out, with one line in the log: leaving would make salt-master start
 * us again every ten seconds. Alone it ends with exit code 1, as whoever started it expects.
 */
#include "cmd/cmd.h"

#include "bus_setup.h"
#include "engine.h"
#include "nodewall/log.h"

#include <signal.h>
#include <string.h>
#include <time.h>

enum { LOOK_AGAIN = 10 };   /* seconds, for a configuration that was no good */

/* Waits for SIGHUP or LOOK_AGAIN seconds; false: SIGTERM or SIGINT came. */
static bool wait_for_config(void) {
    const struct timespec timeout = {.tv_sec = LOOK_AGAIN};
    sigset_t set, old;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, &old);
    number = sigtimedwait(&set, NULL, &timeout);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return number != SIGTERM && number != SIGINT;
}

static int load(struct config **ret, const char *path, struct problem *problem) {
    int r = config_load(ret, path, problem);

    if (r < 0 && r != -EINVAL)
        problem_set(problem, path, NULL, "%s", strerror(-r));
    return r;
}

/* 0, or -ECANCELED when the wait was ended. */
static int load_patiently(struct config **ret, const char *path) {
    char said[1400] = "", line[1400];
    struct problem problem;

    while (load(ret, path, &problem) < 0) {
        problem_format(&problem, line, sizeof(line));
        if (strcmp(said, line))
            log_error("%s; the firewalls stay as they are, and the file is read again every %d s", line, LOOK_AGAIN);
        snprintf(said, sizeof(said), "%s", line);
        if (!wait_for_config())
            return -ECANCELED;
    }
    return 0;
}

static int prepare_salt(const struct handoff *handoff) {
    char line[300];
    int r;

    if (handoff->log_level)
        log_set_level(log_level_parse(handoff->log_level));
    if (handoff->log_file && handoff->log_file[0]) {
        r = log_to_salt(handoff->log_file);
        if (r < 0)
            log_warning("cannot write to %s: %s", handoff->log_file, strerror(-r));
    }
    r = handoff_bind_to_parent(handoff);
    if (r == -ESRCH)
        return r;
    snprintf(line, sizeof(line), "Salt %s", handoff->salt_version ? handoff->salt_version : "");
    log_debug("started by %s", line);
    return 0;
}

static int run_engine(struct config *config, const struct handoff *handoff) {
    struct engine_setup setup = {.config = config};
    struct bus_setup bus;
    struct problem problem = {0};
    char line[1400], detail[800];
    int r;

    bus_setup(&bus, config, handoff);
    setup.bus = bus.options;
    snprintf(detail, sizeof(detail), "%s%s%s", bus.place,
             handoff && handoff->salt_version ? ", Salt " : "",
             handoff && handoff->salt_version ? handoff->salt_version : "");
    setup.bus_detail = detail;
    r = engine_run(&setup, &problem);
    if (r == 0)
        return 0;
    log_error("cannot start: %s", problem.what[0] ? problem_format(&problem, line, sizeof(line)) : strerror(-r));
    return EXIT_FAILED;
}

static int run_main(const struct options *options) {
    CLEANUP(handoff_freep) struct handoff *handoff = NULL;
    CLEANUP(config_freep) struct config *config = NULL;
    struct problem problem = {0};
    int r;

    log_set_level(options->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (options->salt_fd < 0) {
        r = load(&config, options->config, &problem);
        return r < 0 ? fail(&problem) : run_engine(TAKE_PTR(config), NULL);
    }
    r = handoff_read(&handoff, options->salt_fd, &problem);
    if (r < 0)
        return r == -EINVAL ? fail(&problem) : fail_errno(r, "cannot read what Salt handed over");
    r = prepare_salt(handoff);
    if (r < 0)
        return 0; /* the master that started us is gone */
    r = load_patiently(&config, options->config_given ? options->config : handoff->config);
    return r < 0 ? 0 : run_engine(TAKE_PTR(config), handoff);
}

const struct command command_run = {
    .name = "run",
    .summary = "the engine: watches the clusters and publishes on Salt's bus",
    .synopsis = "[OPTIONS]",
    .help = "Watches the Nodes of every cluster in the configuration and publishes each change of their addresses\n"
            "on Salt's event bus. Usually started by salt-master itself (engines: [nodewall]); runs alone as well,\n"
            "and elsewhere with transport: minion.\n\n"
            "SIGHUP reads the configuration again: a bad one is refused whole, and the old one goes on.\n",
    .options = "vS",
    .least = 0,
    .most = 0,
    .main = run_main,
};
