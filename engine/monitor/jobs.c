/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs - who was asked and who has answered, from what Salt says of its jobs on the bus.
 *
 *   salt/job/<jid>/new {minions}  ──▶  a job with those who are expected
 *   salt/job/<jid>/ret/<id>       ──▶  one of them has returned    all have: told, and forgotten
 *                                      nobody for JOB_PATIENCE: told once with who is missing, and kept
 *
 * Keeps: a minion counts once however often it returns; memory is bounded by JOBS_MAX and NAMES_MAX, whatever is claimed:
 * above the first the oldest job is forgotten and counted, above the second minions are counted and not named.
 * Does not: ask a clock, print, or believe that an event is Salt's: whoever may fire can forge a job here.
 */
#include "nodewall/monitor.h"
#include "nodewall/pack.h"
#include "token.h"

#include <string.h>

#define JOBS_MAX 1024
#define NAMES_MAX 500000
#define NAME_MAX_ 255

struct jobs {
    struct job *items[JOBS_MAX];    /* in the order of their beginning */
    size_t n;
    size_t names;
    uint64_t forgotten;
    struct job *leaving;            /* handed out by jobs_next, and gone with the next call */
};

static struct job *job_free(struct jobs *jobs, struct job *job) {
    if (!job)
        return NULL;
    for (size_t i = 0; i < job->n_minions; i++)
        free(job->minions[i].id);
    jobs->names -= job->n_minions;
    free(job->minions);
    free(job->jid);
    free(job->fun);
    free(job->target);
    free(job);
    return NULL;
}

int jobs_new(struct jobs **ret) {
    struct jobs *jobs = calloc(1, sizeof(*jobs));

    if (!jobs)
        return -ENOMEM;
    *ret = jobs;
    return 0;
}

struct jobs *jobs_free(struct jobs *jobs) {
    if (!jobs)
        return NULL;
    for (size_t i = 0; i < jobs->n; i++)
        job_free(jobs, jobs->items[i]);
    job_free(jobs, jobs->leaving);
    free(jobs);
    return NULL;
}

static void take_out(struct jobs *jobs, size_t index) {
    jobs->n--;
    memmove(&jobs->items[index], &jobs->items[index + 1], (jobs->n - index) * sizeof(jobs->items[0]));
}

static struct job *find_job(const struct jobs *jobs, const char *jid, size_t size) {
    for (size_t i = jobs->n; i-- > 0;)
        if (strlen(jobs->items[i]->jid) == size && !memcmp(jobs->items[i]->jid, jid, size))
            return jobs->items[i];
    return NULL;
}

static struct job *add_job(struct jobs *jobs, const char *jid, size_t size, msec now) {
    struct job *job = calloc(1, sizeof(*job));

    if (!job || !(job->jid = strndup(jid, size))) {
        free(job);
        return NULL;
    }
    job->began = job->last = now;
    if (jobs->n == JOBS_MAX) {
        job_free(jobs, jobs->items[0]);
        take_out(jobs, 0);
        jobs->forgotten++;
    }
    jobs->items[jobs->n++] = job;
    return job;
}

static int compare_minions(const void *a, const void *b) {
    return strcmp(((const struct job_minion *)a)->id, ((const struct job_minion *)b)->id);
}

/* A text of the event, NULs and all what follows them cut; NULL: there is none. */
static char *copy_text(const char *path, const uint8_t *data, size_t size) {
    const char *text;
    size_t n;

    return field_text(path, &text, &n, data, size) ? strndup(text, MIN(n, 1000)) : NULL;
}

/* The members of the list "minions" that are texts. Those that cannot be kept are counted. */
static int read_minions(struct jobs *jobs, struct job *job, const uint8_t *data, size_t size) {
    const uint8_t *list;
    struct token token;
    size_t n_list;
    int n;

    if (!field_find("minions", &list, &n_list, data, size))
        return 0;
    n = token_read(&token, list, n_list);
    if (n <= 0 || token.kind != TOKEN_ARRAY || token.count > n_list)
        return 0;
    job->minions = calloc(MIN((size_t)token.count, NAMES_MAX - jobs->names) + 1, sizeof(*job->minions));
    if (!job->minions)
        return -ENOMEM;
    list += n;
    n_list -= (size_t)n;
    for (uint32_t i = token.count; i > 0; i--) {
        n = token_read(&token, list, n_list);
        if (n <= 0 || (token.kind != TOKEN_STR && token.kind != TOKEN_BIN) || token.count > n_list - (size_t)n)
            return 0;
        job->expected++;
        if (jobs->names < NAMES_MAX && token.count <= NAME_MAX_) {
            job->minions[job->n_minions].id = strndup((const char *)list + n, token.count);
            if (!job->minions[job->n_minions].id)
                return -ENOMEM;
            job->minions[job->n_minions++].expected = true;
            jobs->names++;
        }
        list += (size_t)n + token.count;
        n_list -= (size_t)n + token.count;
    }
    return 0;
}

static int begin_job(struct jobs *jobs, const char *jid, size_t jid_size, const uint8_t *data, size_t size, msec now) {
    struct job *job = find_job(jobs, jid, jid_size);
    int r;

    if (job && job->known)
        return 0;
    if (!job)
        job = add_job(jobs, jid, jid_size, now);
    if (!job)
        return -ENOMEM;
    /* Returns that came before it are few and forgotten: the bus has an order, if only within a burst. */
    for (size_t i = 0; i < job->n_minions; i++)
        free(job->minions[i].id);
    jobs->names -= job->n_minions;
    free(TAKE_PTR(job->minions));
    free(job->fun);
    job->n_minions = job->returned = job->failed = 0;
    job->known = true;
    job->fun = copy_text("fun", data, size);
    job->target = copy_text("tgt", data, size);
    r = read_minions(jobs, job, data, size);
    if (job->n_minions)
        qsort(job->minions, job->n_minions, sizeof(*job->minions), compare_minions);
    return r;
}

static struct job_minion *add_minion(struct jobs *jobs, struct job *job, char *id) {
    struct job_minion *minions;
    size_t at = 0;

    if (jobs->names >= NAMES_MAX)
        return NULL;
    minions = reallocarray(job->minions, job->n_minions + 1, sizeof(*minions));
    if (!minions)
        return NULL;
    job->minions = minions;
    while (at < job->n_minions && strcmp(minions[at].id, id) < 0)
        at++;
    memmove(&minions[at + 1], &minions[at], (job->n_minions - at) * sizeof(*minions));
    minions[at] = (struct job_minion){.id = id};
    job->n_minions++;
    jobs->names++;
    return &minions[at];
}

/* Salt says success, a return code, or both; each of them alone may be missing. */
static bool has_failed(const uint8_t *data, size_t size) {
    const uint8_t *value;
    struct token token;
    size_t n;

    if (field_find("retcode", &value, &n, data, size) && token_read(&token, value, n) > 0 && token.kind == TOKEN_INT &&
        token.number.i != 0)
        return true;
    return field_find("success", &value, &n, data, size) && token_read(&token, value, n) > 0 && token.kind == TOKEN_BOOL &&
           !token.number.b;
}

static int add_return(struct jobs *jobs, const char *jid, size_t jid_size, const char *name, size_t name_size,
                      const uint8_t *data, size_t size, msec now) {
    CLEANUP(cleanup_free) char *id = strndup(name, name_size);
    struct job *job = find_job(jobs, jid, jid_size);
    struct job_minion key = {.id = id}, *minion;

    if (!job)
        job = add_job(jobs, jid, jid_size, now);
    if (!id || !job)
        return -ENOMEM;
    if (!job->fun)
        job->fun = copy_text("fun", data, size);
    minion = job->n_minions ? bsearch(&key, job->minions, job->n_minions, sizeof(key), compare_minions) : NULL;
    if (minion && minion->returned)
        return 0;
    if (!minion) {
        minion = add_minion(jobs, job, id);
        if (minion)
            id = NULL;
    }
    job->last = now;
    job->told = false;
    job->returned++;
    if (has_failed(data, size)) {
        job->failed++;
        if (minion)
            minion->failed = true;
    }
    if (minion)
        minion->returned = true;
    return 0;
}

int jobs_feed(struct jobs *jobs, const char *tag, size_t tag_size, const uint8_t *data, size_t size, msec now) {
    static const char begin[] = "salt/job/";
    const size_t n_begin = sizeof(begin) - 1;
    const char *jid, *slash, *end = tag + tag_size;

    if (tag_size <= n_begin || memcmp(tag, begin, n_begin))
        return 0;
    jid = tag + n_begin;
    slash = memchr(jid, '/', (size_t)(end - jid));
    if (!slash || slash == jid || slash - jid > 64 || memchr(jid, 0, (size_t)(slash - jid)))
        return 0;
    if (end - slash == 4 && !memcmp(slash, "/new", 4))
        return begin_job(jobs, jid, (size_t)(slash - jid), data, size, now);
    if (end - slash > 5 && end - slash <= 5 + NAME_MAX_ && !memcmp(slash, "/ret/", 5) && !memchr(slash, 0, (size_t)(end - slash)))
        return add_return(jobs, jid, (size_t)(slash - jid), slash + 5, (size_t)(end - slash) - 5, data, size, now);
    return 0;
}

bool job_is_complete(const struct job *job) {
    return job->known && job->returned >= job->expected;
}

const struct job *jobs_next(struct jobs *jobs, msec now) {
    jobs->leaving = job_free(jobs, jobs->leaving);
    for (size_t i = 0; i < jobs->n; i++) {
        struct job *job = jobs->items[i];

        if (job_is_complete(job) || now == MSEC_NEVER) {
            take_out(jobs, i);
            jobs->leaving = job;
            if (now == MSEC_NEVER && job->told) { /* nothing new to say of it */
                jobs->leaving = job_free(jobs, job);
                i--;
                continue;
            }
            return job;
        }
        if (!job->told && now - job->last >= JOB_PATIENCE) {
            job->told = true;
            return job;
        }
    }
    return NULL;
}

msec jobs_due(const struct jobs *jobs) {
    msec due = MSEC_NEVER;

    for (size_t i = 0; i < jobs->n; i++)
        if (!jobs->items[i]->told)
            due = MIN(due, jobs->items[i]->last + JOB_PATIENCE);
    return due;
}

uint64_t jobs_forgotten(const struct jobs *jobs) {
    return jobs->forgotten;
}
