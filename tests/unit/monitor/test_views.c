/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/monitor.h"

/* Jobs: tag and msgpack of an event, from a copy on the heap. */
static void feed(struct jobs *jobs, const char *tag, const void *data, size_t size, msec now) {
    CLEANUP(cleanup_free) uint8_t *copy = malloc(size ? size : 1);

    if (size)
        memcpy(copy, data, size);
    assert_int_equal(jobs_feed(jobs, tag, strlen(tag), copy, size, now), 0);
}
#define FEED(jobs, tag, literal, now) feed(jobs, tag, literal, sizeof(literal) - 1, now)

#define NEW "\x83\xa3" "fun\xa9test.ping\xa3tgt\xa1*\xa7minions\x93\xa2" "b1\xa2" "a1\xa2" "c1"
#define GOOD "\x82\xa7success\xc3\xa7retcode\x00"
#define BAD "\x82\xa7success\xc3\xa7retcode\x01"

static void a_job_is_told_when_all_have_returned(void **state) {
    CLEANUP(jobs_freep) struct jobs *jobs = NULL;
    const struct job *job;

    assert_int_equal(jobs_new(&jobs), 0);
    FEED(jobs, "salt/job/1/new", NEW, 1000);
    FEED(jobs, "salt/job/1/ret/a1", GOOD, 1100);
    FEED(jobs, "salt/job/1/ret/a1", BAD, 1150); /* once is enough */
    FEED(jobs, "salt/job/1/ret/c1", BAD, 1200);
    assert_null(jobs_next(jobs, 1200));
    assert_int_equal(jobs_due(jobs), 1200 + JOB_PATIENCE);
    FEED(jobs, "salt/job/1/ret/b1", GOOD, 1300);
    job = jobs_next(jobs, 1300);
    assert_non_null(job);
    assert_true(job_is_complete(job));
    assert_string_equal(job->jid, "1");
    assert_string_equal(job->fun, "test.ping");
    assert_string_equal(job->target, "*");
    assert_int_equal(job->returned, 3);
    assert_int_equal(job->failed, 1);
    assert_int_equal(job->last - job->began, 300);
    assert_true(job->minions[2].failed && !strcmp(job->minions[2].id, "c1"));
    assert_null(jobs_next(jobs, 1300));
    assert_int_equal(jobs_due(jobs), MSEC_NEVER);
}

static void who_is_missing_is_told_once(void **state) {
    CLEANUP(jobs_freep) struct jobs *jobs = NULL;
    const struct job *job;

    assert_int_equal(jobs_new(&jobs), 0);
    FEED(jobs, "salt/job/1/new", NEW, 1000);
    FEED(jobs, "salt/job/1/ret/a1", GOOD, 2000);
    assert_null(jobs_next(jobs, 2000 + JOB_PATIENCE - 1));
    job = jobs_next(jobs, 2000 + JOB_PATIENCE);
    assert_true(job && !job_is_complete(job) && !job->minions[1].returned);
    assert_null(jobs_next(jobs, 900000));
    assert_null(jobs_next(jobs, MSEC_NEVER)); /* at the end there is nothing new to say of it */
    FEED(jobs, "salt/job/2/new", NEW, 900000);
    job = jobs_next(jobs, MSEC_NEVER);
    assert_true(job && !strcmp(job->jid, "2"));
    assert_null(jobs_next(jobs, MSEC_NEVER));
}

static void returns_nobody_waited_for(void **state) {
    CLEANUP(jobs_freep) struct jobs *jobs = NULL;
    const struct job *job;

    assert_int_equal(jobs_new(&jobs), 0);
    FEED(jobs, "salt/job/7/ret/x", BAD, 100); /* its beginning was before ours */
    job = jobs_next(jobs, MSEC_NEVER);
    assert_true(job && !job->known && job->returned == 1 && job->failed == 1);
    FEED(jobs, "salt/job/8/new", "\x81\xa7minions\x90", 100);
    job = jobs_next(jobs, 100);
    assert_true(job && job_is_complete(job) && job->expected == 0 && !job->fun);
}

/* Anybody's events: what they claim is not believed, and memory has an end. */
static void strange_jobs(void **state) {
    CLEANUP(jobs_freep) struct jobs *jobs = NULL;
    char tag[400];
    size_t n = 0;

    assert_int_equal(jobs_new(&jobs), 0);
    FEED(jobs, "salt/job/1/new", "\x81\xa7minions\xdd\xff\xff\xff\xff\xa1x", 1);
    FEED(jobs, "salt/job/2/new", "\x81\xa7minions\x93\x01\xa1x\xa1y", 1);
    FEED(jobs, "salt/job/3/new", "\xc1", 1);
    FEED(jobs, "salt/job/4/new", "", 1);
    FEED(jobs, "salt/job//new", NEW, 1);
    FEED(jobs, "salt/job/5", NEW, 1);
    FEED(jobs, "salt/job/5/ret/", GOOD, 1);
    FEED(jobs, "salt/jobs/5/new", NEW, 1);
    snprintf(tag, sizeof(tag), "salt/job/%0*d/new", 100, 0);
    FEED(jobs, tag, NEW, 1);
    snprintf(tag, sizeof(tag), "salt/job/1/ret/%0*d", 300, 0);
    FEED(jobs, tag, GOOD, 1);
    assert_int_equal(jobs_feed(jobs, "salt/job/\0/new", 14, (const uint8_t *)NEW, sizeof(NEW) - 1, 1), 0);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(tag, sizeof(tag), "salt/job/%u/new", 100 + i);
        FEED(jobs, tag, NEW, 1);
    }
    while (jobs_next(jobs, MSEC_NEVER))
        n++;
    assert_int_equal(n, 1024);
    assert_true(jobs_forgotten(jobs) >= 3000 - 1024);
}

static const struct rate *find(const struct rates *rates, const char *name) {
    for (size_t i = 0; i < rates->n; i++)
        if (rates->items[i].name_size == strlen(name) && !memcmp(rates->items[i].name, name, strlen(name)))
            return &rates->items[i];
    return NULL;
}

static void kinds(void **state) {
    CLEANUP(rates_freep) struct rates *rates = NULL;
    static const char *const tags[] = {"salt/job/2026/ret/a", "salt/job/2027/ret/b", "salt/job/2026/new", "salt/auth", "nodewall/prod/node/a/added", "x", "", "salt/job/", "salt/job/1/", "/"};

    assert_int_equal(rates_new(&rates), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(tags); i++)
        rates_feed(rates, tags[i], strlen(tags[i]), 10);
    rates_sort(rates);
    assert_int_equal(rates->total.events, ARRAY_LENGTH(tags));
    assert_int_equal(find(rates, "salt/job/*/ret")->events, 2);
    assert_ptr_equal(find(rates, "salt/job/*/ret"), &rates->items[0]);
    assert_int_equal(find(rates, "salt/job/*/ret")->bytes, 20);
    assert_non_null(find(rates, "salt/job/*/new"));
    assert_non_null(find(rates, "salt/auth"));
    assert_non_null(find(rates, "nodewall/prod"));
    assert_non_null(find(rates, "x"));
    rates_clear(rates);
    assert_int_equal(rates->n + rates->total.events, 0);
}

static void kinds_have_an_end(void **state) {
    CLEANUP(rates_freep) struct rates *rates = NULL;
    char tag[300];

    assert_int_equal(rates_new(&rates), 0);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(tag, sizeof(tag), "%04u%0*u", i, 200, i);
        rates_feed(rates, tag, strlen(tag), 1);
    }
    assert_int_equal(rates->n, RATES_MAX);
    assert_int_equal(rates->others.events, 1000 - RATES_MAX);
    assert_int_equal(rates->total.events, 1000);
}

static void records_come_back(void **state) {
    CLEANUP(line_done) struct line file = {0};
    const struct recorded events[] = {{1234567890123, "a/b", 3, (const uint8_t *)"\x80", 1}, {5, NULL, 0, NULL, 0}, {6, "", 0, (const uint8_t *)"\x01\x02", 2}};
    struct recorded back;
    size_t at = 0, used;

    for (size_t i = 0; i < ARRAY_LENGTH(events); i++)
        assert_int_equal(record_add(&file, &events[i]), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(events); i++) {
        assert_int_equal(record_read(&back, (uint8_t *)file.data + at, file.size - at, &used), 1);
        assert_int_equal(back.wall, events[i].wall);
        assert_int_equal(back.tag_size, events[i].tag_size);
        assert_int_equal(back.data_size, events[i].data_size);
        if (back.data_size)
            assert_memory_equal(back.data, events[i].data, back.data_size);
        at += used;
    }
    assert_int_equal(at, file.size);
    for (size_t cut = 0; cut < 20; cut++) {
        CLEANUP(cleanup_free) uint8_t *copy = malloc(cut ? cut : 1);

        memcpy(copy, file.data, cut);
        assert_int_equal(record_read(&back, copy, cut, &used), cut == 20);
    }
    memset(file.data + 8, 0xff, 8); /* lengths that nobody would write */
    assert_int_equal(record_read(&back, (uint8_t *)file.data, file.size, &used), -EBADMSG);
}

RUN(cmocka_unit_test(a_job_is_told_when_all_have_returned), cmocka_unit_test(who_is_missing_is_told_once), cmocka_unit_test(returns_nobody_waited_for),
    cmocka_unit_test(strange_jobs), cmocka_unit_test(kinds), cmocka_unit_test(kinds_have_an_end), cmocka_unit_test(records_come_back))
