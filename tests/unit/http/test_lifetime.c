/* SPDX-License-Identifier: Apache-2.0 */
/* Owners that let go at any moment, also from within a callback. The sanitizers see what the asserts don't. */
#include "bed.h"

#include "../unit.h"

enum moment { AT_HEADERS, AT_DATA, AT_END };

struct owner {
    struct loop *loop;
    enum moment when;
    struct http_request *own, **victim;     /* whom it frees */
    unsigned n_calls;                       /* after that, none may come */
    bool freed, ended;
    struct http_request *next;              /* asked for from within a callback */
    unsigned n_next;
};

static void reach(struct owner *owner, enum moment moment) {
    assert_false(owner->freed);
    owner->n_calls++;
    if (owner->when != moment || !owner->victim)
        return;
    owner->freed = owner->victim == &owner->own;
    *owner->victim = http_request_free(*owner->victim);
}

static void on_headers(struct http_request *request, const struct http_response *response, void *userdata) {
    reach(userdata, AT_HEADERS);
}

static void on_data(struct http_request *request, const char *data, size_t size, void *userdata) {
    reach(userdata, AT_DATA);
}

static void on_end(struct http_request *request, const struct http_end *end, void *userdata) {
    struct owner *owner = userdata;

    owner->ended = true;
    reach(owner, AT_END);
}

static const struct http_callbacks callbacks = {.on_headers = on_headers, .on_data = on_data, .on_end = on_end};

static void get(struct loop *loop, struct http_request **ret, const char *path, void *userdata) {
    static const struct http_options options = {.idle = 5000};
    char url[100];

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/%s", bed_port("plain"), path);
    assert_int_equal(http_get(ret, loop->http, url, &options, &callbacks, userdata), 0);
}

static void test_free_own_in_callback(void **state) {
    for (enum moment moment = AT_HEADERS; moment <= AT_END; moment++) {
        struct owner owner = {.when = moment};
        struct loop loop;

        loop_open(&loop);
        owner.victim = &owner.own;
        get(&loop, &owner.own, "chunked", &owner);
        loop_until(&loop, &owner.freed);
        loop_turn_for(&loop, 30);
        assert_null(owner.own);
        assert_true(owner.ended == (moment == AT_END));
        loop_close(&loop);
    }
}

/* The other one is queued, running, or has ended. */
static void test_free_another_in_callback(void **state) {
    static const char *const paths[] = {"drip", "ok", "silent", "chunked"};

    for (enum moment moment = AT_HEADERS; moment <= AT_END; moment++)
        for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
            struct owner owner = {.when = moment}, other = {0};
            struct http_request *victim = NULL;
            struct loop loop;

            loop_open(&loop);
            get(&loop, &victim, paths[i], &other);
            if (i % 2)
                loop_turn_for(&loop, 20);
            owner.victim = &victim;
            get(&loop, &owner.own, "ok", &owner);
            loop_until(&loop, &owner.ended);
            assert_null(victim);
            other.freed = true; /* from now on a callback of it fails the test */
            loop_turn_for(&loop, 20);
            http_request_free(owner.own);
            loop_close(&loop);
        }
}

static void test_free_at_once(void **state) {
    struct owner owner = {.freed = true};
    struct http_request *request = NULL;
    struct loop loop;

    loop_open(&loop);
    get(&loop, &request, "ok", &owner);
    assert_null(http_request_free(request));
    get(&loop, &request, "drip", &owner);
    loop_turn_for(&loop, 0);
    http_request_free(request);
    assert_null(http_request_free(NULL));
    loop_turn_for(&loop, 50);
    assert_int_equal(owner.n_calls, 0);
    loop_close(&loop);
}

static void on_end_ask_again(struct http_request *request, const struct http_end *end, void *userdata) {
    struct owner *owner = userdata;

    owner->ended = true;
    owner->n_calls++;
    if (owner->own)
        owner->own = http_request_free(owner->own);
    if (owner->n_calls < 3)
        get(owner->loop, &owner->own, "ok", owner);
}

static void on_headers_nothing(struct http_request *request, const struct http_response *response, void *userdata) {
}

static void test_ask_in_callback(void **state) {
    struct http_callbacks again = {.on_end = on_end_ask_again, .on_headers = on_headers_nothing};
    struct owner owner = {0};
    struct loop loop;

    loop_open(&loop);
    owner.loop = &loop;
    assert_int_equal(http_fail(&owner.own, loop.http, HTTP_LOCAL, "no file", &again, &owner), 0);
    assert_int_equal(owner.n_calls, 0);
    loop_until(&loop, &owner.ended);
    owner.ended = false;
    owner.when = AT_END;
    loop_until(&loop, &owner.ended);    /* of the get that was made within the callback */
    http_request_free(owner.own);
    loop_close(&loop);
}

static void on_fail(struct http_request *request, const struct http_end *end, void *userdata) {
    static const struct http_callbacks again = {.on_end = on_fail};
    struct owner *owner = userdata;

    assert_int_equal(end->outcome, HTTP_LOCAL);
    assert_string_equal(end->text, "the token is gone");
    assert_false(end->connected);
    owner->n_next++;
    owner->own = http_request_free(owner->own);
    assert_int_equal(http_fail(&owner->own, owner->loop->http, HTTP_LOCAL, "the token is gone", &again, owner), 0);
}

/* Who asks again at every failure must not keep the loop from its timers and sockets. */
static void test_failing_for_ever_starves_nobody(void **state) {
    static const struct http_callbacks failing = {.on_end = on_fail};
    struct owner owner = {0}, other = {0};
    struct loop loop;

    loop_open(&loop);
    owner.loop = &loop;
    assert_int_equal(http_fail(&owner.own, loop.http, HTTP_LOCAL, "the token is gone", &failing, &owner), 0);
    get(&loop, &other.own, "ok", &other);
    loop_until(&loop, &other.ended);
    assert_true(owner.n_next > 1);
    http_request_free(owner.own);
    http_request_free(other.own);
    loop_close(&loop);
}

static void test_http_goes_first(void **state) {
    struct owner owners[3] = {0};
    struct loop loop;

    loop_open(&loop);
    get(&loop, &owners[0].own, "drip", &owners[0]);
    get(&loop, &owners[1].own, "ok", &owners[1]);
    loop_until(&loop, &owners[1].ended);
    get(&loop, &owners[2].own, "ok", &owners[2]);
    owners[0].freed = owners[2].freed = true;
    loop.http = http_free(loop.http);
    http_request_free(owners[0].own);
    loop_close(&loop);
    http_request_free(owners[1].own);
    http_request_free(owners[2].own);
}

/* Many at a time, of all kinds: each ends once. */
static void test_side_by_side(void **state) {
    static const char *const paths[] = {"ok", "cut", "chunked", "nothing", "large/300000", "cut-reset"};
    struct owner owners[48] = {0};
    struct loop loop;

    loop_open(&loop);
    for (size_t i = 0; i < ARRAY_LENGTH(owners); i++)
        get(&loop, &owners[i].own, paths[i % ARRAY_LENGTH(paths)], &owners[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(owners); i++)
        loop_until(&loop, &owners[i].ended);
    for (size_t i = 0; i < ARRAY_LENGTH(owners); i++)
        http_request_free(owners[i].own);
    loop_close(&loop);
}

RUN(cmocka_unit_test(test_free_own_in_callback), cmocka_unit_test(test_free_another_in_callback),
    cmocka_unit_test(test_free_at_once), cmocka_unit_test(test_ask_in_callback),
    cmocka_unit_test(test_failing_for_ever_starves_nobody), cmocka_unit_test(test_http_goes_first),
    cmocka_unit_test(test_side_by_side))
