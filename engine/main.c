/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall - picks the subcommand. Everything else about a subcommand stands in its own file in cmd/.
 *
 * Exit codes, of every subcommand: 0 it did, 1 it failed and said why in one sentence, 2 the call itself was wrong.
 */
#include "cmd/cmd.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct command *const commands[] = {
    &command_run, &command_nodes, &command_watch, &command_status, &command_check, &command_fire,
    &command_monitor, &command_release, &command_who,
};

static void print_help(FILE *out) {
    fputs("nodewall keeps host firewalls open to exactly the nodes of the Kubernetes clusters they serve.\n\n"
          "Usage: nodewall COMMAND [OPTIONS]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'nodewall COMMAND --help' tells the rest. Configuration: " DEFAULT_CONFIG "\n"
          "Exit codes: 0 done, 1 failed (and why, on stderr), 2 wrong usage.\n",
          out);
}

/* Whoever starts us may have closed some of the three. What is opened then would take their numbers, and be written to as
 * if it were the terminal; libuv aborts. */
static void fill_standard_descriptors(void) {
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* Credentials pass through this memory: no core dumps. And no signal from a closed pipe: write() says EPIPE.
 * The leak check of sanitized builds attaches to its own process, which a process that is not dumpable forbids. */
static void harden(void) {
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0);
#endif
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 1); /* one thread allocates; the others only do file I/O */
}

int main(int argc, char **argv) {
    fill_standard_descriptors();
    harden();
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        puts("nodewall " NODEWALL_VERSION);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (!strcmp(argv[1], commands[i]->name))
            return command_main(commands[i], argc - 1, argv + 1);
    fprintf(stderr, "nodewall: there is no command '%s'; 'nodewall --help' lists them\n", argv[1]);
    return EXIT_USAGE;
}
