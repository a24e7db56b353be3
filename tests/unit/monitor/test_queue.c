/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "nodewall/monitor.h"

/* Takes up to `most` bytes; when a gap is told, writes "<n>" in its place. */
static void take(struct queue *queue, size_t most, struct line *to) {
    while (most) {
        const char *data;
        uint64_t lost;
        size_t n = queue_peek(queue, &data, &lost);

        if (lost) {
            char mark[32];
            int size = snprintf(mark, sizeof(mark), "<%u>", (unsigned)lost);

            queue_push_front(queue, mark, (size_t)size, lost);
            continue;
        }
        n = MIN(n, most);
        if (n == 0)
            return;
        assert_int_equal(line_add(to, data, n), 0);
        queue_pass(queue, n);
        most -= n;
    }
}

static void assert_text(struct line *line, const char *expected) {
    assert_int_equal(line_add(line, "", 1), 0);
    assert_string_equal(line->data, expected);
    line->size = 0;
}

static void in_and_out(void **state) {
    CLEANUP(queue_freep) struct queue *queue = NULL;
    CLEANUP(line_done) struct line out = {0};

    assert_int_equal(queue_new(&queue, 100), 0);
    queue_push(queue, "one ", 4, 1);
    queue_push(queue, "two ", 4, 1);
    take(queue, 6, &out);
    queue_push(queue, "three ", 6, 1);
    take(queue, 1000, &out);
    assert_text(&out, "one two three ");
    assert_int_equal(queue_size(queue), 0);
    assert_int_equal(queue_dropped(queue), 0);
}

/* The limit is 16: a quarter goes at once. */
static void the_oldest_go_and_it_is_said(void **state) {
    CLEANUP(queue_freep) struct queue *queue = NULL;
    CLEANUP(line_done) struct line out = {0};

    assert_int_equal(queue_new(&queue, 16), 0);
    for (char c = 'a'; c <= 'e'; c++)
        queue_push(queue, (char[]){c, c, c, ' '}, 4, 1);
    assert_int_equal(queue_dropped(queue), 1);
    take(queue, 1000, &out);
    assert_text(&out, "<1>bbb ccc ddd eee ");
}

static void a_line_that_was_begun_is_ended(void **state) {
    CLEANUP(queue_freep) struct queue *queue = NULL;
    CLEANUP(line_done) struct line out = {0};

    assert_int_equal(queue_new(&queue, 16), 0);
    for (char c = 'a'; c <= 'd'; c++)
        queue_push(queue, (char[]){c, c, c, ' '}, 4, 1);
    take(queue, 1, &out);
    queue_push(queue, "eee ", 4, 1);
    queue_push(queue, "fff ", 4, 1);
    take(queue, 1000, &out);
    assert_text(&out, "aaa <2>ddd eee fff ");
    assert_int_equal(queue_dropped(queue), 2);
}

/* A gap that is itself dropped is told with the next one. */
static void gaps_add_up(void **state) {
    CLEANUP(queue_freep) struct queue *queue = NULL;
    CLEANUP(line_done) struct line out = {0};
    const char *data;
    uint64_t lost;

    assert_int_equal(queue_new(&queue, 16), 0);
    for (char c = 'a'; c <= 'f'; c++)
        queue_push(queue, (char[]){c, c, c, ' '}, 4, 1);
    assert_int_equal(queue_peek(queue, &data, &lost), 0);
    assert_int_equal(lost, 2);
    queue_push_front(queue, "<2>", 3, lost);
    for (char c = 'g'; c <= 'j'; c++)
        queue_push(queue, (char[]){c, c, c, ' '}, 4, 1);
    take(queue, 1000, &out);
    assert_text(&out, "<6>ggg hhh iii jjj ");
    assert_int_equal(queue_dropped(queue), 6);
}

static void a_line_above_the_limit_is_alone(void **state) {
    CLEANUP(queue_freep) struct queue *queue = NULL;
    CLEANUP(line_done) struct line out = {0};

    assert_int_equal(queue_new(&queue, 4), 0);
    queue_push(queue, "aa ", 3, 1);
    queue_push(queue, "longer than that ", 17, 1);
    queue_push(queue, "zz ", 3, 1);
    take(queue, 1000, &out);
    assert_text(&out, "<2>zz ");
    queue_push(queue, "longer than that ", 17, 1);
    take(queue, 1000, &out);
    assert_text(&out, "longer than that ");
}

/* Against a plain model: nothing is lost without being counted, nothing is torn, the order stays. */
static void a_long_life(void **state) {
    CLEANUP(queue_freep) struct queue *queue = NULL;
    CLEANUP(line_done) struct line out = {0};
    unsigned long pushed = 0, seen = 0, expected = 0;
    unsigned seed = 7;
    char *at, *end;

    assert_int_equal(queue_new(&queue, 4000), 0);
    for (unsigned round = 0; round < 20000; round++) {
        char text[64];

        seed = seed * 1103515245 + 12345;
        if ((seed >> 16) % 3) {
            int n = snprintf(text, sizeof(text), "%lu%.*s\n", pushed++, (int)((seed >> 20) % 40), "........................................");

            queue_push(queue, text, (size_t)n, 1);
            assert_true(queue_size(queue) <= 4000);
        } else {
            take(queue, (seed >> 18) % ((round / 4000) % 2 ? 30 : 200), &out);
        }
    }
    take(queue, SIZE_MAX, &out);
    assert_int_equal(line_add(&out, "", 1), 0);
    for (at = out.data; *at; at = end + 1) {
        end = strchr(at, *at == '<' ? '>' : '\n');
        assert_non_null(end);
        if (*at == '<') {
            expected += strtoul(at + 1, NULL, 10);
        } else {
            assert_int_equal(strtoul(at, NULL, 10), expected);
            expected++;
            seen++;
        }
    }
    assert_int_equal(expected, pushed);
    assert_int_equal(seen + queue_dropped(queue), pushed);
    assert_true(queue_dropped(queue) > 100 && seen > 100);
}

RUN(cmocka_unit_test(in_and_out), cmocka_unit_test(the_oldest_go_and_it_is_said), cmocka_unit_test(a_line_that_was_begun_is_ended),
    cmocka_unit_test(gaps_add_up), cmocka_unit_test(a_line_above_the_limit_is_alone), cmocka_unit_test(a_long_life))
