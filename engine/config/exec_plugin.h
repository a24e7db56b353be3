/* SPDX-License-Identifier: Apache-2.0 */
/* Exec plugin - its stanza in a kubeconfig. Private to config; struct exec_plugin is public. */
#pragma once

#include "field.h"

/* `exec` is the stanza, `cluster` what its context names (for the extension; NULL: none). -EINVAL with *problem, -ENOMEM. */
int exec_plugin_read(struct exec_plugin **ret, const struct field *exec, const struct field *cluster, struct problem *problem);
