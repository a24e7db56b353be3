/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roll - see roll.h.
 *
 * Keeps: a cluster that has addresses on minions is on it, whatever became of its configuration: nobody else would say that they
 * are still let in, nor let them go when told to.
 * Does not: compare configurations (cluster_reload).
 */
#include "roll.h"

#include "nodewall/log.h"

#include <dirent.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
    return strcmp(cluster_name(*(struct cluster *const *)a), cluster_name(*(struct cluster *const *)b));
}

struct cluster *roll_find(const struct roll *roll, const char *name) {
    for (size_t i = 0; i < roll->n; i++)
        if (!strcmp(cluster_name(roll->clusters[i]), name))
            return roll->clusters[i];
    return NULL;
}

static int add(struct roll *roll, struct cluster_shared *shared, const char *name, const struct cluster_config *config) {
    struct cluster **clusters = reallocarray(roll->clusters, roll->n + 1, sizeof(*clusters));
    int r;

    if (!clusters)
        return -ENOMEM;
    roll->clusters = clusters;
    r = cluster_new(&clusters[roll->n], shared, name, config);
    if (r < 0) {
        log_error("%s: %s", name, strerror(-r));
        return r;
    }
    roll->n++;
    return 0;
}

static void sort(struct roll *roll) {
    if (roll->n)
        qsort(roll->clusters, roll->n, sizeof(*roll->clusters), by_name);
}

static void take_out(struct roll *roll, size_t i) {
    cluster_free(roll->clusters[i]);
    memmove(roll->clusters + i, roll->clusters + i + 1, (roll->n - i - 1) * sizeof(*roll->clusters));
    roll->n--;
}

int roll_follow(struct roll *roll, struct cluster_shared *shared, const struct config *config) {
    int r = 0;

    for (size_t i = roll->n; i-- > 0;) {
        struct cluster *cluster = roll->clusters[i];

        if (config_find(config, cluster_name(cluster)) || cluster_is_dropped(cluster))
            continue;
        cluster_drop(cluster);
        if (!cluster_has_addresses(cluster))
            take_out(roll, i);
    }
    for (size_t i = 0; i < config->n_clusters; i++) {
        const struct cluster_config *one = config->clusters[i];
        struct cluster *cluster = roll_find(roll, one->name);

        if (cluster)
            cluster_reload(cluster, one);
        else if (add(roll, shared, one->name, one) < 0)
            r = -ENOMEM;
    }
    sort(roll);
    return r;
}

static int consider(struct roll *roll, struct cluster_shared *shared, const struct config *config, const char *file) {
    size_t n = strlen(file), end = strlen(".json");
    char name[64];

    if (n <= end || strcmp(file + n - end, ".json") || n - end >= sizeof(name))
        return 0;
    snprintf(name, sizeof(name), "%.*s", (int)(n - end), file);
    if (!name_is_cluster(name) || config_find(config, name))
        return 0;
    n = roll->n;
    if (add(roll, shared, name, NULL) < 0)
        return -ENOMEM;
    if (!cluster_has_addresses(roll->clusters[n])) {
        take_out(roll, n);
        return 0;
    }
    log_warning("%s: is not configured (any more); its addresses stay until 'nodewall release %s'", name, name);
    return 0;
}

int roll_find_dropped(struct roll *roll, struct cluster_shared *shared, const struct config *config) {
    CLEANUP(cleanup_free) char *path = NULL;
    struct dirent *entry;
    DIR *dir;
    int r = 0;

    if (asprintf(&path, "%s/store", state_dir_path(shared->state_dir)) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    dir = opendir(path);
    while (dir && r == 0 && (entry = readdir(dir)))
        r = consider(roll, shared, config, entry->d_name);
    if (dir)
        closedir(dir);
    sort(roll);
    return r;
}

void roll_done(struct roll *roll) {
    for (size_t i = 0; i < roll->n; i++)
        cluster_free(roll->clusters[i]);
    free(roll->clusters);
    *roll = (struct roll){0};
}
