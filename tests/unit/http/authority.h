/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made on the fly: none in the tree expires. Every failure ends the test. */
#pragma once

struct authority;
struct authority *authority_new(const char *directory, const char *file);       /* writes FILE.crt */
struct authority *authority_free(struct authority *authority);
/* Writes FILE.crt and FILE.key below the directory. `names`: "DNS:a,IP:127.0.0.1", or NULL for a client's. Days from
 * now. */
void authority_issue(struct authority *authority, const char *file, const char *names, int from_day, int to_day);
unsigned long authority_hash(const struct authority *authority);                /* what OpenSSL looks for in a directory */
