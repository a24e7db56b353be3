/* SPDX-License-Identifier: Apache-2.0 */
/* Kubeconfig entry - see kubeconfig_entry.c. Private to config. */
#pragma once

#include "field.h"

/* Both tell everything that is wrong at once: -EINVAL with *problem, -ENOMEM. What was read so far stays in `endpoint`.
 * The user's `cluster` is for its exec plugin; NULL: none. */
int kubeconfig_read_cluster(struct endpoint *endpoint, const struct field *cluster, struct problem *problem);
int kubeconfig_read_user(struct endpoint *endpoint, const struct field *user, const struct field *cluster, struct problem *problem);
