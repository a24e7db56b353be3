/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/decode.h"
#include "../unit.h"

#define META "\"metadata\":{\"name\":\"n1\",\"uid\":\"u-1\",\"resourceVersion\":\"42\"}"

static struct node *node_of(const char *text) {
    struct node *node = NULL;

    assert_int_equal(decode_node(&node, text, strlen(text)), 0);
    return node;
}

static void refused(const char *text) {
    struct node *node = NULL;

    if (decode_node(&node, text, strlen(text)) != -EBADMSG)
        fail_msg("taken: %s", text);
    assert_null(node);
}

static void refused_quietly(const char *text) {
    struct node *node = NULL;

    assert_int_equal(decode_node(&node, text, strlen(text)), -EBADMSG);
    assert_null(node);
}

static void a_node_as_the_api_server_writes_it(void **state) {
    CLEANUP(node_freep) struct node *node =
        node_of("{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"lke1-a\",\"uid\":\"0c7c1d0e-8f0e-"
                "4d2b-9a53-1b2c3d4e5f60\","
                "\"resourceVersion\":\"18446744073709551616\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"taints\":[]},"
                "\"status\":{\"addresses\":["
                "{\"type\":\"Hostname\",\"address\":\"lke1-a\"},{\"type\":\"InternalIP\",\"address\":\"192.168.1.2\"},"
                "{\"type\":\"ExternalIP\",\"address\":\"\"}],\"images\":[{\"names\":[\"x\"],\"sizeBytes\":1}]}}");

    assert_string_equal(node->name, "lke1-a");
    assert_string_equal(node->uid, "0c7c1d0e-8f0e-4d2b-9a53-1b2c3d4e5f60");
    assert_string_equal(node->rv, "18446744073709551616");
    assert_false(node->leaving);
    assert_int_equal(node->n_addresses, 3);
    assert_string_equal(node->addresses[1].type, "InternalIP");
    assert_string_equal(node->addresses[1].text, "192.168.1.2");
    assert_string_equal(node->addresses[2].text, "");
    assert_int_equal(node->more, 0);
}

static void what_may_be_absent(void **state) {
    static const char *const texts[] = {"{" META "}", "{" META ",\"status\":null}", "{" META ",\"status\":{}}",
                                        "{" META ",\"status\":{\"addresses\":null}}",
                                        "{" META ",\"status\":{\"addresses\":[]}}"};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        CLEANUP(node_freep) struct node *node = node_of(texts[i]);

        assert_int_equal(node->n_addresses, 0);
    }
    CLEANUP(node_freep) struct node *half = node_of("{" META ",\"status\":{\"addresses\":[{},{\"type\":\"X\"}]}}");
    CLEANUP(node_freep) struct node *no_rv = node_of("{\"metadata\":{\"name\":\"a\",\"uid\":\"b\"}}");

    assert_int_equal(half->n_addresses, 2);
    assert_string_equal(half->addresses[1].type, "X");
    assert_string_equal(no_rv->rv, "");
}

/* kube-apiserver 1.34 takes this of a node's status. Refusing the object would let one node keep us from every list. */
static void a_nul_is_the_nodes_own_trouble(void **state) {
    CLEANUP(node_freep) struct node *node =
        node_of("{" META ",\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\\u0000x\"},"
                "{\"type\":\"Internal\\u0000\",\"address\":\"10.0.0.2\"},"
                "{\"type\":\"InternalIP\",\"address\":\"10.0.0.3\"}]}}");

    assert_int_equal(node->n_addresses, 2);
    assert_string_equal(node->addresses[0].text, "10.0.0.1?x");
    assert_string_equal(node->addresses[1].text, "10.0.0.3");
}

static void leaving(void **state) {
    CLEANUP(node_freep) struct node *node =
        node_of("{\"metadata\":{\"name\":\"a\",\"uid\":\"b\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}");

    assert_true(node->leaving);
}

static void what_is_no_node_is_refused(void **state) {
    static const char *const texts[] = {
        "",
        "null",
        "1",
        "[]",
        "\"x\"",
        "{",
        "{}",
        "{" META "} x",
        "{" META ",}",
        "{" META ",\"kind\":\"Pod\"}",
        "{" META ",\"kind\":7}",
        "{\"metadata\":[]}",
        "{\"metadata\":{\"uid\":\"b\"}}",
        "{\"metadata\":{\"name\":\"a\"}}",
        "{\"metadata\":{\"name\":\"\",\"uid\":\"b\"}}",
        "{\"metadata\":{\"name\":7,\"uid\":\"b\"}}",
        "{\"metadata\":{\"name\":\"../x\",\"uid\":\"b\"}}",
        "{\"metadata\":{\"name\":\"a\\u0000b\",\"uid\":\"b\"}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"\"}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b c\"}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b\",\"resourceVersion\":\"x\"}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b\",\"resourceVersion\":\"-1\"}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b\",\"resourceVersion\":\"0\"}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b\",\"resourceVersion\":7}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b\",\"resourceVersion\":\"12345678901234567890123456789012345678901\"}"
        "}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b\",\"deletionTimestamp\":1}}",
        "{" META ",\"status\":7}",
        "{" META ",\"status\":{\"addresses\":{}}}",
        "{" META ",\"status\":{\"addresses\":[7]}}",
        "{" META ",\"status\":{\"addresses\":[{\"type\":1}]}}",
        "{" META ",\"status\":{\"addresses\":[{\"address\":1}]}}",
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"b\xff\"}}",
        "{" META ",\"x\":\"\xc1\x95\"}", /* overlong: json-c alone would take it */
        "{" META ",\"x\":\"\xc3\x28\"}",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        refused(texts[i]);
}

static void bounds_of_strings(void **state) {
    char text[1024], name[NODE_NAME_MAX + 2];

    memset(name, 'n', sizeof(name));
    name[NODE_NAME_MAX + 1] = '\0';
    snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"%s\",\"uid\":\"u\"}}", name);
    refused(text);
    name[NODE_NAME_MAX] = '\0';
    snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"%s\",\"uid\":\"u\"}}", name);
    CLEANUP(node_freep) struct node *node = node_of(text);

    assert_string_equal(node->name, name);
    snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"n\",\"uid\":\"%.129s\"}}", name);
    refused(text);
}

static void nesting_is_bounded(void **state) {
    char text[2048] = "{" META ",\"details\":";
    size_t n = strlen(text);

    memset(text + n, '[', 500);
    memset(text + n + 500, ']', 500);
    text[n + 1000] = '}';
    text[n + 1001] = '\0';
    refused(text);
}

static char *node_with(const char *key, size_t n, const char *item) {
    size_t size = 200 + n * strlen(item), used;
    char *text = malloc(size);

    assert_non_null(text);
    used = (size_t)snprintf(text, size, "{" META ",\"status\":{\"%s\":[{}", key);
    for (size_t i = 0; i < n; i++, used += strlen(item))
        memcpy(text + used, item, strlen(item));
    memcpy(text + used, "]}}", 4);
    return text;
}

/* What a node can write into its own status has to be read, without a tree of all of it; what a server can make up has a
 * bound. */
static void many_objects(void **state) {
    CLEANUP(cleanup_free) char *images = node_with("images", 400000, ",{}");
    CLEANUP(cleanup_free) char *addresses = node_with("addresses", 166000, ",{}");
    CLEANUP(cleanup_free) char *text = node_with("details", 70000, ",\"{\\\"\"");
    CLEANUP(cleanup_free) char *details = node_with("details", 70000, ",{}");
    CLEANUP(node_freep) struct node *node = node_of(addresses);

    assert_int_equal(node->n_addresses + node->more, 166001);
    node_free(node_of(images));
    node_free(node_of(text));
    refused_quietly(details);
}

/* A type that is too long is passed over, an address that is too long is cut at a character, from 4097 on they are
 * counted. */
static void addresses_of_odd_size(void **state) {
    enum { MANY = NODE_ADDRESSES_MAX + 3 };
    CLEANUP(cleanup_free) char *text = malloc(64 * MANY + 2048);
    size_t n;

    assert_non_null(text);
    n = (size_t)snprintf(text, 2048,
                         "{" META ",\"status\":{\"addresses\":[{\"type\":\"%0100d\",\"address\":\"10.0.0.9\"},"
                         "{\"type\":\"A\",\"address\":\"%0254d\xc3\xa4"
                         "b\"}",
                         0, 0);
    for (unsigned i = 0; i < MANY - 1; i++, n += strlen(text + n))
        memcpy(text + n, ",{\"type\":\"A\",\"address\":\"b\"}", 28);
    memcpy(text + n, "]}}", 4);
    CLEANUP(node_freep) struct node *node = node_of(text);

    assert_int_equal(node->n_addresses, NODE_ADDRESSES_MAX);
    assert_int_equal(node->more, 3);
    assert_string_equal(node->addresses[0].type, "A");
    assert_int_equal(strlen(node->addresses[0].text), 254);
}

static struct watch_line line_of(const char *text) {
    struct watch_line line;

    assert_int_equal(decode_watch_line(&line, text, strlen(text)), 0);
    return line;
}

static void lines_of_a_watch(void **state) {
    static const struct {
        const char *name;
        enum watch_type type;
    } types[] = {{"ADDED", WATCH_ADDED}, {"MODIFIED", WATCH_MODIFIED}, {"DELETED", WATCH_DELETED}};

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        char text[256];

        snprintf(text, sizeof(text), "{\"type\":\"%s\",\"object\":{" META "}}", types[i].name);
        CLEANUP(watch_line_done) struct watch_line line = line_of(text);

        assert_int_equal(line.type, types[i].type);
        assert_string_equal(line.rv, "42");
        assert_string_equal(line.node->name, "n1");
    }
}

static void bookmark_and_error(void **state) {
    CLEANUP(watch_line_done) struct watch_line bookmark =
        line_of("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{"
                "\"resourceVersion\":\"77\"},"
                "\"spec\":{},\"status\":{\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":0}}}}}");
    CLEANUP(watch_line_done) struct watch_line error = line_of(
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
        "\"9\"},"
        "\"status\":\"Failure\",\"message\":\"too old resource version: 1 (5)\",\"reason\":\"Expired\",\"code\":410}}");

    assert_int_equal(bookmark.type, WATCH_BOOKMARK);
    assert_string_equal(bookmark.rv, "77");
    assert_null(bookmark.node);
    assert_int_equal(error.type, WATCH_ERROR);
    assert_string_equal(error.rv, ""); /* never from a Status */
    assert_int_equal(error.status.code, 410);
    assert_string_equal(error.status.reason, "Expired");
}

static void lines_that_are_none(void **state) {
    static const char *const texts[] = {
        "{}", "[]", "{\"type\":\"ADDED\"}", "{\"type\":\"ADDED\",\"object\":null}", "{\"object\":{" META "}}",
        "{\"type\":\"added\",\"object\":{" META "}}", "{\"type\":\"PATCHED\",\"object\":{" META "}}",
        "{\"type\":7,\"object\":{" META "}}", "{\"type\":\"ERROR\",\"object\":{" META "}}",
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Status\"}}", "{\"type\":\"BOOKMARK\",\"object\":{}}",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}",
        "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"b\"}}}", /* no place in the order */
        "{\"type\":\"ADDED\",\"object\":{" META "}}{\"type\":\"ADDED\",\"object\":{" META "}}",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct watch_line line = {.rv = "untouched"};

        if (decode_watch_line(&line, texts[i], strlen(texts[i])) != -EBADMSG)
            fail_msg("taken: %s", texts[i]);
        assert_string_equal(line.rv, "untouched");
    }
}

static struct kube_status status_of(const char *text) {
    struct kube_status status;

    assert_int_equal(decode_status(&status, text, strlen(text)), 0);
    return status;
}

static void statuses(void **state) {
    struct kube_status status = status_of("{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"Timeout: Too "
                                          "large resource version: 9, current: 5\",\"reason\":\"Timeout\","
                                          "\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\","
                                          "\"message\":\"Too large resource version\"}],\"retryAfterSeconds\":1},"
                                          "\"code\":504}");

    assert_true(status.too_large);
    assert_int_equal(status.code, 504);
    assert_int_equal(status.retry_after, 1000);
    status = status_of(
        "{\"kind\":\"Status\",\"code\":504,\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}");
    assert_true(status.too_large);
    status = status_of("{\"kind\":\"Status\"}");
    assert_int_equal(status.code, 0);
    assert_int_equal(status.retry_after, -1);
    assert_false(status.too_large);
    status = status_of(
        "{\"kind\":\"Status\",\"code\":99999,\"reason\":[],\"message\":7,\"details\":\"x\"}"); /* as far as it goes */
    assert_int_equal(status.code, 0);
    status =
        status_of("{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":9223372036854775807,\"causes\":[7,null]}}");
    assert_int_equal(status.retry_after, 86400000);
    assert_int_equal(decode_status(&status, "not json", 8), -EBADMSG);
    assert_int_equal(decode_status(&status, "{\"kind\":\"Pod\"}", 14), -EBADMSG);
}

static void messages_are_for_people(void **state) {
    char text[2048] = "{\"kind\":\"Status\",\"message\":\"a\\u0007b\\nc\\u0085d\\u001b[31m ";
    struct kube_status status;

    for (size_t n = strlen(text), i = 0; i < 600; i++, n += 2)
        memcpy(text + n, "\xc3\xa4", 3);
    memcpy(text + strlen(text), "\"}", 3);
    status = status_of(text);
    assert_memory_equal(status.message, "a b c  d [31m ", 14);
    assert_true(strlen(status.message) >= 510);
    assert_true(utf8_is(status.message, strlen(status.message)));
}

static int member(struct list_head *head, const char *key, const char *value) {
    return decode_list_member(head, key, strlen(key), value, strlen(value));
}

static void members_of_a_list(void **state) {
    struct list_head head = {.remaining = -1};

    assert_int_equal(member(&head, "apiVersion", "\"v1\""), 0);
    assert_int_equal(member(&head, "somethingNew", "{broken"), 0);
    assert_false(head.is_node_list);
    assert_int_equal(member(&head, "kind", "\"NodeList\""), 0);
    assert_true(head.is_node_list);
    assert_int_equal(
        member(&head, "metadata", "{\"resourceVersion\":\"5\",\"continue\":\"abc=\",\"remainingItemCount\":7}"), 0);
    assert_string_equal(head.rv, "5");
    assert_string_equal(head.next, "abc=");
    assert_int_equal(head.remaining, 7);
    assert_int_equal(member(&head, "metadata", "{\"resourceVersion\":\"5\"}"), 0);
    assert_string_equal(head.next, "");
    assert_int_equal(head.remaining, -1);
    assert_int_equal(member(&head, "kind", "\"Status\""), 0);
    assert_false(head.is_node_list);
    assert_int_equal(member(&head, "kind", "\"NodeList\\u0000\""), 0);
    assert_false(head.is_node_list);
    assert_int_equal(member(&head, "metadata", "[]"), -EBADMSG);
    assert_int_equal(member(&head, "metadata", "{\"continue\":1}"), -EBADMSG);
    assert_int_equal(member(&head, "metadata", "{\"resourceVersion\":\"abc\"}"), -EBADMSG);
}

static void a_continue_token_has_a_bound(void **state) {
    char text[4200] = "{\"continue\":\"";
    struct list_head head = {.remaining = -1};
    size_t n = strlen(text);

    memset(text + n, 'c', 4096);
    memcpy(text + n + 4096, "\"}", 3);
    assert_int_equal(member(&head, "metadata", text), 0);
    assert_int_equal(strlen(head.next), 4096);
    memcpy(text + n + 4096, "c\"}", 4);
    assert_int_equal(member(&head, "metadata", text), -EBADMSG);
}

static void names_of_broken_nodes(void **state) {
    const char *const text = "{\"metadata\":{\"name\":\"n7\"},\"status\":7}";
    char name[NODE_NAME_MAX + 1];

    assert_int_equal(decode_node_name(name, text, strlen(text)), 0);
    assert_string_equal(name, "n7");
    assert_int_equal(decode_node_name(name, "7", 1), -EBADMSG);
    assert_int_equal(decode_node_name(name, "{}", 2), -EBADMSG);
}

RUN(cmocka_unit_test(a_node_as_the_api_server_writes_it), cmocka_unit_test(what_may_be_absent),
    cmocka_unit_test(leaving), cmocka_unit_test(what_is_no_node_is_refused), cmocka_unit_test(bounds_of_strings),
    cmocka_unit_test(a_nul_is_the_nodes_own_trouble), cmocka_unit_test(many_objects), cmocka_unit_test(nesting_is_bounded),
    cmocka_unit_test(addresses_of_odd_size), cmocka_unit_test(lines_of_a_watch),
    cmocka_unit_test(bookmark_and_error), cmocka_unit_test(lines_that_are_none), cmocka_unit_test(statuses),
    cmocka_unit_test(messages_are_for_people), cmocka_unit_test(members_of_a_list),
    cmocka_unit_test(a_continue_token_has_a_bound), cmocka_unit_test(names_of_broken_nodes))
