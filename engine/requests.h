/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests - what an operator asks of the running engine, as files in <state_dir>/requests.
 *
 * A file, because whoever may write there owns the sets already: the engine has no socket on which anything can be changed. The
 * command writes <cluster>.release (by rename), the engine answers with <cluster>.result and removes the request.
 *
 *   {"v": 1, "id": 16 hex digits, "digest": of the held addresses that were shown}
 *   {"v": 1, "id": the request's, "outcome": "released" | "changed" | "unknown"}
 */
#pragma once

#include "cluster.h"

#define REQUEST_ID_DIGITS 16
#define REQUEST_LIFE 60000          /* ms: a request is of the moment; an older one was given up by whoever made it */

struct requests;
/* `find` tells the cluster of that name, or NULL. */
int requests_new(struct requests **ret, uv_loop_t *loop, const char *state_dir,
                 struct cluster *(*find)(void *userdata, const char *name), void *userdata);
struct requests *requests_free(struct requests *requests);
