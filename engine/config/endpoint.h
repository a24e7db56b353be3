/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint - the pieces that kubeconfig.c and endpoint.c share. Private to config; struct endpoint is public. */
#pragma once

#include "nodewall/kubeconfig.h"

/* Checks `url` and fills server, host, port and plain. -EINVAL with *problem pinned to `where`, -ENOMEM. */
int endpoint_set_server(struct endpoint *endpoint, const char *url, const char *where, struct problem *problem);
bool host_is_loopback(const char *host);    /* 127.0.0.0/8, ::1, localhost */
bool host_is_name(const char *host);        /* characters of a DNS name or an IPv4 address */
