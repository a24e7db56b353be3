/* SPDX-License-Identifier: Apache-2.0 */
/* Which texts of a status are addresses, and what is said of those that are not. */
#include "bed.h"

static void refused(struct inventory *inventory, const char *want, size_t n) {
    char text[1024];

    assert_string_equal(inventory_refusals(inventory, text, sizeof(text)), want);
    assert_int_equal(inventory_stats(inventory).refused, n);
}

static void types_that_nobody_asked_for(void **state) {
    static const char *const internal[] = {"InternalIP", NULL};
    CLEANUP(inventory_freep) struct inventory *inventory =
            bed_make(&(struct inventory_options){.types = internal, .max_per_node = 16});

    bed_apply(inventory, "a", "ExternalIP=203.0.113.1 InternalIP=10.0.0.1 FancyIP=10.0.0.2 internalip=10.0.0.3");
    assert_living(inventory, "10.0.0.1(a)");
    refused(inventory, "", 0);
}

/* GCE writes an empty ExternalIP, kubelets write host names that may be addresses. */
static void empty_texts_and_names_are_not_refused(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=10.0.0.1 ExternalIP= Hostname=a.example Hostname=10.0.0.9");
    assert_living(inventory, "10.0.0.1(a) 10.0.0.9(a)");
    refused(inventory, "", 0);
}

static void what_no_node_can_have(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1 is loopback"},
        {"::1", "::1 is loopback"},
        {"0.0.0.0", "0.0.0.0 is unspecified"},
        {"::", ":: is unspecified"},
        {"0.0.0.0/0", "0.0.0.0/0 is loopback"},
        {"10.0.0.0/8", "10.0.0.0/8 is a network, not an address"},
        {"169.254.169.254", "169.254.169.254 is link-local"},
        {"fe80::1", "fe80::1 is link-local"},
        {"fe80::1%eth0", "fe80::1%eth0 is no address"},
        {"224.0.0.1", "224.0.0.1 is multicast"},
        {"ff02::1", "ff02::1 is multicast"},
        {"255.255.255.255", "255.255.255.255 is reserved"},
        {"010.0.0.1", "010.0.0.1 is no address"},
        {"10.0.0.1;", "10.0.0.1; is no address"},
        {"\033[2J", "?[2J is no address"},
        {"\xc3\xa9", "?? is no address"},
        {"::ffff:127.0.0.1", "::ffff:127.0.0.1 is loopback"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char status[128], want[128];

        snprintf(status, sizeof(status), "InternalIP=%s", cases[i].text);
        snprintf(want, sizeof(want), "node a: %s", cases[i].why);
        bed_apply(inventory, "a", status);
        assert_living(inventory, "");
        refused(inventory, want, 1);
    }
    bed_apply(inventory, "a", "InternalIP=10.0.0.1");
    refused(inventory, "", 0);
}

static void long_texts(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();
    CLEANUP(bed_node_done) struct node node;
    char text[1024];

    bed_node(&node, "a", "u", "InternalIP=x");
    memset(node.addresses[0].text, '1', sizeof(node.addresses[0].text) - 1);
    node.more = 3; /* beyond what decode takes */
    assert_int_equal(inventory_apply(inventory, &node, false), 0);
    refused(inventory, "node a: 11111111111111111111111111111111111111111111111 is no address; node a: 3 more", 4);
    assert_string_equal(inventory_refusals(inventory, text, 12), ""); /* no half sentence */
    assert_string_equal(inventory_refusals(inventory, text, 1), "");
}

static void outside_within(void **state) {
    struct address within[] = {{4, 15, {172, 104}}, {6, 32, {0x20, 0x01, 0x0d, 0xb8}}};
    CLEANUP(inventory_freep) struct inventory *inventory = BED(.within = within, .n_within = 2);

    bed_apply(inventory, "a",
            "ExternalIP=172.105.0.1 InternalIP=192.168.0.1 ExternalIP=2001:db8::5 ExternalIP=2001:db9::5");
    bed_apply(inventory, "b", "InternalIP=192.168.0.2");
    assert_living(inventory, "172.105.0.1(a) 2001:db8::5(a)");
    assert_bare(inventory, "b");
    refused(inventory, "node a: 192.168.0.1 is outside `within`; node a: 2001:db9::5 is outside `within`; "
                       "node b: 192.168.0.2 is outside `within`", 3);
    bed_gone(inventory, "b", "u");
    refused(inventory, "node a: 192.168.0.1 is outside `within`; node a: 2001:db9::5 is outside `within`", 2);
}

/* What a node has goes before what is new, in whatever order it is written. */
static void more_than_a_node_may_have(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED(.max_per_node = 2);

    bed_apply(inventory, "a", "InternalIP=10.0.0.5 InternalIP=10.0.0.4 InternalIP=10.0.0.3");
    assert_living(inventory, "10.0.0.4(a) 10.0.0.5(a)");
    refused(inventory, "node a: 10.0.0.3 is over max_addresses_per_node", 1);
    bed_apply(inventory, "a", "InternalIP=10.0.0.1 InternalIP=10.0.0.2 InternalIP=10.0.0.3 InternalIP=10.0.0.4 "
                              "InternalIP=10.0.0.5 InternalIP=10.0.0.5");
    assert_living(inventory, "10.0.0.4(a) 10.0.0.5(a)");
    assert_int_equal(inventory_revision(inventory), 1);
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "a", "u", "InternalIP=10.0.0.1 InternalIP=10.0.0.4 InternalIP=10.0.0.5", true);
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_int_equal(inventory_revision(inventory), 1);
    bed_apply(inventory, "a", "InternalIP=10.0.0.1 InternalIP=10.0.0.2 InternalIP=10.0.0.4");
    assert_living(inventory, "10.0.0.1(a) 10.0.0.4(a)");
}

static void many_refusals_are_counted(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();

    bed_apply(inventory, "a", "InternalIP=r InternalIP=s InternalIP=t InternalIP=u InternalIP=v InternalIP=w");
    refused(inventory,
            "node a: r is no address; node a: s is no address; node a: t is no address; node a: u is no address; "
            "node a: 2 more",
            6);
    bed_apply(inventory, "a", "InternalIP=r InternalIP=x");
    refused(inventory, "node a: r is no address; node a: x is no address", 2);
    assert_int_equal(inventory_revision(inventory), 1);
}

static void more_than_a_cluster_may_have(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED(.max_total = 3);

    bed_apply(inventory, "a", "InternalIP=10.0.0.1 InternalIP=10.0.0.2");
    bed_apply(inventory, "b", "InternalIP=10.0.0.3 InternalIP=10.0.0.4 InternalIP=10.0.0.5");
    assert_living(inventory, "10.0.0.1(a) 10.0.0.2(a) 10.0.0.3(b)");
    refused(inventory, "2 addresses are over the bound of 3", 2);
    bed_apply(inventory, "a",
            "InternalIP=10.0.0.6 InternalIP=10.0.0.2"); /* its own place becomes free and goes to the oldest */
    assert_living(inventory, "10.0.0.2(a) 10.0.0.3(b) 10.0.0.4(b)");

    /* A list that names others first takes no place away. */
    assert_int_equal(inventory_list_start(inventory), 0);
    bed_apply_as(inventory, "0", "u", "InternalIP=10.0.0.7", true);
    bed_apply_as(inventory, "a", "u", "InternalIP=10.0.0.6 InternalIP=10.0.0.2", true);
    bed_apply_as(inventory, "b", "u", "InternalIP=10.0.0.3 InternalIP=10.0.0.4 InternalIP=10.0.0.5", true);
    assert_int_equal(inventory_list_done(inventory), 0);
    assert_living(inventory, "10.0.0.2(a) 10.0.0.3(b) 10.0.0.4(b)");
    bed_gone(inventory, "b", "u");
    assert_living(inventory, "10.0.0.2(a) 10.0.0.6(a) 10.0.0.7(0)");
    refused(inventory, "", 0);
    assert_int_equal(inventory_stats(inventory).addresses, 3);
}

RUN(cmocka_unit_test(types_that_nobody_asked_for), cmocka_unit_test(empty_texts_and_names_are_not_refused),
    cmocka_unit_test(what_no_node_can_have), cmocka_unit_test(long_texts), cmocka_unit_test(outside_within),
    cmocka_unit_test(more_than_a_node_may_have), cmocka_unit_test(many_refusals_are_counted),
    cmocka_unit_test(more_than_a_cluster_may_have))
