/* SPDX-License-Identifier: Apache-2.0 */
/* Exec - one run of an exec plugin. See exec.c. Private to kube. */
#pragma once

#include "nodewall/exec_plugin.h"

#include <uv.h>

#define EXEC_TIME_LIMIT 30000       /* a login over a slow network; a person is not waited for */

struct exec;
/* Once, from the loop, and the run is gone then. reply NULL: it failed, for *problem, which has no secret in it and is
 * pinned to the command. What is taken from *reply is to be set to zero there. */
typedef void (*exec_done)(void *userdata, struct exec_reply *reply, const struct problem *problem);

/* `info` goes to KUBERNETES_EXEC_INFO; everything is copied. -EINVAL with *problem if there is no such program or it
 * cannot be run, -ENOMEM. Never calls `done` from within. */
int exec_start(struct exec **ret, uv_loop_t *loop, const struct exec_plugin *plugin, const char *info, msec limit,
               exec_done done, void *userdata, struct problem *problem);
/* Kills it and all that it has started; `done` is not called. The loop must go on turning until it is closed. */
struct exec *exec_free(struct exec *exec);

/* The file that would be run, as an absolute path. -ENOENT, -EACCES (not executable, or others may write to it), -ENOMEM. */
int exec_find(char **ret, const struct exec_plugin *plugin);
/* What such an errno means for a person. Returns -EINVAL. */
int exec_cannot(const struct exec_plugin *plugin, int error, struct problem *problem);

/* The last line of what a program said, fit for a log: one line of UTF-8; what looks like a secret, or is the value of a
 * variable in `environment` (NULL: none), is "[...]". */
void last_words(char *ret, size_t size, const char *text, size_t n, char *const *environment);
