/* SPDX-License-Identifier: Apache-2.0 */
/* Salt snippet - whether the master's configuration files name what nodewall needs: zz-nodewall.conf, or the like. */
#pragma once

#include "nodewall/base.h"

enum snippet_need { SNIPPET_MODULES, SNIPPET_ENGINE, SNIPPET_PILLAR, SNIPPET_REACTOR, SNIPPET_STATES, SNIPPET_SETS, SNIPPET_MAX };

struct snippet {
    bool found[SNIPPET_MAX];
    char unread[512];           /* files that could not be read, and why; "" */
};

const char *snippet_need_text(enum snippet_need need);  /* "engines: nodewall (starts the engine)" */
/* Reads `dir`/master and `dir`/master.d/(*).conf as Salt does. -ENOENT, -ENOTDIR: there is no such directory, so no master. */
int snippet_read(struct snippet *ret, const char *dir, const char *state_dir);
/* The `user` that these files give salt-master; NULL: none, or no memory. The caller's. */
char *salt_user(const char *dir);
