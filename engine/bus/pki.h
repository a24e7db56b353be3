/* SPDX-License-Identifier: Apache-2.0 */
/* Pki - our key and the masters' keys, as files. Private to engine/bus. */
#pragma once

#include "crypt.h"

/* <dir>/minion.pem, made with minion.pub when there is none; `dir` itself, too, but not what is above it. -errno, or
 * -EINVAL; *problem says it in any case. */
int pki_own_key(EVP_PKEY **ret, const char *dir, struct problem *problem);
/* A master's public key out of a PEM file. As above. */
int pki_master_key(EVP_PKEY **ret, const char *path, struct problem *problem);
/* What first use pinned for this master; 0 with *ret untouched when there is none yet. */
int pki_pinned(EVP_PKEY **ret, const char *dir, const struct minion_master *master, struct problem *problem);
int pki_pin(const char *dir, const struct minion_master *master, EVP_PKEY *key, struct problem *problem);
