/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/set.h"
#include "../unit.h"

static struct set *make(const char *const *texts) {
    struct set *set = NULL;

    assert_int_equal(set_new(&set), 0);
    for (; *texts; texts += 2) {
        struct address address;

        assert_int_equal(address_parse(&address, texts[0], strlen(texts[0])), 0);
        assert_int_equal(set_append(set, &address, texts[1]), 0);
    }
    assert_int_equal(set_seal(set), 0);
    return set;
}
#define MAKE(...) make((const char *const[]){__VA_ARGS__ __VA_OPT__(,) NULL})

static void empty_digest_is_sha256_of_nothing(void **state) {
    CLEANUP(set_freep) struct set *set = MAKE();

    assert_string_equal(set->version.digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void order_and_repeats_do_not_matter(void **state) {
    CLEANUP(set_freep) struct set *a = MAKE("10.0.0.2", "b", "10.0.0.1", "a", "2001:db8::1", "a");
    CLEANUP(set_freep) struct set *b = MAKE("2001:db8::1", "z", "::ffff:10.0.0.1", "a", "10.0.0.2", "b", "10.0.0.2", "a");

    assert_string_equal(a->version.digest, b->version.digest);
    assert_int_equal(b->n_members, 3);
    assert_string_equal(b->members[1].label, "a"); /* the least owner speaks for an address that two have */
}

static void grows_and_shrinks(void **state) {
    CLEANUP(set_freep) struct set *set = NULL;

    assert_int_equal(set_new(&set), 0);
    for (unsigned round = 0; round < 3; round++) { /* the same 100 again and again, sealed in between */
        for (unsigned i = 0; i < 100; i++) {
            struct address address = {4, 32, {10, 0, 0, (uint8_t)(i * 37)}};

            assert_int_equal(set_append(set, &address, "n"), 0);
        }
        assert_int_equal(set_seal(set), 0);
        assert_int_equal(set->n_members, 100);
    }
}

static void has(void **state) {
    CLEANUP(set_freep) struct set *set = MAKE("10.0.0.2", "b", "10.0.0.0/24", "extra");
    struct address host = {4, 32, {10, 0, 0, 2}}, other = {4, 32, {10, 0, 0, 3}};

    assert_true(set_has(set, &host));
    assert_false(set_has(set, &other)); /* membership, not containment */
}

static void delta_leads_from_one_to_the_other(void **state) {
    CLEANUP(set_freep) struct set *from = MAKE("10.0.0.1", "a", "10.0.0.2", "b", "10.0.0.3", "c");
    CLEANUP(set_freep) struct set *to = MAKE("10.0.0.2", "renamed", "10.0.0.4", "d");
    CLEANUP(delta_freep) struct delta *delta = NULL, *none = NULL;

    to->version.generation = 7;
    assert_int_equal(delta_new(&delta, from, to), 0);
    assert_int_equal(delta->generation, 7);
    assert_int_equal(delta->n_added, 1);
    assert_int_equal(delta->n_removed, 2);
    assert_string_equal(delta->added[0].label, "d");
    assert_int_equal(delta->removed[1].bytes[3], 3);
    assert_string_equal(delta->base, from->version.digest);
    assert_string_equal(delta->digest, to->version.digest);
    assert_int_equal(delta_new(&none, to, to), 0);
    assert_int_equal(none->n_added + none->n_removed, 0);
}

static void labels_are_harmless(void **state) {
    char label[LABEL_MAX + 1];

    label_make(label, "node-a.example\" }\nflush ruleset");
    assert_string_equal(label, "node-a.exampleflushruleset");
    label_make(label, "x23456789012345678901234567890123456789012345678901234567890123456789");
    assert_int_equal(strlen(label), LABEL_MAX);
}

static void copies_share_until_one_changes(void **state) {
    CLEANUP(set_freep) struct set *set = MAKE("10.0.0.1", "a", "10.0.0.2", "b");
    CLEANUP(set_freep) struct set *copy = NULL;
    CLEANUP(set_freep) struct set *second = NULL;
    struct address address;

    assert_int_equal(set_copy(&copy, set), 0);
    assert_int_equal(set_copy(&second, copy), 0);
    assert_ptr_equal(copy->members, set->members);
    copy->version.generation = 7;
    assert_int_equal(set->version.generation, 0);
    assert_int_equal(address_parse(&address, "10.0.0.3", 8), 0);
    assert_int_equal(set_append(copy, &address, "n3"), 0);
    assert_int_equal(set_seal(copy), 0);
    assert_int_equal(copy->n_members, 3);
    assert_int_equal(set->n_members, 2);
    assert_string_not_equal(copy->version.digest, set->version.digest);
    set = set_free(set);
    assert_true(set_has(second, &copy->members[0].address)); /* what the first one left */
    assert_false(set_has(second, &address));
    assert_int_equal(set_seal(second), 0);
    assert_int_equal(second->n_members, 2);
}

RUN(cmocka_unit_test(copies_share_until_one_changes), cmocka_unit_test(empty_digest_is_sha256_of_nothing), cmocka_unit_test(order_and_repeats_do_not_matter),
    cmocka_unit_test(grows_and_shrinks), cmocka_unit_test(has), cmocka_unit_test(delta_leads_from_one_to_the_other),
    cmocka_unit_test(labels_are_harmless))
