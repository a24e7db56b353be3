/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request - the head of an HTTP/1 request, as far as the status listener cares: the method and the path.
 */
#pragma once

#include "nodewall/base.h"

#define REQUEST_PATH_MAX 128        /* ours are short; a longer one is told as "" */

struct request {
    bool is_get, is_head;
    char path[REQUEST_PATH_MAX];    /* without its query */
};

enum request_outcome {
    REQUEST_WHOLE = 1,
    REQUEST_PARTIAL = 2,            /* read on */
    REQUEST_BAD = 3,                /* no HTTP/1 */
};
/* `data` is what came so far; pure. */
enum request_outcome request_parse(struct request *ret, const char *data, size_t size);
