/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/json.h"
#include "nodewall/outbox.h"
#include "nodewall/pack.h"

struct id {
    char text[OUTBOX_ID_DIGITS + 1];
};

static struct id add(struct outbox *outbox, enum outbox_kind kind, const char *key, const char *tag, msec now) {
    CLEANUP(json_putp) json_object *data = json_object_new_object();
    struct id id;

    assert_int_equal(outbox_add(outbox, kind, key, tag, data, now, id.text, NULL), 0);
    assert_true(hex_is(id.text, OUTBOX_ID_DIGITS));
    assert_string_equal(json_object_get_string(json_get(data, "event_id")), id.text);
    return id;
}

static void assert_next(struct outbox *outbox, msec now, const char *tag) {
    struct outbox_entry entry;

    if (!outbox_next(outbox, now, &entry)) {
        if (tag)
            fail_msg("nothing at %lld, %s expected", (long long)now, tag);
        return;
    }
    if (!tag)
        fail_msg("%s at %lld, nothing expected", entry.tag, (long long)now);
    assert_string_equal(entry.tag, tag);
}

static void what_is_sent_carries_the_id(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    CLEANUP(json_putp) json_object *data = NULL;
    struct outbox_entry entry;
    const uint8_t *packed;
    const char *tag;
    size_t tag_size, size;
    struct id id;

    assert_int_equal(outbox_new(&outbox), 0);
    assert_true(outbox_due(outbox) == MSEC_NEVER);
    id = add(outbox, OUTBOX_EVENT, "k", "t", 5);
    assert_int_equal(outbox_due(outbox), 5);
    assert_true(outbox_next(outbox, 5, &entry));
    assert_int_equal(entry.attempts, 0);
    assert_int_equal(unpack_split(&tag, &tag_size, &packed, &size, entry.body, entry.size), 0);
    assert_int_equal(unpack_data(&data, packed, size), 0);
    assert_string_equal(json_object_get_string(json_get(data, "event_id")), id.text);
}

static void sent_until_the_echo(void **state) {
    static const msec at[] = {0, 2, 6, 14, 30, 60, 90, 120}; /* 2, 4, 8, 16, 30, 30 … s between */
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    struct id id;

    assert_int_equal(outbox_new(&outbox), 0);
    id = add(outbox, OUTBOX_ANNOUNCEMENT, "prod", "t", 0);
    assert_false(outbox_waits_for(outbox, "t", 1)); /* it was not sent yet */
    assert_false(outbox_echo(outbox, "t", id.text, 0));
    for (size_t i = 0; i < ARRAY_LENGTH(at); i++) {
        assert_int_equal(outbox_due(outbox), at[i] * 1000);
        assert_next(outbox, at[i] * 1000 - 1, NULL);
        assert_next(outbox, at[i] * 1000, "t");
    }
    assert_true(outbox_waits_for(outbox, "txx", 1));
    assert_false(outbox_waits_for(outbox, "tx", 2));
    assert_false(outbox_echo(outbox, "other", id.text, 121000));
    assert_false(outbox_echo(outbox, "t", "00000000000000000000000000000000", 121000));
    assert_true(outbox_echo(outbox, "t", id.text, 121000));
    assert_false(outbox_echo(outbox, "t", id.text, 121000));
    assert_true(outbox_due(outbox) == MSEC_NEVER);
    assert_int_equal(outbox_stats(outbox).sent, ARRAY_LENGTH(at));
    assert_int_equal(outbox_stats(outbox).resent, ARRAY_LENGTH(at) - 1);
    assert_int_equal(outbox_stats(outbox).delivered, 1);
    assert_int_equal(outbox_stats(outbox).waiting, 0);
}

static void announcements_first(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;

    assert_int_equal(outbox_new(&outbox), 0);
    add(outbox, OUTBOX_EVENT, "e", "event", 0);
    add(outbox, OUTBOX_REPAIR, "a", "repair", 0);
    add(outbox, OUTBOX_ANNOUNCEMENT, "b", "announcement", 0);
    assert_next(outbox, 0, "announcement");
    assert_next(outbox, 0, "repair");
    assert_next(outbox, 0, "event");
    assert_next(outbox, 0, NULL);
}

static void newest_announcement_only(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    struct id old, new;

    assert_int_equal(outbox_new(&outbox), 0);
    old = add(outbox, OUTBOX_ANNOUNCEMENT, "prod", "prod", 0);
    assert_next(outbox, 0, "prod"); /* also one that is under way */
    add(outbox, OUTBOX_REPAIR, "prod", "repair", 0);
    add(outbox, OUTBOX_REPAIR, "test", "other repair", 0);
    add(outbox, OUTBOX_ANNOUNCEMENT, "test", "test", 0);
    add(outbox, OUTBOX_REPAIR, "test", "later repair", 0);
    add(outbox, OUTBOX_EVENT, "prod", "event", 0);
    new = add(outbox, OUTBOX_ANNOUNCEMENT, "prod", "prod", 1);
    assert_int_equal(outbox_stats(outbox).superseded, 3); /* prod, its repair, test's earlier repair */
    assert_int_equal(outbox_stats(outbox).dropped, 0);
    assert_int_equal(outbox_stats(outbox).waiting, 4);
    assert_next(outbox, 1, "test");
    assert_next(outbox, 1, "prod");
    assert_next(outbox, 1, "later repair");
    assert_next(outbox, 1, "event");
    assert_next(outbox, 1, NULL);
    assert_false(outbox_echo(outbox, "prod", old.text, 1));
    assert_true(outbox_echo(outbox, "prod", new.text, 1));
}

static void repairs_are_bounded(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    char tag[16];

    assert_int_equal(outbox_new(&outbox), 0);
    add(outbox, OUTBOX_REPAIR, "other", "other", 0);
    for (int i = 0; i < OUTBOX_REPAIRS + 2; i++) {
        snprintf(tag, sizeof(tag), "%d", i);
        add(outbox, OUTBOX_REPAIR, "prod", tag, 0);
    }
    assert_int_equal(outbox_stats(outbox).dropped, 2);
    assert_next(outbox, 0, "other");
    assert_next(outbox, 0, "2");
}

static void events_are_bounded(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    struct outbox_entry entry;
    char tag[16];
    size_t n = 0;

    assert_int_equal(outbox_new(&outbox), 0);
    add(outbox, OUTBOX_REPAIR, "prod", "repair", 0);
    for (int i = 0; i < OUTBOX_EVENTS + 3; i++) {
        snprintf(tag, sizeof(tag), "%d", i);
        add(outbox, OUTBOX_EVENT, tag, tag, 0);
    }
    assert_int_equal(outbox_stats(outbox).dropped, 3);
    assert_int_equal(outbox_stats(outbox).waiting, OUTBOX_EVENTS + 1);
    assert_next(outbox, 0, "repair");
    assert_next(outbox, 0, "3");
    while (outbox_next(outbox, 0, &entry))
        n++;
    assert_int_equal(n, OUTBOX_EVENTS - 1);
}

static void order_of_a_key(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    struct id first, second;

    assert_int_equal(outbox_new(&outbox), 0);
    first = add(outbox, OUTBOX_EVENT, "prod/a", "a1", 0);
    second = add(outbox, OUTBOX_EVENT, "prod/a", "a2", 0);
    add(outbox, OUTBOX_EVENT, "prod/a", "a3", 0);
    add(outbox, OUTBOX_EVENT, "prod/b", "b1", 0);
    assert_next(outbox, 0, "a1");
    assert_next(outbox, 0, "b1");
    assert_next(outbox, 1, NULL);
    assert_int_equal(outbox_due(outbox), 2000);
    assert_true(outbox_echo(outbox, "a1", first.text, 10));
    assert_next(outbox, 10, "a2");
    assert_next(outbox, 10, NULL);
    outbox_reconnected(outbox, 20);
    assert_next(outbox, 20, "a2");
    assert_next(outbox, 20, "b1");
    assert_next(outbox, 20, NULL); /* not a3, reconnection or not */
    assert_true(outbox_echo(outbox, "a2", second.text, 30));
    assert_next(outbox, 30, "a3");
}

/* When the one in front is pushed out, those behind it go on, in order. */
static void pushed_out_of_a_key(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    struct outbox_entry entry;
    char tag[16];

    assert_int_equal(outbox_new(&outbox), 0);
    for (int i = 0; i < OUTBOX_EVENTS; i++) {
        snprintf(tag, sizeof(tag), "%d", i);
        add(outbox, OUTBOX_EVENT, "same", tag, 0);
    }
    assert_next(outbox, 0, "0");
    assert_next(outbox, 0, NULL);
    add(outbox, OUTBOX_EVENT, "same", "last", 0);
    assert_next(outbox, 0, "1");
    assert_false(outbox_next(outbox, 0, &entry));
}

static void reconnection(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    struct outbox_entry entry;

    assert_int_equal(outbox_new(&outbox), 0);
    add(outbox, OUTBOX_EVENT, "k", "t", 0);
    assert_next(outbox, 0, "t");
    assert_next(outbox, 2000, "t");
    assert_next(outbox, 6000, "t");
    assert_next(outbox, 13999, NULL);
    assert_false(outbox_is_stuck(outbox)); /* the third may still come back */
    assert_next(outbox, 14000, "t");
    assert_true(outbox_is_stuck(outbox));
    outbox_reconnected(outbox, 30001);
    assert_false(outbox_is_stuck(outbox));
    assert_int_equal(outbox_due(outbox), 30001);
    assert_true(outbox_next(outbox, 30001, &entry));
    assert_int_equal(entry.attempts, 4);
    assert_int_equal(outbox_due(outbox), 32001); /* the waiting begins anew */
}

static void refused(void **state) {
    CLEANUP(outbox_freep) struct outbox *outbox = NULL;
    CLEANUP(json_putp) json_object *list = json_object_new_array(), *map = json_object_new_object();
    struct problem problem = {0};
    char id[OUTBOX_ID_DIGITS + 1] = "untouched";

    assert_int_equal(outbox_new(&outbox), 0);
    assert_int_equal(outbox_add(outbox, OUTBOX_EVENT, "k", "t", list, 0, id, &problem), -EINVAL);
    assert_true(problem.what[0]);
    assert_int_equal(outbox_add(outbox, OUTBOX_EVENT, "k", "t", NULL, 0, id, &problem), -EINVAL);
    assert_int_equal(outbox_add(outbox, OUTBOX_EVENT, "k", "salt/x", map, 0, id, &problem), -EINVAL);
    assert_string_equal(id, "untouched");
    assert_int_equal(outbox_stats(outbox).added, 0);
    assert_true(outbox_due(outbox) == MSEC_NEVER);
    assert_int_equal(outbox_add(outbox, OUTBOX_EVENT, "k", "t", map, 0, NULL, NULL), 0);
}

RUN(cmocka_unit_test(what_is_sent_carries_the_id), cmocka_unit_test(sent_until_the_echo),
    cmocka_unit_test(announcements_first), cmocka_unit_test(newest_announcement_only),
    cmocka_unit_test(repairs_are_bounded), cmocka_unit_test(events_are_bounded), cmocka_unit_test(order_of_a_key),
    cmocka_unit_test(pushed_out_of_a_key), cmocka_unit_test(reconnection), cmocka_unit_test(refused))
