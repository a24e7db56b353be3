/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same bytes, whole and in parts, must come out as the same pieces. First byte: the shape; second: the size of a
 * part and, by its highest bit, whether the limit is a small one.
 */
#include "nodewall/frame.h"
#include "fuzz.h"

#define SMALL 24

struct transcript {
    char *text;
    size_t size;
};

/* Every piece with its kind, and how it ended. */
static struct transcript run(enum frame_shape shape, size_t limit, const uint8_t *data, size_t size, size_t part) {
    CLEANUP(frame_freep) struct frame *frame = NULL;
    struct transcript transcript = {0};
    FILE *to = open_memstream(&transcript.text, &transcript.size);
    int r = 0;

    MUST(to && frame_new(&frame, shape, limit) == 0);
    for (size_t at = 0; at < size && r >= 0; at += part) {
        size_t n = MIN(part, size - at);
        char *copy = malloc(n);
        struct frame_piece piece = {0};

        MUST(copy);
        memcpy(copy, data + at, n);
        frame_feed(frame, copy, n);
        while ((r = frame_next(frame, &piece)) > 0) {
            fprintf(to, "%d ", r);
            if (r != FRAME_END) {
                MUST((piece.size > 0 || shape >= FRAME_PROTOBUF_EVENTS) && piece.size <= limit);
                fwrite(piece.data, 1, piece.size, to);
                if (piece.key)
                    fwrite(piece.key, 1, piece.key_size, to);
            }
            piece = (struct frame_piece){0};
        }
        free(copy);
    }
    fprintf(to, "%d %d", r, r >= 0 && frame_is_partial(frame));
    fclose(to);
    return transcript;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    enum frame_shape shape = (enum frame_shape)(data[0] & 3);
    size_t limit = data[1] & 0x80 ? SMALL : FRAME_LIMIT, part = (data[1] & 0x7f) + 1;
    struct transcript whole = run(shape, limit, data + 2, size - 2, size);
    struct transcript parts = run(shape, limit, data + 2, size - 2, part);

    MUST(whole.size == parts.size && memcmp(whole.text, parts.text, whole.size) == 0);
    free(whole.text);
    free(parts.text);
    return 0;
}
