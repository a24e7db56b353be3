/* SPDX-License-Identifier: Apache-2.0 */
#include "followup_bed.h"

static void silence_is_told_again(void **state) {
    static const int at[] = {5, 15, 45, 105, 165, 225, 285, 345, 405, 465, 525, 585};
    struct bed *bed = *state;

    roster(bed, "db web", 0);
    assert_true(followup_due(bed->followup) == MSEC_NEVER); /* nothing was announced */
    announce(bed, 1, 0);
    assert_int_equal(says(bed, "web", "applied", EPOCH, 1, 150), FOLLOWUP_CHANGED);
    assert_int_equal(ARRAY_LENGTH(at), FOLLOWUP_ATTEMPTS);
    for (size_t i = 0; i < ARRAY_LENGTH(at); i++) {
        assert_int_equal(followup_due(bed->followup), at[i] * S);
        assert_string_equal(told(bed, at[i] * S - 1), "");
        assert_string_equal(told(bed, at[i] * S), "db");
        assert_string_equal(told(bed, at[i] * S), "");
        assert_int_equal(followup_summary(bed->followup).away, 0);
    }
    assert_string_equal(told(bed, 645 * S), "");
    assert_true(followup_due(bed->followup) == MSEC_NEVER);
    assert_int_equal(followup_summary(bed->followup).away, 1);
    assert_int_equal(followup_summary(bed->followup).behind, 0);
    assert_int_equal(followup_summary(bed->followup).current, 1);
    assert_int_equal(followup_summary(bed->followup).repairs, FOLLOWUP_ATTEMPTS);

    /* A new version is announced to it like to everybody, but it stays away until it shows itself; then once. */
    announce(bed, 2, 700 * S);
    assert_string_equal(told(bed, 705 * S), "web");
    says(bed, "web", "applied", EPOCH, 2, 706 * S);
    assert_int_equal(pings(bed, "db", 800 * S), FOLLOWUP_CHANGED);
    assert_string_equal(told(bed, 800 * S), "");
    assert_string_equal(told(bed, 801 * S), "db");
    assert_int_equal(pings(bed, "db", 802 * S), 0);
    assert_string_equal(told(bed, 900 * S), "");
    assert_int_equal(followup_summary(bed->followup).away, 1);
}

static void current_by_its_own_word(void **state) {
    struct bed *bed = *state;
    struct followup_summary summary;

    roster(bed, "a b c d e", 0);
    announce(bed, 7, 0);
    assert_int_equal(followup_summary(bed->followup).slowest, -1);
    says(bed, "a", "applied", EPOCH, 7, 120);
    says(bed, "b", "have", EPOCH, 7, 300);
    says(bed, "c", "fetched", EPOCH, 7, 200);
    says(bed, "d", "applied", EPOCH, 6, 100);       /* the one before */
    says(bed, "e", "applied", OTHER_EPOCH, 7, 100); /* somebody else's */
    summary = followup_summary(bed->followup);
    assert_int_equal(summary.expected, 5);
    assert_int_equal(summary.current, 3);
    assert_int_equal(summary.behind, 2);
    assert_int_equal(summary.slowest, 300);
    assert_string_equal(told(bed, 5 * S), "d e");
    says(bed, "d", "applied", EPOCH, 7, 6 * S);
    assert_int_equal(followup_summary(bed->followup).slowest, 6 * S);
    observe(bed, "salt/job/1/ret/a", /* a later one is not ours, told without a digest or with one */
            "{\"id\": \"a\", \"fun\": \"nodewall.apply\", \"return\": {\"clusters\": {\"prod\": {\"epoch\": \"" EPOCH
            "\", \"generation\": 8}}}}", 7 * S);
    assert_int_equal(followup_summary(bed->followup).current, 3);
    /* A second return doesn't make it slower. */
    says(bed, "d", "have", EPOCH, 7, 60 * S);
    assert_int_equal(followup_summary(bed->followup).slowest, 6 * S);
}

static void announced_again(void **state) {
    struct bed *bed = *state;

    roster(bed, "a b", 0);
    announce(bed, 1, 0);
    says(bed, "a", "applied", EPOCH, 1, 100);
    announce(bed, 1, 4 * S); /* after a reconnection, say */
    assert_int_equal(followup_summary(bed->followup).current, 1);
    assert_string_equal(told(bed, 8 * S), "");
    assert_string_equal(told(bed, 9 * S), "b");
    announce(bed, 2, 10 * S);
    assert_int_equal(followup_summary(bed->followup).current, 0);
    assert_string_equal(told(bed, 15 * S), "a b");
}

/* Before the echo was seen, or before this process announced anything. */
static void an_answer_that_comes_first(void **state) {
    struct bed *bed = *state;
    struct version next;

    roster(bed, "a b", 0);
    assert_int_equal(says(bed, "a", "have", EPOCH, 4, 0), FOLLOWUP_CHANGED);
    announce(bed, 4, 100);
    assert_int_equal(followup_summary(bed->followup).current, 1);
    assert_string_equal(told(bed, 6 * S), "b");
    set_version(&next, EPOCH, 5);
    followup_published(bed->followup, &next);
    assert_int_equal(says(bed, "a", "applied", EPOCH, 5, 7 * S), FOLLOWUP_CHANGED);
    followup_announced(bed->followup, &next, 8 * S);
    assert_int_equal(followup_summary(bed->followup).current, 1);
}

static void failures_go_on(void **state) {
    struct bed *bed = *state;
    msec now = 5 * S;
    int n = 0;

    roster(bed, "a", 0);
    announce(bed, 1, 0);
    says(bed, "a", "locked", NULL, 0, 100);
    for (; n < 3 * FOLLOWUP_ATTEMPTS; n++) { /* whoever says something is not away */
        assert_int_equal(followup_due(bed->followup), now);
        assert_string_equal(told(bed, now), "a");
        says(bed, "a", "failed", NULL, 0, now + 1);
        now += n == 0 ? 10 * S : n == 1 ? 30 * S : 60 * S;
    }
    assert_int_equal(followup_summary(bed->followup).away, 0);
}

static void ahead(void **state) {
    struct bed *bed = *state;
    struct version version;
    char json[512];

    roster(bed, "a b c", 0);
    announce(bed, 5, 0);
    assert_int_equal(says(bed, "a", "have", EPOCH, 6, 100), FOLLOWUP_AHEAD);
    assert_int_equal(says(bed, "b", "have", EPOCH, 9, 100), FOLLOWUP_CHANGED); /* known already */
    assert_int_equal(followup_summary(bed->followup).current, 0);
    assert_string_equal(told(bed, 5 * S), "c"); /* it would not help them */
    set_version(&version, OTHER_EPOCH, 1);
    followup_published(bed->followup, &version);
    followup_announced(bed->followup, &version, 10 * S);
    assert_string_equal(told(bed, 15 * S), "a b c");
    assert_int_equal(says(bed, "a", "fetched", OTHER_EPOCH, 1, 16 * S), FOLLOWUP_CHANGED);
    assert_int_equal(followup_summary(bed->followup).current, 1);
    /* The same generation with other content is no better. */
    snprintf(json, sizeof(json),
             "{\"id\": \"b\", \"fun\": \"nodewall.update\", \"return\": {\"cluster\": \"prod\", \"result\": \"have\", "
             "\"epoch\": \"%s\", \"generation\": 1, \"digest\": \"%064x\"}}",
             OTHER_EPOCH, 99u);
    assert_int_equal(observe(bed, "salt/job/20261125070000123456/ret/b", json, 17 * S), FOLLOWUP_CHANGED); /* too soon */
    assert_int_equal(observe(bed, "salt/job/20261125070000123456/ret/b", json, 601 * S), FOLLOWUP_AHEAD);
    assert_int_equal(followup_summary(bed->followup).current, 1);
}

static void conflict(void **state) {
    struct bed *bed = *state;

    roster(bed, "a b", 0);
    announce(bed, 5, 0);
    assert_string_equal(followup_conflict_rv(bed->followup), "");
    assert_int_equal(says(bed, "a", "conflict", OTHER_EPOCH, 3, 100), FOLLOWUP_CONFLICT);
    assert_string_equal(followup_conflict_rv(bed->followup), "105");
    assert_int_equal(followup_summary(bed->followup).behind, 2);
    assert_string_equal(told(bed, 5 * S), "b"); /* not a: it has answered */
    announce(bed, 6, 10 * S);
    assert_string_equal(told(bed, 15 * S), "a b");
    /* nodewall.apply says conflict when another cluster has one. */
    assert_int_equal(observe(bed, "salt/job/20261125070000123456/ret/a",
                             "{\"id\": \"a\", \"fun\": \"nodewall.apply\", \"return\": {\"result\": \"conflict\", "
                             "\"clusters\": {\"prod\": "
                             "{\"epoch\": \"" EPOCH "\", \"generation\": 6}}}}",
                             16 * S),
                     FOLLOWUP_CHANGED);
    assert_int_equal(followup_summary(bed->followup).current, 1);
}

static void start_and_return(void **state) {
    struct bed *bed = *state;

    roster(bed, "a b", 0);
    announce(bed, 1, 0);
    says(bed, "a", "applied", EPOCH, 1, 100);
    says(bed, "b", "applied", EPOCH, 1, 100);
    assert_int_equal(starts(bed, "a", 100 * S), FOLLOWUP_CHANGED); /* its kernel may have forgotten all */
    assert_int_equal(followup_summary(bed->followup).current, 1);
    assert_string_equal(told(bed, 100 * S), "");
    assert_string_equal(told(bed, 101 * S), "a");
    assert_int_equal(followup_due(bed->followup), 111 * S); /* 10 s after having been told again */
    says(bed, "a", "have", EPOCH, 1, 102 * S);
    assert_int_equal(followup_summary(bed->followup).current, 2);
    assert_int_equal(followup_summary(bed->followup).slowest, 2 * S); /* not the 102 s that it was off */
    assert_true(followup_due(bed->followup) == MSEC_NEVER);
    assert_int_equal(starts(bed, "somebody", 103 * S), 0);
}

static void signing_in_is_early(void **state) {
    struct bed *bed = *state;

    roster(bed, "a", 0);
    announce(bed, 1, 0);
    for (msec now = 5 * S; followup_due(bed->followup) != MSEC_NEVER; now += 60 * S)
        told(bed, now);
    assert_int_equal(followup_summary(bed->followup).away, 1);
    assert_int_equal(observe(bed, "salt/auth", "{\"id\": \"a\", \"result\": true}", 2000 * S), FOLLOWUP_CHANGED);
    assert_string_equal(told(bed, 2002 * S), "");
    starts(bed, "a", 2003 * S);
    assert_string_equal(told(bed, 2004 * S), "a"); /* once for both */
    says(bed, "a", "applied", EPOCH, 1, 2005 * S);
    assert_string_equal(told(bed, 2100 * S), "");
}

static void not_mine(void **state) {
    struct bed *bed = *state;
    char *name;

    roster(bed, "a b c", 0);
    announce(bed, 1, 0);
    says(bed, "a", "not-mine", NULL, 0, 1 * S);
    says(bed, "b", "not-mine", NULL, 0, 1 * S);
    says(bed, "c", "applied", EPOCH, 1, 1 * S);
    assert_string_equal(told(bed, 2 * S), "a b"); /* anybody could have said it in their names */
    says(bed, "a", "not-mine", NULL, 0, 3 * S);
    says(bed, "b", "not-mine", NULL, 0, 3 * S);
    says(bed, "b", "applied", EPOCH, 1, 5 * S); /* the state run that was under way */
    assert_null(followup_dropped(bed->followup, 13 * S - 1));
    assert_int_equal(followup_due(bed->followup), 13 * S);
    assert_string_equal(told(bed, 13 * S - 1), ""); /* it has said what it has to say */
    name = followup_dropped(bed->followup, 13 * S);
    assert_string_equal(name, "a");
    free(name);
    assert_null(followup_dropped(bed->followup, 100 * S));
    assert_int_equal(followup_summary(bed->followup).expected, 2);
    assert_int_equal(followup_summary(bed->followup).current, 2);
}

/* Pillar names the cluster, and the roster has the minion, before the state run has come to the rule. */
static void not_mine_yet(void **state) {
    struct bed *bed = *state;
    msec now = 106 * S;
    char *name;

    roster(bed, "a", 0);
    announce(bed, 1, 0);
    says(bed, "a", "applied", EPOCH, 1, 100);
    roster(bed, "a new old", 100 * S);
    assert_string_equal(told(bed, 105 * S), "new old");
    says(bed, "new", "not-mine", NULL, 0, now);
    says(bed, "old", "applied", EPOCH, 1, now);
    assert_null(followup_dropped(bed->followup, now + 10 * S));
    /* A state run with our state in it: ask now. */
    observe(bed, "salt/job/20261125070000123456/ret/new",
            "{\"id\": \"new\", \"fun\": \"state.apply\", \"return\": {\"nodewall_|-x_|-x_|-applied\": {}}}",
            now + 20 * S);
    assert_string_equal(told(bed, now + 21 * S), "new");
    says(bed, "new", "applied", EPOCH, 1, now + 22 * S);
    assert_int_equal(followup_summary(bed->followup).current, 3);
    /* Who had it and has it no more is believed at once. */
    says(bed, "old", "not-mine", NULL, 0, now + 30 * S);
    assert_string_equal(told(bed, now + 31 * S), "old");
    says(bed, "old", "not-mine", NULL, 0, now + 32 * S);
    name = followup_dropped(bed->followup, now + 42 * S);
    assert_string_equal(name, "old");
    free(name);
}

static void not_mine_for_good(void **state) {
    struct bed *bed = *state;
    char *name = NULL;
    msec now = 6 * S;
    int n = 0;

    roster(bed, "", 0);
    announce(bed, 1, 0);
    roster(bed, "a", 0);
    assert_string_equal(told(bed, 5 * S), "a");
    says(bed, "a", "not-mine", NULL, 0, now);
    while (!name && n++ < 10) {
        now += 60 * S;
        assert_string_equal(told(bed, now), "a");
        says(bed, "a", "not-mine", NULL, 0, now);
        name = followup_dropped(bed->followup, now + 10 * S);
    }
    assert_int_equal(n, 5);
    assert_string_equal(name, "a");
    free(name);
}

static void key_deleted(void **state) {
    struct bed *bed = *state;
    char *name;

    roster(bed, "a b", 0);
    announce(bed, 1, 0);
    assert_int_equal(observe(bed, "salt/key", "{\"id\": \"a\", \"act\": \"delete\", \"result\": true}", 3 * S),
                     FOLLOWUP_CHANGED);
    assert_string_equal(told(bed, 4 * S), "a");
    assert_string_equal(told(bed, 5 * S), "b");
    assert_null(followup_dropped(bed->followup, 14 * S - 1));
    name = followup_dropped(bed->followup, 14 * S);
    assert_string_equal(name, "a");
    free(name);
    assert_null(followup_dropped(bed->followup, 14 * S));
}

static void cleaned(void **state) {
    struct bed *bed = *state;

    roster(bed, "a", 0);
    announce(bed, 1, 0);
    says(bed, "a", "applied", EPOCH, 1, 1 * S);
    observe(bed, "salt/job/20261125070000123456/ret/a", "{\"id\": \"a\", \"fun\": \"nodewall.clean\", \"return\": {}}",
            10 * S);
    assert_int_equal(followup_summary(bed->followup).current, 0);
    assert_string_equal(told(bed, 11 * S), "a");
}

static void roster_changes(void **state) {
    struct bed *bed = *state;

    roster(bed, "a b c", 0);
    announce(bed, 1, 0);
    says(bed, "a", "applied", EPOCH, 1, 100);
    says(bed, "c", "applied", EPOCH, 1, 100);
    roster(bed, "aa b c d", 2 * S);
    assert_int_equal(followup_summary(bed->followup).expected, 4);
    assert_int_equal(followup_summary(bed->followup).current, 1); /* c is still known */
    assert_string_equal(told(bed, 5 * S), "b");
    assert_string_equal(told(bed, 7 * S), "aa d"); /* 5 s after they came */
    roster(bed, "a", 8 * S);
    assert_int_equal(followup_summary(bed->followup).current, 0); /* who went and came is new */
    roster(bed, "", 9 * S);
    assert_int_equal(followup_summary(bed->followup).expected, 0);
    assert_true(followup_due(bed->followup) == MSEC_NEVER);
    assert_string_equal(told(bed, 100 * S), "");
}

static void jobs_take_time(void **state) {
    struct bed *bed = *state;
    static const char job[] =
        "{\"fun\": \"nodewall.update\", \"minions\": [\"a\", \"stranger\", 5], \"arg\": [{\"cluster\": \"prod\", "
        "\"splay\": 20, \"__kwarg__\": true}]}";

    roster(bed, "a b c", 0);
    announce(bed, 1, 0);
    says(bed, "c", "applied", EPOCH, 1, 100);
    assert_int_equal(observe(bed, "salt/job/1/new", job, 1 * S), FOLLOWUP_CHANGED);
    assert_string_equal(told(bed, 5 * S), "b");
    assert_string_equal(told(bed, 15 * S), "b");
    assert_string_equal(told(bed, 26 * S), "a");
    assert_int_equal(observe(bed, "salt/job/1/new",
                             "{\"fun\": \"nodewall.update\", \"minions\": [\"c\"], \"arg\": [\"prod\"]}", 27 * S),
                     0);
}

static void batches(void **state) {
    struct bed *bed = *state;
    const size_t total = FOLLOWUP_BATCH * 2 + 1;
    char **names = calloc(total, sizeof(*names));
    size_t n = 0, calls = 0, sum = 0;

    for (size_t i = 0; i < total; i++)
        assert_true(asprintf(&names[i], "m%06zu", i) > 0);
    assert_int_equal(followup_roster(bed->followup, names, total, 0), 0);
    announce(bed, 1, 0);
    for (;;) {
        const char **some = NULL;

        assert_int_equal(followup_repairs(bed->followup, 5 * S, &some, &n), 0);
        if (n == 0)
            break;
        assert_true(n <= FOLLOWUP_BATCH);
        assert_string_equal(some[0], names[sum]);
        sum += n;
        calls++;
        free(some);
    }
    assert_int_equal(sum, total);
    assert_int_equal(calls, 3);
    for (size_t i = 0; i < total; i++)
        free(names[i]);
    free(names);
}

static void status(void **state) {
    struct bed *bed = *state;
    CLEANUP(json_putp) json_object *json = NULL;
    const char *text;

    roster(bed, "a b", 0);
    announce(bed, 3, 1 * S);
    says(bed, "a", "applied", EPOCH, 3, 1250);
    assert_int_equal(followup_status(bed->followup, 3 * S, &json), 0);
    text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
    assert_string_equal(text, "{\"behind\":[\"b\"],\"list\":[{\"id\":\"a\",\"generation\":3,\"result\":\"applied\","
                              "\"age\":1.75,\"took\":0.25},"
                              "{\"id\":\"b\",\"generation\":null,\"result\":\"unknown\",\"age\":null,\"took\":null}],"
                              "\"expected\":2,\"current\":1,\"away\":0,\"slowest\":0.25}");
}

static void names(void **state) {
    struct followup *followup = NULL;

    assert_int_equal(followup_new(&followup, "PROD"), -EINVAL);
    assert_null(followup);
    assert_null(followup_free(NULL));
}

RUN(CASE(silence_is_told_again), CASE(current_by_its_own_word), CASE(announced_again), CASE(an_answer_that_comes_first),
    CASE(failures_go_on), CASE(ahead), CASE(conflict), CASE(start_and_return), CASE(signing_in_is_early),
    CASE(not_mine), CASE(not_mine_yet), CASE(not_mine_for_good), CASE(key_deleted), CASE(cleaned), CASE(roster_changes),
    CASE(jobs_take_time), CASE(batches), CASE(status), cmocka_unit_test(names))
