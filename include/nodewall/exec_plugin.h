/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec plugin - the program that a kubeconfig names to get credentials from (client.authentication.k8s.io, v1 and
 * v1beta1): how to call it, what to tell it, and how to read what it says. Values only; kube/exec.c runs it.
 *
 * What it prints is a stranger's: it is parsed whole or refused, and never quoted.
 */
#pragma once

#include "nodewall/base.h"

#define CREDENTIAL_LIMIT (256 * 1024)           /* bytes of one certificate, key or token, and of a plugin's output */

/* Bytes, or the file that they are in. Both NULL: not given. Never both. */
struct credential {
    char *data;         /* size bytes and a NUL */
    size_t size;
    char *path;         /* absolute */
};

struct exec_plugin {
    char *command;          /* an absolute path, or a name without a slash, to be looked for in PATH */
    char **arguments;       /* NULL-terminated, may be NULL */
    char **environment;     /* "NAME=value", NULL-terminated, may be NULL; secrets stand here */
    char *install_hint;     /* one line, may be NULL */
    char *api_version;      /* client.authentication.k8s.io/v1 or /v1beta1 */
    bool wants_cluster;     /* provideClusterInfo */
    char *cluster_config;   /* JSON of the cluster's extension client.authentication.k8s.io/exec, may be NULL */
};

struct exec_plugin *exec_plugin_free(struct exec_plugin *plugin);
DEFINE_CLEANUP(struct exec_plugin, exec_plugin_free)

struct endpoint;
/* The text for KUBERNETES_EXEC_INFO. `ca` is the PEM that is in use, NULL: none. 0, -ENOMEM; the caller frees *ret. */
int exec_plugin_info(char **ret, const struct endpoint *endpoint, const char *ca, size_t ca_size);

/* What a plugin answered: a token, or a certificate with its key, or all three. */
struct exec_reply {
    char *token;                            /* one line */
    struct credential certificate, key;     /* PEM, not looked into */
    msec expires;                           /* wall clock; MSEC_NEVER: not said */
};

/* -EINVAL with *problem, pinned to the command and without a word of the output. */
int exec_reply_parse(struct exec_reply *ret, const struct exec_plugin *plugin, const char *text, size_t size,
                     struct problem *problem);
void exec_reply_done(struct exec_reply *reply);
