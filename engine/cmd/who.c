/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall who ADDRESS - whose address it is, and which minions let it in.
 *
 * The question of whoever sees an address in a log: asked of the running engine, which has the published sets, the nodes that
 * stand for them, and what each minion said that it has. A network is asked about as well.
 */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include "nodewall/address.h"

#include <string.h>

static const char *text(json_object *from, const char *key) {
    const char *value = json_object_get_string(json_get(from, key));

    return value ? value : "";
}

static void heading(struct table *table, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        table_cell(table, "%s", words[i]);
}

static void print_addresses(json_object *clusters) {
    static const char *const words[] = {"CLUSTER", "ADDRESS", "NODE", "SINCE", "STATE"};
    CLEANUP(table_done) struct table table = {.n_columns = ARRAY_LENGTH(words)};

    heading(&table, words, ARRAY_LENGTH(words));
    for (size_t i = 0; i < json_object_array_length(clusters); i++) {
        json_object *cluster = json_object_array_get_idx(clusters, i), *list = json_get(cluster, "addresses");

        for (size_t j = 0; list && j < json_object_array_length(list); j++) {
            json_object *one = json_object_array_get_idx(list, j);

            table_cell(&table, "%s", text(cluster, "cluster"));
            table_cell(&table, "%s", text(one, "address"));
            table_cell(&table, "%s", text(one, "node"));
            table_cell(&table, "%s", text(one, "since")[0] ? text(one, "since") : "-");
            table_cell(&table, "%s", text(one, "state"));
        }
    }
    table_print(&table, stdout);
}

static bool print_minions(json_object *clusters) {
    static const char *const words[] = {"MINION", "CLUSTER", "HAS", "OF", "SAID"};
    CLEANUP(table_done) struct table table = {.n_columns = ARRAY_LENGTH(words)};
    bool any = false;

    heading(&table, words, ARRAY_LENGTH(words));
    for (size_t i = 0; i < json_object_array_length(clusters); i++) {
        json_object *cluster = json_object_array_get_idx(clusters, i), *list = json_get(cluster, "minions");

        for (size_t j = 0; list && j < json_object_array_length(list); j++) {
            json_object *minion = json_object_array_get_idx(list, j);

            any = true;
            table_cell(&table, "%s", text(minion, "id"));
            table_cell(&table, "%s", text(cluster, "cluster"));
            table_cell(&table, "%s", text(minion, "generation")[0] ? text(minion, "generation") : "-");
            table_cell(&table, "%s", text(cluster, "generation"));
            table_cell(&table, "%s", text(minion, "result"));
        }
    }
    if (any) {
        putchar('\n');
        table_print(&table, stdout);
    }
    return any;
}

static int who_main(const struct options *options) {
    CLEANUP(cleanup_free) char *state_dir = NULL;
    CLEANUP(json_putp) json_object *root = NULL;
    char page[ADDRESS_TEXT_MAX + 8], normal[ADDRESS_TEXT_MAX];
    struct problem problem;
    struct address address;
    json_object *clusters;
    int r;

    if (address_parse(&address, options->arguments[0], strlen(options->arguments[0])) < 0) {
        problem_set(&problem, "ADDRESS", "like 203.0.113.7, 2001:db8::7 or 203.0.113.0/24", "'%.80s' is no address",
                    options->arguments[0]);
        return fail(&problem);
    }
    r = ask_state_dir(&state_dir, options);
    if (r)
        return r;
    snprintf(page, sizeof(page), "/who/%s", address_format(&address, normal));
    r = ask_engine(&root, state_dir, page, NULL);
    if (r)
        return r;
    clusters = json_get(root, "clusters");
    if (options->json)
        puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    if (!clusters || json_object_array_length(clusters) == 0) {
        problem_set(&problem, normal, "'nodewall nodes' shows what is not let in, and why", "no cluster has it");
        return fail(&problem);
    }
    if (options->json)
        return 0;
    print_addresses(clusters);
    if (!print_minions(clusters))
        printf("\nNo minion names %s.\n", json_object_array_length(clusters) == 1 ? "this cluster" : "these clusters");
    return 0;
}

const struct command command_who = {
    .name = "who",
    .summary = "whose address it is, and which minions let it in",
    .synopsis = "[OPTIONS] ADDRESS",
    .help = "Asks the running engine which clusters have ADDRESS (or what lies in it, if it is a network): the node, since\n"
            "when it is in the published set, and its state: in, in grace (its node is gone) or held. Then the minions whose\n"
            "rules name those clusters, and which version of the set they have.\n"
            "Exit code 1 if nobody has it.\n",
    .options = "o",
    .least = 1,
    .most = 1,
    .main = who_main,
};
