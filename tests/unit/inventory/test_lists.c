/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: staged, then in force at once, or forgotten. */
#include "bed.h"

static void nothing_counts_before_done(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    bed_apply(inventory, "b", "InternalIP=10.0.0.2");
    bed_apply(inventory, "d", "InternalIP=10.0.0.4");
    assert_changes(inventory, "+a/u:>10.0.0.1 +b/u:>10.0.0.2 +d/u:>10.0.0.4");
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "b", "u", "InternalIP=10.0.0.22", true);
    bed_apply_as(inventory, "c", "u", "", true);
    bed_apply_as(inventory, "d", "u", "InternalIP=10.0.0.4", true);
    assert_living(inventory, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.4(d)");
    assert_bare(inventory, "");
    assert_changes(inventory, "");
    assert_int_equal(inventory_revision(inventory), 3);
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_living(inventory, "10.0.0.4(d) 10.0.0.22(b)");
    assert_bare(inventory, "c");
    assert_changes(inventory, "L~b/u:10.0.0.2>10.0.0.22 L+c/u:> L-a/u:10.0.0.1>");
    assert_int_equal(inventory_revision(inventory), 4);
}

static void abandoned_is_forgotten(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "b", "u", "InternalIP=10.0.0.2", true);
    inventory_list_abandoned(inventory);
    assert_living(inventory, "10.0.0.1(a)");
    assert_changes(inventory, "+a/u:>10.0.0.1");
    assert_int_equal(inventory_list_done(inventory), 0); /* not under way: nothing, above all no empty cluster */
    assert_living(inventory, "10.0.0.1(a)");

    assert_int_equal(inventory_list_start(inventory), 0); /* begun twice: page 1 again after a 410 */
    bed_apply_as(inventory, "c", "u", "InternalIP=10.0.0.3", true);
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "a", "u", "InternalIP=10.0.0.1", true);
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_living(inventory, "10.0.0.1(a)");
    assert_changes(inventory, "");
    assert_int_equal(inventory_revision(inventory), 1);
}

static void an_empty_list_is_told(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    bed_apply(inventory, "b", "");
    assert_int_equal(inventory_list_start(inventory), 0);
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_living(inventory, "");
    assert_bare(inventory, "");
    assert_changes(inventory, "+a/u:>10.0.0.1 +b/u:> L-a/u:10.0.0.1> L-b/u:>");
}

static void a_list_with_a_repaved_machine(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply_as(inventory, "a", "one", "InternalIP=10.0.0.1", false);
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "a", "two", "InternalIP=10.0.0.1", true);
    bed_apply_as(inventory, "a", "two", "InternalIP=10.0.0.1", true); /* twice in one list */
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_changes(inventory, "+a/one:>10.0.0.1 L-a/one:10.0.0.1> L+a/two:>10.0.0.1");
    bed_gone(inventory, "a", "one");
    assert_living(inventory, "10.0.0.1(a)");
}

/* The machine does not do that today; if it does, what is live is true at once, and stays true after the list. */
static void live_events_while_a_list_is_under_way(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "a", "u", "InternalIP=10.0.0.1", true);
    bed_apply_as(inventory, "b", "u", "InternalIP=10.0.0.2", true);
    bed_apply(inventory, "c", "InternalIP=10.0.0.3");
    bed_gone(inventory, "a", "u");
    assert_living(inventory, "10.0.0.3(c)");
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_living(inventory, "10.0.0.2(b) 10.0.0.3(c)");
    assert_changes(inventory, "+a/u:>10.0.0.1 +c/u:>10.0.0.3 -a/u:10.0.0.1> L+b/u:>10.0.0.2");
}

static void five_thousand_nodes(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();
    CLEANUP(set_freep) struct set *living = NULL;
    char name[32], status[96];
    struct inventory_change change;
    size_t n = 0;

    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(inventory_list_start(inventory), 0);
        for (unsigned i = 0; i < 5000; i++) {
            snprintf(name, sizeof(name), "node-%u", i * 7919 % 5000);
            snprintf(status, sizeof(status), "InternalIP=10.1.%u.%u ExternalIP=2001:db8::%x", i / 256, i % 256, i);
            bed_apply_as(inventory, name, "u", status, true);
        }
        assert_int_equal(inventory_list_done(inventory), 0);
        assert_int_equal(inventory_revision(inventory), 1);
    }
    for (; inventory_pop(inventory, &change); n++)
        inventory_change_done(&change);
    assert_int_equal(n, 5000);
    assert_int_equal(inventory_living(inventory, &living), 0);
    assert_int_equal(living->n_members, 10000);
}

/* More nodes than there may be: those that have a place keep it, the others are counted and said. */
static void more_nodes_than_there_may_be(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED(.max_nodes = 2);
    char text[256];

    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    bed_apply(inventory, "b", "InternalIP=10.0.0.2");
    for (int i = 0; i < 3; i++) /* a heartbeat is no other node */
        bed_apply(inventory, "c", "InternalIP=10.0.0.3");
    assert_living(inventory, "10.0.0.1(a) 10.0.0.2(b)");
    assert_int_equal(inventory_stats(inventory).refused, 1);
    assert_string_equal(inventory_refusals(inventory, text, sizeof(text)), "1 nodes are over the bound of 2");
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "d", "u", "InternalIP=10.0.0.4", true);
    bed_apply_as(inventory, "c", "u", "InternalIP=10.0.0.3", true);
    bed_apply_as(inventory, "b", "u", "InternalIP=10.0.0.2", true);
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_living(inventory, "10.0.0.2(b)"); /* what has a place is not pushed out by what comes first in a list */
    assert_string_equal(inventory_refusals(inventory, text, sizeof(text)), "2 nodes are over the bound of 2");
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "c", "u", "InternalIP=10.0.0.3", true);
    bed_apply_as(inventory, "b", "u", "InternalIP=10.0.0.2", true);
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_living(inventory, "10.0.0.2(b) 10.0.0.3(c)");
    assert_string_equal(inventory_refusals(inventory, text, sizeof(text)), "");
}

RUN(cmocka_unit_test(more_nodes_than_there_may_be), cmocka_unit_test(nothing_counts_before_done), cmocka_unit_test(abandoned_is_forgotten),
    cmocka_unit_test(an_empty_list_is_told), cmocka_unit_test(a_list_with_a_repaved_machine),
    cmocka_unit_test(live_events_while_a_list_is_under_way), cmocka_unit_test(five_thousand_nodes))
