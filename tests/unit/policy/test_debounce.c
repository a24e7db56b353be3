/* SPDX-License-Identifier: Apache-2.0 */
/* When a set goes: at once, then in windows; and again after a failure. */
#include "bed.h"

static const char *grown(unsigned n, char buffer[4096]) {
    size_t used = 0;

    buffer[0] = 0;
    for (unsigned i = 1; i <= n; i++)
        used += (size_t)snprintf(buffer + used, 4096 - used, "%s10.0.0.%u(n%u)", i > 1 ? " " : "", i, i);
    return buffer;
}

/* A node each 50 ms for ten seconds: when do sets go? */
static void windows_double(void **state) {
    static const msec want[] = {0, 200, 600, 1400, 3000, 5000, 7000, 9000};
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
    assert_int_equal(policy_due(policy, 10000), 11000); /* the last ones are not forgotten */
    assert_decides(policy, 10999, "-");
    assert_string_equal(bed_step(policy, 11000, false).text, living);
    /* Calm, and the next is a first one again. */
    bed_watch(policy, grown(nodes + 1, living), 16000);
    assert_int_equal(policy_due(policy, 16000), 16000);
    assert_string_equal(bed_step(policy, 16000, false).text, living);
    bed_watch(policy, grown(nodes + 2, living), 16010);
    assert_int_equal(policy_due(policy, 16010), 16200);
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

RUN(cmocka_unit_test(windows_double), cmocka_unit_test(there_and_back_is_nothing),
        cmocka_unit_test(failures_wait_longer), cmocka_unit_test(the_reason_outlives_a_failure),
        cmocka_unit_test(nothing_is_decided_in_between))
