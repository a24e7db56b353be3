/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request - reading the head of an HTTP/1 request.
 *
 * Only its first line matters: no header changes what is answered, a body is never read, and a connection carries one
 * request. So there is nothing that two readers of the same bytes could understand differently.
 */
#include "request.h"

#include <string.h>

/* Both line ends are common, of hand-typed requests too. */
static bool is_whole(const char *data, size_t size) {
    return memmem(data, size, "\r\n\r\n", 4) || memmem(data, size, "\n\n", 2);
}

static bool is_method(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] < 'A' || text[i] > 'Z')
            return false;
    return size > 0 && size < 16;
}

static bool is_printable(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

static bool is_version(const char *text, size_t size) {
    return size == strlen("HTTP/1.1") && !memcmp(text, "HTTP/1.", 7) && text[7] >= '0' && text[7] <= '9';
}

enum request_outcome request_parse(struct request *ret, const char *data, size_t size) {
    const char *end = memchr(data, '\n', size), *path, *version, *query;
    struct request request = {0};
    size_t n;

    if (!end)
        return REQUEST_PARTIAL; /* the caller bounds it */
    if (end > data && end[-1] == '\r')
        end--;
    path = memchr(data, ' ', (size_t)(end - data));
    version = path ? memchr(path + 1, ' ', (size_t)(end - path - 1)) : NULL;
    if (!version || !is_method(data, (size_t)(path - data)) || path[1] != '/' ||
        !is_printable(path + 1, (size_t)(version - path - 1)) || !is_version(version + 1, (size_t)(end - version - 1)))
        return REQUEST_BAD;
    if (!is_whole(data, size))
        return REQUEST_PARTIAL;

    request.is_get = path - data == 3 && !memcmp(data, "GET", 3);
    request.is_head = path - data == 4 && !memcmp(data, "HEAD", 4);
    path++;
    query = memchr(path, '?', (size_t)(version - path));
    n = (size_t)((query ? query : version) - path);
    if (n < sizeof(request.path))
        memcpy(request.path, path, n);
    *ret = request;
    return REQUEST_WHOLE;
}
