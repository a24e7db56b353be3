/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minions that say anything, in anybody's name: nobody is told again more often than a series of its own allows, and the
 * table stays what followup.h promises. Each line of the input is a step; its first letter says which, see step().
 */
#include "fuzz.h"
#include "nodewall/followup.h"
#include "nodewall/json.h"

#define MINUTE ((msec)60000)
#define MOST 8              /* tellings of one minion within a minute, but for announcements */

static const char *const minions[] = {"a", "b", "c", "d"};

struct bed {
    struct followup *followup;
    struct version version;
    msec now;
    msec told[ARRAY_LENGTH(minions)][MOST];     /* when, the last ones */
    size_t n_told[ARRAY_LENGTH(minions)];
};

static void announce(struct bed *bed, uint8_t how) {
    static const char *const epochs[] = {"0123456789abcdef", "fedcba9876543210"};

    snprintf(bed->version.epoch, sizeof(bed->version.epoch), "%s", epochs[how & 1]);
    bed->version.generation = 1 + (how >> 1);
    snprintf(bed->version.digest, sizeof(bed->version.digest), "%064x", (unsigned)bed->version.generation);
    snprintf(bed->version.rv, sizeof(bed->version.rv), "%u", 100u + how);
    followup_published(bed->followup, &bed->version);
    followup_announced(bed->followup, &bed->version, bed->now);
    memset(bed->n_told, 0, sizeof(bed->n_told));
}

static void tell(struct bed *bed) {
    const char **names = NULL;
    size_t n = 0;

    MUST(followup_repairs(bed->followup, bed->now, &names, &n) == 0 && (n == 0) == !names);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < ARRAY_LENGTH(minions); j++) {
            size_t at = bed->n_told[j] % MOST;

            if (strcmp(names[i], minions[j]))
                continue;
            MUST(bed->n_told[j] < MOST || bed->now - bed->told[j][at] >= MINUTE);
            bed->told[j][at] = bed->now;
            bed->n_told[j]++;
        }
    free(names);
}

static void settle(struct bed *bed) {
    CLEANUP(json_putp) json_object *status = NULL;
    struct followup_summary summary;
    char *dropped;

    while ((dropped = followup_dropped(bed->followup, bed->now)))
        free(dropped);
    tell(bed);
    MUST(followup_due(bed->followup) > bed->now);
    summary = followup_summary(bed->followup);
    MUST(summary.current + summary.behind + summary.away == summary.expected);
    MUST(followup_status(bed->followup, bed->now, &status) == 0);
}

/* "TAG JSON" */
static void observe(struct bed *bed, char *line) {
    char *space = strchr(line, ' ');
    CLEANUP(json_putp) json_object *data = space ? json_tokener_parse(space + 1) : NULL;
    size_t size = space ? (size_t)(space - line) : 0;
    int r;

    if (!followup_wants(line, size))
        return;
    r = followup_observe(bed->followup, line, size, data, bed->now);
    MUST(r >= 0 && r <= FOLLOWUP_CONFLICT);
    if (r == FOLLOWUP_CONFLICT)
        MUST(decimal_is(followup_conflict_rv(bed->followup)));
}

static void step(struct bed *bed, char *line) {
    char *names[ARRAY_LENGTH(minions)];
    size_t n = 0;

    switch (line[0]) {
    case 'r': /* roster, as bits */
        for (size_t i = 0; i < ARRAY_LENGTH(minions); i++)
            if ((uint8_t)line[1] >> i & 1)
                names[n++] = (char *)minions[i];
        MUST(followup_roster(bed->followup, names, n, bed->now) == 0);
        memset(bed->n_told, 0, sizeof(bed->n_told));
        break;
    case 'n': announce(bed, (uint8_t)line[1]); break;
    case 't': bed->now += (msec)(uint8_t)line[1] * 100; break;
    case 'd': /* to where something is due */
        if (followup_due(bed->followup) != MSEC_NEVER)
            bed->now = MAX(bed->now, followup_due(bed->followup));
        break;
    default: observe(bed, line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(cleanup_free) char *text = malloc(size + 1);
    struct bed bed = {0};
    char *rest = text;

    MUST(text && followup_new(&bed.followup, "prod") == 0);
    memcpy(text, data, size);
    text[size] = 0;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (line[0])
            step(&bed, line);
        settle(&bed);
    }
    followup_free(bed.followup);
    return 0;
}
