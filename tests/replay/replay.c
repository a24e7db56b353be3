/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay - drives the watch machine through stories, one folder each: in.jsonl is what the server and the network do,
 * expect.jsonl what the machine asks for and tells; script.h has the words. Time is virtual, in milliseconds, and
 * passes only where the story or the machine waits.
 *
 * Each story is told in parts of 1, of 7 and of 65536 bytes, for where the network cuts must change nothing, and with
 * five seeds, for what is expected must not hang on one chance; half of that in JSON, half in protobuf.
 * Usage: replay FOLDER... speaks TAP; replay --print FOLDER shows what happens, to be judged line by line before it
 * becomes an expect.jsonl.
 */
#include "nodewall/watch.h"
#include "script.h"

#include <string.h>

struct player {
    struct watch *watch;
    msec now;
    msec free_since;            /* when the last request ended */
    bool running, answered;
    size_t part;                /* bytes fed at once */
    bool protobuf;              /* wanted by the one who tells the story */
    bool json;                  /* wanted by the machine */
    bool framed;                /* the answer that runs is in protobuf */
    json_object *actual;        /* what came out, in order */
    json_object *nodes, *staged; /* the picture, and that of the list that is told: "name uid" -> node */
};

static json_object *tell(struct player *player, const char *key, const char *value) {
    json_object *item = json_object_new_object();

    json_object_object_add(item, key, json_object_new_string(value));
    json_object_array_add(player->actual, item);
    return item;
}

static void must(int r, const char *call) {
    if (r < 0)
        script_fail("%s: %s", call, strerror(-r));
}

/* ---- the picture, as inventory.c would draw it ---- */

static void draw(struct player *player, const struct watch_event *event) {
    char key[NODE_NAME_MAX + NODE_UID_MAX + 2] = "";

    if (event->node)
        snprintf(key, sizeof(key), "%s %s", event->node->name, event->node->uid);
    if (event->kind == WATCH_EVENT_LIST_START || event->kind == WATCH_EVENT_LIST_ABANDONED) {
        json_object_put(player->staged);
        player->staged = event->kind == WATCH_EVENT_LIST_START ? json_object_new_object() : NULL;
    } else if (event->kind == WATCH_EVENT_NODE) {
        if (event->listed != !!player->staged)
            script_fail("a node is told outside a list as listed, or the other way round");
        json_object_object_add(event->listed ? player->staged : player->nodes, key, script_node(event->node));
    } else if (event->kind == WATCH_EVENT_GONE) {
        json_object_object_del(player->nodes, key);
    } else if (event->kind == WATCH_EVENT_LIST_DONE) {
        json_object_put(player->nodes);
        player->nodes = player->staged;
        player->staged = NULL;
    }
}

static void tell_picture(struct player *player) {
    json_object *all = json_object_new_array(), *item = json_object_new_object();

    json_object_object_foreach(player->nodes, key, node) {
        (void)key;
        json_object_array_add(all, json_object_get(node));
    }
    json_object_object_add(item, "picture", all);
    json_object_array_add(player->actual, item);
}

static void take(struct player *player, const struct watch_event *event) {
    static const char *const names[] = {
        [WATCH_EVENT_LIST_START] = "list-start", [WATCH_EVENT_LIST_DONE] = "list-done",
        [WATCH_EVENT_LIST_ABANDONED] = "list-abandoned", [WATCH_EVENT_BOOKMARK] = "bookmark",
        [WATCH_EVENT_TROUBLE] = "trouble", [WATCH_EVENT_RESUMED] = "resumed", [WATCH_EVENT_NODE] = "node",
        [WATCH_EVENT_GONE] = "gone",
    };
    json_object *item = tell(player, "event", event->listed ? "listed" : names[event->kind]);

    draw(player, event);
    if (event->node)
        json_object_object_add(item, "node", script_node(event->node));
    if (event->kind == WATCH_EVENT_LIST_DONE || event->kind == WATCH_EVENT_BOOKMARK)
        json_object_object_add(item, "rv", json_object_new_string(event->rv));
    if (event->kind == WATCH_EVENT_TROUBLE) {
        json_object_object_add(item, "kind", json_object_new_string(watch_trouble_name(event->trouble)));
        json_object_object_add(item, "status", json_object_new_int((int)event->status));
        json_object_object_add(item, "text", json_object_new_string(event->text));
    }
}

static void drain(struct player *player) {
    struct watch_event event;

    while (watch_pop(player->watch, &event) > 0) {
        take(player, &event);
        watch_event_done(&event);
    }
}

/* ---- the driver ---- */

static void started(struct player *player, const struct watch_want *want) {
    static const char watch_path[] = "/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion=";
    json_object *item;
    unsigned seconds = 0;
    char rv[64] = "";
    int n = 0;

    if (player->running)
        script_fail("a second request while one runs");
    player->running = true;
    player->answered = false;
    player->json = want->json;
    if (want->is_list) {
        item = tell(player, "start", "list");
        json_object_object_add(item, "query", json_object_new_string(want->path + strlen("/api/v1/nodes?") -
                                                                     (want->path[13] == '?' ? 0 : 1)));
    } else {
        if (strncmp(want->path, watch_path, strlen(watch_path)) != 0 ||
            sscanf(want->path + strlen(watch_path), "%63[0-9]&timeoutSeconds=%u%n", rv, &seconds, &n) != 2 ||
            want->path[strlen(watch_path) + (size_t)n] || seconds < 300 || seconds > 599 ||
            want->deadline <= 1000 * (msec)seconds || want->idle != 180000)
            script_fail("not how a watch is asked for: %s", want->path);
        item = tell(player, "start", "watch");
        json_object_object_add(item, "rv", json_object_new_string(rv));
    }
    json_object_object_add(item, "pause", json_object_new_int64(player->now - player->free_since));
    if (want->fresh)
        json_object_object_add(item, "fresh", json_object_new_boolean(true));
}

/* Does what the machine wants, until it waits; returns till when. */
static msec settle(struct player *player) {
    for (;;) {
        struct watch_want want;

        drain(player);
        must(watch_next(player->watch, player->now, &want), "watch_next");
        drain(player);
        if (want.action == WATCH_WAIT)
            return want.due;
        if (want.action == WATCH_START) {
            started(player, &want);
            continue;
        }
        if (!player->running)
            script_fail("a request is cancelled and none runs");
        tell(player, "cancel", player->answered ? "answered" : "waiting");
        player->running = false;
        player->free_since = player->now;
    }
}

static void pass(struct player *player, msec duration) {
    msec until = player->now + duration;

    for (;;) {
        msec due = settle(player);

        if (due <= player->now)
            script_fail("the machine waits for what is past");
        if (due > until)
            break;
        player->now = due;
    }
    player->now = until;
    settle(player);
}

static void await_request(struct player *player) {
    msec due = settle(player);

    while (!player->running || player->answered) {
        if (due == MSEC_NEVER)
            script_fail("the story goes on, but no request comes any more");
        player->now = due;
        due = settle(player);
    }
}

static void feed(struct player *player, const struct bytes *bytes) {
    size_t part = bytes->n > 1000000 ? 65536 : player->part; /* byte by byte a large one would take minutes */

    for (size_t at = 0; at < bytes->n && player->running; at += part) {
        must(watch_body(player->watch, player->now, bytes->data + at, MIN(part, bytes->n - at)), "watch_body");
        settle(player);
    }
}

static void end(struct player *player, const char *how, const char *text) {
    enum watch_ending ending = strcmp(how, "complete") == 0 ? WATCH_COMPLETE
                               : player->answered            ? WATCH_CUT
                                                             : WATCH_NO_ANSWER;

    if (!player->running)
        return; /* the machine has ended it */
    player->running = false;
    player->free_since = player->now;
    must(watch_end(player->watch, player->now, ending, text), "watch_end");
    settle(player);
}

static void answer(struct player *player, json_object *answer) {
    json_object *status = json_get(answer, "status"), *type = json_get(answer, "type"), *how = json_get(answer, "end");
    json_object *retry = json_get(answer, "retry_after"), *after = json_get(answer, "after");
    CLEANUP(bytes_done) struct bytes bytes = {0};

    await_request(player);
    player->framed = player->protobuf && !player->json;
    bytes = script_body(answer, &player->framed);
    if (after)
        pass(player, json_object_get_int64(after));
    player->answered = true;
    must(watch_headers(player->watch, player->now, status ? (unsigned)json_object_get_int(status) : 200,
                       type             ? json_object_get_string(type)
                       : player->framed ? "application/vnd.kubernetes.protobuf;stream=watch"
                                        : "application/json",
                       retry ? 1000 * json_object_get_int64(retry) : -1), "watch_headers");
    settle(player);
    feed(player, &bytes);
    if (!how || strcmp(json_object_get_string(how), "open") != 0)
        end(player, how ? json_object_get_string(how) : "complete", "the driver's words");
}

static void tell_stats(struct player *player) {
    struct watch_stats stats = watch_stats(player->watch);
    json_object *item = tell(player, "stats", stats.watching ? "watching" : "not watching");

    json_object_object_add(item, "rv", json_object_new_string(stats.rv));
    json_object_object_add(item, "failures", json_object_new_int64((int64_t)stats.failures));
    json_object_object_add(item, "gone", json_object_new_int64((int64_t)stats.gone));
}

static void act(struct player *player, json_object *step) {
    json_object *argument;

    if ((argument = json_get(step, "answer"))) {
        answer(player, argument);
    } else if ((argument = json_get(step, "no_answer"))) {
        await_request(player);
        pass(player, json_object_get_int64(json_get(step, "after")));
        end(player, "no answer", json_object_get_string(argument));
    } else if ((argument = json_get(step, "lines"))) {
        CLEANUP(bytes_done) struct bytes bytes = script_lines(argument, player->framed);

        feed(player, &bytes);
    } else if ((argument = json_get(step, "end"))) {
        end(player, json_object_get_string(argument), "the driver's words");
    } else if ((argument = json_get(step, "wait"))) {
        pass(player, json_object_get_int64(argument));
    } else if (json_get(step, "relist")) {
        watch_relist(player->watch);
        settle(player);
    } else if (json_get(step, "picture")) {
        tell_picture(player);
    } else if (json_get(step, "stats")) {
        tell_stats(player);
    } else {
        script_fail("no step: %s", json_object_to_json_string(step));
    }
}

static json_object *play(json_object *in, size_t part, uint32_t seed, bool protobuf) {
    struct player player = {.now = 1000000, .free_since = 1000000, .part = part, .protobuf = protobuf, .actual = json_object_new_array(),
                            .nodes = json_object_new_object()};

    must(watch_new(&player.watch, &(struct watch_options){.seed = seed}), "watch_new");
    for (size_t i = 0; i < json_object_array_length(in); i++)
        act(&player, json_object_array_get_idx(in, i));
    watch_free(player.watch);
    json_object_put(player.nodes);
    json_object_put(player.staged);
    return player.actual;
}

/* ---- judging ---- */

/* A range [low, high] stands for a number in it. */
static bool fits(json_object *expected, json_object *actual) {
    if (json_object_is_type(actual, json_type_int) && json_object_is_type(expected, json_type_array))
        return json_object_get_int64(actual) >= json_object_get_int64(json_object_array_get_idx(expected, 0)) &&
               json_object_get_int64(actual) <= json_object_get_int64(json_object_array_get_idx(expected, 1));
    return json_object_equal(expected, actual);
}

/* The same keys, but that a trouble's words need not be foretold, and no pause is one of 0. */
static bool matches(json_object *expected, json_object *actual) {
    json_object_object_foreach(actual, key, value) {
        json_object *wanted = json_get(expected, key);

        if (wanted ? !fits(wanted, value)
                   : strcmp(key, "text") != 0 && !(strcmp(key, "pause") == 0 && json_object_get_int64(value) == 0))
            return false;
    }
    json_object_object_foreach(expected, wanted_key, wanted_value) {
        (void)wanted_value;
        if (!json_get(actual, wanted_key))
            return false;
    }
    return true;
}

static bool judge(json_object *expected, json_object *actual) {
    size_t n = MAX(json_object_array_length(expected), json_object_array_length(actual));

    for (size_t i = 0; i < n; i++) {
        json_object *wanted = i < json_object_array_length(expected) ? json_object_array_get_idx(expected, i) : NULL;
        json_object *got = i < json_object_array_length(actual) ? json_object_array_get_idx(actual, i) : NULL;

        if (wanted && got && matches(wanted, got))
            continue;
        printf("# line %zu (unrolled): expected %s\n# got %s\n", i + 1,
               wanted ? json_object_to_json_string(wanted) : "nothing",
               got ? json_object_to_json_string(got) : "nothing");
        return false;
    }
    return true;
}

static bool run(const char *directory, unsigned *number) {
    static const size_t parts[] = {65536, 7, 1};
    CLEANUP(json_putp) json_object *in = script_load(directory, "in.jsonl");
    CLEANUP(json_putp) json_object *expected = script_load(directory, "expect.jsonl");
    const char *slash = strrchr(directory, '/'), *name = slash ? slash + 1 : directory;
    bool good = true;

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        for (uint32_t seed = 0; seed < 5; seed++) {
            bool protobuf = (seed + i) % 2 == 1;
            CLEANUP(json_putp) json_object *actual = play(in, parts[i], seed, protobuf);

            if (judge(expected, actual))
                continue;
            printf("# in parts of %zu, seed %u, %s\n", parts[i], seed, protobuf ? "protobuf" : "JSON");
            good = false;
            i = ARRAY_LENGTH(parts) - 1;
            break;
        }
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++*number, name);
    return good;
}

int main(int argc, char **argv) {
    unsigned number = 0;
    bool good = true;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "--print") == 0) {
        CLEANUP(json_putp) json_object *in = script_load(argv[2], "in.jsonl");
        CLEANUP(json_putp) json_object *actual = play(in, 65536, 0, false);

        for (size_t i = 0; i < json_object_array_length(actual); i++)
            puts(json_object_to_json_string_ext(json_object_array_get_idx(actual, i), JSON_C_TO_STRING_SPACED));
        return 0;
    }
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++)
        good = run(argv[i], &number) && good;
    return argc < 2 || !good;
}
