/* SPDX-License-Identifier: Apache-2.0 */
/* A node writes its own status. One that reports other addresses each second must gain nothing by it but what it has at once. */
#include "bed.h"

#define PER_NODE 4

/* Ten nodes with one address each, and "evil" with four that are others at each step; `extra` is appended. */
static const char *living(unsigned step, const char *extra, char buffer[2048]) {
    size_t n = 0;

    for (unsigned i = 0; i < 10; i++)
        n += (size_t)snprintf(buffer + n, 2048 - n, "10.0.0.%u(node%u) ", i, i);
    for (unsigned i = 0; i < PER_NODE; i++)
        n += (size_t)snprintf(buffer + n, 2048 - n, "198.%u.%u.%u(evil) ", 18 + (step >> 14), step >> 6 & 255, (step & 63) * 4 + i);
    snprintf(buffer + n, 2048 - n, "%s", extra);
    return buffer;
}

static size_t count(const char *set) {
    size_t n = set[0] && strcmp(set, "-") != 0;

    for (; *set; set++)
        n += *set == ' ';
    return n;
}

/* Ten minutes of it; the largest set that was decided, and the last one in `last`. */
static size_t churn(struct policy *policy, const char *extra, char last[4096]) {
    size_t most = 0;
    char text[2048], settled[4096];

    for (unsigned step = 0; step < 600; step++) {
        msec now = 1000 + 1000 * (msec)step;

        bed_watch(policy, living(step, extra, text), now);
        for (unsigned part = 0; part < 4; part++) /* what is due by debounce and grace */
            if (strcmp(bed_settle(policy, now + part * 250, settled), "-")) {
                most = MAX(most, count(settled));
                snprintf(last, 4096, "%s", settled);
            }
    }
    return most;
}

static void former_addresses_of_one_node_are_bounded(void **state) {
    char text[2048], last[4096] = "";
    struct policy *policy = bed_running(OPTIONS(.max_per_node = PER_NODE), living(0, "", text));
    size_t most = churn(policy, "", last);

    assert_in_range(most, 10 + PER_NODE, 10 + 2 * PER_NODE);
    policy_free(policy);
}

/* With room for forty addresses a node that joins gets in, whatever another one did before. */
static void a_node_that_joins_has_its_place(void **state) {
    char text[2048], last[4096] = "";
    struct policy *policy = bed_running(OPTIONS(.max_per_node = PER_NODE, .max_total = 40), living(0, "", text));

    churn(policy, "", last);
    bed_watch(policy, living(700, "10.0.1.1(new)", text), 700000);
    bed_settle(policy, 700000, last);
    assert_non_null(strstr(last, "10.0.1.1(new)"));
    policy_free(policy);
}

/* And what another node gives up goes after its grace: nothing is held because of evil's losses. */
static void the_others_removals_are_not_held(void **state) {
    char text[2048], last[4096] = "", without[2048] = "";
    struct policy *policy = bed_running(OPTIONS(.max_per_node = PER_NODE), living(0, "10.0.1.1(old)", text));

    churn(policy, "10.0.1.1(old)", last);
    assert_non_null(strstr(last, "10.0.1.1(old)"));
    living(601, "", without);
    bed_watch(policy, without, 700000);
    bed_settle(policy, 700000, last);
    bed_settle(policy, 731000, last);
    assert_null(strstr(last, "10.0.1.1(old)"));
    assert_int_equal(bed_held(policy), 0);
    policy_free(policy);
}

/* Nodes that are gone altogether keep their grace and the guard, however many addresses they had: that may be a mistake of the
 * API server's. */
static void nodes_that_are_gone_keep_theirs(void **state) {
    char last[4096];
    struct policy *policy = bed_running(OPTIONS(.max_per_node = 1), "10.0.0.1(a) 10.0.0.2(a) 10.0.0.3(b) 10.0.0.4(b) 10.0.0.5(c)");

    bed_list(policy, "", 1000);
    assert_string_equal(bed_settle(policy, 1000, last), "-");
    assert_string_equal(bed_settle(policy, 60000, last), "-");
    assert_int_equal(bed_held(policy), 5);
    policy_free(policy);
}

RUN(cmocka_unit_test(former_addresses_of_one_node_are_bounded), cmocka_unit_test(a_node_that_joins_has_its_place),
    cmocka_unit_test(the_others_removals_are_not_held), cmocka_unit_test(nodes_that_are_gone_keep_theirs))
