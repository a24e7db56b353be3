/* SPDX-License-Identifier: Apache-2.0 */
/* When a set goes: at once, then in windows; and again after a failure. */
#include "bed.h"

/* As bed_step, of a set that is too long for a text. */
static const char *bed_count(struct policy *policy, msec now) {
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};

    assert_int_equal(policy_decide(policy, now, false, &decision), 0);
    if (decision.set || decision.save)
        assert_int_equal(policy_confirmed(policy, decision.set, now), 0);
    return decision.set ? "set" : "-";
}

static const char *grown(unsigned n, char buffer[4096]) {
    size_t used = 0;

    buffer[0] = 0;
    for (unsigned i = 1; i <= n; i++)
        used += (size_t)snprintf(buffer + used, 4096 - used, "%s10.0.0.%u(n%u)", i > 1 ? " " : "", i, i);
    return buffer;
}

/* A node each 50 ms for ten seconds: when do sets go? A burst of them, then as they are earned. */
static void a_storm(void **state) {
    static const msec want[] = {0,    200,  400,  600,  800,  1000, 1200, 1400, 1600,
                                1800, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000};
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(n1)");
    char living[4096];
    size_t n = 0;
    unsigned nodes = 1;

    for (msec now = 0; now < 10000; now += 50) {
        bed_watch(policy, grown(++nodes, living), now);
        if (bed_step(policy, now, false).text[0] == '-')
            continue;
        assert_true(n < ARRAY_LENGTH(want));
        assert_int_equal(now, want[n++]);
    }
    assert_int_equal(n, ARRAY_LENGTH(want));
    assert_int_equal(policy_due(policy, 10000), 10000); /* the last ones are not forgotten */
    assert_string_equal(bed_step(policy, 10000, false).text, living);
    /* A second later the next is a first one again, and eight later there may be a burst. */
    bed_watch(policy, grown(nodes + 1, living), 11000);
    assert_string_equal(bed_step(policy, 11000, false).text, living);
    bed_watch(policy, grown(nodes + 2, living), 11010);
    assert_int_equal(policy_due(policy, 11010), 12000);
    assert_decides(policy, 12000, living);
    bed_watch(policy, grown(nodes + 3, living), 22000);
    assert_decides(policy, 22000, living);
    bed_watch(policy, grown(nodes + 4, living), 22010);
    assert_int_equal(policy_due(policy, 22010), 22200);
}

/* A node each second, for as long as it takes: nobody waits because others came before. */
static void a_busy_minute(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(n1)");
    char living[4096];

    for (unsigned i = 2; i <= 60; i++) {
        bed_watch(policy, grown(i, living), 1000 * (msec)i);
        assert_decides(policy, 1000 * (msec)i, living);
    }
}

/* The waits that are promised in policy.h, and the sets that they cost: n nodes, `apart` ms from each other. */
static void waits_and_their_cost(void **state) {
    static const struct {
        unsigned n;
        msec apart, longest;
        unsigned sets;
    } cases[] = {{50, 10, 190, 4}, {60, 1000, 0, 60}, {120, 500, 500, 69}, {500, 20, 980, 19}, {200, 5, 195, 6}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");
        unsigned came = 0, sent = 0, sets = 0;
        msec longest = 0;

        for (msec now = 0; sent < cases[i].n; now += 5) {
            CLEANUP(set_freep) struct set *living = bed_set("");

            if (came < cases[i].n && now >= cases[i].apart * came) {
                came++;
                for (unsigned j = 0; j < came; j++) {
                    struct address address = {4, 32, {10, 1, (uint8_t)(j / 256), (uint8_t)j}};

                    assert_int_equal(set_append(living, &address, "n"), 0);
                }
                assert_int_equal(set_seal(living), 0);
                assert_int_equal(policy_observe(policy, TAKE_PTR(living), NULL, false, now), 0);
            }
            if (!strcmp(bed_count(policy, now), "-"))
                continue;
            longest = MAX(longest, now - cases[i].apart * sent);
            sent = came;
            sets++;
        }
        assert_int_equal(longest, cases[i].longest);
        assert_int_equal(sets, cases[i].sets);
    }
}

static void there_and_back_is_nothing(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_decides(policy, 0, "10.0.0.1(a) 10.0.0.2(b)");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", 10);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 20);
    assert_decides(policy, 200, "-");
    assert_int_equal(policy_due(policy, 200), MSEC_NEVER);
}

static void failures_wait_longer(void **state) {
    static const msec waits[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");
    msec now = 0;

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", now);
    for (size_t i = 0; i < ARRAY_LENGTH(waits); i++) {
        CLEANUP(policy_decision_done) struct policy_decision decision = {0};

        assert_int_equal(policy_decide(policy, now, false, &decision), 0);
        assert_non_null(decision.set);
        assert_int_equal(policy_due(policy, now), MSEC_NEVER); /* under way */
        policy_failed(policy, now);
        assert_int_equal(policy_due(policy, now), now + waits[i]);
        assert_decides(policy, now + waits[i] - 1, "-");
        now += waits[i];
    }
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", now); /* what came meanwhile goes with it */
    assert_decides(policy, now, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c) 10.0.0.4(d)", now + 5000);
    assert_int_equal(policy_due(policy, now + 5000), now + 5000);
}

static void the_reason_outlives_a_failure(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");
    CLEANUP(policy_decision_done) struct policy_decision decision = {0};

    bed_list(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_int_equal(policy_decide(policy, 0, false, &decision), 0);
    assert_int_equal(decision.reason, POLICY_RELIST);
    policy_failed(policy, 0);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)", 500);
    assert_int_equal(bed_step(policy, 1000, false).reason, POLICY_RELIST);
}

static void nothing_is_decided_in_between(void **state) {
    CLEANUP(policy_freep) struct policy *policy = bed_running(OPTIONS(0), "10.0.0.1(a)");
    CLEANUP(policy_decision_done) struct policy_decision decision = {0}, second = {0};
    CLEANUP(set_freep) struct set *other = bed_set("10.0.0.77(x)");

    bed_watch(policy, "10.0.0.1(a) 10.0.0.2(b)", 0);
    assert_int_equal(policy_decide(policy, 0, false, &decision), 0);
    assert_non_null(decision.set);
    assert_int_equal(decision.set->version.generation, 0);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.3(c)", 10); /* b left while its first set is written */
    assert_int_equal(policy_decide(policy, 10000, true, &second), 0);
    assert_null(second.set);
    assert_false(second.save);
    assert_int_equal(policy_confirmed(policy, decision.set, 500), 0);
    assert_decides(policy, 700, "10.0.0.1(a) 10.0.0.2(b) 10.0.0.3(c)");
    assert_settles(policy, 30499, "-");
    assert_settles(policy, 30500, "10.0.0.1(a) 10.0.0.3(c)");

    /* An answer to something else is no answer. */
    assert_int_equal(policy_confirmed(policy, decision.set, 30600), -EINVAL);
    bed_watch(policy, "10.0.0.1(a) 10.0.0.3(c) 10.0.0.4(d)", 40000);
    policy_decision_done(&decision);
    assert_int_equal(policy_decide(policy, 40000, false, &decision), 0);
    assert_int_equal(policy_confirmed(policy, other, 40000), -EINVAL);
    assert_decides(policy, 41000, "10.0.0.1(a) 10.0.0.3(c) 10.0.0.4(d)");
}

RUN(cmocka_unit_test(a_storm), cmocka_unit_test(a_busy_minute), cmocka_unit_test(waits_and_their_cost), cmocka_unit_test(there_and_back_is_nothing),
        cmocka_unit_test(failures_wait_longer), cmocka_unit_test(the_reason_outlives_a_failure),
        cmocka_unit_test(nothing_is_decided_in_between))
