/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decode takes must be what decode.h promises. First byte: which of its calls, and from 5 on of
 * which encoding. */
#include "nodewall/decode.h"
#include "fuzz.h"

static void check_rv(const char *rv) {
    MUST(memchr(rv, '\0', RV_MAX + 1));
    MUST(rv[0] == '\0' || (decimal_is(rv) && strspn(rv, "0") < strlen(rv)));
}

static void check_node(const struct node *node) {
    MUST(name_is_node(node->name));
    MUST(node->uid[0] && memchr(node->uid, '\0', sizeof(node->uid)));
    check_rv(node->rv);
    MUST(node->n_addresses <= NODE_ADDRESSES_MAX);
    for (size_t i = 0; i < node->n_addresses; i++) {
        const struct node_address *address = &node->addresses[i];

        MUST(memchr(address->type, '\0', sizeof(address->type)) && memchr(address->text, '\0', sizeof(address->text)));
        MUST(utf8_is(address->text, strlen(address->text)));
    }
}

static void check_status(const struct kube_status *status) {
    MUST(status->code == 0 || (status->code >= 100 && status->code <= 599));
    MUST(status->retry_after >= -1 && status->retry_after <= 86400000);
    MUST(memchr(status->message, '\0', sizeof(status->message)));
    MUST(memchr(status->reason, '\0', sizeof(status->reason)));
    MUST(utf8_is(status->message, strlen(status->message)));
    for (const char *c = status->message; *c; c++)
        MUST((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void check_line(const struct watch_line *line) {
    bool has_node = line->type == WATCH_ADDED || line->type == WATCH_MODIFIED || line->type == WATCH_DELETED;

    MUST(!!line->node == has_node);
    if (line->node)
        check_node(line->node);
    check_rv(line->rv);
    MUST((line->rv[0] == '\0') == (line->type == WATCH_ERROR));
    if (line->type == WATCH_ERROR)
        check_status(&line->status);
}

static int decode_one(uint8_t which, const char *text, size_t n) {
    CLEANUP(node_freep) struct node *node = NULL;
    CLEANUP(watch_line_done) struct watch_line line = {0};
    struct kube_status status;
    struct list_head head = {.remaining = -1};
    char name[NODE_NAME_MAX + 1];
    const struct decoder *decoder = which % 10 < 5 ? &decode_json : &decode_protobuf;
    int r;

    switch (which % 5) {
    case 0:
        r = decoder->node(&node, text, n);
        MUST((r == 0) == !!node);
        if (r == 0)
            check_node(node);
        return r;
    case 1:
        r = decoder->watch_line(&line, text, n);
        if (r == 0)
            check_line(&line);
        return r;
    case 2:
        r = decoder->status(&status, text, n);
        if (r == 0)
            check_status(&status);
        return r;
    case 3:
        r = decoder->list_member(&head, "metadata", 8, text, n);
        if (r == 0) {
            check_rv(head.rv);
            MUST(memchr(head.next, '\0', sizeof(head.next)));
        }
        return r;
    default:
        r = decoder->node_name(name, text, n);
        MUST(r < 0 || name_is_node(name));
        return r;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int r;

    if (size < 1)
        return 0;
    r = decode_one(data[0], (const char *)data + 1, size - 1);
    MUST(r == 0 || r == -EBADMSG);
    return 0;
}
