/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random - the kernel's random bytes, for epochs and tokens, and to seed the jitter of pure modules.
 */
#include "nodewall/base.h"

#include <sys/random.h>

int random_bytes(void *buffer, size_t size) {
    uint8_t *at = buffer;

    while (size) {
        ssize_t n = getrandom(at, size, 0);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int random_hex(char *buffer, size_t n_digits) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[64];
    int r;

    if (n_digits > sizeof(bytes))
        return -EINVAL;
    r = random_bytes(bytes, n_digits);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_digits; i++)
        buffer[i] = digits[bytes[i] & 15];
    buffer[n_digits] = 0;
    return 0;
}
