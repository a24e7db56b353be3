/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands on Salt's bus, whole and in parts, must come out as the same events. First byte: the framing; second: the
 * size of a part. Whatever an event holds, looking at it as the engine does must be harmless.
 */
#include "fuzz.h"
#include "nodewall/event.h"
#include "nodewall/followup.h"
#include "nodewall/json.h"
#include "stream.h"

struct transcript {
    char *text;
    size_t size;
};

static void look(const struct bus_message *message) {
    CLEANUP(json_putp) json_object *data = NULL;
    char cluster[64];

    if (event_tag_cluster(message->tag, message->tag_size, cluster))
        MUST(name_is_cluster(cluster));
    (void)followup_wants(message->tag, message->tag_size);
    (void)unpack_data(&data, message->data, message->data_size);
}

static struct transcript run(enum bus_framing framing, const uint8_t *data, size_t size, size_t part) {
    struct stream stream = {.framing = framing};
    struct transcript transcript = {0};
    FILE *to = open_memstream(&transcript.text, &transcript.size);
    int r = 0;

    MUST(to);
    for (size_t at = 0; at < size && r >= 0; at += part) {
        size_t n = MIN(part, size - at);
        uint8_t *copy = malloc(n);
        struct bus_message message;

        MUST(copy);
        memcpy(copy, data + at, n);
        stream_feed(&stream, copy, n);
        while ((r = stream_next(&stream, &message)) > 0) {
            look(&message);
            fprintf(to, "%zu %zu ", message.tag_size, message.data_size);
            fwrite(message.tag, 1, message.tag_size, to);
            fwrite(message.data, 1, message.data_size, to);
        }
        MUST(stream.size <= STREAM_FRAME_MAX && stream.size <= size);
        free(copy);
    }
    fprintf(to, "%d %llu %llu", r, (unsigned long long)stream.malformed, (unsigned long long)stream.oversized);
    fclose(to);
    stream_done(&stream);
    return transcript;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    enum bus_framing framing = (enum bus_framing)(data[0] % 3);
    struct transcript whole = run(framing, data + 2, size - 2, size);
    struct transcript parts = run(framing, data + 2, size - 2, (size_t)data[1] + 1);

    MUST(whole.size == parts.size && memcmp(whole.text, parts.text, whole.size) == 0);
    free(whole.text);
    free(parts.text);
    return 0;
}
