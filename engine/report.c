/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Report - see report.h. Ages are in seconds and null for what never was; counters count from the engine's start.
 *
 * Keeps: nothing secret: no token of an announcement or of the API, no path of a credential.
 */
#include "report.h"

#include "nodewall/log.h"

#include <string.h>

static int put(json_object *into, const char *key, json_object *value) {
    if (json_object_object_add(into, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static int put_text(json_object *into, const char *key, const char *text) {
    CLEANUP(cleanup_free) char *clean = strdup(text);
    json_object *value = clean ? json_object_new_string(text_clean(clean)) : NULL;

    return value ? put(into, key, value) : -ENOMEM;
}

static int put_number(json_object *into, const char *key, uint64_t number) {
    json_object *value = json_object_new_int64((int64_t)number);

    return value ? put(into, key, value) : -ENOMEM;
}

static int put_age(json_object *into, const char *key, msec now, msec then) {
    char text[32];

    if (then < 0)
        return put(into, key, NULL);
    snprintf(text, sizeof(text), "%.3f", (double)(now - then) / 1000);
    return put(into, key, json_object_new_double_s((double)(now - then) / 1000, text));
}

static int put_ages(json_object *into, const struct watch_stats *watch, msec now) {
    CLEANUP(json_putp) json_object *ages = json_object_new_object();

    if (!ages || put_age(ages, "byte", now, watch->last_byte) < 0 || put_age(ages, "list", now, watch->last_list) < 0 ||
        put_age(ages, "event", now, watch->last_event) < 0)
        return -ENOMEM;
    return put(into, "ages", TAKE_PTR(ages));
}

static int put_set(json_object *into, const struct cluster_report *report) {
    const struct set *set = report->set;

    return put_text(into, "epoch", report->epoch) < 0 ||
                   put_number(into, "generation", set ? set->version.generation : 0) < 0 ||
                   put_text(into, "rv", set ? set->version.rv : "") < 0 ||
                   put_text(into, "digest", set ? set->version.digest : "") < 0 ||
                   put_number(into, "count", set ? set->n_members : 0) < 0
               ? -ENOMEM
               : 0;
}

static int put_numbers(json_object *into, const struct cluster_report *report) {
    return put_number(into, "nodes", report->inventory.nodes) < 0 ||
                   put_number(into, "bare", report->inventory.bare) < 0 ||
                   put_number(into, "refused", report->inventory.refused) < 0 ||
                   put_text(into, "refusals", report->refusals) < 0 ||
                   put_number(into, "in_grace", report->in_grace) < 0 ||
                   put_number(into, "held", report->hold.addresses) < 0 ||
                   put_number(into, "over_limit", report->over_limit) < 0 ||
                   put_number(into, "publications", report->publications) < 0 ||
                   put_number(into, "lists", report->watch.lists) < 0 ||
                   put_number(into, "watches", report->watch.watches) < 0 ||
                   put_number(into, "events", report->watch.events) < 0 ||
                   put_number(into, "failures", report->watch.failures) < 0
               ? -ENOMEM
               : 0;
}

static int cluster_json(struct cluster *cluster, msec now, json_object **ret) {
    CLEANUP(json_putp) json_object *out = json_object_new_object();
    CLEANUP(json_putp) json_object *minions = NULL;
    struct cluster_report report;

    cluster_report(cluster, &report);
    if (!out || put_text(out, "cluster", cluster_name(cluster)) < 0 ||
        put_text(out, "state", health_state_name(report.state)) < 0 || put_text(out, "detail", report.detail) < 0 ||
        put_text(out, "server", report.server) < 0 || put_set(out, &report) < 0 || put_numbers(out, &report) < 0 ||
        put_ages(out, &report.watch, now) < 0 || cluster_minions(cluster, &minions) < 0 ||
        put(out, "minions", TAKE_PTR(minions)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(out);
    return 0;
}

static int bus_json(struct bus *bus, json_object **ret) {
    CLEANUP(json_putp) json_object *out = json_object_new_object();
    struct bus_stats stats = bus_stats(bus);

    if (!out || put_text(out, "transport", stats.one_way ? "minion" : "local") < 0 ||
        put_text(out, "master", stats.minion.master) < 0 || put_number(out, "sign_ins", stats.minion.sign_ins) < 0 ||
        put_number(out, "requests", stats.minion.requests) < 0 || put_text(out, "state", bus_state_name(stats.state)) < 0 || put_text(out, "detail", bus_detail(bus)) < 0 ||
        put_text(out, "framing", bus_framing_name(stats.write)) < 0 || put_number(out, "received", stats.received) < 0 ||
        put_number(out, "sent", stats.outbox.sent) < 0 || put_number(out, "echoed", stats.outbox.delivered) < 0 ||
        put_number(out, "resent", stats.outbox.resent) < 0 || put_number(out, "waiting", stats.outbox.waiting) < 0 ||
        put_number(out, "dropped", stats.outbox.dropped) < 0 || put_number(out, "malformed", stats.malformed) < 0 ||
        put_number(out, "reconnects", stats.reconnects) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(out);
    return 0;
}

static int engine_json(const struct report *report, json_object **ret) {
    CLEANUP(json_putp) json_object *out = json_object_new_object(), *bus = NULL, *clusters = json_object_new_array();
    char started[TIME_TEXT_MAX];
    msec now = clock_now();

    if (!out || !clusters || put_text(out, "version", NODEWALL_VERSION) < 0 ||
        put_number(out, "pid", (uint64_t)getpid()) < 0 ||
        put_text(out, "started", time_format(report->started, started)) < 0 ||
        put_text(out, "config", report->config) < 0 || put_text(out, "config_problem", report->config_problem) < 0 ||
        bus_json(report->bus, &bus) < 0 || put(out, "bus", TAKE_PTR(bus)) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < report->n_clusters; i++) {
        CLEANUP(json_putp) json_object *cluster = NULL;

        if (cluster_json(report->clusters[i], now, &cluster) < 0 || json_object_array_add(clusters, cluster) < 0)
            return -ENOMEM;
        (void)TAKE_PTR(cluster);
    }
    if (put(out, "clusters", TAKE_PTR(clusters)) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(out);
    return 0;
}

static int print(json_object *out, char **ret, size_t *ret_size) {
    const char *text;
    char *copy;
    size_t size;

    text = json_object_to_json_string_length(out, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
    copy = text ? strndup(text, size) : NULL;
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    *ret_size = size;
    return 0;
}

int report_status(const struct report *report, char **ret, size_t *ret_size) {
    CLEANUP(json_putp) json_object *out = NULL;

    return engine_json(report, &out) < 0 ? -ENOMEM : print(out, ret, ret_size);
}

static int who(const struct report *report, const char *text, char **ret, size_t *ret_size) {
    CLEANUP(json_putp) json_object *out = json_object_new_object(), *clusters = json_object_new_array();
    struct address address;
    int r = out && clusters ? 0 : -ENOMEM;

    if (address_parse(&address, text, strlen(text)) < 0)
        return -ENOENT;
    for (size_t i = 0; r == 0 && i < report->n_clusters; i++)
        r = cluster_who(report->clusters[i], &address, clusters);
    if (r < 0 || put_text(out, "address", text) < 0 || put(out, "clusters", TAKE_PTR(clusters)) < 0)
        return -ENOMEM;
    return print(out, ret, ret_size);
}

int report_page(const struct report *report, const char *path, char **ret, size_t *ret_size) {
    static const char held[] = "/held/", whose[] = "/who/";
    CLEANUP(json_putp) json_object *out = NULL;

    if (!strncmp(path, whose, strlen(whose)))
        return who(report, path + strlen(whose), ret, ret_size);
    for (size_t i = 0; !strncmp(path, held, strlen(held)) && i < report->n_clusters; i++) {
        int r;

        if (strcmp(cluster_name(report->clusters[i]), path + strlen(held)))
            continue;
        r = cluster_held(report->clusters[i], &out);
        return r < 0 ? r : print(out, ret, ret_size);
    }
    return -ENOENT;
}

/* ---- metrics ---- */

static double age(msec now, msec then) {
    return then < 0 ? -1 : (double)(now - then) / 1000;
}

/* One row: a family, and how its value comes out of a cluster's report. */
struct family {
    const char *name, *help;
    enum metric_type type;
    double (*value)(const struct cluster_report *report, msec now);
};

#define FAMILY_VALUE(name_, expression_)                                                                               \
    static double name_(const struct cluster_report *report, msec now) {                                               \
        (void)now;                                                                                                     \
        return (double)(expression_);                                                                                  \
    }
FAMILY_VALUE(value_synced, report->state == HEALTH_SYNCED || report->state == HEALTH_HELD)
FAMILY_VALUE(value_nodes, report->inventory.nodes)
FAMILY_VALUE(value_addresses, report->set ? report->set->n_members : 0)
FAMILY_VALUE(value_generation, report->set ? report->set->version.generation : 0)
FAMILY_VALUE(value_refused, report->inventory.refused)
FAMILY_VALUE(value_over, report->over_limit)
FAMILY_VALUE(value_grace, report->in_grace)
FAMILY_VALUE(value_held, report->hold.addresses)
FAMILY_VALUE(value_byte_age, age(now, report->watch.last_byte))
FAMILY_VALUE(value_list_age, age(now, report->watch.last_list))
FAMILY_VALUE(value_event_age, age(now, report->watch.last_event))
FAMILY_VALUE(value_expected, report->minions.expected)
FAMILY_VALUE(value_current, report->minions.current)
FAMILY_VALUE(value_repairs, report->minions.repairs)
FAMILY_VALUE(value_publications, report->publications)
FAMILY_VALUE(value_write_failures, report->write_failures)
FAMILY_VALUE(value_lists, report->watch.lists)
FAMILY_VALUE(value_watches, report->watch.watches)
FAMILY_VALUE(value_events, report->watch.events)
FAMILY_VALUE(value_failures, report->watch.failures)
FAMILY_VALUE(value_gone, report->watch.gone)
FAMILY_VALUE(value_cut, report->node_events_cut)

static const struct family families[] = {
    {"nodewall_synced", "1 while the API server answers and the set is current.", METRIC_GAUGE, value_synced},
    {"nodewall_nodes", "Nodes that live.", METRIC_GAUGE, value_nodes},
    {"nodewall_addresses", "Addresses in the published set.", METRIC_GAUGE, value_addresses},
    {"nodewall_generation", "Generation of the published set.", METRIC_GAUGE, value_generation},
    {"nodewall_addresses_refused", "Addresses of living nodes that are not let in.", METRIC_GAUGE, value_refused},
    {"nodewall_addresses_over_limit", "Addresses that max_addresses has no room for.", METRIC_GAUGE, value_over},
    {"nodewall_addresses_in_grace", "Addresses whose node is gone, in removal_grace.", METRIC_GAUGE, value_grace},
    {"nodewall_addresses_held", "Addresses whose removal is held.", METRIC_GAUGE, value_held},
    {"nodewall_last_byte_age_seconds", "Since the API server last said anything; -1: never.", METRIC_GAUGE, value_byte_age},
    {"nodewall_last_list_age_seconds", "Since the last complete list; -1: never.", METRIC_GAUGE, value_list_age},
    {"nodewall_last_event_age_seconds", "Since the last event of a watch; -1: never.", METRIC_GAUGE, value_event_age},
    {"nodewall_minions", "Minions whose rules name the cluster.", METRIC_GAUGE, value_expected},
    {"nodewall_minions_current", "Minions that have the published set.", METRIC_GAUGE, value_current},
    {"nodewall_minions_repaired_total", "Minions that were told again.", METRIC_COUNTER, value_repairs},
    {"nodewall_publications_total", "Sets published.", METRIC_COUNTER, value_publications},
    {"nodewall_store_failures_total", "Writes of the store that failed.", METRIC_COUNTER, value_write_failures},
    {"nodewall_lists_total", "Lists begun.", METRIC_COUNTER, value_lists},
    {"nodewall_watches_total", "Watches begun.", METRIC_COUNTER, value_watches},
    {"nodewall_watch_events_total", "Events of watches.", METRIC_COUNTER, value_events},
    {"nodewall_request_failures_total", "Requests to the API server that failed.", METRIC_COUNTER, value_failures},
    {"nodewall_watch_gone_total", "410s, in any form.", METRIC_COUNTER, value_gone},
    {"nodewall_node_events_cut_total", "Node events left out in floods.", METRIC_COUNTER, value_cut},
};

static void bus_metrics(struct metrics *metrics, struct bus *bus) {
    struct bus_stats stats = bus_stats(bus);

    metrics_add(metrics, METRIC_GAUGE, "nodewall_bus_connected", "1 while Salt's bus carries events.", NULL,
                stats.state == BUS_CONNECTED);
    metrics_add(metrics, METRIC_GAUGE, "nodewall_bus_waiting", "Events that were not seen on the bus yet.", NULL,
                (double)stats.outbox.waiting);
    metrics_add(metrics, METRIC_COUNTER, "nodewall_bus_delivered_total", "Events that were seen on the bus.", NULL,
                (double)stats.outbox.delivered);
    metrics_add(metrics, METRIC_COUNTER, "nodewall_bus_resent_total", "Events sent again.", NULL,
                (double)stats.outbox.resent);
    metrics_add(metrics, METRIC_COUNTER, "nodewall_bus_dropped_total", "Events given up for newer ones.", NULL,
                (double)stats.outbox.dropped);
    metrics_add(metrics, METRIC_COUNTER, "nodewall_bus_reconnects_total", "Times that the bus came back.", NULL,
                (double)stats.reconnects);
}

int report_metrics(const struct report *report, char **ret, size_t *ret_size) {
    CLEANUP(metrics_done) struct metrics metrics = {0};
    const char *const build[] = {"version", NODEWALL_VERSION, NULL};
    CLEANUP(cleanup_free) struct cluster_report *reports = calloc(report->n_clusters + 1, sizeof(*reports));
    msec now = clock_now();

    if (!reports)
        return -ENOMEM;
    for (size_t i = 0; i < report->n_clusters; i++)
        cluster_report(report->clusters[i], &reports[i]);
    metrics_add(&metrics, METRIC_GAUGE, "nodewall_build_info", "Version, always 1.", build, 1);
    bus_metrics(&metrics, report->bus);
    for (size_t f = 0; f < ARRAY_LENGTH(families); f++)
        for (size_t i = 0; i < report->n_clusters; i++) {
            const char *const labels[] = {"cluster", cluster_name(report->clusters[i]), NULL};

            metrics_add(&metrics, families[f].type, families[f].name, families[f].help, labels,
                        families[f].value(&reports[i], now));
        }
    return metrics_take(&metrics, ret, ret_size);
}
