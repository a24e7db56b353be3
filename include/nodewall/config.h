/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config - /etc/nodewall/nodewall.yaml, read whole and checked whole.
 *
 * A configuration is loaded or refused; there is no half of one. Whatever a person can get wrong in it (an unknown key,
 * a wrong type, a bad duration, a name given twice) is a struct problem with file:line and a way out. What lies behind
 * the file, the kubeconfigs, is read by cluster_endpoint, one cluster at a time: a broken one disturbs no other.
 */
#pragma once

#include "nodewall/address.h"
#include "nodewall/kubeconfig.h"

#define CONFIG_PATH "/etc/nodewall/nodewall.yaml"
#define CONFIG_CLUSTERS_DIR "/etc/nodewall/clusters.d"
#define CONFIG_STATE_DIR "/var/lib/nodewall"
#define CONFIG_SOCK_DIR "/var/run/salt/master"

struct address_list {
    struct address *items;      /* in the file's order; hosts and networks, each checked and normal */
    size_t n;
};

/* One entry under `clusters:`, or one file of clusters_dir. Exactly one of kubeconfig, in_cluster, server is given. */
struct cluster_config {
    char *name;                         /* name_is_cluster */
    char *where;                        /* file:line of the entry, or the kubeconfig in clusters_dir */
    bool from_dir;

    char *kubeconfig;                   /* absolute path, or several with colons between, or NULL */
    char *context;                      /* NULL: the kubeconfig's current-context */
    bool in_cluster;
    char *server;                       /* as typed; checked by cluster_endpoint */
    char *ca, *token_file;              /* absolute paths or NULL; only with server */

    char *node_selector;                /* label selector as typed, not percent-encoded; NULL: every node */
    char *field_selector;               /* likewise, of fields: metadata.name, spec.unschedulable */
    char **address_types;               /* NULL-terminated, never empty; all of them are taken. InternalIP, ExternalIP, Hostname */
    struct address_list within;         /* empty: everywhere */
    struct address_list extra, except;
    msec removal_grace;                 /* 0 and up; default 30 s */
    unsigned max_removal;               /* percent, 0 to 100; 100: never hold; default 50 */
    unsigned max_addresses_per_node;    /* 1 to 1024; default 16 */
    unsigned max_addresses;             /* 1 to SET_LIMIT (set.h); default 65536 */
    msec stale_after;                   /* at least 1 s; default 10 min */
};

enum bus_transport { BUS_TRANSPORT_LOCAL, BUS_TRANSPORT_MINION, BUS_TRANSPORT_MAX };
enum bus_ipc_mode { BUS_IPC_UNIX, BUS_IPC_TCP, BUS_IPC_MAX };                            /* `ipc`, `tcp` */
enum config_framing { CONFIG_FRAMING_AUTO, CONFIG_FRAMING_BARE, CONFIG_FRAMING_LEN32, CONFIG_FRAMING_MAX };   /* not bus.h's: layers */

#define CONFIG_MASTER_PORT 4506
#define CONFIG_MASTERS_MAX 16
#define CONFIG_FINGERS_MAX 16

struct master_config {
    char *host;                         /* a name or an address, without brackets */
    uint16_t port;
};

/* transport: minion. At least one master, an id, and one of fingers, master_key, trust_first_use. */
struct minion_config {
    struct master_config *masters;
    size_t n_masters;
    char *id;                           /* name_is_node */
    char **fingers;                     /* as typed, each of 64 hex digits, colons between; NULL-terminated or NULL */
    char *master_key;                   /* absolute or NULL */
    bool trust_first_use;
    int hash;                           /* index of auto, sha1, sha224 */
};

/* For running alone; what Salt's shim passes about the local transport wins over it. */
struct bus_config {
    enum bus_transport transport;
    struct minion_config minion;
    char *sock_dir;                     /* absolute; default CONFIG_SOCK_DIR */
    enum bus_ipc_mode ipc_mode;
    uint16_t pub_port, pull_port;       /* default 4512, 4513 */
    enum config_framing framing;          /* default auto */
};

#define CONFIG_LEFT_OUT 8               /* files of clusters_dir that are told; the others are counted */

struct config {
    char *path;                         /* absolute */
    char *text;                         /* of the file, for config_list_again */
    struct cluster_config **clusters;   /* by name; at least one, or a clusters_dir that may get one */
    size_t n_clusters;
    char *clusters_dir;                 /* absolute; default CONFIG_CLUSTERS_DIR, which need not exist */
    char *state_dir;                    /* absolute; default CONFIG_STATE_DIR; not touched here */
    struct bus_config bus;
    char *metrics_host;                 /* literal address of the listener; NULL: none asked for */
    uint16_t metrics_port;
    struct problem left_out[CONFIG_LEFT_OUT];   /* files in clusters_dir that are no cluster, and why */
    size_t n_left_out;                          /* all of them */
};

/*
 * Reads `path` and lists clusters_dir. Relative paths in the file are taken from the file's directory. No cluster at all
 * is a problem unless there is a clusters_dir. A file there that can be no cluster (its name, or a name that is taken) is left
 * out and told, and disturbs nothing else. Kubeconfigs, CAs and tokens are not opened. 0; -EINVAL with *problem filled (which may be NULL);
 * -ENOMEM. *ret is untouched on failure, the caller's on success.
 */
int config_load(struct config **ret, const char *path, struct problem *problem);
/* The same file as it was read then, with clusters_dir as it is now. */
int config_list_again(struct config **ret, const struct config *config, struct problem *problem);
/* Where the state directory probably is, of a file that config_load refuses; 0 or -ENOMEM. */
int config_guess_state_dir(char **ret, const char *path);
struct config *config_free(struct config *config);
DEFINE_CLEANUP(struct config, config_free)
/* NULL if there is none of that name; lives as long as `config`. */
const struct cluster_config *config_find(const struct config *config, const char *cluster);

/* What `b` changes in `a`, of which nobody else's is changed by it. */
enum {
    CONFIG_WORDS = 1,           /* policy's: within, extra, except, grace, bounds, stale_after */
    CONFIG_CHOICE = 2,          /* which of a node's addresses count */
    CONFIG_SOURCE = 4,          /* server, credentials, selector */
    CONFIG_SELECTION = 8,       /* which nodes or types count at all: what is missing then is missing by an operator's word */
};
unsigned cluster_config_compare(const struct cluster_config *a, const struct cluster_config *b);

/*
 * How to reach this cluster's API: reads its kubeconfig, or the environment of a pod, or takes server, ca and token_file.
 * Same returns as config_load. Token and certificate *files* are only named in the endpoint; kube_client reads them.
 */
int cluster_endpoint(struct endpoint **ret, const struct cluster_config *cluster, struct problem *problem);
