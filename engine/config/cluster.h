/* SPDX-License-Identifier: Apache-2.0 */
/* Cluster - one entry under `clusters:`. Private to config; struct cluster_config is public. */
#pragma once

#include "field.h"

struct cluster_config *cluster_config_free(struct cluster_config *cluster);
DEFINE_CLEANUP(struct cluster_config, cluster_config_free)
/* With every default in place and no source yet. `where` is copied. 0 or -ENOMEM. */
int cluster_config_new(struct cluster_config **ret, const char *name, const char *where);
/* Reads and checks the entry. 0, -EINVAL with *problem, -ENOMEM. */
int cluster_config_read(struct cluster_config **ret, const struct field *entry, const char *name, struct problem *problem);
