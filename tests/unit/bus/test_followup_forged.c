/* SPDX-License-Identifier: Apache-2.0 */
/* What one accepted minion can do to another by events in its name. Salt's bus tells nobody who fired them. */
#include "followup_bed.h"

/* The victim is well and answers what it is asked, a fifth of a second later. */
static bool asked(struct bed *bed, msec now) {
    if (strcmp(told(bed, now), "db"))
        return false;
    says(bed, "db", "have", EPOCH, 1, now + 200);
    return true;
}

static void running(struct bed *bed) {
    roster(bed, "db", 0);
    announce(bed, 1, 0);
    says(bed, "db", "applied", EPOCH, 1, 100);
}

static void not_mine_of_somebody_else(void **state) {
    struct bed *bed = *state;
    unsigned n = 0;

    running(bed);
    for (msec now = 1 * S; now < 600 * S; now += 500) {
        says(bed, "db", "not-mine", NULL, 0, now);
        n += asked(bed, now + 1);
        assert_null(followup_dropped(bed->followup, now + 2));
    }
    assert_in_range(n, 10, 50); /* five in a minute, not two in a second */
    assert_int_equal(followup_summary(bed->followup).expected, 1);
}

static void a_key_that_was_not_deleted(void **state) {
    struct bed *bed = *state;
    unsigned n = 0;

    running(bed);
    for (msec now = 1 * S; now < 600 * S; now += 500) {
        observe(bed, "salt/key", "{\"id\": \"db\", \"act\": \"delete\", \"result\": true}", now);
        n += asked(bed, now + 1);
        assert_null(followup_dropped(bed->followup, now + 2));
    }
    assert_in_range(n, 10, 50);
}

static void a_start_each_second(void **state) {
    struct bed *bed = *state;
    unsigned n = 0;

    running(bed);
    for (msec now = 1 * S; now < 600 * S; now += 1000) {
        starts(bed, "db", now);
        n += asked(bed, now + 1);
    }
    assert_in_range(n, 10, 50);
}

/* Jobs that went out give time; they must not give it for ever. */
static void jobs_without_end(void **state) {
    static const char job[] =
        "{\"fun\": \"nodewall.update\", \"minions\": [\"db\"], \"arg\": [{\"cluster\": \"prod\", \"splay\": 300}]}";
    struct bed *bed = *state;
    msec now = 0;

    roster(bed, "db", 0);
    announce(bed, 1, 0);
    for (; now < 600 * S && strcmp(told(bed, now), "db"); now += 1000)
        observe(bed, "salt/job/1/new", job, now);
    assert_in_range(now, 300 * S, 310 * S);
}

/* Each conflict that is told makes the engine publish a set for everybody. */
static void conflicts_without_end(void **state) {
    struct bed *bed = *state;
    unsigned n = 0;

    running(bed);
    for (msec now = 1 * S; now < 3600 * S; now += 1000)
        n += says(bed, "db", "conflict", OTHER_EPOCH, 3, now) == FOLLOWUP_CONFLICT;
    assert_in_range(n, 3, 10);
    assert_int_equal(says(bed, "db", "conflict", OTHER_EPOCH, 3, 6000 * S), FOLLOWUP_CONFLICT);
    assert_int_equal(says(bed, "db", "conflict", OTHER_EPOCH, 3, 6059 * S), FOLLOWUP_CHANGED);
    assert_int_equal(says(bed, "db", "conflict", OTHER_EPOCH, 3, 6060 * S), FOLLOWUP_CONFLICT);
}

/* Each is answered by a new epoch, of which the same can be claimed; and a claim that is not heard must not use up the true one. */
static void ahead_of_every_epoch(void **state) {
    static const char *const epochs[] = {EPOCH, OTHER_EPOCH};
    struct bed *bed = *state;
    unsigned n = 0;

    running(bed);
    for (msec now = 1 * S; now < 3600 * S; now += 1000) {
        if (says(bed, "db", "have", epochs[n & 1], 9, now) != FOLLOWUP_AHEAD)
            continue;
        set_version(&bed->version, epochs[++n & 1], 1);
        followup_published(bed->followup, &bed->version);
        followup_announced(bed->followup, &bed->version, now);
    }
    assert_int_equal(n, 6);
}

/* It is shown in /status and on a terminal: of UTF-8, also where it is cut, and nothing that moves a cursor. */
static void a_result_that_is_no_word(void **state) {
    CLEANUP(json_putp) json_object *status = NULL;
    struct bed *bed = *state;
    const char *text;

    running(bed);
    says(bed, "db", "a\xff\xc2\x9b" "2J\\u001b[3m\xc3\xa9\xc3\xa9\xc3\xa9", NULL, 0, 1 * S);
    assert_int_equal(followup_status(bed->followup, 2 * S, &status), 0);
    text = json_object_to_json_string(status);
    assert_true(utf8_is(text, strlen(text)));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_null(strstr(text, "u001b"));
    assert_non_null(strstr(text, "a?  2J [3m\xc3\xa9\xc3\xa9?\""));
}

RUN(CASE(a_result_that_is_no_word), CASE(ahead_of_every_epoch), CASE(conflicts_without_end), CASE(not_mine_of_somebody_else), CASE(a_key_that_was_not_deleted), CASE(a_start_each_second), CASE(jobs_without_end))
