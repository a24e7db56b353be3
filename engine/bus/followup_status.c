/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Followup's status - the table of minions as numbers and as JSON; changes nothing.
 *
 * In JSON times are seconds, as everywhere in /status. Who is away is behind as well, for people: it does not have the
 * current set. In the summary the two are counted apart.
 */
#include "row.h"

#include <string.h>

struct followup_summary followup_summary(const struct followup *followup) {
    struct followup_summary summary = {.expected = followup->n_rows, .slowest = -1, .repairs = followup->repairs};

    for (size_t i = 0; i < followup->n_rows; i++) {
        const struct row *row = &followup->rows[i];

        if (row_is_current(row, followup)) {
            summary.current++;
            summary.slowest = MAX(summary.slowest, row->took);
        } else if (row->away) {
            summary.away++;
        } else {
            summary.behind++;
        }
    }
    return summary;
}

/* Gives `value` away; NULL where memory ran out, or with `nothing` JSON's null. */
static int add(json_object *map, const char *key, json_object *value, bool nothing) {
    if ((!value && !nothing) || json_object_object_add(map, key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

static int add_seconds(json_object *map, const char *key, msec time) {
    return add(map, key, time < 0 ? NULL : json_object_new_double((double)time / 1000), time < 0);
}

static int append(json_object *array, json_object *value) {
    if (!value || json_object_array_add(array, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

static int describe(json_object *list, const struct row *row, const struct followup *followup, msec now) {
    CLEANUP(json_putp) json_object *entry = json_object_new_object();
    bool ours = row->known && !strcmp(row->epoch, followup->version.epoch);
    const char *result = row->away ? "away" : row->result[0] ? row->result : "unknown";
    int r;

    if (!entry)
        return -ENOMEM;
    if ((r = add(entry, "id", json_object_new_string(row->id), false)) < 0 ||
        (r = add(entry, "generation", ours ? json_object_new_uint64(row->generation) : NULL, !ours)) < 0 ||
        (r = add(entry, "result", json_object_new_string(result), false)) < 0 ||
        (r = add_seconds(entry, "age", row->heard < 0 ? -1 : now - row->heard)) < 0 ||
        (r = add_seconds(entry, "took", row_is_current(row, followup) ? row->took : -1)) < 0)
        return r;
    return append(list, TAKE_PTR(entry));
}

int followup_status(const struct followup *followup, msec now, struct json_object **ret) {
    CLEANUP(json_putp) json_object *status = json_object_new_object();
    json_object *behind = json_object_new_array(), *list = json_object_new_array();
    struct followup_summary summary = followup_summary(followup);
    int r = -ENOMEM;

    if (!status) {
        json_object_put(behind);
        json_object_put(list);
        return r;
    }
    /* All are given away, whatever becomes of the others. */
    if ((add(status, "behind", behind, false) < 0) | (add(status, "list", list, false) < 0))
        return r;
    if ((r = add(status, "expected", json_object_new_uint64(summary.expected), false)) < 0 ||
        (r = add(status, "current", json_object_new_uint64(summary.current), false)) < 0 ||
        (r = add(status, "away", json_object_new_uint64(summary.away), false)) < 0 ||
        (r = add_seconds(status, "slowest", summary.slowest)) < 0)
        return r;
    for (size_t i = 0; i < followup->n_rows; i++) {
        const struct row *row = &followup->rows[i];

        if (!row_is_current(row, followup) && (r = append(behind, json_object_new_string(row->id))) < 0)
            return r;
        if ((r = describe(list, row, followup, now)) < 0)
            return r;
    }
    *ret = TAKE_PTR(status);
    return 0;
}
