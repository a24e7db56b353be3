/* SPDX-License-Identifier: Apache-2.0 */
/* The transport over a master without a network (remote.c): whatever it does, each event is taken in the end, or why not is said. */
#include "nodewall/bus.h"
#include "recorded.h"
#include "remote.h"

#include <openssl/rsa.h>

#define PATIENCE 20000

struct bed {
    uv_loop_t loop;
    uv_timer_t timer;
    struct bus *bus;
    char dir[64];
    struct minion_master masters[2];
    struct minion_options minion;
    struct bus_options options;
    unsigned delivered, told, waited, connected;
    char detail[1000], order[65536];
    unsigned free_at_state, free_at_delivered;      /* the n-th time; 0: never */
};

static EVP_PKEY *master, *other;
static uint8_t fingers[1][MINION_FINGER_SIZE];

static void end_bus(struct bed *bed) {
    bed->bus = bus_free(bed->bus);
}

static void on_state(void *userdata, enum bus_state state, const char *detail) {
    struct bed *bed = userdata;

    assert_non_null(bed->bus);
    bed->told++;
    bed->waited += state == BUS_WAITING;
    bed->connected += state == BUS_CONNECTED;
    snprintf(bed->detail, sizeof(bed->detail), "%s", detail);
    if (bed->free_at_state == bed->told)
        end_bus(bed);
}

static void on_delivered(void *userdata, const char *tag, const char *id) {
    struct bed *bed = userdata;
    size_t used = strlen(bed->order);

    assert_non_null(bed->bus);
    snprintf(bed->order + used, sizeof(bed->order) - used, "%s\n", tag);
    bed->delivered++;
    if (bed->free_at_delivered == bed->delivered)
        end_bus(bed);
}

/* Wakes the loop, which may have done all there was to do before it looked for events. */
static void on_glance(uv_timer_t *timer) {
}

static void start(struct bed *bed, bool pinned) {
    const struct bus_handler handler = {.on_state = on_state, .on_delivered = on_delivered};
    char path[128];
    FILE *file;

    snprintf(bed->dir, sizeof(bed->dir), "/tmp/nodewall-minion.XXXXXX");
    assert_non_null(mkdtemp(bed->dir));
    snprintf(path, sizeof(path), "%s/minion.pem", bed->dir);
    file = fopen(path, "w"); /* made beforehand: making one takes its time */
    assert_true(file && fputs(text_in(recorded, "key"), file) >= 0);
    fclose(file);
    assert_int_equal(chmod(path, 0400), 0);
    uv_loop_init(&bed->loop);
    uv_timer_init(&bed->loop, &bed->timer);
    bed->timer.data = bed;
    uv_unref((uv_handle_t *)&bed->timer);
    for (unsigned i = 0; i < 2; i++)
        bed->masters[i] = (struct minion_master){"127.0.0.1", (uint16_t)(i + 1)};
    bed->minion.masters = bed->masters;
    bed->minion.n_masters = bed->minion.n_masters ? bed->minion.n_masters : 1;
    bed->minion.id = "vector";
    bed->minion.pki_dir = bed->dir;
    bed->minion.fingers = (const uint8_t(*)[MINION_FINGER_SIZE])fingers;
    bed->minion.n_fingers = pinned;
    bed->minion.wire = &remote_wire;
    bed->options.minion = &bed->minion;
    assert_int_equal(bus_new(&bed->bus, &bed->loop, &bed->options, &handler, bed), 0);
}

static void finish(struct bed *bed) {
    char command[128];

    if (bed->bus)
        end_bus(bed);
    uv_close((uv_handle_t *)&bed->timer, NULL);
    uv_run(&bed->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bed->loop), 0);
    assert_int_equal(remote_open_wires(), 0);
    snprintf(command, sizeof(command), "%s/minion.pem", bed->dir);
    unlink(command);
    snprintf(command, sizeof(command), "%s/masters/127.0.0.1_1.pub", bed->dir);
    unlink(command);
    snprintf(command, sizeof(command), "%s/masters", bed->dir);
    rmdir(command);
    rmdir(bed->dir);
}

#define UNTIL(bed, condition)                                                                                          \
    do {                                                                                                               \
        msec until = clock_now() + PATIENCE;                                                                           \
                                                                                                                       \
        uv_timer_start(&(bed)->timer, on_glance, 5, 5);                                                                \
        while (!(condition) && clock_now() < until)                                                                    \
            uv_run(&(bed)->loop, UV_RUN_ONCE);                                                                         \
        uv_timer_stop(&(bed)->timer);                                                                                  \
        assert_true(condition);                                                                                        \
    } while (0)

static void publish(struct bed *bed, const char *tag, char id[OUTBOX_ID_DIGITS + 1]) {
    CLEANUP(json_putp) json_object *data = json_object_new_object();

    assert_int_equal(bus_publish(bed->bus, OUTBOX_EVENT, tag, tag, data, id, NULL), 0);
}

static struct bed *new_bed(void) {
    remote_setup(master, other);
    return calloc(1, sizeof(struct bed));
}

static void an_event(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();
    struct bus_stats stats;

    start(bed, true);
    publish(bed, "a", NULL);
    UNTIL(bed, bed->delivered == 1);
    assert_string_equal(remotes[0].taken, "a\n");
    assert_int_equal(bed->connected, 1);
    assert_int_equal(bed->waited, 0);
    stats = bus_stats(bed->bus);
    assert_true(stats.one_way && stats.state == BUS_CONNECTED);
    assert_string_equal(stats.minion.master, "127.0.0.1:1");
    assert_int_equal(stats.minion.sign_ins, 1);
    assert_int_equal(stats.minion.requests, 2); /* the first asks whether it works */
    finish(bed);
}

static void many_at_once_in_their_order(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();
    char expected[65536] = "", tag[16];
    size_t used = 0;

    start(bed, true);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(tag, sizeof(tag), "t/%u", i);
        publish(bed, tag, NULL);
        used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%s\n", tag);
    }
    UNTIL(bed, bed->delivered == 1000);
    assert_string_equal(remotes[0].taken, expected);
    assert_string_equal(bed->order, expected);
    assert_int_equal(remotes[0].biggest, 100);
    assert_int_equal(remotes[0].requests, 11);
    finish(bed);
}

static void pending_is_said_once(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    remotes[0].answer = REMOTE_PENDING;
    start(bed, true);
    publish(bed, "a", NULL);
    UNTIL(bed, remotes[0].sign_ins == 2);
    assert_int_equal(bed->waited, 1);
    assert_non_null(strstr(bed->detail, "salt-key -a vector"));
    assert_int_equal(remotes[0].requests, 0);
    remotes[0].answer = REMOTE_ACCEPTS;
    UNTIL(bed, bed->delivered == 1);
    assert_string_equal(bed->detail, "");
    finish(bed);
}

static void nothing_for_another_master(void **state) {
    static const struct {
        enum remote_answer answer;
        const char *said;
    } cases[] = {
        {REMOTE_ACCEPTS, "not the master that is pinned"}, {REMOTE_FORGES, "not signed"}, {REMOTE_REJECTS, "rejected"},
        {REMOTE_OTHER_AES, "not signed"},
        {REMOTE_FULL, "max_minions"}, {REMOTE_GARBAGE, "no salt-master"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(cleanup_free) struct bed *bed = new_bed();

        fingers[0][0] ^= i == 0;
        remotes[0].answer = cases[i].answer;
        start(bed, true);
        publish(bed, "a", NULL);
        UNTIL(bed, bed->waited == 1);
        assert_non_null(strstr(bed->detail, cases[i].said));
        assert_int_equal(remotes[0].requests, 0);
        fingers[0][0] ^= i == 0;
        finish(bed);
    }
}

static void first_use_pins(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    bed->minion.trust_first_use = true;
    start(bed, false);
    publish(bed, "a", NULL);
    UNTIL(bed, bed->delivered == 1);
    remotes[0].answer = REMOTE_NO_TOKEN;
    remotes[0].lose = 1;
    publish(bed, "b", NULL);
    UNTIL(bed, strstr(bed->detail, "not signed"));
    remotes[0].answer = REMOTE_ACCEPTS;
    UNTIL(bed, bed->delivered == 2);
    remotes[0].key = other; /* somebody else, who can do all that the first could */
    remotes[0].lose = 1;
    publish(bed, "c", NULL);
    UNTIL(bed, strstr(bed->detail, "not the master that is pinned"));
    assert_int_equal(bed->delivered, 2);
    finish(bed);
}

static void nobody_is_trusted_unasked(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    start(bed, false);
    UNTIL(bed, bed->waited == 1);
    assert_non_null(strstr(bed->detail, "master_finger"));
    assert_int_equal(remotes[0].opened, 0);
    finish(bed);
}

static void the_session_is_replaced(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    start(bed, true);
    publish(bed, "a", NULL);
    UNTIL(bed, bed->delivered == 1);
    remote_new_session(&remotes[0]);
    publish(bed, "b", NULL);
    UNTIL(bed, bed->delivered == 2);
    assert_string_equal(remotes[0].taken, "a\nb\n");
    assert_int_equal(remotes[0].sign_ins, 2);
    assert_int_equal(remotes[0].opened, 1); /* on the same connection */
    assert_int_equal(bed->waited, 0);
    finish(bed);
}

static void a_master_that_forgets_is_not_asked_for_ever(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    remotes[0].forgets = true;
    start(bed, true);
    publish(bed, "a", NULL);
    UNTIL(bed, bed->waited == 1);
    assert_non_null(strstr(bed->detail, "refuses what we send"));
    assert_int_equal(remotes[0].sign_ins, 1);
    assert_int_equal(bed->connected, 0);
    remotes[0].forgets = false;
    UNTIL(bed, bed->delivered == 1);
    finish(bed);
}

static void the_older_key_and_hash(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    remotes[0].without_session = remotes[0].only_sha1 = true;
    start(bed, true);
    publish(bed, "a", NULL);
    UNTIL(bed, bed->delivered == 1);
    assert_int_equal(remotes[0].sign_ins, 2);
    assert_int_equal(bed->waited, 0);
    finish(bed);
}

static void a_request_that_was_cut_off(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();
    char id[OUTBOX_ID_DIGITS + 1];

    remotes[0].lose = 2;
    start(bed, true);
    publish(bed, "a", id);
    UNTIL(bed, bed->delivered == 1);
    assert_string_equal(remotes[0].taken, "a\na\na\n"); /* the master had taken it each time */
    assert_string_equal(remotes[0].ids, id);            /* which whoever acts on it can tell */
    assert_int_equal(remotes[0].opened, 3);
    assert_true(bed->waited >= 1 && bed->connected == 3);
    finish(bed);
}

static void one_bad_event_keeps_no_other(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    remotes[0].fails_at = "bad";
    start(bed, true);
    publish(bed, "bad", NULL);
    publish(bed, "a", NULL);
    publish(bed, "b", NULL);
    UNTIL(bed, bed->delivered == 2);
    assert_string_equal(bed->order, "a\nb\n");
    finish(bed);
}

static void the_next_master(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    remotes[0].closed = true;
    bed->minion.n_masters = 2;
    start(bed, true);
    publish(bed, "a", NULL);
    UNTIL(bed, bed->delivered == 1);
    assert_string_equal(remotes[1].taken, "a\n");
    assert_int_equal(bed->waited, 0);
    remotes[0].closed = false;
    remotes[1].closed = true;
    remotes[1].lose = 1;
    publish(bed, "b", NULL);
    UNTIL(bed, bed->delivered == 2);
    assert_string_equal(remotes[0].taken, "b\n");
    assert_string_equal(bus_stats(bed->bus).minion.master, "127.0.0.1:1");
    finish(bed);
}

/* Of several, what a person has to do something about is told, and not the last one's silence. */
static void the_worst_is_told(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    remotes[0].answer = REMOTE_PENDING;
    remotes[1].closed = true;
    bed->minion.n_masters = 2;
    start(bed, true);
    UNTIL(bed, remotes[0].sign_ins == 2 && remotes[1].opened == 2);
    assert_int_equal(bed->waited, 1);
    assert_non_null(strstr(bed->detail, "127.0.0.1:1: the key of 'vector' is not accepted"));
    finish(bed);
}

static void silence_ends(void **state) {
    CLEANUP(cleanup_free) struct bed *bed = new_bed();

    remotes[0].answer = REMOTE_SILENT;
    start(bed, true);
    UNTIL(bed, bed->waited == 1);
    assert_non_null(strstr(bed->detail, "no answer within 5 s"));
    remotes[0].answer = REMOTE_ACCEPTS;
    publish(bed, "a", NULL);
    UNTIL(bed, bed->delivered == 1);
    assert_int_equal(remotes[0].opened, 2);
    finish(bed);
}

static void freed_at_any_time(void **state) {
    for (unsigned turns = 0; turns < 24; turns++) { /* of the loop: look-up, connection, sign-in, request */
        CLEANUP(cleanup_free) struct bed *bed = new_bed();

        start(bed, true);
        publish(bed, "a", NULL);
        for (unsigned i = 0; i < turns && !bed->delivered; i++)
            uv_run(&bed->loop, UV_RUN_NOWAIT);
        finish(bed);
    }
    for (unsigned at = 1; at <= 4; at++) { /* from within what is called */
        CLEANUP(cleanup_free) struct bed *bed = new_bed();

        bed->free_at_state = at;
        remotes[0].lose = 1;
        start(bed, true);
        publish(bed, "a", NULL);
        UNTIL(bed, !bed->bus || bed->delivered);
        finish(bed);
    }
    for (unsigned at = 1; at <= 3; at++) {
        CLEANUP(cleanup_free) struct bed *bed = new_bed();

        bed->free_at_delivered = at;
        start(bed, true);
        publish(bed, "a", NULL);
        publish(bed, "b", NULL);
        publish(bed, "c", NULL);
        UNTIL(bed, !bed->bus);
        assert_int_equal(bed->delivered, at);
        finish(bed);
    }
}

static void no_monitor(void **state) {
    const struct minion_options minion = {.n_masters = 1};
    const struct bus_options options = {.listen_only = true, .minion = &minion};
    const struct bus_handler handler = {0};
    struct bus *bus = NULL;
    uv_loop_t loop;

    uv_loop_init(&loop);
    assert_int_equal(bus_new(&bus, &loop, &options, &handler, NULL), -EINVAL);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static int setup(void **state) {
    master = EVP_RSA_gen(2048);
    other = EVP_RSA_gen(2048);
    return recorded_load(state) || key_finger(fingers[0], master, KEY_FORM_BODY);
}

static int teardown(void **state) {
    remote_setup(NULL, NULL);
    EVP_PKEY_free(master);
    EVP_PKEY_free(other);
    return recorded_unload(state);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_event),
        cmocka_unit_test(many_at_once_in_their_order),
        cmocka_unit_test(pending_is_said_once),
        cmocka_unit_test(nothing_for_another_master),
        cmocka_unit_test(first_use_pins),
        cmocka_unit_test(nobody_is_trusted_unasked),
        cmocka_unit_test(the_session_is_replaced),
        cmocka_unit_test(a_master_that_forgets_is_not_asked_for_ever),
        cmocka_unit_test(the_older_key_and_hash),
        cmocka_unit_test(a_request_that_was_cut_off),
        cmocka_unit_test(one_bad_event_keeps_no_other),
        cmocka_unit_test(the_next_master),
        cmocka_unit_test(the_worst_is_told),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(freed_at_any_time),
        cmocka_unit_test(no_monitor),
    };

    return cmocka_run_group_tests(cases, setup, teardown);
}
