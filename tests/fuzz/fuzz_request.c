/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request to the status listener, which any local user may send: what is whole stays so with more behind it, and
 * a begin of it is never another request. */
#include "fuzz.h"
#include "nodewall/base.h"
#include "request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct request whole = {0}, part = {0};
    enum request_outcome outcome = request_parse(&whole, (const char *)data, size);

    MUST(outcome == REQUEST_WHOLE || outcome == REQUEST_PARTIAL || outcome == REQUEST_BAD);
    MUST(memchr(whole.path, 0, sizeof(whole.path)));
    MUST(!whole.path[0] || whole.path[0] == '/');
    for (const char *c = whole.path; *c; c++)
        MUST(*c > ' ' && *c <= '~');
    if (size && request_parse(&part, (const char *)data, size - 1) == REQUEST_WHOLE)
        MUST(outcome == REQUEST_WHOLE && !strcmp(part.path, whole.path) && part.is_get == whole.is_get);
    return 0;
}
