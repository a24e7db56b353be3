/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handoff - what Salt's engine shim (states/_engines/nodewall.py) tells the program that it becomes.
 *
 * It comes on a sealed memfd, so that nothing stands on the command line or in the environment and nobody can change it
 * while it is read. The shim is trusted as far as the master is; lengths and types are checked all the same.
 */
#pragma once

#include "nodewall/base.h"

struct handoff {
    char *config;           /* path of nodewall.yaml */
    char *sock_dir;
    char *log_file;         /* NULL: stderr */
    char *log_level;
    char *salt_version;
    char *id;               /* e.g. "vm_master" */
    bool tcp;               /* ipc_mode tcp */
    bool ipv6;
    int pub_port, pull_port;
    int write_len32, read_len32;    /* 1, 0, or -1 for unknown */
    int parent_pid;
};

struct handoff *handoff_free(struct handoff *handoff);
DEFINE_CLEANUP(struct handoff, handoff_free)

/* Reads and closes `fd`. -EINVAL with a problem when it is no sealed memfd or its content is not what the shim writes. */
int handoff_read(struct handoff **ret, int fd, struct problem *problem);

/* Dies with the master: asks for SIGTERM at the parent's end, and says -ESRCH if the parent is already gone. */
int handoff_bind_to_parent(const struct handoff *handoff);
