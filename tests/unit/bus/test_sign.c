/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "sign.h"

#define EPOCH "0123456789abcdef"
#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define JID "20261125070000123456"
#define VERSION "\"epoch\": \"" EPOCH "\", \"generation\": 7, \"digest\": \"" DIGEST "\""

/* The data must outlive what points into it. */
static json_object *last;

static struct sign sign_of(const char *tag, const char *json) {
    struct sign sign;

    json_object_put(last);
    last = json_tokener_parse(json);
    if (json[0])
        assert_non_null(last);
    sign_read(&sign, "prod", tag, strlen(tag), last);
    return sign;
}

static int forget(void **state) {
    last = json_put(last);
    return 0;
}

static void wants(void **state) {
    static const char *const yes[] = {"salt/job/" JID "/new", "salt/job/" JID "/ret/db", "salt/minion/db/start",
                                      "salt/auth", "salt/key"};
    static const char *const no[] = {"",
                                     "salt/job/" JID "/ret/",
                                     "salt/job/" JID "/prog/db/1",
                                     "salt/job/" JID "/publish",
                                     "salt/job/",
                                     "salt/job",
                                     "salt/minion//start",
                                     "salt/minion/db/stop",
                                     "salt/authx",
                                     "salt/beacon/db/x",
                                     "nodewall/prod/addresses",
                                     "salt/run/" JID "/new"};

    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++)
        assert_true(sign_wants(yes[i], strlen(yes[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(no); i++)
        if (sign_wants(no[i], strlen(no[i])))
            fail_msg("wanted: %s", no[i]);
}

/* As states/_modules/nodewall returns it, and Salt passes it on. */
static void update_returns(void **state) {
    static const struct {
        const char *returned;
        enum sign_kind kind;
        enum sign_answer answer;
        bool has_version;
    } cases[] = {
        {"{\"result\": \"applied\", \"cluster\": \"prod\", " VERSION ", \"count\": 3}", SIGN_ANSWER, SIGN_HAS, true},
        {"{\"result\": \"have\", \"cluster\": \"prod\", " VERSION "}", SIGN_ANSWER, SIGN_HAS, true},
        {"{\"result\": \"fetched\", \"cluster\": \"prod\", " VERSION ", \"count\": 3, \"comment\": \"x\"}", SIGN_ANSWER,
         SIGN_HAS, true},
        {"{\"result\": \"failed\", \"cluster\": \"prod\", " VERSION ", \"comment\": \"no master\"}", SIGN_ANSWER,
         SIGN_HAS, true},
        {"{\"result\": \"failed\", \"cluster\": \"prod\", \"comment\": \"x\"}", SIGN_ANSWER, SIGN_FAILED, false},
        {"{\"result\": \"locked\", \"cluster\": \"prod\", \"comment\": \"x\"}", SIGN_ANSWER, SIGN_FAILED, false},
        {"{\"result\": \"not-mine\", \"cluster\": \"prod\"}", SIGN_ANSWER, SIGN_NOT_MINE, false},
        {"{\"result\": \"conflict\", \"cluster\": \"prod\", " VERSION ", \"comment\": \"x\"}", SIGN_ANSWER,
         SIGN_CONFLICT, true},
        {"\"'nodewall.update' is not available.\"", SIGN_ANSWER, SIGN_FAILED, false},
        {"null", SIGN_ANSWER, SIGN_FAILED, false},
        {"{\"result\": \"applied\", \"cluster\": \"test\", " VERSION "}", SIGN_ALIVE, SIGN_HAS, false},
        {"{\"result\": \"applied\", \"cluster\": \"prod\", \"epoch\": \"" EPOCH "\", \"generation\": \"7\"}",
         SIGN_ANSWER, SIGN_FAILED, false},
        {"{\"result\": \"applied\", \"cluster\": \"prod\", \"epoch\": \"" EPOCH "\", \"generation\": -1}", SIGN_ANSWER,
         SIGN_FAILED, false},
        {"{\"result\": \"applied\", \"cluster\": \"prod\", \"epoch\": \"short\", \"generation\": 7}", SIGN_ANSWER,
         SIGN_FAILED, false},
        {"{\"result\": [1], \"cluster\": \"prod\"}", SIGN_ANSWER, SIGN_FAILED, false},
    };
    char json[1024];

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct sign sign;

        snprintf(json, sizeof(json),
                 "{\"cmd\": \"_return\", \"id\": \"db\", \"jid\": \"" JID
                 "\", \"fun\": \"nodewall.update\", \"retcode\": 0, "
                 "\"fun_args\": [{\"cluster\": \"prod\", \"splay\": 0, \"__kwarg__\": true}], \"return\": %s}",
                 cases[i].returned);
        sign = sign_of("salt/job/" JID "/ret/db", json);
        if (sign.kind != cases[i].kind || sign.answer != cases[i].answer || sign.has_version != cases[i].has_version)
            fail_msg("%s: kind %d, answer %d", cases[i].returned, (int)sign.kind, (int)sign.answer);
        assert_string_equal(sign.minion, "db");
        if (sign.has_version) {
            assert_string_equal(sign.epoch, EPOCH);
            assert_string_equal(sign.digest, DIGEST);
            assert_int_equal(sign.generation, 7);
        }
    }
}

static void apply_and_others(void **state) {
#define RETURN(fun, args, returned)                                                                                    \
    sign_of("salt/job/" JID "/ret/db",                                                                                 \
            "{\"id\": \"db\", \"fun\": \"" fun "\", \"fun_args\": " args ", \"return\": " returned "}")
#define APPLIED "{\"result\": \"applied\", \"clusters\": {\"test\": {}, \"prod\": {" VERSION ", \"count\": 3}}}"
    struct sign sign = RETURN("nodewall.apply", "[]", APPLIED);

    assert_int_equal(sign.kind, SIGN_ANSWER);
    assert_int_equal(sign.answer, SIGN_HAS);
    assert_int_equal(sign.generation, 7);
    /* A dry run has changed nothing, however it was asked for. */
    assert_int_equal(RETURN("nodewall.apply", "[\"test=True\"]", APPLIED).kind, SIGN_ALIVE);
    assert_int_equal(RETURN("nodewall.apply", "[{\"test\": true, \"__kwarg__\": true}]", APPLIED).kind, SIGN_ALIVE);
    assert_int_equal(RETURN("nodewall.apply", "[\"test=False\"]", APPLIED).kind, SIGN_ANSWER);
    /* What is not mentioned was not said. */
    assert_int_equal(RETURN("nodewall.apply", "[]", "{\"result\": \"have\", \"clusters\": {}}").kind, SIGN_ALIVE);
    assert_int_equal(RETURN("nodewall.apply", "[]", "{\"result\": \"failed\", \"comment\": \"x\"}").kind, SIGN_ALIVE);
    sign = RETURN("nodewall.apply", "[]", "{\"result\": \"conflict\", \"clusters\": {\"prod\": {" VERSION "}}}");
    assert_int_equal(sign.answer, SIGN_CONFLICT);

    sign =
        RETURN("nodewall.status", "[]", "{\"clusters\": {\"prod\": {\"applied\": true, \"rv\": \"12\", " VERSION "}}}");
    assert_int_equal(sign.kind, SIGN_ANSWER);
    assert_string_equal(sign.rv, "12");
    assert_int_equal(
        RETURN("nodewall.status", "[]", "{\"clusters\": {\"prod\": {\"applied\": false, " VERSION "}}}").kind,
        SIGN_ALIVE);

    assert_int_equal(RETURN("nodewall.clean", "[]", "{\"result\": \"applied\"}").kind, SIGN_CLEANED);
    assert_int_equal(RETURN("nodewall.clean", "[\"test=true\"]", "{\"result\": \"applied\"}").kind, SIGN_ALIVE);
    assert_int_equal(
        RETURN("state.apply", "[]", "{\"nodewall_|-nodewall_|-nodewall_|-applied\": {\"result\": true}}").kind,
        SIGN_STATE);
    assert_int_equal(RETURN("state.highstate", "[]", "{\"file_|-x_|-y_|-managed\": {\"result\": true}}").kind,
                     SIGN_ALIVE);
    assert_int_equal(RETURN("state.apply", "[]", "[\"Rendering SLS failed\"]").kind, SIGN_ALIVE);
    assert_int_equal(RETURN("test.ping", "[]", "true").kind, SIGN_ALIVE);
}

/* One minion may not speak for another, as far as the event shows it. */
static void other_peoples_names(void **state) {
    assert_int_equal(sign_of("salt/job/" JID "/ret/db", "{\"id\": \"web\", \"fun\": \"test.ping\"}").kind, SIGN_NONE);
    assert_int_equal(sign_of("salt/job/" JID "/ret/db", "{\"fun\": \"test.ping\"}").kind, SIGN_NONE);
    assert_int_equal(sign_of("salt/job/" JID "/ret/db", "{\"id\": [\"db\"], \"fun\": \"test.ping\"}").kind, SIGN_NONE);
    assert_int_equal(sign_of("salt/job/" JID "/ret/db", "[]").kind, SIGN_NONE);
    assert_int_equal(sign_of("salt/job/" JID "/ret/db", "").kind, SIGN_NONE);
    assert_int_equal(sign_of("salt/minion/db/start", "{\"id\": \"web\"}").kind, SIGN_NONE);
}

static void life(void **state) {
    struct sign sign = sign_of("salt/minion/db/start",
                               "{\"id\": \"db\", \"cmd\": \"_minion_event\", \"data\": \"Minion db started\"}");

    assert_int_equal(sign.kind, SIGN_START);
    assert_string_equal(sign.minion, "db");
    assert_int_equal(sign_of("salt/auth", "{\"id\": \"db\", \"act\": \"accept\", \"result\": true}").kind, SIGN_ALIVE);
    assert_int_equal(sign_of("salt/auth", "{\"id\": \"db\", \"act\": \"reject\", \"result\": false}").kind, SIGN_NONE);
    assert_int_equal(sign_of("salt/key", "{\"id\": \"db\", \"act\": \"delete\", \"result\": true}").kind,
                     SIGN_KEY_DELETED);
    assert_int_equal(sign_of("salt/key", "{\"id\": \"db\", \"act\": \"accept\", \"result\": true}").kind, SIGN_NONE);
}

static void jobs(void **state) {
#define JOB(fun, arg)                                                                                                  \
    sign_of("salt/job/" JID "/new",                                                                                    \
            "{\"fun\": \"" fun "\", \"tgt_type\": \"list\", \"minions\": [\"db\"], \"arg\": " arg "}")
    struct sign sign = JOB("nodewall.update", "[{\"cluster\": \"prod\", \"splay\": 2.5, \"__kwarg__\": true}]");

    assert_int_equal(sign.kind, SIGN_JOB);
    assert_int_equal(sign.splay, 2500);
    assert_int_equal(json_object_array_length(sign.minions), 1);
    assert_int_equal(JOB("nodewall.update", "[\"prod\"]").kind, SIGN_JOB);
    assert_int_equal(JOB("nodewall.update", "[{\"cluster\": \"prod\", \"splay\": 1e300}]").splay, SIGN_SPLAY_MAX);
    assert_int_equal(JOB("nodewall.update", "[{\"cluster\": \"prod\", \"splay\": -5}]").splay, 0);
    assert_int_equal(JOB("nodewall.update", "[{\"cluster\": \"test\"}]").kind, SIGN_NONE);
    assert_int_equal(JOB("nodewall.update", "[]").kind, SIGN_NONE);
    assert_int_equal(JOB("nodewall.apply", "[\"prod\"]").kind, SIGN_NONE);
    assert_int_equal(
        sign_of("salt/job/1/new", "{\"fun\": \"nodewall.update\", \"arg\": [\"prod\"], \"minions\": \"db\"}").kind,
        SIGN_NONE);
}

/* What real masters and minions said, from a start to the end of a key: tests/vectors/signs.py tells the scene. */
static void as_salt_says_it(void **state) {
    static const struct {
        enum sign_kind kind;
        enum sign_answer answer;
        unsigned generation;
    } scene[] = {
        {SIGN_ALIVE, 0, 0},       {SIGN_START, 0, 0},
        {SIGN_JOB, 0, 0},         {SIGN_ANSWER, SIGN_FAILED, 0},   /* update, before the module is there */
        {SIGN_JOB, 0, 0},         {SIGN_ANSWER, SIGN_NOT_MINE, 0}, /* update */
        {SIGN_NONE, 0, 0},        {SIGN_ALIVE, 0, 0},              /* apply test=True */
        {SIGN_NONE, 0, 0},        {SIGN_STATE, 0, 0},              /* state.apply */
        {SIGN_JOB, 0, 0},         {SIGN_ANSWER, SIGN_HAS, 1},      /* update: have */
        {SIGN_JOB, 0, 0},         {SIGN_ANSWER, SIGN_HAS, 2},      /* update: fetched */
        {SIGN_NONE, 0, 0},        {SIGN_ANSWER, SIGN_HAS, 2},      /* apply */
        {SIGN_NONE, 0, 0},        {SIGN_ANSWER, SIGN_HAS, 2},      /* status */
        {SIGN_NONE, 0, 0},        {SIGN_CLEANED, 0, 0},            /* clean */
        {SIGN_KEY_DELETED, 0, 0},
    };
    CLEANUP(json_putp) json_object *vectors = NULL;
    char path[512];

    snprintf(path, sizeof(path), "%s/vectors/signs.json", getenv("NODEWALL_TESTS"));
    vectors = json_object_from_file(path);
    assert_true(json_object_array_length(vectors) >= 3);
    for (size_t i = 0; i < json_object_array_length(vectors); i++) {
        json_object *events = json_get(json_object_array_get_idx(vectors, i), "events");

        assert_int_equal(json_object_array_length(events), ARRAY_LENGTH(scene));
        for (size_t j = 0; j < ARRAY_LENGTH(scene); j++) {
            json_object *event = json_object_array_get_idx(events, j);
            const char *tag = json_object_get_string(json_get(event, "tag"));
            struct sign sign;

            assert_true(sign_wants(tag, strlen(tag)));
            sign_read(&sign, "prod", tag, strlen(tag), json_get(event, "data"));
            if (sign.kind != scene[j].kind || sign.answer != scene[j].answer || sign.generation != scene[j].generation)
                fail_msg("%s: kind %d, answer %d, generation %d", json_object_to_json_string(event), (int)sign.kind,
                         (int)sign.answer, (int)sign.generation);
            if (sign.kind == SIGN_JOB)
                assert_string_equal(json_object_get_string(json_object_array_get_idx(sign.minions, 0)), "db");
            else if (sign.kind != SIGN_NONE)
                assert_string_equal(sign.minion, "db");
        }
    }
}

#define CASE(name) cmocka_unit_test_teardown(name, forget)
RUN(CASE(wants), CASE(update_returns), CASE(apply_and_others), CASE(other_peoples_names), CASE(life), CASE(jobs),
    CASE(as_salt_says_it))
