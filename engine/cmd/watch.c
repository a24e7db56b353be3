/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall watch [CLUSTER] - changes of the clusters' nodes as they come; publishes nothing and needs no engine.
 *
 * A line a change on stdout (with -o json an object a line), everything else on stderr. What was there at the start is
 * no change; what a later list finds changed is one.
 */
#include "cmd/cmd.h"
#include "cmd/sources.h"

#include "nodewall/json.h"

#include <string.h>

static struct {
    bool json;
    unsigned long left;         /* changes until the end; 0: no end */
} watching;

static const char *kind_name(enum inventory_change_kind kind) {
    static const char *const names[] = {"added", "changed", "removed"};

    return names[kind];
}

static json_object *addresses_json(const struct address *addresses, size_t n) {
    json_object *array = json_object_new_array();
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < n; i++)
        json_object_array_add(array, json_object_new_string(address_format(&addresses[i], text)));
    return array;
}

static void print_json(const char *cluster, const struct inventory_change *change, const char *time) {
    CLEANUP(json_putp) json_object *out = json_object_new_object();

    json_object_object_add(out, "time", json_object_new_string(time));
    json_object_object_add(out, "cluster", json_object_new_string(cluster));
    json_object_object_add(out, "change", json_object_new_string(kind_name(change->kind)));
    json_object_object_add(out, "node", json_object_new_string(change->name));
    json_object_object_add(out, "uid", json_object_new_string(change->uid));
    json_object_object_add(out, "addresses", addresses_json(change->addresses, change->n_addresses));
    json_object_object_add(out, "previous", addresses_json(change->previous, change->n_previous));
    puts(json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void print_missing(char sign, const struct address *from, size_t n_from, const struct address *other, size_t n_other) {
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < n_from; i++) {
        bool there = false;

        for (size_t j = 0; j < n_other && !there; j++)
            there = address_compare(&from[i], &other[j]) == 0;
        if (!there)
            printf(" %c%s", sign, address_format(&from[i], text));
    }
}

static void on_change(void *userdata, const struct inventory_change *change) {
    struct looked_at *item = userdata;
    char time[TIME_TEXT_MAX];

    if (!item->listed)
        return;
    time_format(clock_wall(), time);
    if (watching.json) {
        print_json(item->config->name, change, time);
    } else {
        printf("%s  %s  %-7s  %s ", time, item->config->name, kind_name(change->kind), change->name);
        print_missing('+', change->addresses, change->n_addresses, change->previous, change->n_previous);
        print_missing('-', change->previous, change->n_previous, change->addresses, change->n_addresses);
        putchar('\n');
    }
    if (fflush(stdout) == EOF || (watching.left && --watching.left == 0))
        uv_stop(&item->all->loop);
}

static void on_picture(void *userdata, bool complete_list) {
    struct looked_at *item = userdata;
    struct inventory_stats stats = inventory_stats(source_inventory(item->source));

    if (complete_list && !item->listed)
        fprintf(stderr, "nodewall watch: %s: %zu nodes, %zu addresses; waiting for changes\n", item->config->name,
                stats.nodes, stats.addresses);
    item->listed = true;
}

static void on_trouble(void *userdata, const struct watch_event *event) {
    struct looked_at *item = userdata;

    fprintf(stderr, "nodewall watch: %s: %s\n", item->config->name,
            event->kind == WATCH_EVENT_TROUBLE ? event->text : "the API server answers again");
}

static void on_failure(void *userdata, int error) {
    struct looked_at *item = userdata;

    item->failed = true;
    (void)fail_errno(error, "%s", item->config->name);
    uv_stop(&item->all->loop);
}

static int watch_main(const struct options *options) {
    static const struct source_handler handler = {on_change, on_picture, on_trouble, on_failure, NULL};
    struct sources sources;
    bool failed = false, all_failed = true;
    int r = sources_open(&sources, options, options->timeout, &handler);

    if (r)
        return r;
    watching.json = options->json;
    watching.left = options->count;
    for (size_t i = 0; i < sources.n; i++)
        all_failed = all_failed && sources.items[i].failed;
    if (!all_failed)
        uv_run(&sources.loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < sources.n; i++)
        failed = failed || !sources.items[i].listed;
    /* Fewer changes than were asked for is a failure, as for whoever waits for one in a script. */
    failed = failed || (options->count && watching.left && sources.timed_out);
    sources_close(&sources);
    return failed ? EXIT_FAILED : 0;
}

const struct command command_watch = {
    .name = "watch",
    .summary = "changes of the clusters' nodes as they come; publishes nothing",
    .synopsis = "[OPTIONS] [CLUSTER]",
    .help = "Prints each change of a node's addresses as it comes, of every configured cluster or of one.\n"
            "Asks the API servers itself; no engine needs to run, and nothing is published.\n"
            "Ends with Ctrl-C, after -n changes or -t seconds; exit code 1 if it got fewer than -n.\n",
    .options = "ont",
    .least = 0,
    .most = 1,
    .main = watch_main,
};
