/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubeconfig - from a kubeconfig and a context (or a pod's service account, or a server with its CA) to one endpoint:
 * where the API is, how to know that it is it, and how to say who we are.
 *
 * An endpoint is values, with no file open and nothing connected. Data inside the kubeconfig wins over a file named
 * beside it; a token *file* wins over a token, for it is the one that rotates; a token or a certificate wins over an
 * exec plugin. So does kubectl.
 * Everything that is secret is overwritten before its memory is given back.
 */
#pragma once

#include "nodewall/exec_plugin.h"

#define KUBECONFIG_LIMIT (1024 * 1024)          /* bytes of a kubeconfig */

struct impersonation {
    char *user, *uid;   /* NULL: not given; the others need a user */
    char **groups;      /* NULL-terminated, or NULL */
    char **extra;       /* pairs "key", "value", NULL-terminated, or NULL; keys lower case, as kubectl sends them */
};

struct endpoint {
    char *origin;               /* for sentences: "context prod (user me) in /etc/nodewall/prod.kubeconfig" */
    char *server;               /* https://host[:port][/prefix], no slash at the end, no user, query or fragment */
    char *host;                 /* of `server`; IPv6 without brackets */
    uint16_t port;              /* of `server`, or its scheme's */
    bool plain;                 /* http:// to a loopback address: no TLS at all. Worth a warning */
    bool insecure;              /* the server is not verified. Worth a warning */
    bool disable_compression;
    char *tls_server_name;      /* NULL: the host of `server` */
    char *proxy;                /* http://, https:// or socks5:// URL, may hold a password; NULL: the environment's */
    struct credential ca;       /* PEM; not given: the system's */
    struct credential certificate, key;     /* PEM; both or none */
    char *token;                /* one line, not empty; with a token_file: until that can be read. NULL: none */
    char *token_file;           /* absolute */
    struct exec_plugin *exec;   /* NULL: none; then there is neither token nor certificate */
    struct impersonation as;
};

struct endpoint *endpoint_free(struct endpoint *endpoint);
DEFINE_CLEANUP(struct endpoint, endpoint_free)

/*
 * All three: 0; -EINVAL with *problem filled (may be NULL; names file, context and user); -ENOMEM. *ret is untouched on
 * failure, the caller's on success. `where` is what a problem without a file of its own is pinned to (file:line).
 *
 * endpoint_from_kubeconfig: YAML or JSON; `context` NULL: current-context. `path` may be several with colons between, as
 *   in $KUBECONFIG: they are merged as kubectl does it, by name, the first wins, and those that don't exist are passed
 *   over. Everything that is wrong with the context, its cluster and its user is told at once.
 * endpoint_from_cluster: a pod's service account (KUBERNETES_SERVICE_HOST and _PORT; `root` is where the mount lies,
 *   NULL: its usual place).
 * endpoint_from_server: ca NULL: the system's; token_file NULL: anonymous.
 */
int endpoint_from_kubeconfig(struct endpoint **ret, const char *path, const char *context, struct problem *problem);
int endpoint_from_cluster(struct endpoint **ret, const char *root, const char *where, struct problem *problem);
int endpoint_from_server(struct endpoint **ret, const char *server, const char *ca, const char *token_file,
                         const char *where, struct problem *problem);
