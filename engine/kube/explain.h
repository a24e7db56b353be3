/* SPDX-License-Identifier: Apache-2.0 */
/* Explain - see explain.c. Private to kube. */
#pragma once

#include "credentials.h"
#include "nodewall/http.h"

#define EXPLANATION_MAX 1600

/* Always one line of UTF-8. "" for HTTP_COMPLETE, for status 200, and without trouble. All return buffer. */
const char *explain_trouble(const struct credentials *credentials, char *buffer, size_t size);
const char *explain_end(const struct credentials *credentials, const struct http_end *end, msec wall, char *buffer,
                        size_t size);
const char *explain_status(const struct credentials *credentials, unsigned status, msec wall, char *buffer,
                           size_t size);
