/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation fails in its turn: what was to happen has happened whole, or not at all. A heartbeat makes none. */
#include "bed.h"
#include "../torture.h"

static void digest_of(struct inventory *inventory, char ret[DIGEST_DIGITS + 1]) {
    CLEANUP(set_freep) struct set *set = NULL;

    assert_int_equal(inventory_living(inventory, &set), 0);
    memcpy(ret, set->version.digest, DIGEST_DIGITS + 1);
}

static int list(struct inventory *inventory, struct node *nodes, size_t n) {
    int r = inventory_list_start(inventory);

    for (size_t i = 0; i < n && r == 0; i++)
        r = inventory_apply(inventory, &nodes[i], true);
    return r < 0 ? r : inventory_list_done(inventory);
}

/* One step of a life; the same again must be possible after it failed. */
static int step(struct inventory *inventory, struct node *nodes, unsigned number) {
    switch (number) {
    case 0:
        return list(inventory, nodes, 3);
    case 1:
        return inventory_apply(inventory, &nodes[3], false);    /* new */
    case 2:
        return inventory_apply(inventory, &nodes[4], false);    /* other addresses */
    case 3:
        return inventory_apply(inventory, &nodes[5], false);    /* another uid */
    case 4:
        return inventory_gone(inventory, &nodes[3]);
    default:
        return list(inventory, nodes + 2, 3);
    }
}

static void whole_or_not_at_all(void **state) {
    static const char *const texts[][3] = {
        {"a", "1", "InternalIP=10.0.0.1 ExternalIP=203.0.113.1"}, {"b", "1", "InternalIP=10.0.0.2"}, {"c", "1", ""},
        {"d", "1", "InternalIP=10.0.0.4 InternalIP=10.0.0.2 InternalIP=bogus"},
        {"a", "1", "InternalIP=10.0.0.9 InternalIP=10.0.0.1"}, {"b", "2", "InternalIP=10.0.0.7"},
    };
    struct node nodes[ARRAY_LENGTH(texts)];
    size_t n_failures = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        bed_node(&nodes[i], texts[i][0], texts[i][1], texts[i][2]);
    for (size_t at = 1;; at++) {
        CLEANUP(inventory_freep) struct inventory *inventory = BED();
        bool failed = false;

        torture_begin(at);
        for (unsigned i = 0; i < 6; i++) {
            char before[DIGEST_DIGITS + 1], after[DIGEST_DIGITS + 1], changes[4096];
            uint64_t revision = inventory_revision(inventory);
            size_t seen;
            int r;

            digest_of(inventory, before);
            seen = torture_go();
            r = step(inventory, nodes, i);
            if (torture_off(seen)) {
                failed = true;
                assert_int_equal(r, -ENOMEM);
                inventory_list_abandoned(inventory);
                digest_of(inventory, after);
                assert_string_equal(before, after);
                assert_int_equal(inventory_revision(inventory), revision);
                assert_changes(inventory, "");
                r = step(inventory, nodes, i);
            }
            assert_int_equal(r, 0);
            bed_changes(inventory, changes);
        }
        assert_living(inventory, "10.0.0.1(a) 10.0.0.2(d) 10.0.0.4(d) 10.0.0.9(a)");
        assert_bare(inventory, "c");
        n_failures += failed;
        if (!failed)
            break;
    }
    assert_true(n_failures > 30);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        bed_node_done(&nodes[i]);
}

/* Images, conditions, taints: most events of a Node change no address. */
static void a_heartbeat_allocates_nothing(void **state) {
    CLEANUP(inventory_freep) struct inventory *inventory = BED();
    CLEANUP(bed_node_done) struct node node;
    uint64_t revision;

    bed_node(&node, "k", "u", "InternalIP=10.0.0.107 ExternalIP=bogus InternalIP=10.0.0.107 Hostname=k.example");
    torture_begin(0);
    torture_go();
    assert_int_equal(inventory_apply(inventory, &node, false), 0);
    assert_true(torture_seen > 0);
    revision = inventory_revision(inventory);
    torture_begin(0);
    torture_go();
    for (size_t i = 0; i < 1000; i++) {
        node.leaving = i % 2;
        assert_int_equal(inventory_apply(inventory, &node, false), 0);
    }
    torture_off(0);
    assert_int_equal(torture_seen, 0);
    assert_int_equal(inventory_revision(inventory), revision);
    assert_changes(inventory, "+k/u:>10.0.0.107");
}

RUN(cmocka_unit_test(whole_or_not_at_all), cmocka_unit_test(a_heartbeat_allocates_nothing))
