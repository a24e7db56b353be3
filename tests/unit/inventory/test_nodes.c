/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that come, change, go and come again; addresses with several owners. */
#include "bed.h"

static void a_life(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    assert_living(inventory, "");
    assert_int_equal(inventory_revision(inventory), 0);
    bed_apply(inventory, "a", "InternalIP=10.0.0.1 ExternalIP=203.0.113.1 Hostname=a.example");
    assert_changes(inventory, "+a/u:>10.0.0.1,203.0.113.1");
    assert_living(inventory, "10.0.0.1(a) 203.0.113.1(a)");
    bed_apply(inventory, "a", "InternalIP=10.0.0.1 ExternalIP=203.0.113.2");
    assert_changes(inventory, "~a/u:10.0.0.1,203.0.113.1>10.0.0.1,203.0.113.2");
    assert_living(inventory, "10.0.0.1(a) 203.0.113.2(a)");
    assert_int_equal(inventory_revision(inventory), 2);
    bed_gone(inventory, "a", "u");
    assert_changes(inventory, "-a/u:10.0.0.1,203.0.113.2>");
    assert_living(inventory, "");
    assert_int_equal(inventory_stats(inventory).nodes, 0);
}

static void order_and_repeats_are_nothing(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=10.0.0.1 InternalIP=10.0.0.2 ExternalIP=2001:db8::1");
    bed_apply(inventory, "a",
            "ExternalIP=2001:db8:0:0::1 ExternalIP=10.0.0.2 InternalIP=::ffff:10.0.0.1 InternalIP=10.0.0.1");
    assert_int_equal(inventory_revision(inventory), 1);
    assert_living(inventory, "10.0.0.1(a) 10.0.0.2(a) 2001:db8::1(a)");
}

/* A cloud gives a freed address to a new node before the old Node is deleted. */
static void an_address_lives_as_long_as_one_owner(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    bed_apply(inventory, "b", "InternalIP=10.0.0.1 InternalIP=10.0.0.2");
    assert_living(inventory, "10.0.0.1(a) 10.0.0.2(b)");
    assert_int_equal(inventory_stats(inventory).addresses, 2);
    bed_gone(inventory, "a", "u");
    assert_living(inventory, "10.0.0.1(b) 10.0.0.2(b)");
    bed_apply(inventory, "b", "InternalIP=10.0.0.2");
    assert_living(inventory, "10.0.0.2(b)");
}

static void the_same_name_with_another_uid_is_another_node(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply_as(inventory, "a", "one", "InternalIP=10.0.0.1", false);
    bed_apply_as(inventory, "a", "two", "InternalIP=10.0.0.1", false);
    assert_changes(inventory, "+a/one:>10.0.0.1 -a/one:10.0.0.1> +a/two:>10.0.0.1");
    assert_living(inventory, "10.0.0.1(a)");
    bed_gone(inventory, "a", "one"); /* its DELETED comes late */
    assert_living(inventory, "10.0.0.1(a)");
    assert_changes(inventory, "");
    bed_gone(inventory, "a", "two");
    assert_living(inventory, "");
    bed_gone(inventory, "a", "two");
    bed_gone(inventory, "never", "seen");
    assert_changes(inventory, "-a/two:10.0.0.1>");
}

static void nodes_without_an_address_are_bare(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "b", "Hostname=b.example");
    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    bed_apply(inventory, "c", "InternalIP=127.0.0.1 ExternalIP=");
    assert_bare(inventory, "b c");
    assert_int_equal(inventory_stats(inventory).bare, 2);
    bed_apply(inventory, "a", "Hostname=a.example");
    assert_bare(inventory, "a b c");
    bed_apply(inventory, "b", "Hostname=10.0.0.2");
    assert_bare(inventory, "a c");
    bed_gone(inventory, "a", "u");
    bed_apply_as(inventory, "c", "another", "InternalIP=10.0.0.3", false);
    assert_bare(inventory, "");
    assert_int_equal(inventory_stats(inventory).bare, 0);
    assert_changes(
            inventory, "+b/u:> +a/u:>10.0.0.1 +c/u:> ~a/u:10.0.0.1> ~b/u:>10.0.0.2 -a/u:> -c/u:> +c/another:>10.0.0.3");
}

/* Names of 253 letters are cut to labels of 63. */
static void long_names_share_a_label(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();
    char name[NODE_NAME_MAX + 1], want[LABEL_MAX + 1];

    memset(name, 'n', NODE_NAME_MAX);
    name[NODE_NAME_MAX] = 0;
    bed_apply(inventory, name, "");
    name[NODE_NAME_MAX - 1] = 'm';
    bed_apply(inventory, name, "");
    assert_int_equal(inventory_stats(inventory).bare, 2);
    memset(want, 'n', LABEL_MAX);
    want[LABEL_MAX] = 0;
    assert_bare(inventory, want);
}

struct told {
    char text[256];
};

static void tell(const struct inventory_node *node, void *userdata) {
    struct told *told = userdata;
    size_t used = strlen(told->text);

    snprintf(told->text + used, sizeof(told->text) - used, "%s%s/%s%s:%zu,%zu", used ? " " : "", node->name, node->uid,
             node->leaving ? "!" : "", node->n_addresses, node->n_refused);
}

static void each_by_name(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();
    CLEANUP(bed_node_done) struct node node;
    struct told told = {""};

    bed_apply(inventory, "c", "InternalIP=10.0.0.1 InternalIP=10.0.0.2");
    bed_apply(inventory, "a", "InternalIP=nonsense");
    bed_node(&node, "b", "u", "");
    assert_int_equal(inventory_apply(inventory, &node, false), 0);
    node.leaving = true; /* a finalizer: MODIFIED with deletionTimestamp; no change, but told */
    assert_int_equal(inventory_apply(inventory, &node, false), 0);
    inventory_each(inventory, tell, &told);
    assert_string_equal(told.text, "a/u:0,1 b/u!:0,0 c/u:2,0");
    assert_int_equal(inventory_revision(inventory), 3);
}

RUN(cmocka_unit_test(a_life), cmocka_unit_test(order_and_repeats_are_nothing),
    cmocka_unit_test(an_address_lives_as_long_as_one_owner),
    cmocka_unit_test(the_same_name_with_another_uid_is_another_node),
    cmocka_unit_test(nodes_without_an_address_are_bare), cmocka_unit_test(long_names_share_a_label),
    cmocka_unit_test(each_by_name))
