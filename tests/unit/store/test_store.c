/* SPDX-License-Identifier: Apache-2.0 */
#include "bed.h"

static void first_commit(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    CLEANUP(commit_freep) struct commit *commit = NULL;
    struct json_object *public_set, *announce;
    struct stat st;
    char path[256], epoch[EPOCH_DIGITS + 1];

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    assert_null(store_set(store));
    snprintf(path, sizeof(path), "%s/files/nodewall/prod.json", bed.path);
    assert_int_equal(access(path, F_OK), -1); /* never synced: nothing for minions to find */

    commit = bed_commit(store, "203.0.113.7 2001:db8::1 203.0.113.0/28", "12345", NULL);
    assert_null(commit_delta(commit));
    assert_int_equal(store_set(store)->version.generation, 1);
    assert_true(hex_is(store_epoch(store), EPOCH_DIGITS));
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(store));

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    public_set = bed_json(&bed, "files/nodewall/prod.json");
    assert_string_equal(bed_at(public_set, "v"), "1");
    assert_string_equal(bed_at(public_set, "cluster"), "prod");
    assert_string_equal(bed_at(public_set, "epoch"), epoch);
    assert_string_equal(bed_at(public_set, "generation"), "1");
    assert_string_equal(bed_at(public_set, "rv"), "12345");
    assert_string_equal(bed_at(public_set, "as_of"), "2023-11-14T22:13:20.123Z");
    assert_string_equal(bed_at(public_set, "digest"), store_set(store)->version.digest);
    assert_string_equal(bed_at(public_set, "count"), "3");
    assert_string_equal(bed_at(public_set, "addresses/0/0"), "203.0.113.0/28");
    assert_string_equal(bed_at(public_set, "addresses/1/0"), "203.0.113.7");
    assert_string_equal(bed_at(public_set, "addresses/1/1"), "n0");
    assert_string_equal(bed_at(public_set, "addresses/2/0"), "2001:db8::1");
    json_object_put(public_set);

    announce = bed_json(&bed, "announce/prod.json");
    assert_string_equal(bed_at(announce, "tokens/0/token"), commit_token(commit));
    assert_string_equal(bed_at(announce, "tokens/0/minions"), "null");
    assert_string_equal(bed_at(announce, "deltas/0"), "(missing)");
    json_object_put(announce);
    bed_done(&bed);
}

static void survives_reopening(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    struct json_object *policy = json_tokener_parse("{\"hold\":{\"since\":5},\"grace\":[\"\\u00e9\"]}"), *announce;
    char epoch[EPOCH_DIGITS + 1], digest[DIGEST_DIGITS + 1];

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    commit_free(bed_commit(store, "203.0.113.7", "10", NULL));
    commit_free(bed_commit(store, "203.0.113.8 203.0.113.7", "11", policy));
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(store));
    memcpy(digest, store_set(store)->version.digest, sizeof(digest));

    store = store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_string_equal(store_epoch(store), epoch);
    assert_string_equal(store_set(store)->version.epoch, epoch);
    assert_int_equal(store_set(store)->version.generation, 2);
    assert_string_equal(store_set(store)->version.digest, digest);
    assert_string_equal(store_set(store)->version.rv, "11");
    assert_int_equal(store_set(store)->version.as_of, 1700000000123);
    assert_string_equal(store_set(store)->members[1].label, "n0");
    assert_true(json_object_equal(store_policy(store), policy));
    assert_false(store_must_commit(store));
    /* Derived files were made anew: the deltas are there, the tokens of the process before are not. */
    announce = bed_json(&bed, "announce/prod.json");
    assert_string_equal(bed_at(announce, "deltas/0/generation"), "2");
    assert_string_equal(bed_at(announce, "deltas/0/added/0/0"), "203.0.113.8");
    assert_string_equal(bed_at(announce, "deltas/0/digest"), digest);
    assert_string_equal(bed_at(announce, "tokens/0"), "(missing)");
    json_object_put(announce);
    json_object_put(policy);
    bed_done(&bed);
}

static void one_commit_at_a_time(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    CLEANUP(set_freep) struct set *set = bed_set("203.0.113.7", "1");
    struct commit *commit = NULL, *second = NULL;
    char token[TOKEN_DIGITS + 1];

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    assert_int_equal(store_announce(store, NULL, 0, token), -ENOENT);
    assert_int_equal(store_prepare(&commit, store, set, NULL), 0);
    assert_true(store_is_busy(store));
    assert_int_equal(store_prepare(&second, store, set, NULL), STORE_BUSY);
    assert_int_equal(store_announce(store, NULL, 0, token), STORE_BUSY);
    assert_int_equal(store_derive(store), STORE_BUSY);
    /* Given up before it was written: as if it had never been. */
    commit = commit_free(commit);
    assert_false(store_is_busy(store));
    assert_null(store_set(store));
    commit_free(bed_commit(store, "203.0.113.7", "1", NULL));
    assert_int_equal(store_set(store)->version.generation, 1);
    bed_done(&bed);
}

static void deltas_chain_within_bounds(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    struct json_object *announce, *deltas;
    char text[512] = "", tip[DIGEST_DIGITS + 1] = "";
    size_t n;

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    for (int i = 0; i < STORE_DELTAS + 10; i++) {
        snprintf(text, sizeof(text), "10.0.0.%d 10.0.1.%d", i, i % 3);
        commit_free(bed_commit(store, text, "1", NULL));
    }
    announce = bed_json(&bed, "announce/prod.json");
    assert_true(json_object_object_get_ex(announce, "deltas", &deltas));
    n = json_object_array_length(deltas);
    assert_int_equal(n, STORE_DELTAS);
    for (size_t i = 0; i < n; i++) {
        struct json_object *delta = json_object_array_get_idx(deltas, i);

        if (i)
            assert_string_equal(bed_at(delta, "base"), tip);
        snprintf(tip, sizeof(tip), "%s", bed_at(delta, "digest"));
        assert_int_equal(strtoul(bed_at(delta, "generation"), NULL, 10), 10 + 1 + i);
    }
    assert_string_equal(tip, store_set(store)->version.digest);
    json_object_put(announce);
    bed_done(&bed);
}

static struct set *large_set(unsigned third, unsigned n) {
    struct set *set = bed_set("", "7");

    for (unsigned i = 0; i < n; i++) {
        struct address address = {.family = 4, .length = 32, .bytes = {10, (uint8_t)third, i >> 8 & 0xff, i & 0xff}};

        assert_int_equal(set_append(set, &address, "node-with-a-name-as-long-as-they-are"), 0);
    }
    assert_int_equal(set_seal(set), 0);
    return set;
}

static void a_delta_too_large_breaks_the_chain(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    CLEANUP(set_freep) struct set *large = large_set(1, 20000);
    struct commit *commit = NULL;
    struct json_object *announce;

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    commit_free(bed_commit(store, "203.0.113.7", "1", NULL));
    commit_free(bed_commit(store, "203.0.113.8", "2", NULL));
    assert_int_equal(store_prepare(&commit, store, large, NULL), 0);
    assert_int_equal(store_write(commit), 0);
    store_confirm(store, commit);
    assert_int_equal(commit_delta(commit)->n_added, 20000);
    commit_free(commit);
    announce = bed_json(&bed, "announce/prod.json");
    assert_string_equal(bed_at(announce, "deltas/0"), "(missing)");
    assert_string_equal(bed_at(announce, "count"), "20000");
    json_object_put(announce);

    store = store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_int_equal(store_set(store)->n_members, 20000);
    assert_string_equal(store_set(store)->version.digest, large->version.digest);
    bed_done(&bed);
}

static void tokens_are_a_ring(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    const char *const minions[] = {"m1", "we\"ird\\\n\xc3\xa9"}, *const broken[] = {"\xff"};
    char token[TOKEN_DIGITS + 1] = "", first[TOKEN_DIGITS + 1];
    struct json_object *announce;

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    commit_free(bed_commit(store, "203.0.113.7", "1", NULL));
    assert_int_equal(store_announce(store, minions, 2, first), 0);
    announce = bed_json(&bed, "announce/prod.json");
    assert_string_equal(bed_at(announce, "tokens/1/token"), first);
    assert_string_equal(bed_at(announce, "tokens/1/minions/0"), "m1");
    assert_string_equal(bed_at(announce, "tokens/1/minions/1"), minions[1]);
    json_object_put(announce);

    assert_int_equal(store_announce(store, broken, 1, token), -EINVAL);
    assert_string_equal(token, "");
    for (int i = 0; i < STORE_TOKENS; i++)
        assert_int_equal(store_announce(store, NULL, 0, token), 0);
    assert_true(hex_is(token, TOKEN_DIGITS));
    announce = bed_json(&bed, "announce/prod.json");
    assert_string_equal(bed_at(announce, "tokens/15/token"), token);
    assert_string_equal(bed_at(announce, "tokens/16"), "(missing)");
    assert_null(strstr(json_object_to_json_string(announce), first));
    json_object_put(announce);
    bed_done(&bed);
}

/* The reactor reads 4 MiB of announcement and no more: old lists make room for new ones. */
static void long_lists_push_old_ones_out(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    CLEANUP(commit_freep) struct commit *commit = NULL;
    static char names[4000][254];
    static const char *minions[10000];
    char token[TOKEN_DIGITS + 1] = "", path[256];
    struct json_object *announce;
    struct stat st;

    for (size_t i = 0; i < ARRAY_LENGTH(minions); i++) {
        snprintf(names[i % 4000], sizeof(names[0]), "%0253zu", i % 4000);
        minions[i] = names[i % 4000];
    }
    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    commit = bed_commit(store, "203.0.113.7", "1", NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(store_announce(store, minions, 4000, token), 0);
    assert_int_equal(store_announce(store, minions, 10000, token), -E2BIG);
    snprintf(path, sizeof(path), "%s/announce/prod.json", bed.path);
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 2 * 4000 * 256, (4 << 20) - STORE_DELTA_BYTES);
    announce = bed_json(&bed, "announce/prod.json");
    assert_string_equal(bed_at(announce, "tokens/1/token"), token);
    assert_string_equal(bed_at(announce, "tokens/2"), "(missing)");
    json_object_put(announce);
    bed_done(&bed);
}

/* What could not be read back is refused before it is written: a truth that does not load is a lost store. */
static void unreadable_is_refused(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    CLEANUP(set_freep) struct set *set = bed_set("203.0.113.7", "12\"");
    struct commit *commit = NULL;
    unsigned deepest = 0;

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    assert_int_equal(store_prepare(&commit, store, set, NULL), -EINVAL);
    assert_false(store_is_busy(store));
    for (unsigned depth = 1; depth < 80; depth++) {
        struct json_object *policy = json_object_new_object();
        int r;

        for (unsigned i = 1; i < depth; i++) {
            struct json_object *outer = json_object_new_object();

            json_object_object_add(outer, "in", policy);
            policy = outer;
        }
        r = store_prepare(&commit, store, NULL, policy);
        json_object_put(policy);
        if (r < 0) {
            assert_int_equal(r, -EINVAL);
            break;
        }
        deepest = depth;
        assert_int_equal(store_write(commit), 0);
        store_confirm(store, commit);
        commit = commit_free(commit);
        store = store_free(store);
        assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    }
    assert_in_range(deepest, 16, 64);
    bed_done(&bed);
}

static void policy_alone(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    struct json_object *policy = json_tokener_parse("{\"hold\":null,\"n\":1}");
    struct commit *commit = NULL;

    bed_open(&bed);
    /* Before the first set as well: a hold may come before it. */
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(store_prepare(&commit, store, NULL, policy), 0);
        assert_int_equal(store_write(commit), 0);
        store_confirm(store, commit);
        assert_null(commit_set(commit));
        assert_string_equal(commit_token(commit), "");
        commit = commit_free(commit);
        store = store_free(store);
        assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
        assert_true(json_object_equal(store_policy(store), policy));
        if (round == 0) {
            assert_null(store_set(store));
            commit_free(bed_commit(store, "203.0.113.7", "1", policy));
        } else {
            assert_int_equal(store_set(store)->version.generation, 1);
        }
    }
    json_object_put(policy);
    bed_done(&bed);
}

/* The vectors that Python's side is held to as well. */
/* A minion that has a later generation of ours than we have: nothing of this epoch is worth anything to it. */
static void a_new_epoch_on_request(void **state) {
    struct bed bed;
    struct store *store = NULL;
    struct commit *commit;
    char old[EPOCH_DIGITS + 1];

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    commit = commit_free(bed_commit(store, "203.0.113.1", "5", NULL));
    commit = commit_free(bed_commit(store, "203.0.113.1 203.0.113.2", "6", NULL));
    snprintf(old, sizeof(old), "%s", store_epoch(store));
    store_begin_epoch(store);
    assert_true(store_must_commit(store));
    assert_string_equal(store_set(store)->version.epoch, old);
    commit = bed_commit(store, "203.0.113.1 203.0.113.2", "7", NULL);
    assert_string_not_equal(store_epoch(store), old);
    assert_string_equal(store_set(store)->version.epoch, store_epoch(store));
    assert_int_equal(store_set(store)->version.generation, 1);
    assert_null(commit_delta(commit));
    assert_false(store_must_commit(store));
    commit_free(commit);
    commit = bed_commit(store, "203.0.113.2", "8", NULL);
    assert_int_equal(store_set(store)->version.generation, 2);
    assert_non_null(commit_delta(commit));
    commit_free(commit);
    snprintf(old, sizeof(old), "%s", store_epoch(store));
    store_free(store);
    assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    assert_string_equal(store_epoch(store), old);
    store_free(store);
    bed_done(&bed);
}

static void digest_vectors(void **state) {
    CLEANUP(cleanup_free) char *data = NULL;
    struct json_object *cases;
    char path[512];
    size_t n;

    snprintf(path, sizeof(path), "%s/vectors/digest.json", getenv("NODEWALL_TESTS"));
    assert_int_equal(file_read(&data, NULL, path, 1 << 20), 0);
    cases = json_tokener_parse(data);
    assert_non_null(cases);
    n = json_object_array_length(cases);
    assert_true(n >= 12);
    for (size_t i = 0; i < n; i++) {
        struct json_object *one = json_object_array_get_idx(cases, i), *addresses;
        CLEANUP(set_freep) struct set *set = NULL;

        assert_int_equal(set_new(&set), 0);
        assert_true(json_object_object_get_ex(one, "addresses", &addresses));
        for (size_t j = 0; j < json_object_array_length(addresses); j++) {
            const char *text = json_object_get_string(json_object_array_get_idx(addresses, j));
            struct address address;

            assert_int_equal(address_parse(&address, text, strlen(text)), 0);
            assert_int_equal(set_append(set, &address, "x"), 0);
        }
        assert_int_equal(set_seal(set), 0);
        assert_string_equal(set->version.digest, bed_at(one, "digest"));
    }
    json_object_put(cases);
}

static msec since(const struct store *store, const char *text) {
    struct address address;

    assert_int_equal(address_parse(&address, text, strlen(text)), 0);
    return store_since(store, &address);
}

/* As bed_commit, at a time of its own. */
static void commit_at(struct store *store, const char *addresses, msec as_of) {
    CLEANUP(set_freep) struct set *set = bed_set(addresses, "1");
    CLEANUP(commit_freep) struct commit *commit = NULL;

    set->version.as_of = as_of;
    assert_int_equal(store_prepare(&commit, store, set, NULL), 0);
    assert_int_equal(store_write(commit), 0);
    store_confirm(store, commit);
}

/* Since when each address is in the set: over changes, over restarts, and of a store that an older engine wrote. */
static void each_address_has_its_time(void **state) {
    struct bed bed;
    CLEANUP(store_freep) struct store *store = NULL;
    struct json_object *public_set;

    bed_open(&bed);
    assert_int_equal(store_open(&store, bed.dir, "prod"), STORE_NEW);
    assert_int_equal(since(store, "203.0.113.7"), 0);
    commit_at(store, "203.0.113.7 203.0.113.9", 1000);
    commit_at(store, "203.0.113.5 203.0.113.7", 2000);
    commit_at(store, "203.0.113.5 203.0.113.7 203.0.113.9", 3000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(since(store, "203.0.113.5"), 2000);
        assert_int_equal(since(store, "203.0.113.7"), 1000);
        assert_int_equal(since(store, "203.0.113.9"), 3000); /* it was away */
        assert_int_equal(since(store, "203.0.113.8"), 0);
        store = store_free(store);
        assert_int_equal(store_open(&store, bed.dir, "prod"), 0);
    }
    commit_free(bed_commit(store, "203.0.113.7", "2", NULL)); /* the policy alone changes nothing of it */
    assert_int_equal(since(store, "203.0.113.7"), 1000);
    public_set = bed_json(&bed, "files/nodewall/prod.json");
    assert_string_equal(bed_at(public_set, "addresses/0/1"), "n0");
    assert_string_equal(bed_at(public_set, "addresses/0/2"), "(missing)"); /* minions need no history */
    json_object_put(public_set);
    store = store_free(store);
    bed_done(&bed);
}

RUN(cmocka_unit_test(each_address_has_its_time), cmocka_unit_test(first_commit), cmocka_unit_test(survives_reopening), cmocka_unit_test(one_commit_at_a_time),
    cmocka_unit_test(deltas_chain_within_bounds), cmocka_unit_test(a_delta_too_large_breaks_the_chain),
    cmocka_unit_test(tokens_are_a_ring), cmocka_unit_test(long_lists_push_old_ones_out),
    cmocka_unit_test(unreadable_is_refused), cmocka_unit_test(policy_alone), cmocka_unit_test(a_new_epoch_on_request), cmocka_unit_test(digest_vectors))
