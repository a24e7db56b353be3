/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files - where a store's files are, and how they are written. Safe on any thread; knows nothing of struct store.
 */
#pragma once

#include "content.h"

struct files {
    char *truth, *previous, *public_set, *announce;     /* paths */
    char *cluster;
};

void files_done(struct files *files);
int files_init(struct files *files, const char *state_dir, const char *cluster);
int files_copy(struct files *files, const struct files *from);
/* Removes what a crash left of half-written files. */
void files_sweep(const struct files *files);

/* Keeps the truth there is as the previous copy, then replaces it. Durable when it returns 0. */
int files_write_truth(const struct files *files, const struct content *content);
int files_write_derived(const struct files *files, const struct content *content);
int files_write_announce(const struct files *files, const struct content *content);

/* 0, -ENOENT, -EBADMSG (damaged) or another -errno. */
int files_read_truth(const struct files *files, bool previous, struct content **ret);
/* Renames a damaged copy to <path>.bad, where a person can look at it. */
int files_put_aside(const struct files *files, bool previous);
