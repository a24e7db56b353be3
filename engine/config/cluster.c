/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster - one cluster as configured: where it is, which of its nodes and addresses count, and how careful to be.
 *
 * Keeps: exactly one of kubeconfig, in_cluster and server says where the cluster is; everything else has a safe default.
 * Does not: open the kubeconfig before cluster_endpoint is called. Owns: its struct.
 */
#include "cluster.h"

#include "nodewall/set.h"

#include <string.h>

#define LIST_LIMIT 4096         /* items of within, extra, except */
#define SECOND ((msec)1000)

static const char *const keys[] = {
    "kubeconfig", "context",      "in_cluster",    "server",      "ca",
    "token_file", "node_selector", "field_selector", "address_types", "within", "extra",
    "except",     "removal_grace", "max_removal",   "max_addresses_per_node", "max_addresses",
    "stale_after", NULL,
};

struct cluster_config *cluster_config_free(struct cluster_config *cluster) {
    if (!cluster)
        return NULL;
    free(cluster->name);
    free(cluster->where);
    free(cluster->kubeconfig);
    free(cluster->context);
    free(cluster->server);
    free(cluster->ca);
    free(cluster->token_file);
    free(cluster->node_selector);
    free(cluster->field_selector);
    strings_free(cluster->address_types);
    address_list_done(&cluster->within);
    address_list_done(&cluster->extra);
    address_list_done(&cluster->except);
    free(cluster);
    return NULL;
}

int cluster_config_new(struct cluster_config **ret, const char *name, const char *where) {
    CLEANUP(cluster_config_freep) struct cluster_config *cluster = calloc(1, sizeof(*cluster));

    if (!cluster)
        return -ENOMEM;
    cluster->name = strdup(name);
    cluster->where = strdup(where);
    cluster->address_types = calloc(3, sizeof(char *));
    if (!cluster->name || !cluster->where || !cluster->address_types)
        return -ENOMEM;
    cluster->address_types[0] = strdup("ExternalIP");
    cluster->address_types[1] = strdup("InternalIP");
    if (!cluster->address_types[0] || !cluster->address_types[1])
        return -ENOMEM;
    cluster->removal_grace = 30 * SECOND;
    cluster->max_removal = 50;
    cluster->max_addresses_per_node = 16;
    cluster->max_addresses = 65536;
    cluster->stale_after = 600 * SECOND;
    *ret = TAKE_PTR(cluster);
    return 0;
}

/* Where the cluster is: one of three ways, each with its companions. */
static int read_source(struct cluster_config *cluster, const struct field *entry, struct problem *problem) {
    struct field field;
    unsigned n;
    int r = 0;

    if (field_get(&field, entry, "kubeconfig"))
        r = field_paths(&cluster->kubeconfig, &field, problem);
    if (r >= 0 && field_get(&field, entry, "context"))
        r = field_string(&cluster->context, &field, problem);
    if (r >= 0 && field_get(&field, entry, "in_cluster"))
        r = field_bool(&cluster->in_cluster, &field, problem);
    if (r >= 0 && field_get(&field, entry, "server"))
        r = field_string(&cluster->server, &field, problem);
    if (r >= 0 && field_get(&field, entry, "ca"))
        r = field_path(&cluster->ca, &field, problem);
    if (r >= 0 && field_get(&field, entry, "token_file"))
        r = field_path(&cluster->token_file, &field, problem);
    if (r < 0)
        return r;
    n = !!cluster->kubeconfig + cluster->in_cluster + !!cluster->server;
    if (n == 0)
        return field_problem(entry, problem, "add \"kubeconfig: PATH\", \"in_cluster: true\" or \"server: https://...\"",
                             "does not say where the cluster is");
    if (n > 1)
        return field_problem(entry, problem, "keep one of kubeconfig, in_cluster and server",
                             "says in more than one way where the cluster is");
    if (cluster->context && !cluster->kubeconfig)
        return field_problem(entry, problem, "remove context", "has a context, which only a kubeconfig has");
    if ((cluster->ca || cluster->token_file) && !cluster->server)
        return field_problem(entry, problem, "remove ca and token_file, or use server",
                             "has a ca or token_file, which belong to server");
    return 0;
}

static int read_types(struct cluster_config *cluster, const struct field *field, struct problem *problem) {
    /* The other two types of the API, InternalDNS and ExternalDNS, are names; a firewall's set has addresses. */
    static const char *const types[] = {"ExternalIP", "InternalIP", "Hostname", NULL};
    int r = field_strings(&cluster->address_types, field, 8, problem), word;

    if (r < 0)
        return r;
    if (field_length(field) == 0)
        return field_problem(field, problem, "name at least one, or remove the line", "is empty: no node would have an address");
    for (size_t i = 0; i < field_length(field); i++) {
        struct field item;

        field_item(&item, field, i);
        r = field_choice(&word, &item, types, problem);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_selection(struct cluster_config *cluster, const struct field *entry, struct problem *problem) {
    struct field field;
    int r = 0;

    if (field_get(&field, entry, "node_selector"))
        r = field_string(&cluster->node_selector, &field, problem);
    if (r >= 0 && field_get(&field, entry, "field_selector"))
        r = field_string(&cluster->field_selector, &field, problem);
    if (r >= 0 && field_get(&field, entry, "address_types"))
        r = read_types(cluster, &field, problem);
    if (r >= 0 && field_get(&field, entry, "within"))
        r = field_addresses(&cluster->within, &field, LIST_LIMIT, problem);
    if (r >= 0 && field_get(&field, entry, "extra"))
        r = field_addresses(&cluster->extra, &field, LIST_LIMIT, problem);
    if (r >= 0 && field_get(&field, entry, "except"))
        r = field_addresses(&cluster->except, &field, LIST_LIMIT, problem);
    return r;
}

static int read_bounds(struct cluster_config *cluster, const struct field *entry, struct problem *problem) {
    struct field field;
    int r = 0;

    if (field_get(&field, entry, "removal_grace"))
        r = field_duration(&cluster->removal_grace, &field, 0, problem);
    if (r >= 0 && field_get(&field, entry, "max_removal"))
        r = field_percent(&cluster->max_removal, &field, problem);
    if (r >= 0 && field_get(&field, entry, "max_addresses_per_node"))
        r = field_unsigned(&cluster->max_addresses_per_node, &field, 1, 1024, problem);
    if (r >= 0 && field_get(&field, entry, "max_addresses"))
        r = field_unsigned(&cluster->max_addresses, &field, 1, SET_LIMIT, problem);
    if (r >= 0 && field_get(&field, entry, "stale_after"))
        r = field_duration(&cluster->stale_after, &field, SECOND, problem);
    return r;
}

int cluster_config_read(struct cluster_config **ret, const struct field *entry, const char *name, struct problem *problem) {
    CLEANUP(cluster_config_freep) struct cluster_config *cluster = NULL;
    char where[320];
    int r;

    if (!name_is_cluster(name))
        return field_problem(entry, problem, "small letters, digits, dots and hyphens, at most 63, not beginning with a dot or hyphen",
                             "is no name for a cluster");
    r = field_mapping(entry, keys, problem);
    if (r < 0)
        return r;
    snprintf(where, sizeof(where), "%.300s:%u", entry->document->path, entry->line);
    r = cluster_config_new(&cluster, name, where);
    if (r >= 0)
        r = read_source(cluster, entry, problem);
    if (r >= 0)
        r = read_selection(cluster, entry, problem);
    if (r >= 0)
        r = read_bounds(cluster, entry, problem);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(cluster);
    return 0;
}

int cluster_endpoint(struct endpoint **ret, const struct cluster_config *cluster, struct problem *problem) {
    struct problem inner = {0};
    int r;

    if (cluster->kubeconfig)
        r = endpoint_from_kubeconfig(ret, cluster->kubeconfig, cluster->context, &inner);
    else if (cluster->in_cluster)
        r = endpoint_from_cluster(ret, NULL, cluster->where, &inner);
    else
        r = endpoint_from_server(ret, cluster->server, cluster->ca, cluster->token_file, cluster->where, &inner);
    if (r == -EINVAL)
        return problem_set(problem, inner.where, inner.hint, "cluster %s: %s", cluster->name, inner.what);
    return r;
}
