/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any server, any network, in any order: the machine must keep what watch.h promises. Each byte is a step: its low
 * three bits what happens, the others how much; body bytes come from what follows.
 */
#include "nodewall/watch.h"
#include "fuzz.h"

struct bed {
    struct watch *watch;
    msec now;
    bool running, is_list, open, listed;
    char rv[RV_MAX + 1];        /* that the events add up to */
};

static void take(struct bed *bed, struct watch_event *event) {
    MUST(!!event->node == (event->kind == WATCH_EVENT_NODE || event->kind == WATCH_EVENT_GONE));
    switch (event->kind) {
    case WATCH_EVENT_LIST_START:
        MUST(!bed->open);
        bed->open = true;
        break;
    case WATCH_EVENT_LIST_DONE:
        bed->listed = true;
        snprintf(bed->rv, sizeof(bed->rv), "%s", event->rv);
        /* fall through */
    case WATCH_EVENT_LIST_ABANDONED:
        MUST(bed->open);
        bed->open = false;
        break;
    case WATCH_EVENT_NODE:
        MUST(event->listed == bed->open);
        if (event->listed)
            break;
        /* fall through */
    case WATCH_EVENT_GONE:
    case WATCH_EVENT_BOOKMARK:
        MUST(!bed->open && bed->listed && decimal_is(event->rv));
        snprintf(bed->rv, sizeof(bed->rv), "%s", event->rv);
        break;
    case WATCH_EVENT_TROUBLE:
        MUST(event->text[0] && memchr(event->text, '\0', sizeof(event->text)) && watch_trouble_name(event->trouble));
        break;
    case WATCH_EVENT_RESUMED:
        break;
    }
    watch_event_done(event);
}

static void settle(struct bed *bed) {
    for (unsigned turns = 0;; turns++) {
        struct watch_event event;
        struct watch_want want;
        char rv[128];

        MUST(turns < 8);
        while (watch_pop(bed->watch, &event) > 0)
            take(bed, &event);
        MUST(watch_next(bed->watch, bed->now, &want) == 0);
        while (watch_pop(bed->watch, &event) > 0)
            take(bed, &event);
        if (want.action == WATCH_WAIT) {
            MUST(want.due > bed->now && (bed->running || want.due != MSEC_NEVER));
            MUST(bed->running || want.due - bed->now <= 600000); /* never deaf for longer */
            return;
        }
        if (want.action == WATCH_CANCEL) {
            MUST(bed->running);
            bed->running = false;
            continue;
        }
        MUST(!bed->running && (want.is_list || (bed->listed && !bed->open)));
        MUST(strncmp(want.path, "/api/v1/nodes", 13) == 0 && want.idle > 0 && want.deadline > 0);
        snprintf(rv, sizeof(rv), "&resourceVersion=%s&", bed->rv);
        MUST(want.is_list ? !strstr(want.path, "resourceVersion=") : !!strstr(want.path, rv));
        bed->running = true;
        bed->is_list = want.is_list;
    }
}

static size_t step(struct bed *bed, const uint8_t *data, size_t size) {
    static const unsigned statuses[] = {200, 200, 200, 200, 410, 429, 503, 401, 403, 400, 500, 504, 404, 302, 502, 422};
    static const char *const types[] = {"application/json", "application/vnd.kubernetes.protobuf", "text/html"};
    uint8_t what = data[0] & 7, much = data[0] >> 3;
    size_t used = 1;

    switch (what) {
    case 0:
    case 1:
        MUST(watch_headers(bed->watch, bed->now, statuses[much & 15], types[much >> 4], what ? 1000 * much : -1) == 0);
        break;
    case 2: /* a whole line or object */
    case 3: /* a part */
        while (used < size && used < (what == 2 ? 4096u : 1u + much) && (what != 2 || data[used - 1] != '\n'))
            used++;
        if (bed->running)
            MUST(watch_body(bed->watch, bed->now, (const char *)data + 1, used - 1) == 0);
        break;
    case 4:
        if (!bed->running)
            break;
        bed->running = false;
        MUST(watch_end(bed->watch, bed->now, (enum watch_ending)(much % 3), much & 1 ? "a\nb" : NULL) == 0);
        break;
    case 5:
        watch_relist(bed->watch);
        break;
    default:
        bed->now += (msec)1 << (much & 31);
    }
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct watch_options options = {.selector = size & 1 ? "a=b" : NULL, .seed = (uint32_t)size};
    struct bed bed = {.now = 0};

    MUST(watch_new(&bed.watch, &options) == 0);
    settle(&bed);
    for (size_t at = 0; at < size;) {
        at += step(&bed, data + at, size - at);
        settle(&bed);
    }
    MUST(!strcmp(watch_stats(bed.watch).rv, bed.rv));
    watch_free(bed.watch);
    return 0;
}
