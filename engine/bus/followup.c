/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Followup - a table of minions, each with the time when it is to be told again.
 *
 *   announced ──5 s──▶ told again ──10 s──▶ ──30 s──▶ ──60 s──▶ …      until it says that it has it: no more
 *                           │ twelve times without a word
 *                           ▼
 *                         away ──any sign──▶ told once ──no word──▶ away
 *
 * Keeps: a row is current only by the minion's own word about our epoch and generation; nobody who is current is told
 * again. Whatever is said, and in whose name: a new series begins at most once in WAIT_LAST, and nobody goes who, asked
 * again, says that it has the cluster. Does not: ask a clock, send, log, or touch the roster on disk. Owns: copies of
 * all names.
 */
#include "row.h"

#include <string.h>

#define WAIT_FIRST 5000
#define WAIT_START 1000             /* coalesces those that start together, and lets the minion's subscription settle */
#define WAIT_LAST 60000
#define NOT_MINE_STANDS 10000
#define NOT_MINE_AGAIN 300000       /* of a minion that never had it: a state run may take its time */
#define CONFLICT_FIRST 60000
#define CONFLICT_LAST 600000

struct followup *followup_free(struct followup *followup) {
    if (!followup)
        return NULL;
    for (size_t i = 0; i < followup->n_rows; i++)
        free(followup->rows[i].id);
    free(followup->rows);
    free(followup);
    return NULL;
}

int followup_new(struct followup **ret, const char *cluster) {
    struct followup *followup;

    if (!name_is_cluster(cluster))
        return -EINVAL;
    followup = calloc(1, sizeof(*followup));
    if (!followup)
        return -ENOMEM;
    memcpy(followup->cluster, cluster, strlen(cluster) + 1);
    *ret = followup;
    return 0;
}

/* What a minion has is known to be ours. */
static bool is_ours(const struct row *row, const struct version *version) {
    return row->known && !strcmp(row->epoch, version->epoch);
}

bool row_is_current(const struct row *row, const struct followup *followup) {
    return followup->announced && is_ours(row, &followup->version) && row->generation == followup->version.generation &&
           (!row->digest[0] || !strcmp(row->digest, followup->version.digest));
}

static msec wait_after(unsigned told) {
    static const msec waits[] = {WAIT_FIRST, 10000, 30000};

    return told < ARRAY_LENGTH(waits) ? waits[told] : WAIT_LAST;
}

static bool begin_row(struct row *row, const struct followup *followup, const char *id, msec now) {
    *row = (struct row){
        .id = strdup(id),
        .heard = -1,
        .told_first = now,
        .took = -1,
        .due = followup->announced ? now + WAIT_FIRST : MSEC_NEVER,
        .anew = -1,
        .joined = followup->has_roster,
        .not_mine = -1,
        .drop = MSEC_NEVER,
    };
    return row->id;
}

/* Takes the rows that stay over from `from`, whose own are empty then; on failure nothing has been taken. */
static int merge(struct row *rows, const struct followup *from, char *const *minions, size_t n, msec now) {
    struct row **stay = calloc(n + 1, sizeof(*stay));
    size_t old = 0;

    if (!stay)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        while (old < from->n_rows && strcmp(from->rows[old].id, minions[i]) < 0)
            old++;
        if (old < from->n_rows && !strcmp(from->rows[old].id, minions[i])) {
            stay[i] = &from->rows[old];
        } else if (!begin_row(&rows[i], from, minions[i], now)) {
            for (size_t j = 0; j < i; j++)
                free(rows[j].id);
            free(stay);
            return -ENOMEM;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (stay[i]) {
            rows[i] = *stay[i];
            stay[i]->id = NULL;
        }
    free(stay);
    return 0;
}

int followup_roster(struct followup *followup, char *const *minions, size_t n_minions, msec now) {
    struct row *rows = calloc(n_minions + 1, sizeof(*rows));
    int r;

    if (!rows)
        return -ENOMEM;
    r = merge(rows, followup, minions, n_minions, now);
    if (r < 0) {
        free(rows);
        return r;
    }
    for (size_t i = 0; i < followup->n_rows; i++)
        free(followup->rows[i].id);
    free(followup->rows);
    followup->rows = rows;
    followup->n_rows = n_minions;
    followup->has_roster = true;
    return 0;
}

void followup_published(struct followup *followup, const struct version *version) {
    followup->published = *version;
}

void followup_announced(struct followup *followup, const struct version *version, msec now) {
    bool again = followup->announced && !strcmp(version->epoch, followup->version.epoch) &&
                 version->generation == followup->version.generation;

    followup->announced = true;
    followup->version = *version;
    if (strcmp(followup->published.epoch, version->epoch) || followup->published.generation < version->generation)
        followup->published = *version;
    for (size_t i = 0; i < followup->n_rows; i++) {
        struct row *row = &followup->rows[i];

        row->put_off = false;
        if (!again) {
            row->told = 0;
            row->told_first = now;
            row->took = -1;
            row->settled = false;
        }
        /* Those who are away were told with all others; they have not become less away by it. */
        row->due = row->away || row->settled || row->drop != MSEC_NEVER || row_is_current(row, followup)
                           ? MSEC_NEVER
                           : now + wait_after(row->told);
    }
}

static int compare_id(const void *key, const void *row) {
    return strcmp(key, ((const struct row *)row)->id);
}

static struct row *find(const struct followup *followup, const char *id) {
    return followup->n_rows ? bsearch(id, followup->rows, followup->n_rows, sizeof(*followup->rows), compare_id) : NULL;
}

/* It is there: whatever was due is due within `wait`; who was away is told once. */
static int alive(struct followup *followup, struct row *row, msec wait, msec now) {
    if (!row->away || !followup->announced)
        return 0;
    row->away = false;
    row->silent = FOLLOWUP_ATTEMPTS - 1;
    row->told_first = now;
    row->due = now + wait;
    return FOLLOWUP_CHANGED;
}

/* It is told soon; within WAIT_LAST of the last time it was to be so, when the series at hand has its next turn. */
static void ask(struct row *row, msec now) {
    if (row->anew >= 0 && now - row->anew < WAIT_LAST) {
        row->due = MIN(row->due, now + wait_after(row->told));
        return;
    }
    row->anew = now;
    row->told = row->silent = 0;
    row->due = now + WAIT_START;
}

/* What it has is open again, and it gets a full series. */
static int begin_anew(struct followup *followup, struct row *row, msec now) {
    row->known = row->away = row->settled = false;
    row->took = -1;
    row->told_first = now;
    if (followup->announced && row->drop == MSEC_NEVER)
        ask(row, now);
    return FOLLOWUP_CHANGED;
}

static void not_mine(struct followup *followup, struct row *row, msec now) {
    bool once = row->not_mine < 0, new = row->joined && !row->had;

    row->known = false;
    if (once) {
        row->not_mine = now;
        row->asked = false;
    }
    if (new ? now - row->not_mine >= NOT_MINE_AGAIN : row->asked) {
        row->drop = MIN(row->drop, now + NOT_MINE_STANDS);
        row->due = MSEC_NEVER;
    } else if (followup->announced && new) {
        row->told = MAX(row->told, 3u);
        row->due = once ? now + WAIT_LAST : MIN(row->due, now + WAIT_LAST);
    } else if (followup->announced && once) {
        ask(row, now);
    }
}

/* A minion without a key does not answer any more. */
static int key_deleted(struct followup *followup, struct row *row, msec now) {
    if (!followup->announced) {
        row->drop = now;
    } else if (row->drop == MSEC_NEVER) {
        ask(row, now);
        row->drop = row->due + NOT_MINE_STANDS;
    }
    return FOLLOWUP_CHANGED;
}

static void contradict_not_mine(struct row *row) {
    row->not_mine = -1;
    row->drop = MSEC_NEVER;
}

/* The store was set back, or a minion says so. Once per epoch, for the answer to it is a new epoch; and not soon again, for
 * anybody can say so of that one, too. */
static bool is_ahead(struct followup *followup, const struct row *row, msec now) {
    const struct version *newest = &followup->published;

    if (!followup->announced || !is_ours(row, newest) || row->generation < newest->generation ||
        (row->generation == newest->generation && (!row->digest[0] || !strcmp(row->digest, newest->digest))) ||
        !strcmp(followup->ahead_epoch, newest->epoch) ||
        (followup->ahead_epoch[0] && now - followup->ahead_said < FOLLOWUP_AHEAD_LEAST))
        return false;
    memcpy(followup->ahead_epoch, newest->epoch, sizeof(followup->ahead_epoch));
    followup->ahead_said = now;
    return true;
}

/* The answer to a conflict is a set for everybody, and anybody can claim one. */
static bool say_conflict(struct followup *followup, const char *rv, msec now) {
    msec since = now - followup->conflict_said;

    if (followup->conflict_wait && since < followup->conflict_wait)
        return false;
    if (since >= 2 * CONFLICT_LAST)
        followup->conflict_wait = 0;
    followup->conflict_wait = MIN(MAX(2 * followup->conflict_wait, CONFLICT_FIRST), CONFLICT_LAST);
    followup->conflict_said = now;
    snprintf(followup->conflict_rv, sizeof(followup->conflict_rv), "%s", rv);
    return true;
}

static void note_version(struct row *row, const struct sign *sign) {
    row->known = row->had = true;
    snprintf(row->epoch, sizeof(row->epoch), "%s", sign->epoch);
    snprintf(row->digest, sizeof(row->digest), "%s", sign->digest);
    row->generation = sign->generation;
}

static int answered(struct followup *followup, struct row *row, const struct sign *sign, msec now) {
    bool conflict = sign->answer == SIGN_CONFLICT && followup->announced &&
                    (!sign->has_version || strcmp(sign->epoch, followup->version.epoch));

    row->heard = now;
    row->silent = 0;
    row->away = false;
    snprintf(row->result, sizeof(row->result), "%s", sign->result);
    text_clean(row->result); /* anybody's bytes, and a letter that was cut */
    if (sign->has_version)
        note_version(row, sign);
    if (sign->answer == SIGN_NOT_MINE) {
        not_mine(followup, row, now);
        return FOLLOWUP_CHANGED;
    }
    if (sign->answer != SIGN_FAILED)
        contradict_not_mine(row);
    if (row_is_current(row, followup)) {
        row->due = MSEC_NEVER;
        row->took = row->took < 0 ? now - row->told_first : row->took;
        return FOLLOWUP_CHANGED;
    }
    if (conflict) {
        const char *rv = decimal_compare(sign->rv, followup->version.rv) > 0 ? sign->rv : followup->version.rv;

        row->settled = true;
        row->due = MSEC_NEVER;
        return say_conflict(followup, rv, now) ? FOLLOWUP_CONFLICT : FOLLOWUP_CHANGED;
    }
    if (followup->announced && is_ours(row, &followup->version) && row->generation >= followup->version.generation) {
        row->settled = true; /* later than what was announced; telling it that again would change nothing */
        row->due = MSEC_NEVER;
        return is_ahead(followup, row, now) ? FOLLOWUP_AHEAD : FOLLOWUP_CHANGED;
    }
    if (row->due == MSEC_NEVER && followup->announced && row->drop == MSEC_NEVER)
        row->due = now + wait_after(row->told); /* it has lost what it had, or was away */
    return FOLLOWUP_CHANGED;
}

/* A job is out, by whomever: its minions have that much more time, once. */
static int job_went_out(struct followup *followup, const struct sign *sign, msec now) {
    int changed = 0;

    for (size_t i = 0; i < json_object_array_length(sign->minions); i++) {
        json_object *id = json_object_array_get_idx(sign->minions, i);
        struct row *row = json_object_is_type(id, json_type_string) ? find(followup, json_object_get_string(id)) : NULL;

        if (!row || row->put_off || row->drop != MSEC_NEVER || row->due == MSEC_NEVER ||
            row->due >= now + WAIT_FIRST + sign->splay)
            continue;
        row->put_off = true;
        row->due = now + WAIT_FIRST + sign->splay;
        changed = FOLLOWUP_CHANGED;
    }
    return changed;
}

bool followup_wants(const char *tag, size_t tag_size) {
    return sign_wants(tag, tag_size);
}

int followup_observe(struct followup *followup, const char *tag, size_t tag_size, struct json_object *data, msec now) {
    struct sign sign;
    struct row *row;

    sign_read(&sign, followup->cluster, tag, tag_size, data);
    if (sign.kind == SIGN_NONE)
        return 0;
    if (sign.kind == SIGN_JOB)
        return job_went_out(followup, &sign, now);
    row = find(followup, sign.minion);
    if (!row)
        return 0;
    switch (sign.kind) {
    case SIGN_START:
    case SIGN_CLEANED: return begin_anew(followup, row, now);
    case SIGN_KEY_DELETED: return key_deleted(followup, row, now);
    case SIGN_ANSWER: return answered(followup, row, &sign, now);
    case SIGN_STATE:
        if (row->not_mine >= 0) {
            contradict_not_mine(row);
            return begin_anew(followup, row, now);
        }
        return alive(followup, row, WAIT_START, now);
    default: /* signing in comes seconds before a minion listens */
        return alive(followup, row, tag_size == strlen("salt/auth") ? WAIT_FIRST : WAIT_START, now);
    }
}

const char *followup_conflict_rv(const struct followup *followup) {
    return followup->conflict_rv;
}

msec followup_due(const struct followup *followup) {
    msec due = MSEC_NEVER;

    for (size_t i = 0; i < followup->n_rows; i++)
        due = MIN(due, MIN(followup->rows[i].due, followup->rows[i].drop));
    return due;
}

/* True when it is to be told now; it counts as told. False as well when it has said nothing for too long. */
static bool tell(struct followup *followup, struct row *row, msec now) {
    if (row->silent >= FOLLOWUP_ATTEMPTS) {
        row->away = true;
        row->due = MSEC_NEVER;
        return false;
    }
    row->silent++;
    row->told++;
    row->put_off = false;
    row->asked = true;
    row->due = now + wait_after(row->told);
    followup->repairs++;
    return true;
}

int followup_repairs(struct followup *followup, msec now, const char ***ret, size_t *ret_n) {
    const char **names = NULL;
    size_t n = 0;

    for (size_t i = 0; i < followup->n_rows && n < FOLLOWUP_BATCH; i++) {
        if (followup->rows[i].due > now)
            continue;
        if (!names)
            names = calloc(MIN(followup->n_rows, (size_t)FOLLOWUP_BATCH), sizeof(*names));
        if (!names)
            return -ENOMEM;
        if (tell(followup, &followup->rows[i], now))
            names[n++] = followup->rows[i].id;
    }
    if (n == 0) {
        free(names);
        names = NULL;
    }
    *ret = names;
    *ret_n = n;
    return 0;
}

char *followup_dropped(struct followup *followup, msec now) {
    for (size_t i = 0; i < followup->n_rows; i++)
        if (followup->rows[i].drop <= now) {
            char *id = followup->rows[i].id;

            followup->n_rows--;
            memmove(&followup->rows[i], &followup->rows[i + 1], (followup->n_rows - i) * sizeof(*followup->rows));
            return id;
        }
    return NULL;
}
