/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config - the whole of nodewall.yaml, checked, and the clusters that lie as kubeconfigs in clusters_dir.
 *
 * Keeps: what config_load returns can be acted on without another look: names are names, paths are absolute, numbers are in
 * their bounds, no cluster is there twice. Does not: open a kubeconfig, or touch state_dir. Owns: struct config and all in it.
 */
#include "cluster.h"
#include "minion.h"

#include "nodewall/set.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_LIMIT (1024 * 1024)
#define CLUSTERS_LIMIT 1024

struct config *config_free(struct config *config) {
    if (!config)
        return NULL;
    for (size_t i = 0; i < config->n_clusters; i++)
        cluster_config_free(config->clusters[i]);
    free(config->clusters);
    free(config->path);
    free(config->text);
    free(config->clusters_dir);
    free(config->state_dir);
    free(config->bus.sock_dir);
    minion_config_done(&config->bus.minion);
    free(config->metrics_host);
    free(config);
    return NULL;
}

const struct cluster_config *config_find(const struct config *config, const char *cluster) {
    for (size_t i = 0; i < config->n_clusters; i++)
        if (strcmp(config->clusters[i]->name, cluster) == 0)
            return config->clusters[i];
    return NULL;
}

/* Takes the cluster over, also on failure. */
static int add_cluster(struct config *config, struct cluster_config *taken) {
    CLEANUP(cluster_config_freep) struct cluster_config *cluster = taken;
    struct cluster_config **grown =
        reallocarray(config->clusters, config->n_clusters + 1, sizeof(*config->clusters));

    if (!grown)
        return -ENOMEM;
    config->clusters = grown;
    config->clusters[config->n_clusters++] = TAKE_PTR(cluster);
    return 0;
}

static int read_clusters(struct config *config, const struct field *clusters, struct problem *problem) {
    int r = field_mapping(clusters, NULL, problem);

    if (r < 0)
        return r;
    if (json_object_object_length(clusters->value) > CLUSTERS_LIMIT)
        return field_problem(clusters, problem, "", "has more than %d clusters", CLUSTERS_LIMIT);
    json_object_object_foreach(clusters->value, name, value) {
        struct cluster_config *cluster = NULL;
        struct field entry;

        (void)value;
        field_get(&entry, clusters, name);
        r = cluster_config_read(&cluster, &entry, name, problem);
        if (r >= 0)
            r = add_cluster(config, cluster);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A file that can be no cluster costs nobody else anything. */
static int leave_out(struct config *config, const char *path, const char *hint, const char *what) {
    if (config->n_left_out < CONFIG_LEFT_OUT)
        problem_set(&config->left_out[config->n_left_out], path, hint, "%s", what);
    config->n_left_out++;
    return 0;
}

static int add_from_dir(struct config *config, const char *file) {
    CLEANUP(cleanup_free) char *path = NULL, *name = strndup(file, strlen(file) - strlen(".kubeconfig"));
    struct cluster_config *cluster = NULL;
    const struct cluster_config *other;
    char what[480];
    int r;

    if (asprintf(&path, "%s/%s", config->clusters_dir, file) < 0)
        path = NULL;
    if (!path || !name)
        return -ENOMEM;
    if (!name_is_cluster(name)) {
        snprintf(what, sizeof(what), "\"%.100s\" is no name for a cluster", name);
        return leave_out(config, path, "rename it: small letters, digits, dots and hyphens, at most 63", what);
    }
    other = config_find(config, name);
    if (other) {
        snprintf(what, sizeof(what), "the cluster %s is in %s, too, and that one counts", name, other->where);
        return leave_out(config, path, "remove one of them", what);
    }
    if (config->n_clusters >= CLUSTERS_LIMIT) {
        snprintf(what, sizeof(what), "there are %d clusters already, which is the most", CLUSTERS_LIMIT);
        return leave_out(config, path, "", what);
    }
    r = cluster_config_new(&cluster, name, path);
    if (r < 0)
        return r;
    cluster->from_dir = true;
    cluster->kubeconfig = TAKE_PTR(path);
    return add_cluster(config, cluster);
}

static void cleanup_dir(DIR **dir) {
    if (*dir)
        closedir(*dir);
}

static int read_dir(struct config *config, bool named, struct problem *problem) {
    CLEANUP(cleanup_dir) DIR *dir = opendir(config->clusters_dir);
    const struct dirent *entry;
    const size_t suffix = strlen(".kubeconfig");
    struct stat st;

    if (!dir && errno == ENOENT && !named)
        return 0;
    if (!dir)
        return problem_set(problem, config->clusters_dir, "create it, or remove clusters_dir", "clusters_dir cannot be read: %s",
                           strerror(errno));
    if (fstat(dirfd(dir), &st) == 0 && (st.st_mode & S_IWOTH))
        return problem_set(problem, config->clusters_dir, "look at what is in it, then: chmod o-w it",
                           "everybody on this machine can write into clusters_dir, and a kubeconfig may name a program to run");
    while ((entry = readdir(dir))) {
        size_t n = strlen(entry->d_name);
        int r;

        /* A leading dot is how editors and deploy tools mark a file that is not there yet. */
        if (entry->d_name[0] == '.' || n <= suffix || strcmp(entry->d_name + n - suffix, ".kubeconfig") != 0)
            continue;
        r = add_from_dir(config, entry->d_name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_port(uint16_t *ret, const struct field *parent, const char *key, struct problem *problem) {
    struct field field;
    unsigned port = *ret;
    int r = field_get(&field, parent, key) ? field_unsigned(&port, &field, 1, 65535, problem) : 0;

    if (r >= 0)
        *ret = (uint16_t)port;
    return r;
}

static int read_choice(int *ret, const struct field *parent, const char *key, const char *const *words, struct problem *problem) {
    struct field field;

    return field_get(&field, parent, key) ? field_choice(ret, &field, words, problem) : 0;
}

static int read_bus(struct bus_config *bus, const struct field *field, struct problem *problem) {
    static const char *const keys[] = {"transport", "sock_dir", "ipc_mode", "pub_port", "pull_port", "framing", NULL};
    int transport = bus->transport, ipc_mode = bus->ipc_mode, framing = bus->framing;
    struct field at;
    int r = field_mapping(field, NULL, problem);

    if (r >= 0)
        r = read_choice(&transport, field, "transport", (const char *const[]){"local", "minion", NULL}, problem);
    if (r >= 0 && transport == BUS_TRANSPORT_MINION) {
        bus->transport = BUS_TRANSPORT_MINION;
        return minion_config_read(&bus->minion, field, problem);
    }
    if (r >= 0)
        r = field_mapping(field, keys, problem);
    if (r >= 0 && field_get(&at, field, "sock_dir"))
        r = field_path(&bus->sock_dir, &at, problem);
    if (r >= 0)
        r = read_choice(&ipc_mode, field, "ipc_mode", (const char *const[]){"ipc", "tcp", NULL}, problem);
    if (r >= 0)
        r = read_port(&bus->pub_port, field, "pub_port", problem);
    if (r >= 0)
        r = read_port(&bus->pull_port, field, "pull_port", problem);
    if (r >= 0)
        r = read_choice(&framing, field, "framing", (const char *const[]){"auto", "bare", "len32", NULL}, problem);
    bus->transport = (enum bus_transport)transport;
    bus->ipc_mode = (enum bus_ipc_mode)ipc_mode;
    bus->framing = (enum config_framing)framing;
    return r;
}

/* ADDRESS:PORT; a name would make what is listened on depend on a resolver. */
static int read_metrics(struct config *config, const struct field *field, struct problem *problem) {
    CLEANUP(cleanup_free) char *typed = NULL;
    struct address address;
    const char *colon, *host;
    unsigned long port;
    size_t n;
    int r = field_string(&typed, field, problem);

    if (r < 0)
        return r;
    colon = strrchr(typed, ':');
    host = typed;
    n = colon ? (size_t)(colon - typed) : 0;
    if (n >= 2 && typed[0] == '[' && typed[n - 1] == ']') {
        host++;
        n -= 2;
    } else if (memchr(typed, ':', n)) {
        n = 0; /* IPv6 without brackets: which part is the port? */
    }
    port = colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && strlen(colon + 1) <= 5 ? strtoul(colon + 1, NULL, 10) : 0;
    if (address_parse(&address, host, n) < 0 || !address_is_host(&address) || port < 1 || port > 65535)
        return field_problem(field, problem, "write 127.0.0.1:9798 or [::1]:9798", "is \"%.60s\", which is no address and port", typed);
    config->metrics_host = strndup(host, n);
    config->metrics_port = (uint16_t)port;
    return config->metrics_host ? 0 : -ENOMEM;
}

static int read_root(struct config *config, const struct field *root, struct problem *problem) {
    static const char *const keys[] = {"clusters", "clusters_dir", "state_dir", "bus", "metrics", NULL};
    struct field field;
    bool named;
    int r = field_mapping(root, keys, problem);

    if (r >= 0 && field_get(&field, root, "state_dir"))
        r = field_path(&config->state_dir, &field, problem);
    if (r >= 0 && field_get(&field, root, "bus"))
        r = read_bus(&config->bus, &field, problem);
    if (r >= 0 && field_get(&field, root, "metrics"))
        r = read_metrics(config, &field, problem);
    if (r >= 0 && field_get(&field, root, "clusters"))
        r = read_clusters(config, &field, problem);
    if (r < 0)
        return r;
    named = field_get(&field, root, "clusters_dir");
    if (named)
        r = field_path(&config->clusters_dir, &field, problem);
    if (r >= 0)
        r = read_dir(config, named, problem);
    return r;
}

static int new_with_defaults(struct config **ret, const char *path) {
    CLEANUP(config_freep) struct config *config = calloc(1, sizeof(*config));

    if (!config)
        return -ENOMEM;
    config->path = strdup(path);
    config->clusters_dir = strdup(CONFIG_CLUSTERS_DIR);
    config->state_dir = strdup(CONFIG_STATE_DIR);
    config->bus = (struct bus_config){.sock_dir = strdup(CONFIG_SOCK_DIR), .pub_port = 4512, .pull_port = 4513};
    if (!config->path || !config->clusters_dir || !config->state_dir || !config->bus.sock_dir)
        return -ENOMEM;
    *ret = TAKE_PTR(config);
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(struct cluster_config *const *)a)->name, (*(struct cluster_config *const *)b)->name);
}

static int parse(struct config **ret, const char *path, const char *text, size_t size, struct problem *problem) {
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(document_freep) struct document *document = NULL;
    struct field root;
    int r = document_parse(&document, path, text, size, problem);

    if (r >= 0)
        r = new_with_defaults(&config, path);
    if (r < 0)
        return r;
    config->text = strdup(text);
    if (!config->text)
        return -ENOMEM;
    field_root(&root, document);
    if (!root.value)
        return field_problem(&root, problem, "begin with \"clusters:\"", "there is nothing in this file");
    r = read_root(config, &root, problem);
    if (r < 0)
        return r;
    if (config->n_clusters == 0 && access(config->clusters_dir, F_OK) < 0)
        return field_problem(&root, problem, "add one under \"clusters:\", or put NAME.kubeconfig into clusters_dir",
                             "there is no cluster, neither here nor in %.200s", config->clusters_dir);
    if (config->n_clusters)
        qsort(config->clusters, config->n_clusters, sizeof(*config->clusters), by_name);
    *ret = TAKE_PTR(config);
    return 0;
}

int config_load(struct config **ret, const char *path, struct problem *problem) {
    CLEANUP(cleanup_free) char *text = NULL;
    char absolute[PATH_MAX], cwd[PATH_MAX];
    size_t size;
    int r;

    /* Not realpath: through a symbolic link, "beside the file" means beside the name that was given. */
    if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
        return -errno;
    if (snprintf(absolute, sizeof(absolute), "%s%s%s", path[0] == '/' ? "" : cwd, path[0] == '/' ? "" : "/", path) >= PATH_MAX)
        return -ENAMETOOLONG;
    r = file_read(&text, &size, absolute, CONFIG_LIMIT);
    if (r == -ENOENT)
        return problem_set(problem, absolute,
                           "begin with /usr/share/nodewall/examples/nodewall.yaml, or name another file with -c",
                           "there is no configuration");
    return r < 0 ? document_unread(r, absolute, CONFIG_LIMIT, problem) : parse(ret, absolute, text, size, problem);
}

int config_list_again(struct config **ret, const struct config *config, struct problem *problem) {
    return parse(ret, config->path, config->text, strlen(config->text), problem);
}
