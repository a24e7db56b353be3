/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "master.h"
#include "nodewall/bus.h"
#include "nodewall/json.h"

#include <sys/stat.h>

/* One of everything, and what was heard. */
struct bed {
    uv_loop_t loop;
    struct master master;
    struct bus *bus;
    char states[512]; /* "waiting probing connected " */
    char tags[4096];  /* of all messages but probes */
    unsigned messages, delivered;
    char delivered_id[OUTBOX_ID_DIGITS + 1];
    bool free_on_message, free_on_state, free_on_delivered;
    unsigned publish_on_message;
};

static void publish(struct bed *bed, enum outbox_kind kind, const char *key, const char *tag) {
    CLEANUP(json_putp) json_object *data = json_object_new_object();

    assert_int_equal(bus_publish(bed->bus, kind, key, tag, data, NULL, NULL), 0);
}

static void on_message(void *userdata, const struct bus_message *message) {
    struct bed *bed = userdata;
    size_t n = strlen(bed->tags);

    bed->messages++;
    if (message->tag_size != strlen("nodewall/probe") || memcmp(message->tag, "nodewall/probe", message->tag_size))
        snprintf(bed->tags + n, sizeof(bed->tags) - n, "%.*s ", (int)message->tag_size, message->tag);
    if (bed->publish_on_message) {
        bed->publish_on_message--;
        publish(bed, OUTBOX_EVENT, "k", "answer");
    }
    if (bed->free_on_message)
        bed->bus = bus_free(bed->bus);
}

static void on_state(void *userdata, enum bus_state state, const char *detail) {
    struct bed *bed = userdata;
    size_t n = strlen(bed->states);

    assert_true(state == BUS_CONNECTED ? !detail[0] : detail[0] != 0);
    snprintf(bed->states + n, sizeof(bed->states) - n, "%s ", bus_state_name(state));
    if (bed->free_on_state)
        bed->bus = bus_free(bed->bus);
}

static void on_delivered(void *userdata, const char *tag, const char *id) {
    struct bed *bed = userdata;

    bed->delivered++;
    snprintf(bed->delivered_id, sizeof(bed->delivered_id), "%s", id);
    if (bed->free_on_delivered)
        bed->bus = bus_free(bed->bus);
}

static const struct bus_handler handler = {
    .on_message = on_message, .on_state = on_state, .on_delivered = on_delivered};

static int set_up(void **state) {
    struct bed *bed = calloc(1, sizeof(*bed));

    uv_loop_init(&bed->loop);
    snprintf(bed->master.dir, sizeof(bed->master.dir), "/tmp/nwbus.XXXXXX");
    if (!mkdtemp(bed->master.dir))
        return -1;
    bed->master.takes = bed->master.gives = BUS_FRAMING_BARE;
    *state = bed;
    return 0;
}

static int tear_down(void **state) {
    struct bed *bed = *state;
    char path[128];

    bed->bus = bus_free(bed->bus);
    if (bed->master.loop)
        master_stop(&bed->master);
    uv_run(&bed->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bed->loop), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/master_event_%s.ipc", bed->master.dir, i ? "pull" : "pub");
        unlink(path);
    }
    rmdir(bed->master.dir);
    free(bed);
    return 0;
}

static void start_bus(struct bed *bed, struct bus_options options) {
    options.sock_dir = bed->master.dir;
    options.tcp = bed->master.tcp;
    options.pub_port = bed->master.ports[0];
    options.pull_port = bed->master.ports[1];
    assert_int_equal(bus_new(&bed->bus, &bed->loop, &options, &handler, bed), 0);
}

static void on_tick(uv_timer_t *timer) {
    *(bool *)timer->data = true;
}

/* Runs the loop for `ms`, or until *until has reached `enough`. */
static void run(struct bed *bed, msec ms, const unsigned *until, unsigned enough) {
    uv_timer_t timer;
    bool over = false;

    uv_timer_init(&bed->loop, &timer);
    timer.data = &over;
    uv_update_time(&bed->loop);
    uv_timer_start(&timer, on_tick, (uint64_t)ms, 0);
    while (!over && !(until && *until >= enough))
        uv_run(&bed->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&bed->loop, UV_RUN_NOWAIT);
    if (until && *until < enough)
        fail_msg("%u of %u within %lld ms; state %s, %s", *until, enough, (long long)ms,
                 bed->bus ? bus_state_name(bus_stats(bed->bus).state) : "freed", bed->bus ? bus_detail(bed->bus) : "");
}

static void run_until_state(struct bed *bed, enum bus_state state, msec ms) {
    msec end = clock_now() + ms;

    while (bus_stats(bed->bus).state != state && clock_now() < end)
        run(bed, 20, NULL, 0);
    if (bus_stats(bed->bus).state != state)
        fail_msg("%s after %lld ms: %s", bus_state_name(bus_stats(bed->bus).state), (long long)ms,
                 bus_detail(bed->bus));
}

static void there_and_back(struct bed *bed) {
    char id[OUTBOX_ID_DIGITS + 1];
    CLEANUP(json_putp) json_object *data = json_object_new_object();
    struct bus_stats stats;

    start_bus(bed, (struct bus_options){0});
    assert_int_equal(bus_publish(bed->bus, OUTBOX_EVENT, "k", "my/tag", data, id, NULL), 0);
    assert_true(json_object_is_type(json_get(data, "_stamp"), json_type_string));
    run(bed, 4000, &bed->delivered, 1);
    assert_string_equal(bed->delivered_id, id);
    assert_string_equal(bed->tags, "my/tag ");
    assert_string_equal(bus_detail(bed->bus), "");
    stats = bus_stats(bed->bus);
    assert_int_equal(stats.write, bed->master.takes);
    assert_int_equal(stats.read, bed->master.gives);
    assert_int_equal(stats.outbox.delivered, 1);
    assert_int_equal(stats.outbox.sent, 1);
    assert_int_equal(stats.reconnects, 0);
    assert_int_equal(bed->master.taken, 1);
}

/* The three pairs of framings that Salt's releases have. */
static void bare(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    there_and_back(bed);
    assert_string_equal(bed->states, "probing connected ");
    assert_int_equal(bed->master.wrong, 0);
}

static void len32_both_ways(void **state) {
    struct bed *bed = *state;

    bed->master.takes = bed->master.gives = BUS_FRAMING_LEN32;
    master_start(&bed->master, &bed->loop);
    there_and_back(bed);
    assert_int_equal(bed->master.wrong, 1);
    assert_int_equal(bed->master.pushers, 2); /* never again on the connection that is spoilt */
}

static void len32_to_write_only(void **state) {
    struct bed *bed = *state;

    bed->master.takes = BUS_FRAMING_LEN32;
    master_start(&bed->master, &bed->loop);
    there_and_back(bed);
    assert_int_equal(bed->master.wrong, 1);
}

/* A length that comes in tells how to write, without waiting for a probe to fail. */
static void len32_is_seen(void **state) {
    struct bed *bed = *state;
    msec begun;

    bed->master.takes = bed->master.gives = BUS_FRAMING_LEN32;
    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    run_until_state(bed, BUS_PROBING, 1000);
    begun = clock_now();
    master_publish(&bed->master, "salt/auth", "\x80", 1);
    run_until_state(bed, BUS_CONNECTED, 3000);
    assert_true(clock_now() - begun < 900);
}

static void framing_given(void **state) {
    struct bed *bed = *state;

    bed->master.takes = BUS_FRAMING_LEN32;
    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){.write = BUS_FRAMING_LEN32, .read = BUS_FRAMING_BARE});
    publish(bed, OUTBOX_EVENT, "k", "my/tag");
    run(bed, 900, &bed->delivered, 1);
    assert_int_equal(bed->master.wrong, 0);
    assert_int_equal(bed->master.pushers, 1);
}

static void wrong_framing_given(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){.write = BUS_FRAMING_LEN32});
    publish(bed, OUTBOX_EVENT, "k", "my/tag");
    run(bed, 2500, NULL, 0);
    assert_int_equal(bus_stats(bed->bus).state, BUS_PROBING);
    assert_non_null(strstr(bus_detail(bed->bus), "len32"));
    assert_int_equal(bed->delivered, 0);
    assert_int_equal(bus_stats(bed->bus).outbox.sent, 0); /* kept, not wasted */
}

static void over_tcp(void **state) {
    struct bed *bed = *state;

    bed->master.tcp = true;
    master_start(&bed->master, &bed->loop);
    there_and_back(bed);
}

static void no_master_yet(void **state) {
    struct bed *bed = *state;

    start_bus(bed, (struct bus_options){0});
    publish(bed, OUTBOX_EVENT, "k", "my/tag");
    run(bed, 500, NULL, 0);
    assert_int_equal(bus_stats(bed->bus).state, BUS_WAITING);
    assert_non_null(strstr(bus_detail(bed->bus), "master_event_p"));
    assert_string_equal(bed->states, "waiting "); /* said once, not at every attempt */
    master_start(&bed->master, &bed->loop);
    run(bed, 6000, &bed->delivered, 1);
}

/* What was on its way when the master stopped, and what was said while it was away, arrives; in order, of a key. */
static void master_restarts(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    run_until_state(bed, BUS_CONNECTED, 2000);
    bed->master.lose = 1;
    publish(bed, OUTBOX_EVENT, "k", "one");
    run(bed, 1000, &bed->master.taken, 1);
    master_stop(&bed->master);
    run_until_state(bed, BUS_WAITING, 1000);
    assert_non_null(strstr(bus_detail(bed->bus), "closed by the master"));
    publish(bed, OUTBOX_EVENT, "k", "two");
    publish(bed, OUTBOX_EVENT, "k", "three");
    run(bed, 200, NULL, 0);
    bed->master.takes = BUS_FRAMING_LEN32; /* it was upgraded meanwhile */
    master_start(&bed->master, &bed->loop);
    run(bed, 8000, &bed->delivered, 3);
    assert_string_equal(bed->tags, "one two three ");
    assert_int_equal(bus_stats(bed->bus).reconnects, 1);
    assert_int_equal(bus_stats(bed->bus).write, BUS_FRAMING_LEN32);
    assert_int_equal(bus_stats(bed->bus).outbox.resent, 1);
}

static void lost_event(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    run_until_state(bed, BUS_CONNECTED, 2000);
    bed->master.lose = 1;
    publish(bed, OUTBOX_ANNOUNCEMENT, "prod", "nodewall/prod/addresses");
    run(bed, 3500, &bed->delivered, 1);
    assert_int_equal(bed->master.taken, 2);
    assert_int_equal(bus_stats(bed->bus).reconnects, 0);
}

/* Connected, and nothing comes back any more: a publisher that hangs, or an upgrade that nobody saw. Begins anew. */
static void stuck(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    run_until_state(bed, BUS_CONNECTED, 2000);
    publish(bed, OUTBOX_EVENT, "k", "one");
    bed->master.lose = 4;
    run_until_state(bed, BUS_WAITING, 16000);
    assert_non_null(strstr(bus_detail(bed->bus), "come back"));
    assert_int_equal(bed->delivered, 0);
    run(bed, 2000, &bed->delivered, 1);
    assert_int_equal(bed->master.taken, 5);
    assert_int_equal(bus_stats(bed->bus).reconnects, 1);
}

static void echoes_that_are_none(void **state) {
    struct bed *bed = *state;
    static const char forged[] = "\x81\xa8"
                                 "event_id\xd9\x20"
                                 "00000000000000000000000000000000";
    static const char odd[] = "\x81\xa8"
                              "event_id\x05";

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    run_until_state(bed, BUS_CONNECTED, 2000);
    bed->master.lose = 1;
    publish(bed, OUTBOX_EVENT, "k", "my/tag");
    run(bed, 500, &bed->master.taken, 1);
    master_publish(&bed->master, "my/tag", forged, sizeof(forged) - 1);
    master_publish(&bed->master, "my/tag", odd, sizeof(odd) - 1);
    master_publish(&bed->master, "my/tag", "\xc1", 1);
    master_publish(&bed->master, "my/tag", "\x90", 1);
    master_publish(&bed->master, "nodewall/probe", forged, sizeof(forged) - 1);
    run(bed, 300, NULL, 0);
    assert_int_equal(bed->delivered, 0);
    bed->master.repeat = 2;
    run(bed, 3000, &bed->delivered, 1);
    run(bed, 100, NULL, 0);
    assert_int_equal(bed->delivered, 1); /* an echo counts once */
}

/* Goes on behind what is no event; begins anew where nothing can be made of the stream. */
static void garbage(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    run_until_state(bed, BUS_CONNECTED, 2000);
    master_publish_raw(&bed->master, "\x80\x05\xa1x", 4);
    publish(bed, OUTBOX_EVENT, "k", "one");
    run(bed, 1000, &bed->delivered, 1);
    assert_int_equal(bus_stats(bed->bus).malformed, 3);
    assert_int_equal(bus_stats(bed->bus).reconnects, 0);
    master_publish_raw(&bed->master, "\xc1", 1);
    run_until_state(bed, BUS_WAITING, 1000);
    assert_non_null(strstr(bus_detail(bed->bus), "no event stream"));
    run_until_state(bed, BUS_CONNECTED, 2000);
    publish(bed, OUTBOX_EVENT, "k", "two");
    run(bed, 1000, &bed->delivered, 2);
    assert_int_equal(bus_stats(bed->bus).malformed, 3);
    assert_int_equal(bus_stats(bed->bus).reconnects, 1);
}

static void listen_only(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){.listen_only = true});
    run_until_state(bed, BUS_CONNECTED, 1000);
    run(bed, 100, NULL, 0);
    master_publish(&bed->master, "a", "\x80", 1);
    master_publish(&bed->master, "b", "\x80", 1);
    run(bed, 1000, &bed->messages, 2);
    assert_string_equal(bed->tags, "a b ");
    assert_int_equal(bed->master.pushers, 0);
    master_stop(&bed->master);
    run_until_state(bed, BUS_WAITING, 1000);
    master_start(&bed->master, &bed->loop);
    run_until_state(bed, BUS_CONNECTED, 3000);
    assert_int_equal(bus_stats(bed->bus).reconnects, 1);
}

static void burst(void **state) {
    struct bed *bed = *state;
    char key[16];

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%d", i);
        publish(bed, OUTBOX_EVENT, key, "burst");
    }
    run(bed, 5000, &bed->delivered, 1000);
    assert_int_equal(bed->master.taken, 1000);
}

/* More than a socket holds, to a master that takes its time: bounded, and all of it arrives. */
static void large_events(void **state) {
    struct bed *bed = *state;
    CLEANUP(cleanup_free) char *text = malloc(900001);

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    memset(text, 'x', 900000);
    text[900000] = 0;
    for (int i = 0; i < 8; i++) {
        CLEANUP(json_putp) json_object *data = json_object_new_object();
        char key[8];

        snprintf(key, sizeof(key), "%d", i);
        json_object_object_add(data, "text", json_object_new_string(text));
        assert_int_equal(bus_publish(bed->bus, OUTBOX_EVENT, key, "large", data, NULL, NULL), 0);
    }
    run(bed, 8000, &bed->delivered, 8);
    assert_int_equal(bus_stats(bed->bus).outbox.sent, 8);
}

static void freed_by_a_callback(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    bed->free_on_message = true;
    start_bus(bed, (struct bus_options){.listen_only = true});
    run_until_state(bed, BUS_CONNECTED, 1000);
    run(bed, 50, NULL, 0);
    for (int i = 0; i < 3; i++)
        master_publish(&bed->master, "t", "\x80", 1);
    run(bed, 300, NULL, 0);
    assert_null(bed->bus);
    assert_int_equal(bed->messages, 1); /* no callback after bus_free */
    assert_int_equal(master_subscribers(&bed->master), 0);

    bed->free_on_message = false;
    bed->free_on_state = true;
    start_bus(bed, (struct bus_options){0});
    run(bed, 300, NULL, 0);
    assert_null(bed->bus);

    bed->free_on_state = false;
    bed->free_on_delivered = true;
    start_bus(bed, (struct bus_options){0});
    publish(bed, OUTBOX_EVENT, "k", "t");
    run(bed, 2000, &bed->delivered, 1);
    run(bed, 50, NULL, 0);
    assert_null(bed->bus);
    assert_int_equal(bed->delivered, 1);
}

static void publishing_in_a_callback(void **state) {
    struct bed *bed = *state;

    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    run_until_state(bed, BUS_CONNECTED, 2000);
    bed->publish_on_message = 5;
    publish(bed, OUTBOX_EVENT, "k", "question");
    run(bed, 2000, &bed->delivered, 6);
}

static void freed_at_once(void **state) {
    struct bed *bed = *state;

    start_bus(bed, (struct bus_options){0});
    bed->bus = bus_free(bed->bus);
    assert_null(bus_free(NULL));
    master_start(&bed->master, &bed->loop);
    start_bus(bed, (struct bus_options){0});
    uv_run(&bed->loop, UV_RUN_NOWAIT); /* connecting, or just connected */
    bed->bus = bus_free(bed->bus);
    bed->states[0] = 0;
    run(bed, 100, NULL, 0);
    assert_string_equal(bed->states, "");
}

static void path_too_long(void **state) {
    struct bed *bed = *state;
    char dir[200] = "/tmp/";
    struct bus_options options = {.sock_dir = dir};

    memset(dir + 5, 'x', 150);
    assert_int_equal(bus_new(&bed->bus, &bed->loop, &options, &handler, bed), 0);
    run(bed, 300, NULL, 0);
    assert_int_equal(bus_stats(bed->bus).state, BUS_WAITING);
    assert_non_null(strstr(bus_detail(bed->bus), "name too long"));
}

static void names(void **state) {
    enum bus_framing framing = BUS_FRAMING_LEN32;

    for (int i = BUS_FRAMING_AUTO; i <= BUS_FRAMING_LEN32; i++) {
        assert_int_equal(bus_framing_parse(&framing, bus_framing_name((enum bus_framing)i)), 0);
        assert_int_equal(framing, i);
    }
    assert_int_equal(bus_framing_parse(&framing, "LEN32"), -EINVAL);
    assert_int_equal(framing, BUS_FRAMING_LEN32);
    assert_string_equal(bus_state_name(BUS_PROBING), "probing");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
RUN(CASE(bare), CASE(len32_both_ways), CASE(len32_to_write_only), CASE(len32_is_seen), CASE(framing_given),
    CASE(wrong_framing_given), CASE(over_tcp), CASE(no_master_yet), CASE(master_restarts), CASE(lost_event),
    CASE(stuck), CASE(echoes_that_are_none), CASE(garbage), CASE(listen_only), CASE(burst), CASE(large_events),
    CASE(freed_by_a_callback), CASE(publishing_in_a_callback), CASE(freed_at_once), CASE(path_too_long),
    cmocka_unit_test(names))
