/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cmd - the options that subcommands share, read the same way everywhere.
 */
#include "cmd/cmd.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

static const struct {
    struct option option;
    const char *argument, *text;
} known_options[] = {
    {{"config", required_argument, NULL, 'c'}, "FILE", "configuration (" DEFAULT_CONFIG ")"},
    {{"output", required_argument, NULL, 'o'}, "FORMAT", "table (default) or json"},
    {{"verbose", no_argument, NULL, 'v'}, NULL, "say more on stderr"},
    {{"salt-fd", required_argument, NULL, 'S'}, "FD", "what Salt's engine shim hands over; not for people"},
    {{"count", required_argument, NULL, 'n'}, "N", "end after N of them"},
    {{"timeout", required_argument, NULL, 't'}, "SECONDS", "end after so long"},
    {{"include", required_argument, NULL, 'i'}, "FIELD=GLOB", "only events in which the field matches; repeatable"},
    {{"exclude", required_argument, NULL, 'x'}, "FIELD=GLOB", "no events in which the field matches; repeatable"},
    {{"until", required_argument, NULL, 'u'}, "TAG", "end with the first event of that tag"},
    {{"quiet", no_argument, NULL, 'q'}, NULL, "show no events: just wait"},
    {{"secrets", no_argument, NULL, 'p'}, NULL, "show pillar, passwords and keys, too"},
    {{"socket", required_argument, NULL, 's'}, "DIR|PORT", "where the bus is: a sock_dir, or a port on 127.0.0.1"},
    {{"jobs", no_argument, NULL, 'j'}, NULL, "a line for each job: who has returned, who is missing"},
    {{"rates", required_argument, NULL, 'R'}, "SECONDS", "how many events of which kind, each so many seconds"},
    {{"record", required_argument, NULL, 'w'}, "FILE", "keep the events in a new file, too"},
    {{"replay", required_argument, NULL, 'r'}, "FILE", "the events of such a file instead of the bus"},
    {{"yes", no_argument, NULL, 'y'}, NULL, "consent, without being asked"},
    {{"help", no_argument, NULL, 'h'}, NULL, "this text"},
};

static const char *current_name = "";

static bool takes(const struct command *command, int letter) {
    return letter == 'c' || letter == 'h' || strchr(command->options, letter);
}

static void print_help(const struct command *command) {
    printf("Usage: nodewall %s %s\n\n%s\nOptions:\n", command->name, command->synopsis, command->help);
    for (size_t i = 0; i < ARRAY_LENGTH(known_options); i++) {
        const char *text = known_options[i].text;
        char left[40];

        if (!takes(command, known_options[i].option.val))
            continue;
        if (known_options[i].option.val == 'o' && command->formats)
            text = command->formats;
        if (known_options[i].option.val == 'S')
            snprintf(left, sizeof(left), "--salt-fd FD");
        else
            snprintf(left, sizeof(left), "-%c, --%s %s", known_options[i].option.val, known_options[i].option.name,
                     known_options[i].argument ? known_options[i].argument : "");
        printf("  %-24s %s\n", left, text);
    }
}

static int parse_number(const char *text, unsigned long most, unsigned long *ret) {
    char *end;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    *ret = strtoul(text, &end, 10);
    return errno || *end || *ret > most ? -EINVAL : 0;
}

static int usage(const char *format, ...) PRINTF(1, 2);
static int usage(const char *format, ...) {
    va_list arguments;

    fprintf(stderr, "nodewall %s: ", current_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "; see 'nodewall %s --help'\n", current_name);
    return EXIT_USAGE;
}

static bool is_word_of(const char *words, const char *text) {
    size_t n = strlen(text);

    for (const char *at = words; (at = strstr(at, text)); at++)
        if (n && (at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

static int keep(struct options *options, struct given *given, int letter, const char *text) {
    if (options->n_given == GIVEN_MAX)
        return usage("more than %d options are too many", GIVEN_MAX);
    given[options->n_given++] = (struct given){letter, text};
    return 0;
}

static int parse_one(struct options *options, const struct command *command, int letter, const char *text) {
    const char *formats = command->formats ? command->formats : "table json";
    unsigned long number;

    switch (letter) {
    case 'c':
        options->config = text;
        options->config_given = true;
        return 0;
    case 'v':
        options->verbose = true;
        return 0;
    case 'y':
        options->yes = true;
        return 0;
    case 'o':
        options->json = !strcmp(text, "json");
        options->format = text;
        return is_word_of(formats, text) ? 0 : usage("-o takes one of %s, not '%s'", formats, text);
    case 'S':
        if (parse_number(text, INT_MAX, &number) < 0)
            return usage("--salt-fd takes a file descriptor, not '%s'", text);
        options->salt_fd = (int)number;
        return 0;
    case 'n':
        return parse_number(text, ULONG_MAX, &options->count) < 0 ? usage("-n takes a number, not '%s'", text) : 0;
    default: /* 't' */
        if (parse_number(text, 1000000000, &number) < 0)
            return usage("-t takes seconds, not '%s'", text);
        options->timeout = (msec)number * 1000;
        return 0;
    }
}

int command_main(const struct command *command, int argc, char **argv) {
    struct options options = {.config = DEFAULT_CONFIG, .salt_fd = -1, .timeout = MSEC_NEVER};
    struct option table[ARRAY_LENGTH(known_options) + 1] = {0};
    char letters[2 * ARRAY_LENGTH(known_options) + 2] = ":";
    struct given given[GIVEN_MAX];
    int letter, r;

    current_name = command->name;
    options.given = given;
    for (size_t i = 0, n = 1; i < ARRAY_LENGTH(known_options); i++) {
        table[i] = known_options[i].option;
        if (table[i].val != 'S')
            letters[n++] = (char)table[i].val;
        if (table[i].val != 'S' && table[i].has_arg)
            letters[n++] = ':';
    }
    opterr = 0;
    while ((letter = getopt_long(argc, argv, letters, table, NULL)) != -1) {
        if (letter == 'h') {
            print_help(command);
            return 0;
        }
        if (letter == ':')
            return usage("%s wants a value", argv[optind - 1]);
        if (letter == '?' || !takes(command, letter))
            return usage("it takes no option '%s'", argv[optind - 1]);
        r = strchr("cvoSnty", letter) ? parse_one(&options, command, letter, optarg)
                                     : keep(&options, given, letter, optarg);
        if (r)
            return r;
    }
    options.arguments = argv + optind;
    options.n_arguments = argc - optind;
    if (options.n_arguments < command->least)
        return usage("it wants %s", command->synopsis);
    if (options.n_arguments > command->most)
        return usage("'%s' is one argument too many", options.arguments[command->most]);
    return command->main(&options);
}

int fail(const struct problem *problem) {
    char line[1400];

    fprintf(stderr, "nodewall %s: %s\n", current_name, problem_format(problem, line, sizeof(line)));
    return EXIT_FAILED;
}

int fail_errno(int error, const char *format, ...) {
    va_list arguments;

    fprintf(stderr, "nodewall %s: ", current_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", strerror(error < 0 ? -error : error));
    return EXIT_FAILED;
}
