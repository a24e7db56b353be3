/* SPDX-License-Identifier: Apache-2.0 */
/* Prune - an object's JSON text without what nobody here asks for. Pure. Private to kube. */
#pragma once

#include <stddef.h>

#define PRUNE_ADDRESSES 8192    /* items of `addresses` that stay: what decode takes, and as many that it passes over */

/* Writes to `to`, which has room for `size` bytes, and returns how many. *ret_cut: items of `addresses` left out. What is no
 * JSON is none afterwards, as far as it stays. */
size_t prune(char *to, const char *from, size_t size, size_t *ret_cut);
