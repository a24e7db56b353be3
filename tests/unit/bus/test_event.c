/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/event.h"
#include "nodewall/json.h"
#include "nodewall/pack.h"

#define WALL 1795582800123 /* 2026-11-25T05:00:00.123Z */

static struct set *make_set(const char *const *addresses, size_t n, uint64_t generation) {
    struct set *set = NULL;

    assert_int_equal(set_new(&set), 0);
    for (size_t i = 0; i < n; i++) {
        struct address address;

        assert_int_equal(address_parse(&address, addresses[i], strlen(addresses[i])), 0);
        assert_int_equal(set_append(set, &address, "a"), 0);
    }
    assert_int_equal(set_seal(set), 0);
    memcpy(set->version.epoch, "0123456789abcdef", EPOCH_DIGITS + 1);
    memcpy(set->version.rv, "4711", 5);
    set->version.generation = generation;
    return set;
}

static const char *text(json_object *data, const char *key) {
    assert_true(json_object_is_type(json_get(data, key), json_type_string));
    return json_object_get_string(json_get(data, key));
}

static const char *plain(json_object *value) {
    return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* Whatever these make must be fit for the bus. */
static void assert_packs(const struct event *event) {
    CLEANUP(cleanup_free) uint8_t *body = NULL;
    size_t size;

    assert_int_equal(pack_event(&body, &size, event->tag, event->data, NULL), 0);
}

static void addresses(void **state) {
    static const char *const before[] = {"203.0.113.1", "203.0.113.2"}, *const after[] = {"203.0.113.2", "2001:db8::3",
                                                                                          "10.0.0.0/8"};
    CLEANUP(set_freep) struct set *from = make_set(before, 2, 6), *to = make_set(after, 3, 7);
    CLEANUP(delta_freep) struct delta *delta = NULL;
    CLEANUP(event_done) struct event event = {0};
    struct event_addresses what = {
        .cluster = "prod", .wall = WALL, .set = to, .reason = EVENT_WATCH, .token = "00112233445566778899aabbccddeeff"};

    assert_int_equal(delta_new(&delta, from, to), 0);
    what.delta = delta;
    assert_int_equal(event_addresses(&event, &what), 0);
    assert_string_equal(event.tag, "nodewall/prod/addresses");
    assert_int_equal(json_object_get_int(json_get(event.data, "v")), EVENT_VERSION);
    assert_string_equal(text(event.data, "cluster"), "prod");
    assert_string_equal(text(event.data, "time"), "2026-11-25T05:00:00.123Z");
    assert_string_equal(text(event.data, "epoch"), "0123456789abcdef");
    assert_int_equal(json_object_get_int64(json_get(event.data, "generation")), 7);
    assert_string_equal(text(event.data, "rv"), "4711");
    assert_string_equal(text(event.data, "base"), from->version.digest);
    assert_string_equal(text(event.data, "digest"), to->version.digest);
    assert_int_equal(json_object_get_int64(json_get(event.data, "count")), 3);
    assert_string_equal(plain(json_get(event.data, "added")), "[\"10.0.0.0/8\",\"2001:db8::3\"]");
    assert_string_equal(plain(json_get(event.data, "removed")), "[\"203.0.113.1\"]");
    assert_string_equal(text(event.data, "reason"), "watch");
    assert_string_equal(text(event.data, "token"), "00112233445566778899aabbccddeeff");
    assert_null(json_get(event.data, "minions"));
    assert_null(json_get(event.data, "truncated"));
    assert_packs(&event);
}

static void repair(void **state) {
    static const char *const one[] = {"203.0.113.1"}, *const minions[] = {"db", "caf\xc3\xa9"};
    CLEANUP(set_freep) struct set *set = make_set(one, 1, 1);
    CLEANUP(event_done) struct event event = {0};
    struct event_addresses what = {.cluster = "prod",
                                   .wall = WALL,
                                   .set = set,
                                   .reason = EVENT_REPAIR,
                                   .token = "t",
                                   .minions = minions,
                                   .n_minions = 2};

    assert_int_equal(event_addresses(&event, &what), 0);
    assert_string_equal(text(event.data, "reason"), "repair");
    assert_string_equal(plain(json_get(event.data, "minions")), "[\"db\",\"caf\xc3\xa9\"]");
    assert_null(json_get(event.data, "base"));
    assert_null(json_get(event.data, "added"));
    assert_null(json_get(event.data, "removed"));
    event_done(&event);

    what.reason = EVENT_START; /* for everybody, whatever the caller left in `minions` */
    assert_int_equal(event_addresses(&event, &what), 0);
    assert_null(json_get(event.data, "minions"));
}

static void too_many_addresses(void **state) {
    CLEANUP(set_freep) struct set *from = make_set(NULL, 0, 1);

    for (unsigned n = EVENT_ADDRESSES_MAX; n <= EVENT_ADDRESSES_MAX + 1; n++) {
        CLEANUP(set_freep) struct set *to = make_set(NULL, 0, 2);
        CLEANUP(delta_freep) struct delta *delta = NULL;
        CLEANUP(event_done) struct event event = {0};
        struct event_addresses what = {.cluster = "prod", .set = to, .reason = EVENT_RELIST, .token = "t"};

        for (unsigned i = 0; i < n; i++) {
            struct address address = {.family = 4, .length = 32, .bytes = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};

            assert_int_equal(set_append(to, &address, "a"), 0);
        }
        assert_int_equal(set_seal(to), 0);
        assert_int_equal(delta_new(&delta, from, to), 0);
        what.delta = delta;
        assert_int_equal(event_addresses(&event, &what), 0);
        if (n > EVENT_ADDRESSES_MAX) {
            assert_true(json_object_get_boolean(json_get(event.data, "truncated")));
            assert_null(json_get(event.data, "added"));
            assert_null(json_get(event.data, "removed"));
            assert_null(json_get(event.data, "base"));
        } else {
            assert_null(json_get(event.data, "truncated"));
            assert_int_equal(json_object_array_length(json_get(event.data, "added")), n);
        }
    }
}

static void node(void **state) {
    static const struct address one = {.family = 4, .length = 32, .bytes = {203, 0, 113, 1}};
    static const char *const changes[] = {"added", "changed", "removed"};
    static const char *const bad[] = {"", "a/b", "a b", "a\n", "caf\xc3\xa9"};
    CLEANUP(event_done) struct event event = {0};
    struct event_node what = {
        .cluster = "prod", .node = "node-1.example", .uid = "u-1", .wall = WALL, .addresses = &one, .n_addresses = 1};
    char tag[64];

    for (int i = 0; i < 3; i++) {
        what.change = (enum event_node_change)i;
        assert_int_equal(event_node(&event, &what), 0);
        snprintf(tag, sizeof(tag), "nodewall/prod/node/node-1.example/%s", changes[i]);
        assert_string_equal(event.tag, tag);
        assert_string_equal(text(event.data, "uid"), "u-1");
        assert_string_equal(plain(json_get(event.data, "addresses")), "[\"203.0.113.1\"]");
        assert_string_equal(plain(json_get(event.data, "previous")), "[]");
        assert_packs(&event);
        event_done(&event);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        what.node = bad[i];
        assert_int_equal(event_node(&event, &what), -EINVAL);
        assert_null(event.data);
    }
}

static void longest_tag(void **state) {
    char cluster[64], name[254];
    CLEANUP(event_done) struct event event = {0};
    struct event_node what = {.cluster = cluster, .node = name, .uid = NULL, .change = EVENT_NODE_REMOVED};

    memset(cluster, 'c', 63);
    memset(name, 'n', 253);
    cluster[63] = name[253] = 0;
    assert_int_equal(event_node(&event, &what), 0);
    assert_int_equal(strlen(event.tag), 9 + 63 + 6 + 253 + 8);
    assert_string_equal(event.tag + strlen(event.tag) - 10, "nn/removed");
    assert_packs(&event);
}

static void health(void **state) {
    CLEANUP(event_done) struct event event = {0};

    assert_int_equal(event_health(&event, "prod", EVENT_HELD, "6 of 10 would go", WALL, WALL - 1000), 0);
    assert_string_equal(event.tag, "nodewall/prod/health");
    assert_string_equal(text(event.data, "state"), "held");
    assert_string_equal(text(event.data, "detail"), "6 of 10 would go");
    assert_string_equal(text(event.data, "since"), "2026-11-25T04:59:59.123Z");
    assert_packs(&event);
    event_done(&event);
    event_done(&event);
    /* Some of it is a server's word, cut somewhere: an event that is lost for a letter would say nothing at all. */
    assert_int_equal(event_health(&event, "prod", EVENT_STALE, "says \xff\x1b[2J \xe2\x82", WALL, WALL), 0);
    assert_string_equal(text(event.data, "detail"), "says ? [2J ??");
    assert_packs(&event);
    assert_int_equal(event_health(&event, "PROD", EVENT_HELD, "", 0, 0), -EINVAL);
    for (int i = EVENT_SYNCED; i <= EVENT_REFUSED; i++)
        assert_true(event_health_name((enum event_health)i)[0]);
}

static void whose(void **state) {
    static const struct {
        const char *tag, *cluster; /* "": ours, of no cluster; NULL: not ours */
    } cases[] = {
        {"nodewall/prod/addresses", "prod"},
        {"nodewall/a.b-c/node/x/added", "a.b-c"},
        {"nodewall/probe", ""},
        {"nodewall/", ""},
        {"nodewall//addresses", ""},
        {"nodewall/PROD/addresses", ""},
        {"nodewall/../x", ""},
        {"nodewall", NULL},
        {"nodewalls/prod/x", NULL},
        {"salt/job/1/new", NULL},
        {"", NULL},
    };
    char cluster[64], tag[128] = "nodewall/";

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        size_t size = strlen(cases[i].tag);
        CLEANUP(cleanup_free) char *copy = malloc(size + 1); /* its end is the end: no NUL to lean on */

        memcpy(copy, cases[i].tag, size);
        copy = realloc(copy, size ? size : 1);
        memset(cluster, 0, sizeof(cluster));
        assert_int_equal(event_tag_is_ours(copy, size), cases[i].cluster != NULL);
        assert_int_equal(event_tag_cluster(copy, size, cluster), cases[i].cluster && cases[i].cluster[0]);
        assert_string_equal(cluster, cases[i].cluster ? cases[i].cluster : "");
    }
    memset(tag + 9, 'a', 64);
    memcpy(tag + 9 + 64, "/x", 3);
    assert_false(event_tag_cluster(tag, strlen(tag), cluster));
    memcpy(tag + 9 + 63, "/x", 3);
    assert_true(event_tag_cluster(tag, strlen(tag), cluster));
    assert_int_equal(strlen(cluster), 63);
    assert_false(event_tag_cluster("nodewall/a\0b/x", 14, cluster));
}

RUN(cmocka_unit_test(addresses), cmocka_unit_test(repair), cmocka_unit_test(too_many_addresses), cmocka_unit_test(node),
    cmocka_unit_test(longest_tag), cmocka_unit_test(health), cmocka_unit_test(whose))
