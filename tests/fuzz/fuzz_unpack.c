/* SPDX-License-Identifier: Apache-2.0 */
/* Any msgpack: what unpack_data takes is one object for unpack_skip too, in parts of any size, and can be packed again
 * and comes back the same. First byte: the size of a part. */
#include "fuzz.h"
#include "nodewall/json.h"
#include "nodewall/pack.h"

static const char *text_of(json_object *value) {
    return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
}

static void check_skip(const uint8_t *data, size_t size, size_t part) {
    struct unpack_skip skip = {0};

    for (size_t at = 0; at < size;) {
        size_t n = MIN(part, size - at), used = 0;
        int r = unpack_skip(&skip, data + at, n, UNPACK_MAX, &used);

        MUST(used <= n);
        at += used;
        MUST(r == (at == size) && (r == 1 || used == n));
    }
}

static void check_again(json_object *value) {
    CLEANUP(json_putp) json_object *again = NULL;
    CLEANUP(cleanup_free) uint8_t *body = NULL;
    const char *tag;
    const uint8_t *data;
    size_t size, tag_size, data_size;

    if (!json_object_is_type(value, json_type_object) || pack_event(&body, &size, "a/b", value, NULL) < 0)
        return;
    MUST(unpack_split(&tag, &tag_size, &data, &data_size, body, size) == 0 && tag_size == 3);
    MUST(unpack_data(&again, data, data_size) == 0);
    MUST(!strcmp(text_of(value), text_of(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(json_putp) json_object *value = NULL;
    int r;

    if (size < 1)
        return 0;
    r = unpack_data(&value, data + 1, size - 1);
    MUST(r == 0 || r == -EBADMSG || r == -E2BIG);
    if (r < 0)
        return 0;
    MUST(utf8_is(text_of(value), strlen(text_of(value))));
    check_skip(data + 1, size - 1, (size_t)data[0] + 1);
    check_again(value);
    return 0;
}
