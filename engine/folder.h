/* SPDX-License-Identifier: Apache-2.0 */
/* Folder - a directory that is looked at when something in it changed, and now and then. */
#pragma once

#include "nodewall/base.h"

#include <uv.h>

struct folder;
/*
 * Calls back when files that end in `suffix` came, went or changed, once they have rested for `settle` ms (a file that is still
 * being written is not read; after 5 s it is, whatever it does). The first look is at what is there now and calls nobody back.
 * A directory that is not there, or comes later, is looked for again. Never fails for the directory; -ENOMEM.
 */
int folder_new(struct folder **ret, uv_loop_t *loop, const char *path, const char *suffix, msec settle,
               void (*changed)(void *userdata), void *userdata);
/* Memory goes when the loop has run the closing callbacks. Returns NULL. */
struct folder *folder_free(struct folder *folder);
