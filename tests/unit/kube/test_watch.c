/* SPDX-License-Identifier: Apache-2.0 */
/* What single calls promise; whole stories are in tests/replay. */
#include "nodewall/watch.h"
#include "../unit.h"

#define NODE(name_, rv_)                                                                                               \
    "{\"metadata\":{\"name\":\"" name_ "\",\"uid\":\"u-" name_ "\",\"resourceVersion\":\"" rv_ "\"}}"
#define LIST(meta_, ...) "{\"kind\":\"NodeList\",\"metadata\":{" meta_ "},\"items\":[" __VA_ARGS__ "]}"
#define LINE(type_, name_, rv_) "{\"type\":\"" type_ "\",\"object\":" NODE(name_, rv_) "}\n"

struct bed {
    struct watch *watch;
    msec now;
    struct watch_want want;
    char told[4096];            /* events since the last look */
    char text[640];             /* of the last TROUBLE */
};

static void drain(struct bed *bed) {
    struct watch_event event;

    while (watch_pop(bed->watch, &event) > 0) {
        size_t n = strlen(bed->told);
        char *to = bed->told + n;
        size_t room = sizeof(bed->told) - n;

        switch (event.kind) {
        case WATCH_EVENT_LIST_START:
            snprintf(to, room, "start ");
            break;
        case WATCH_EVENT_NODE:
            snprintf(to, room, "%s%s ", event.listed ? "+" : "~", event.node->name);
            break;
        case WATCH_EVENT_GONE:
            snprintf(to, room, "-%s ", event.node->name);
            break;
        case WATCH_EVENT_LIST_DONE:
            snprintf(to, room, "done@%s ", event.rv);
            break;
        case WATCH_EVENT_LIST_ABANDONED:
            snprintf(to, room, "abandoned ");
            break;
        case WATCH_EVENT_BOOKMARK:
            snprintf(to, room, "mark@%s ", event.rv);
            break;
        case WATCH_EVENT_TROUBLE:
            snprintf(to, room, "trouble:%s:%u ", watch_trouble_name(event.trouble), event.status);
            snprintf(bed->text, sizeof(bed->text), "%s", event.text);
            break;
        case WATCH_EVENT_RESUMED:
            snprintf(to, room, "resumed ");
            break;
        }
        watch_event_done(&event);
    }
}

static enum watch_action ask(struct bed *bed) {
    assert_int_equal(watch_next(bed->watch, bed->now, &bed->want), 0);
    drain(bed);
    return bed->want.action;
}

/* The next request, whenever it comes; how long it took. */
static msec await_start(struct bed *bed) {
    msec from = bed->now;

    while (ask(bed) != WATCH_START)
        if (bed->want.action == WATCH_WAIT) {
            assert_true(bed->want.due != MSEC_NEVER && bed->want.due > bed->now);
            bed->now = bed->want.due;
        }
    return bed->now - from;
}

static void headers(struct bed *bed, unsigned status) {
    assert_int_equal(watch_headers(bed->watch, bed->now, status, "application/json", -1), 0);
    drain(bed);
}

static void body(struct bed *bed, const char *text) {
    assert_int_equal(watch_body(bed->watch, bed->now, text, strlen(text)), 0);
    drain(bed);
}

static void end(struct bed *bed, enum watch_ending ending) {
    assert_int_equal(watch_end(bed->watch, bed->now, ending, "the driver's words"), 0);
    drain(bed);
}

static void answer(struct bed *bed, unsigned status, const char *text) {
    headers(bed, status);
    body(bed, text);
    end(bed, WATCH_COMPLETE);
}

static void told(struct bed *bed, const char *expected) {
    assert_string_equal(bed->told, expected);
    bed->told[0] = '\0';
}

static int set_up(void **state) {
    const struct watch_options options = {.seed = 1};
    struct bed *bed = calloc(1, sizeof(*bed));

    *state = bed;
    bed->now = 1000000;
    return watch_new(&bed->watch, &options);
}

static int tear_down(void **state) {
    struct bed *bed = *state;

    watch_free(bed->watch);
    free(bed);
    return 0;
}

/* Listed node a at rv 10, and watching. */
static void watching(struct bed *bed) {
    await_start(bed);
    answer(bed, 200, LIST("\"resourceVersion\":\"10\"", NODE("a", "5")));
    told(bed, "start +a done@10 ");
    assert_int_equal(await_start(bed), 0);
    headers(bed, 200);
}

static void the_first_request_is_a_list_without_rv(void **state) {
    struct bed *bed = *state;

    assert_int_equal(ask(bed), WATCH_START);
    assert_string_equal(bed->want.path, "/api/v1/nodes?limit=500");
    assert_true(bed->want.is_list);
    assert_false(bed->want.fresh);
    assert_int_equal(ask(bed), WATCH_WAIT); /* taken as started */
    assert_true(bed->want.due == MSEC_NEVER);
}

static void then_a_watch_from_its_rv(void **state) {
    struct bed *bed = *state;
    unsigned seconds = 0;
    int n = 0;

    await_start(bed);
    answer(bed, 200, LIST("\"resourceVersion\":\"10\""));
    assert_int_equal(ask(bed), WATCH_START);
    sscanf(bed->want.path, "/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion=10&timeoutSeconds=%u%n",
           &seconds, &n);
    assert_int_equal(n, strlen(bed->want.path));
    assert_in_range(seconds, 300, 599);
    assert_false(bed->want.is_list);
    assert_int_equal(bed->want.deadline, 1000 * seconds + 30000);
    assert_int_equal(bed->want.idle, 180000);
}

static void selector_and_token_are_encoded(void **state) {
    const struct watch_options options = {.selector = "pool in (web,db),x!=\xc3\xa4", .page = 7};
    struct bed bed = {.now = 5};

    assert_int_equal(watch_new(&bed.watch, &options), 0);
    await_start(&bed);
    assert_string_equal(bed.want.path,
                        "/api/v1/nodes?limit=7&labelSelector=pool%20in%20%28web%2Cdb%29%2Cx%21%3D%C3%A4");
    answer(&bed, 200, LIST("\"resourceVersion\":\"10\",\"continue\":\"a+/=&b\""));
    await_start(&bed);
    assert_string_equal(bed.want.path, "/api/v1/nodes?limit=7&labelSelector=pool%20in%20%28web%2Cdb%29%2Cx%21%3D%C3%A4"
                                       "&continue=a%2B%2F%3D%26b");
    answer(&bed, 200, LIST("\"resourceVersion\":\"10\""));
    await_start(&bed);
    assert_non_null(strstr(bed.want.path, "&labelSelector=pool%20in%20"));
    watch_free(bed.watch);
}

static void selectors_of_fields_too(void **state) {
    static const struct {
        struct watch_options options;
        const char *path;
    } cases[] = {
        {{.field_selector = "metadata.name!=a"}, "/api/v1/nodes?limit=500&fieldSelector=metadata.name%21%3Da"},
        {{.selector = "a=b", .field_selector = "spec.unschedulable=false"},
         "/api/v1/nodes?limit=500&labelSelector=a%3Db&fieldSelector=spec.unschedulable%3Dfalse"},
        {{.selector = "", .field_selector = ""}, "/api/v1/nodes?limit=500"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bed bed = {.now = 5};

        assert_int_equal(watch_new(&bed.watch, &cases[i].options), 0);
        await_start(&bed);
        assert_string_equal(bed.want.path, cases[i].path);
        answer(&bed, 200, LIST("\"resourceVersion\":\"10\""));
        await_start(&bed);
        assert_string_equal(strstr(bed.want.path, "&timeoutSeconds=") + strlen("&timeoutSeconds=300"), cases[i].path + strlen("/api/v1/nodes?limit=500"));
        watch_free(bed.watch);
    }
}

/* Each page is asked for as soon as the last one is there: without a bound that is a request after the other for ever. */
static void pages_without_end(void **state) {
    struct bed *bed = *state;
    unsigned n = 0;

    while (await_start(bed) == 0 && n < 5000) {
        char text[200];

        snprintf(text, sizeof(text), LIST("\"resourceVersion\":\"10\",\"continue\":\"t%u\""), ++n);
        answer(bed, 200, text);
    }
    assert_in_range(n, 1000, 4000);
    told(bed, "start trouble:wrong:200 abandoned ");
}

static void events_move_the_rv(void **state) {
    struct bed *bed = *state;

    watching(bed);
    body(bed, LINE("ADDED", "b", "11") LINE("MODIFIED", "a", "12") LINE("DELETED", "b", "13"));
    body(bed, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Node\",\"metadata\":{\"resourceVersion\":\"20\"}}}\n");
    told(bed, "~b ~a -b mark@20 ");
    assert_string_equal(watch_stats(bed->watch).rv, "20");
    assert_true(watch_stats(bed->watch).watching);
    bed->now += 5000;
    end(bed, WATCH_COMPLETE);
    assert_int_equal(await_start(bed), 0); /* a normal end: at once, no list, nothing said */
    assert_non_null(strstr(bed->want.path, "resourceVersion=20&"));
    assert_false(bed->want.fresh);
    told(bed, "");
}

static void a_half_line_counts_for_nothing(void **state) {
    struct bed *bed = *state;

    watching(bed);
    body(bed, LINE("ADDED", "b", "11") "{\"type\":\"ADDED\",\"obj");
    told(bed, "~b ");
    end(bed, WATCH_CUT);
    assert_in_range(await_start(bed), 0, 999);
    assert_non_null(strstr(bed->want.path, "resourceVersion=11&"));
    assert_true(bed->want.fresh);
    told(bed, "");
}

static void relist_waits_for_nothing_and_cancels_the_watch(void **state) {
    struct bed *bed = *state;

    watching(bed);
    watch_relist(bed->watch);
    assert_int_equal(ask(bed), WATCH_CANCEL);
    assert_int_equal(ask(bed), WATCH_START);
    assert_true(bed->want.is_list);
    answer(bed, 200, LIST("\"resourceVersion\":\"9\"")); /* lower than before: an etcd was restored */
    told(bed, "start done@9 ");
    await_start(bed);
    assert_non_null(strstr(bed->want.path, "resourceVersion=9&"));
}

static void a_list_that_is_due_and_fails_does_not_end_the_watching(void **state) {
    struct bed *bed = *state;

    watching(bed);
    body(bed, LINE("ADDED", "b", "11"));
    watch_relist(bed->watch);
    await_start(bed);
    answer(bed, 403, "{\"kind\":\"Status\",\"code\":403,\"message\":\"no lists\\nfor you\"}");
    told(bed, "~b trouble:forbidden:403 ");
    assert_string_equal(bed->text, "the driver's words: no lists for you");
    await_start(bed);
    assert_non_null(strstr(bed->want.path, "resourceVersion=11&"));
    headers(bed, 200);
    body(bed, LINE("ADDED", "c", "12"));
    told(bed, "~c "); /* and no RESUMED: lists still fail */
    await_start(bed);
    assert_true(bed->want.is_list);
    answer(bed, 200, LIST("\"resourceVersion\":\"30\""));
    await_start(bed);
    headers(bed, 200);
    bed->now += 1000;
    ask(bed);
    told(bed, "start done@30 resumed ");
}

static void after_giving_up_nothing_counts_until_it_is_cancelled(void **state) {
    struct bed *bed = *state;

    watching(bed);
    body(bed, "{\"type\":\"PATCHED\",\"object\":{}}\n" LINE("ADDED", "b", "11"));
    body(bed, LINE("ADDED", "c", "12"));
    told(bed, "trouble:wrong:200 ");
    assert_false(watch_stats(bed->watch).watching);
    assert_int_equal(ask(bed), WATCH_CANCEL);
    assert_in_range(await_start(bed), 800, 1600);
    assert_true(bed->want.is_list);
    answer(bed, 200, LIST("\"resourceVersion\":\"10\""));
    await_start(bed);
    headers(bed, 200);
    body(bed, "no json\n");
    end(bed, WATCH_COMPLETE); /* it ended by itself before it was cancelled */
    assert_int_equal(ask(bed), WATCH_WAIT);
}

static void a_web_page_is_no_list(void **state) {
    struct bed *bed = *state;

    await_start(bed);
    assert_int_equal(watch_headers(bed->watch, bed->now, 200, "text/html; charset=utf-8", -1), 0);
    drain(bed);
    told(bed, "trouble:wrong:200 "); /* not even LIST_START */
    assert_int_equal(ask(bed), WATCH_CANCEL);
}

static void content_types(void **state) {
    static const struct {
        const char *type;
        bool good;
    } cases[] = {{"application/json", true},
                 {"Application/JSON; charset=utf-8", true},
                 {"application/json;stream=watch", true},
                 {NULL, true},
                 {"application/jsonp", false},
                 {"text/plain", false},
                 {"text/\xff\x1b[2J", false}, /* a header's bytes go to logs, terminals and Salt's bus */
                 {"app", false}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bed bed = {.now = 1};

        assert_int_equal(watch_new(&bed.watch, &(struct watch_options){.seed = 3}), 0);
        await_start(&bed);
        assert_int_equal(watch_headers(bed.watch, 1, 200, cases[i].type, -1), 0);
        drain(&bed);
        told(&bed, cases[i].good ? "start " : "trouble:wrong:200 ");
        assert_true(utf8_is(bed.text, strlen(bed.text)) && !strchr(bed.text, 0x1b));
        watch_free(bed.watch);
    }
}

static void unauthorized_is_asked_again_once_at_once(void **state) {
    struct bed *bed = *state;

    await_start(bed);
    answer(bed, 401, "{}");
    told(bed, "");
    assert_int_equal(await_start(bed), 0);
    answer(bed, 401, "Unauthorized");
    told(bed, "trouble:unauthorized:401 ");
    assert_in_range(await_start(bed), 800, 1600);
    answer(bed, 401, "");
    assert_in_range(await_start(bed), 1600, 3200);
    told(bed, ""); /* said once */
}

static void retry_after_is_a_minimum_with_a_bound(void **state) {
    struct bed *bed = *state;

    watching(bed);
    end(bed, WATCH_CUT);
    await_start(bed);
    assert_int_equal(watch_headers(bed->watch, bed->now, 429, "text/plain", 7000), 0);
    body(bed, "Too many requests, please try again later.\n");
    end(bed, WATCH_COMPLETE);
    told(bed, "trouble:busy:429 ");
    assert_int_equal(await_start(bed), 7000);
    assert_non_null(strstr(bed->want.path, "resourceVersion=10&"));
    assert_int_equal(watch_headers(bed->watch, bed->now, 503, NULL, 86400000), 0);
    end(bed, WATCH_COMPLETE);
    assert_int_equal(await_start(bed), 600000);
    answer(bed, 503, "{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":100}}");
    watch_relist(bed->watch); /* an operator is no reason to break into it */
    assert_int_equal(await_start(bed), 100000);
}

static void operator_cuts_the_backoff_short(void **state) {
    struct bed *bed = *state;

    await_start(bed);
    for (unsigned i = 0; i < 8; i++) {
        end(bed, WATCH_NO_ANSWER);
        await_start(bed);
    }
    end(bed, WATCH_NO_ANSWER);
    watch_relist(bed->watch);
    assert_int_equal(await_start(bed), 0);
    told(bed, "trouble:network:0 ");
    assert_string_equal(bed->text, "the driver's words");
}

static void a_refusal_without_end_is_bounded(void **state) {
    static char page[65536];
    struct bed *bed = *state;

    memset(page, 'x', sizeof(page) - 1);
    await_start(bed);
    headers(bed, 500);
    for (unsigned i = 0; i < 100; i++)
        body(bed, page);
    end(bed, WATCH_CUT);
    told(bed, "trouble:server:500 ");
}

static void stats_tell(void **state) {
    struct bed *bed = *state;
    struct watch_stats stats = watch_stats(bed->watch);

    assert_int_equal(stats.last_byte, -1);
    assert_int_equal(stats.last_list, -1);
    watching(bed);
    bed->now += 7;
    body(bed, LINE("ADDED", "b", "11"));
    stats = watch_stats(bed->watch);
    assert_int_equal(stats.lists, 1);
    assert_int_equal(stats.watches, 1);
    assert_int_equal(stats.events, 1);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(stats.last_event, bed->now);
    assert_int_equal(stats.last_list, bed->now - 7);
}

/* Freed at any moment, with events in it: the sanitizer counts. */
static void freed_in_the_middle(void **state) {
    for (unsigned where = 0; where < 4; where++) {
        struct bed bed = {.now = 1};

        assert_int_equal(watch_new(&bed.watch, &(struct watch_options){.selector = "a", .seed = 3}), 0);
        if (where > 0)
            await_start(&bed);
        if (where > 1)
            assert_int_equal(watch_headers(bed.watch, 1, 200, NULL, -1), 0);
        if (where > 2)
            assert_int_equal(watch_body(bed.watch, 1, "{\"items\":[" NODE("a", "1") "," NODE("b", "2"), 150), 0);
        watch_free(bed.watch);
    }
}

#define CASE(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)
RUN(CASE(the_first_request_is_a_list_without_rv), CASE(then_a_watch_from_its_rv), CASE(selector_and_token_are_encoded), CASE(selectors_of_fields_too),
    CASE(events_move_the_rv), CASE(a_half_line_counts_for_nothing),
    CASE(relist_waits_for_nothing_and_cancels_the_watch), CASE(a_list_that_is_due_and_fails_does_not_end_the_watching),
    CASE(after_giving_up_nothing_counts_until_it_is_cancelled), CASE(a_web_page_is_no_list), CASE(content_types), CASE(pages_without_end),
    CASE(unauthorized_is_asked_again_once_at_once), CASE(retry_after_is_a_minimum_with_a_bound),
    CASE(operator_cuts_the_backoff_short), CASE(a_refusal_without_end_is_bounded), CASE(stats_tell),
    CASE(freed_in_the_middle))
