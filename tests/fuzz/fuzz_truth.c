/* SPDX-License-Identifier: Apache-2.0 */
/* A store's file whose checksum is right and nothing else need be: what is taken is written, and read again, the same. */
#include "content.h"
#include "fuzz.h"

static void wrap(const char *body, size_t size, char **ret, size_t *ret_size) {
    char checksum[DIGEST_DIGITS + 1];
    FILE *to = open_memstream(ret, ret_size);

    MUST(to && content_checksum(checksum, body, size) == 0);
    fprintf(to, TRUTH_HEAD "%s" TRUTH_MIDDLE, checksum);
    fwrite(body, 1, size, to);
    fputs(TRUTH_TAIL, to);
    fclose(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(content_freep) struct content *content = NULL, *again = NULL;
    CLEANUP(cleanup_free) char *wrapped = NULL, *written = NULL, *rewritten = NULL, *rest = NULL;
    size_t n, n_written, n_rewritten;
    int r;

    wrap((const char *)data, size, &wrapped, &n);
    r = content_parse_truth(&content, "prod", wrapped, n);
    MUST(r == 0 || r == -EBADMSG);
    if (r < 0)
        return 0;
    MUST(hex_is(content->epoch, EPOCH_DIGITS) && content->n_deltas <= STORE_DELTAS);
    MUST(content->delta_bytes <= STORE_DELTA_BYTES);
    MUST(content_format_truth(content, "prod", &written, &n_written) == 0);
    MUST(content_parse_truth(&again, "prod", written, n_written) == 0);
    MUST(content_format_truth(again, "prod", &rewritten, &n_rewritten) == 0);
    MUST(n_written == n_rewritten && !memcmp(written, rewritten, n_written));
    if (content->set) {
        MUST(content_format_public(content, "prod", &rest, &n) == 0);
        free(TAKE_PTR(rest));
        MUST(content_format_announce(content, "prod", &rest, &n) == 0);
    }
    return 0;
}
