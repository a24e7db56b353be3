/* SPDX-License-Identifier: Apache-2.0 */
/* A followup of cluster prod, what minions say to it, and whom it tells again. */
#pragma once

#include "../unit.h"
#include "nodewall/followup.h"
#include "nodewall/json.h"

#define EPOCH "0123456789abcdef"
#define OTHER_EPOCH "fedcba9876543210"
#define S 1000

struct bed {
    struct followup *followup;
    struct version version;
};

__attribute__((unused)) static void set_version(struct version *version, const char *epoch, uint64_t generation) {
    memset(version, 0, sizeof(*version));
    snprintf(version->epoch, sizeof(version->epoch), "%s", epoch);
    snprintf(version->rv, sizeof(version->rv), "%d", 100 + (int)generation);
    version->generation = generation;
    snprintf(version->digest, sizeof(version->digest), "%064x", (unsigned)generation);
}

__attribute__((unused)) static void roster(struct bed *bed, const char *names, msec now) {
    char copy[256], *minions[16], *save = NULL;
    size_t n = 0;

    snprintf(copy, sizeof(copy), "%s", names);
    for (char *name = strtok_r(copy, " ", &save); name; name = strtok_r(NULL, " ", &save))
        minions[n++] = name;
    assert_int_equal(followup_roster(bed->followup, minions, n, now), 0);
}

__attribute__((unused)) static void announce(struct bed *bed, uint64_t generation, msec now) {
    set_version(&bed->version, EPOCH, generation);
    followup_published(bed->followup, &bed->version);
    followup_announced(bed->followup, &bed->version, now);
}

__attribute__((unused)) static int set_up(void **state) {
    struct bed *bed = calloc(1, sizeof(*bed));

    assert_int_equal(followup_new(&bed->followup, "prod"), 0);
    *state = bed;
    return 0;
}

__attribute__((unused)) static int tear_down(void **state) {
    struct bed *bed = *state;

    followup_free(bed->followup);
    free(bed);
    return 0;
}

__attribute__((unused)) static int observe(struct bed *bed, const char *tag, const char *json, msec now) {
    CLEANUP(json_putp) json_object *data = json_tokener_parse(json);

    assert_non_null(data);
    assert_true(followup_wants(tag, strlen(tag)));
    return followup_observe(bed->followup, tag, strlen(tag), data, now);
}

__attribute__((unused)) static int says(struct bed *bed, const char *minion, const char *result, const char *epoch, uint64_t generation,
                msec now) {
    char tag[64], json[512], version[256] = "";

    snprintf(tag, sizeof(tag), "salt/job/20261125070000123456/ret/%s", minion);
    if (epoch)
        snprintf(version, sizeof(version), ", \"epoch\": \"%s\", \"generation\": %d, \"digest\": \"%064x\"", epoch,
                 (int)generation, (unsigned)generation);
    snprintf(
        json, sizeof(json),
        "{\"id\": \"%s\", \"fun\": \"nodewall.update\", \"return\": {\"cluster\": \"prod\", \"result\": \"%s\"%s}}",
        minion, result, version);
    return observe(bed, tag, json, now);
}

__attribute__((unused)) static int starts(struct bed *bed, const char *minion, msec now) {
    char tag[64], json[64];

    snprintf(tag, sizeof(tag), "salt/minion/%s/start", minion);
    snprintf(json, sizeof(json), "{\"id\": \"%s\"}", minion);
    return observe(bed, tag, json, now);
}

__attribute__((unused)) static int pings(struct bed *bed, const char *minion, msec now) {
    char tag[64], json[64];

    snprintf(tag, sizeof(tag), "salt/job/20261125070000123456/ret/%s", minion);
    snprintf(json, sizeof(json), "{\"id\": \"%s\", \"fun\": \"test.ping\", \"return\": true}", minion);
    return observe(bed, tag, json, now);
}

/* Who is told again at `now`, with blanks between; "" for nobody. */
__attribute__((unused)) static const char *told(struct bed *bed, msec now) {
    static char text[512];
    const char **names = NULL;
    size_t n = 99, length = 0;

    text[0] = 0;
    assert_int_equal(followup_repairs(bed->followup, now, &names, &n), 0);
    assert_true((n == 0) == (names == NULL));
    for (size_t i = 0; i < n; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? " " : "", names[i]);
    free(names);
    return text;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
