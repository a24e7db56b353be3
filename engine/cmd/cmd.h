/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cmd - what the subcommands share: options, exit codes, how a problem is told.
 * Results go to stdout, progress and problems to stderr.
 */
#pragma once

#include "nodewall/base.h"

#define DEFAULT_CONFIG "/etc/nodewall/nodewall.yaml"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* An option that the shared ones below do not cover; the subcommand reads it itself. */
struct given {
    int letter;
    const char *text;       /* NULL: it takes none */
};
#define GIVEN_MAX 64

struct options {
    const char *config;     /* -c */
    bool config_given;
    bool json;              /* -o json */
    const char *format;     /* -o as it stands; NULL: not given */
    bool verbose;           /* -v */
    int salt_fd;            /* run: the sealed memfd from Salt's engine; -1: standing alone */
    unsigned long count;    /* watch: end after so many changes; 0: never */
    msec timeout;           /* watch, fire: end after; MSEC_NEVER */
    const struct given *given;
    size_t n_given;
    bool yes;               /* release: consent */
    char **arguments;       /* what is left, NULL-terminated */
    int n_arguments;
};

struct command {
    const char *name;
    const char *summary;    /* one line for the list */
    const char *synopsis;   /* behind "nodewall NAME" */
    const char *help;       /* paragraphs, ending in a newline */
    const char *options;    /* short options besides -h and -c that it takes */
    const char *formats;    /* what -o takes, with a space between; NULL: table (default) or json */
    int least, most;        /* number of arguments */
    int (*main)(const struct options *options);
};

extern const struct command command_run, command_nodes, command_watch, command_status, command_check, command_fire, command_monitor,
    command_release, command_who;

/* Parses, answers --help, checks the number of arguments, runs. Returns the exit code. */
int command_main(const struct command *command, int argc, char **argv);

/* "nodewall NAME: sentence" on stderr; returns EXIT_FAILED. */
int fail(const struct problem *problem);
int fail_errno(int error, const char *format, ...) PRINTF(2, 3);
