/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a cluster's health, when, and how often. */
#include "health.h"
#include "../unit.h"

#define STALE_AFTER 600000

static const struct policy_hold nothing = {0};

static struct health new_health(void) {
    struct health health = {0};

    health_link(&health, HEALTH_STARTING, "", 0);
    return health;
}

/* The names of the turns at this look, "" for none. */
static const char *look(struct health *health, const struct policy_hold *hold, msec heard, msec now, struct health_turn turns[HEALTH_TURNS]) {
    static char text[64];
    size_t n = health_look(health, hold, heard, STALE_AFTER, now, turns), used = 0;

    text[0] = 0;
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "", event_health_name(turns[i].what));
    return text;
}

static void trouble(struct health *health, enum watch_trouble what, const char *text, msec now) {
    struct watch_event event = {.kind = WATCH_EVENT_TROUBLE, .trouble = what};

    snprintf(event.text, sizeof(event.text), "%s", text);
    health_trouble(health, &event, now);
}

static void resumed(struct health *health, msec now) {
    health_trouble(health, &(struct watch_event){.kind = WATCH_EVENT_RESUMED}, now);
}

/* It says so loudly, once, and takes nothing away: nothing here could. */
static void stale_after(void **state) {
    struct health health = new_health();
    struct health_turn turns[HEALTH_TURNS];

    health_link(&health, HEALTH_SYNCED, "", 1000);
    assert_string_equal(look(&health, &nothing, 1000, 1000, turns), "synced");
    trouble(&health, WATCH_TROUBLE_NETWORK, "no route", 2000);
    assert_string_equal(look(&health, &nothing, 2000, 2000, turns), "");
    assert_int_equal(health_state(&health), HEALTH_UNREACHABLE);
    assert_string_equal(look(&health, &nothing, 2000, 2000 + STALE_AFTER - 1, turns), "");
    assert_string_equal(look(&health, &nothing, 2000, 2000 + STALE_AFTER, turns), "stale");
    assert_string_equal(turns[0].detail, "no route");
    assert_string_equal(look(&health, &nothing, 2000, 3 * STALE_AFTER, turns), "");
    trouble(&health, WATCH_TROUBLE_NETWORK, "still no route", 3 * STALE_AFTER);
    assert_string_equal(look(&health, &nothing, 2000, 3 * STALE_AFTER, turns), "");
    assert_string_equal(health_detail(&health), "still no route");
    resumed(&health, 4 * STALE_AFTER);
    assert_string_equal(look(&health, &nothing, 4 * STALE_AFTER, 4 * STALE_AFTER, turns), "synced");
}

/* A link in good order on which nothing comes is stale all the same, and well again with the first byte. */
static void silence_is_stale(void **state) {
    struct health health = new_health();
    struct health_turn turns[HEALTH_TURNS];

    health_link(&health, HEALTH_SYNCED, "", 0);
    (void)look(&health, &nothing, 0, 0, turns);
    assert_string_equal(look(&health, &nothing, 5000, 5000 + STALE_AFTER, turns), "stale");
    assert_string_equal(look(&health, &nothing, 6000 + STALE_AFTER, 6000 + STALE_AFTER, turns), "synced");
}

static void trouble_that_is_short_is_no_event(void **state) {
    struct health health = new_health();
    struct health_turn turns[HEALTH_TURNS];

    health_link(&health, HEALTH_SYNCED, "", 0);
    (void)look(&health, &nothing, 0, 0, turns);
    for (msec now = 1000; now < 2 * STALE_AFTER; now += 2000) {
        trouble(&health, WATCH_TROUBLE_BUSY, "503", now);
        assert_string_equal(look(&health, &nothing, now, now, turns), "");
        resumed(&health, now + 1000);
        assert_string_equal(look(&health, &nothing, now + 1000, now + 1000, turns), "");
    }
    trouble(&health, WATCH_TROUBLE_UNAUTHORIZED, "401", 2 * STALE_AFTER);
    assert_string_equal(look(&health, &nothing, 2 * STALE_AFTER, 2 * STALE_AFTER, turns), "unauthorized");
}

static void holds(void **state) {
    const struct policy_hold hold = {.addresses = 4, .since = 900, .text = "4 of 5"};
    struct health health = new_health();
    struct health_turn turns[HEALTH_TURNS];

    health_link(&health, HEALTH_SYNCED, "", 0);
    assert_string_equal(look(&health, &hold, 1000, 1000, turns), "synced held");
    assert_int_equal(turns[1].since, 900);
    assert_string_equal(turns[1].detail, "4 of 5");
    assert_int_equal(health_state(&health), HEALTH_HELD);
    assert_string_equal(health_detail(&health), "4 of 5");
    assert_string_equal(look(&health, &hold, 2000, 2000, turns), "");
    assert_string_equal(look(&health, &nothing, 3000, 3000, turns), "released");
    assert_string_equal(turns[0].detail, "what was held lives again, or is no large loss any more");
    assert_string_equal(look(&health, &hold, 4000, 4000, turns), "held");
    health_released(&health, 4);
    assert_string_equal(look(&health, &nothing, 5000, 5000, turns), "released");
    assert_string_equal(turns[0].detail, "an operator let 4 addresses go");
}

/* One that is not configured any more is neither stale nor synced, and tells what it holds. */
static void dropped(void **state) {
    const struct policy_hold hold = {.addresses = 4, .since = 900, .text = "all of it"};
    struct health health = new_health();
    struct health_turn turns[HEALTH_TURNS];

    health_link(&health, HEALTH_DROPPED, "", 900);
    assert_string_equal(look(&health, &hold, -1, 1000, turns), "held");
    assert_int_equal(health_state(&health), HEALTH_DROPPED);
    assert_string_equal(health_detail(&health), "all of it");
    assert_string_equal(look(&health, &hold, -1, 10 * STALE_AFTER, turns), "");
}

static void refusals_are_said_but_not_in_a_flood(void **state) {
    struct health health = new_health();
    struct health_turn turn = {0};
    unsigned told = 0;
    char text[64];

    assert_false(health_refusals(&health, 0, "", 1000, &turn));
    assert_true(health_refusals(&health, 1, "node a: 127.0.0.1 is loopback", 1000, &turn));
    assert_int_equal(turn.what, EVENT_REFUSED);
    assert_string_equal(turn.detail, "1 not let in: node a: 127.0.0.1 is loopback");
    assert_false(health_refusals(&health, 1, "node a: 127.0.0.1 is loopback", 10 * HEALTH_REFUSALS_EVERY, &turn));
    for (msec now = 20 * HEALTH_REFUSALS_EVERY; now < 30 * HEALTH_REFUSALS_EVERY; now += 1000) { /* a node that makes up another each second */
        snprintf(text, sizeof(text), "node a: 127.0.0.%d is loopback", (int)(now / 1000 % 200));
        told += health_refusals(&health, 1, text, now, &turn);
    }
    assert_int_equal(told, 10);
    assert_false(health_refusals(&health, 0, "", 40 * HEALTH_REFUSALS_EVERY, &turn));
    assert_true(health_refusals(&health, 1, text, 41 * HEALTH_REFUSALS_EVERY, &turn)); /* it was over, and is again */
}

RUN(cmocka_unit_test(stale_after), cmocka_unit_test(silence_is_stale), cmocka_unit_test(trouble_that_is_short_is_no_event),
    cmocka_unit_test(holds), cmocka_unit_test(dropped), cmocka_unit_test(refusals_are_said_but_not_in_a_flood))
