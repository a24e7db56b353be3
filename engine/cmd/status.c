/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall status - what the running engine says of itself: clusters, versions, and which minion has what.
 *
 * Asks the engine over its socket in the state directory. Exit code 1 also when something is wrong: a cluster that is
 * not synced, minions that are behind, a bus that is away. So a check in a monitoring system is this one call.
 */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include <string.h>

static const char *text(json_object *from, const char *key) {
    const char *value = json_object_get_string(json_get(from, key));

    return value ? value : "";
}

static void age_cell(struct table *table, json_object *seconds) {
    double age = json_object_get_double(seconds);

    if (!seconds)
        table_cell(table, "-");
    else if (age < 120)
        table_cell(table, "%.1f s", age);
    else if (age < 7200)
        table_cell(table, "%.0f min", age / 60);
    else
        table_cell(table, "%.0f h", age / 3600);
}

static void cluster_row(struct table *table, json_object *cluster) {
    json_object *minions = json_get(cluster, "minions"), *ages = json_get(cluster, "ages");

    table_cell(table, "%s", text(cluster, "cluster"));
    table_cell(table, "%s", text(cluster, "state"));
    table_cell(table, "%lld", (long long)json_object_get_int64(json_get(cluster, "nodes")));
    table_cell(table, "%lld", (long long)json_object_get_int64(json_get(cluster, "count")));
    table_cell(table, "%lld", (long long)json_object_get_int64(json_get(cluster, "generation")));
    age_cell(table, json_get(ages, "byte"));
    age_cell(table, json_get(ages, "list"));
    age_cell(table, json_get(ages, "event"));
    table_cell(table, "%lld of %lld", (long long)json_object_get_int64(json_get(minions, "current")),
               (long long)json_object_get_int64(json_get(minions, "expected")));
    age_cell(table, json_get(minions, "slowest"));
    table_cell(table, "%s", text(cluster, "detail"));
}

/* One that is not configured any more and was released is nobody's trouble. */
static bool is_good(json_object *cluster) {
    const char *state = text(cluster, "state");

    return !strcmp(state, "synced") || (!strcmp(state, "dropped") && json_object_get_int64(json_get(cluster, "count")) == 0);
}

/* Whether all is as it should be. */
static bool print_status(json_object *root) {
    static const char *const heading[] = {"CLUSTER",   "STATE",      "NODES",   "ADDRESSES", "GENERATION", "HEARD",
                                          "LAST LIST", "LAST EVENT", "MINIONS", "SLOWEST",   "DETAIL"};
    CLEANUP(table_done) struct table table = {.n_columns = ARRAY_LENGTH(heading)};
    json_object *bus = json_get(root, "bus"), *clusters = json_get(root, "clusters");
    bool good = !strcmp(text(bus, "state"), "connected"), one_way = !strcmp(text(bus, "transport"), "minion");

    for (size_t i = 0; i < ARRAY_LENGTH(heading); i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < json_object_array_length(clusters); i++) {
        json_object *cluster = json_object_array_get_idx(clusters, i), *minions = json_get(cluster, "minions");

        cluster_row(&table, cluster);
        good = good && is_good(cluster) &&
               json_object_get_int64(json_get(minions, "current")) == json_object_get_int64(json_get(minions, "expected"));
    }
    table_print(&table, stdout);
    if (text(root, "config_problem")[0])
        printf("\nconfiguration: %s\n", text(root, "config_problem"));
    printf("\nbus: %s (%s), %lld events delivered; nodewall %s, pid %lld, since %s\n", text(bus, "state"),
           one_way ? text(bus, "master") : text(bus, "framing"), (long long)json_object_get_int64(json_get(bus, "echoed")), text(root, "version"),
           (long long)json_object_get_int64(json_get(root, "pid")), text(root, "started"));
    if (text(bus, "detail")[0])
        printf("bus: %s\n", text(bus, "detail"));
    if (one_way)
        puts("transport minion: the master's answers are what delivered means, and the minions' returns are not to be seen from here");
    for (size_t i = 0; i < json_object_array_length(clusters); i++) {
        json_object *cluster = json_object_array_get_idx(clusters, i);

        if (text(cluster, "refusals")[0])
            printf("not let in on %s: %s\n", text(cluster, "cluster"), text(cluster, "refusals"));
    }
    for (size_t i = 0; i < json_object_array_length(clusters); i++) {
        json_object *cluster = json_object_array_get_idx(clusters, i);
        json_object *behind = json_get(json_get(cluster, "minions"), "behind");

        for (size_t j = 0; behind && j < json_object_array_length(behind); j++) {
            const char *id = json_object_get_string(json_object_array_get_idx(behind, j));
            CLEANUP(cleanup_free) char *clean = strdup(id ? id : "");

            printf("behind on %s: %s\n", text(cluster, "cluster"), clean ? text_clean(clean) : "");
        }
    }
    return good;
}

static int status_main(const struct options *options) {
    CLEANUP(json_putp) json_object *root = NULL;
    CLEANUP(cleanup_free) char *state_dir = NULL;
    int r = ask_state_dir(&state_dir, options);

    if (r)
        return r;
    r = ask_engine(&root, state_dir, "/status", NULL);
    if (r)
        return r;
    if (options->json) {
        puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        return 0;
    }
    return print_status(root) ? 0 : EXIT_FAILED;
}

const struct command command_status = {
    .name = "status",
    .summary = "what the running engine knows: clusters, versions, minions",
    .synopsis = "[OPTIONS]",
    .help = "Asks the running engine for its clusters, the version of each set, and which minions have it.\n"
            "Exit code 1 if no engine runs, or (with the table) if a cluster is not synced, a minion is behind\n"
            "or the bus is away.\n",
    .options = "o",
    .least = 0,
    .most = 0,
    .main = status_main,
};
