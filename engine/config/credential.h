/* SPDX-License-Identifier: Apache-2.0 */
/* Credential - bytes that are overwritten before they are freed. Private to config; struct credential is public. */
#pragma once

#include "nodewall/kubeconfig.h"

/* Strict base64 (RFC 4648 with padding; line ends are skipped). -EINVAL, -ENOMEM; an empty text is -EINVAL. */
int base64_decode(struct credential *ret, const char *text);
/* Overwrites and frees a string; NULL is fine. Returns NULL. */
char *secret_free(char *secret);
DEFINE_CLEANUP(char, secret_free)
void credential_done(struct credential *credential);
