/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall nodes [CLUSTER] - what the clusters have now, asked of their API servers directly: no engine is needed.
 *
 * Shows what the engine would let in, and what it would not. A cluster that does not answer is one sentence on stderr and
 * exit code 1; the others are printed all the same.
 */
#include "cmd/cmd.h"
#include "cmd/sources.h"
#include "cmd/table.h"

#include "nodewall/json.h"

#include <string.h>

enum { TIMEOUT = 30000 };

static void settle(struct looked_at *item) {
    for (size_t i = 0; i < item->all->n; i++)
        if (!item->all->items[i].listed && !item->all->items[i].failed)
            return;
    uv_stop(&item->all->loop);
}

static void on_picture(void *userdata, bool complete_list) {
    struct looked_at *item = userdata;

    item->listed = item->listed || complete_list;
    settle(item);
}

static void on_trouble(void *userdata, const struct watch_event *event) {
    struct looked_at *item = userdata;
    struct problem problem;

    if (event->kind != WATCH_EVENT_TROUBLE || item->listed || item->failed)
        return;
    item->failed = true;
    problem_set(&problem, item->config->name, NULL, "%s", event->text);
    (void)fail(&problem);
    settle(item);
}

static void on_failure(void *userdata, int error) {
    struct looked_at *item = userdata;

    item->failed = true;
    (void)fail_errno(error, "%s", item->config->name);
    settle(item);
}

/* ---- table ---- */

struct printed {
    struct table *table;
    json_object *array;
    const char *cluster;
};

static void add_row(const struct inventory_node *node, void *userdata) {
    struct printed *printed = userdata;
    char text[ADDRESS_TEXT_MAX], addresses[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < node->n_addresses; i++) {
        int n = snprintf(addresses + used, sizeof(addresses) - used, "%s%s", i ? " " : "",
                         address_format(&node->addresses[i], text));

        if (n < 0 || (size_t)n >= sizeof(addresses) - used - 4) {
            memcpy(addresses + used, " …", sizeof(" …"));
            break;
        }
        used += (size_t)n;
    }
    table_cell(printed->table, "%s", printed->cluster);
    table_cell(printed->table, "%s", node->name);
    table_cell(printed->table, "%s", node->leaving ? "leaving" : node->n_addresses ? "in" : "no address");
    table_cell(printed->table, "%zu", node->n_refused);
    table_cell(printed->table, "%s", addresses);
}

static void print_table(struct sources *sources) {
    static const char *const heading[] = {"CLUSTER", "NODE", "STATE", "REFUSED", "ADDRESSES"};
    CLEANUP(table_done) struct table table = {.n_columns = ARRAY_LENGTH(heading)};
    struct printed printed = {.table = &table};

    for (size_t i = 0; i < ARRAY_LENGTH(heading); i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < sources->n; i++) {
        printed.cluster = sources->items[i].config->name;
        if (sources->items[i].listed)
            inventory_each(source_inventory(sources->items[i].source), add_row, &printed);
    }
    table_print(&table, stdout);
}

/* ---- JSON ---- */

static void add_object(const struct inventory_node *node, void *userdata) {
    struct printed *printed = userdata;
    json_object *object = json_object_new_object(), *addresses = json_object_new_array();
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < node->n_addresses; i++)
        json_object_array_add(addresses, json_object_new_string(address_format(&node->addresses[i], text)));
    json_object_object_add(object, "name", json_object_new_string(node->name));
    json_object_object_add(object, "uid", json_object_new_string(node->uid));
    json_object_object_add(object, "leaving", json_object_new_boolean(node->leaving));
    json_object_object_add(object, "refused", json_object_new_int64((int64_t)node->n_refused));
    json_object_object_add(object, "addresses", addresses);
    json_object_array_add(printed->array, object);
}

static void print_json(struct sources *sources) {
    CLEANUP(json_putp) json_object *out = json_object_new_object();

    for (size_t i = 0; i < sources->n; i++) {
        struct looked_at *item = &sources->items[i];
        struct printed printed = {.array = json_object_new_array()};
        json_object *cluster = json_object_new_object();
        struct watch_stats stats;

        if (!item->listed) {
            json_object_put(cluster);
            json_object_put(printed.array);
            continue;
        }
        stats = source_stats(item->source);
        inventory_each(source_inventory(item->source), add_object, &printed);
        json_object_object_add(cluster, "rv", json_object_new_string(stats.rv));
        json_object_object_add(cluster, "nodes", printed.array);
        json_object_object_add(out, item->config->name, cluster);
    }
    puts(json_object_to_json_string_ext(out, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void say_refusals(const struct sources *sources) {
    char text[1024];

    for (size_t i = 0; i < sources->n; i++) {
        if (!sources->items[i].listed)
            continue;
        inventory_refusals(source_inventory(sources->items[i].source), text, sizeof(text));
        if (text[0])
            fprintf(stderr, "nodewall nodes: %s: not let in: %s\n", sources->items[i].config->name, text);
    }
}

static int nodes_main(const struct options *options) {
    static const struct source_handler handler = {NULL, on_picture, on_trouble, on_failure, NULL};
    msec timeout = options->timeout == MSEC_NEVER ? TIMEOUT : options->timeout;
    struct sources sources;
    bool failed = false, waiting = false;
    int r = sources_open(&sources, options, timeout, &handler);

    if (r)
        return r;
    for (size_t i = 0; i < sources.n; i++)
        waiting = waiting || !sources.items[i].failed;
    if (waiting)
        uv_run(&sources.loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < sources.n; i++) {
        if (!sources.items[i].listed && !sources.items[i].failed)
            fprintf(stderr, "nodewall nodes: %s: no complete list within %lld s\n", sources.items[i].config->name,
                    (long long)(timeout / 1000));
        failed = failed || !sources.items[i].listed;
    }
    say_refusals(&sources);
    if (options->json)
        print_json(&sources);
    else
        print_table(&sources);
    sources_close(&sources);
    return failed ? EXIT_FAILED : 0;
}

const struct command command_nodes = {
    .name = "nodes",
    .summary = "what the clusters have now, and what would be let in",
    .synopsis = "[OPTIONS] [CLUSTER]",
    .help = "Lists the Nodes of every configured cluster, or of one, with the addresses that would be let in.\n"
            "Asks the API servers itself; no engine needs to run. Gives up after 30 seconds without -t.\n",
    .options = "ot",
    .least = 0,
    .most = 1,
    .main = nodes_main,
};
