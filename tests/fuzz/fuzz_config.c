/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML of any kind as a kubeconfig, as nodewall.yaml and as what an exec plugin prints: refused with a sentence and a place, or
 * what the headers promise. The bytes are read from memory that has a name; nothing that they name is opened or run.
 */
#include "fuzz.h"
#include "nodewall/config.h"
#include "nodewall/exec_plugin.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void check_problem(int r, const struct problem *problem) {
    MUST(r == 0 || r == -EINVAL);
    if (r == 0)
        return;
    MUST(problem->what[0] && problem->where[0]);
    MUST(memchr(problem->what, 0, sizeof(problem->what)) && memchr(problem->hint, 0, sizeof(problem->hint)));
}

static void check_endpoint(const struct endpoint *endpoint) {
    MUST(!strncmp(endpoint->server, "https://", 8) || (endpoint->plain && !strncmp(endpoint->server, "http://", 7)));
    MUST(endpoint->host[0] && endpoint->port && endpoint->origin[0]);
    MUST(!strpbrk(endpoint->server, "@?# \t\r\n"));
    MUST(!endpoint->token || (endpoint->token[0] && !endpoint->token_file && !strpbrk(endpoint->token, " \t\r\n")));
    MUST(!endpoint->token_file || endpoint->token_file[0] == '/');
    MUST(!endpoint->ca.data || !endpoint->ca.path);
}

static void check_cluster(const struct cluster_config *cluster) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    struct problem problem = {0};
    int r;

    MUST(name_is_cluster(cluster->name) && cluster->where[0] && cluster->address_types[0]);
    MUST(!!cluster->kubeconfig + cluster->in_cluster + !!cluster->server == 1);
    MUST(cluster->max_removal <= 100 && cluster->max_addresses_per_node <= 1024 && cluster->removal_grace >= 0);
    if (!cluster->server)
        return;
    r = cluster_endpoint(&endpoint, cluster, &problem);
    check_problem(r, &problem);
    if (r == 0)
        check_endpoint(endpoint);
}

static void check_reply(const char *text, size_t size) {
    const struct exec_plugin plugin = {.command = "/plugin", .api_version = "client.authentication.k8s.io/v1"};
    CLEANUP(exec_reply_done) struct exec_reply reply = {0};
    struct problem problem = {0};
    int r = exec_reply_parse(&reply, &plugin, text, size, &problem);

    check_problem(r, &problem);
    if (r < 0)
        return;
    MUST(reply.token || reply.key.data);
    MUST(!reply.token || (reply.token[0] && !strpbrk(reply.token, " \t\r\n")));
    MUST(!reply.key.data == !reply.certificate.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(cleanup_close) int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct problem problem = {0};
    char path[64];
    int r;

    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size && fchmod(fd, 0600) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = endpoint_from_kubeconfig(&endpoint, path, NULL, &problem);
    check_problem(r, &problem);
    if (r == 0)
        check_endpoint(endpoint);
    check_reply((const char *)data, size);
    problem = (struct problem){0};
    r = config_load(&config, path, &problem);
    check_problem(r, &problem);
    for (size_t i = 0; r == 0 && i < config->n_clusters; i++)
        check_cluster(config->clusters[i]);
    return 0;
}
