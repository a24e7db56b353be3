/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch trouble - what follows a request that failed: the same again or a list, after which pause, and what a person is
 * told.
 *
 *   410 in any form                      list                    first in two minutes within a second, then backoff
 *   refused, cut, 502                    same rv                 first within a second, then backoff; new connection
 *   408, 429, 503, 504                   same rv                 backoff, and never before Retry-After
 *   504, resourceVersion too large       list                    the same
 *   401                                  same                    at once with new credentials, then backoff
 *   403                                  same                    backoff
 *   500, ERROR without a code            list                    backoff: also what a server says to an rv that is none
 *   400, 404, 422, any other, no JSON    list                    backoff
 *
 * Keeps: the backoff grows until a watch has been well for two minutes; that a failure took long is no calm, nor is a
 * list that works while watches do not. Trouble is told once and taken back by a watch that works, so that a server
 * which does half its work does not fill the log.
 * Does not: touch rv. Owns: nothing.
 */
#include "watch_machine.h"

#include <string.h>

#define RETRY_MOST (600 * SECOND)   /* of Retry-After: a mistyped day must not blind us for a day */
#define PAGE_TRIES 3                /* then the list begins again */
#define PAGE_WAIT (5 * SECOND)      /* so long may a list that is only due keep us from watching */

const char *watch_trouble_name(enum watch_trouble trouble) {
    static const char *const names[] = {
        [WATCH_TROUBLE_NETWORK] = "network", [WATCH_TROUBLE_UNAUTHORIZED] = "unauthorized",
        [WATCH_TROUBLE_FORBIDDEN] = "forbidden", [WATCH_TROUBLE_BUSY] = "busy",
        [WATCH_TROUBLE_SERVER] = "server", [WATCH_TROUBLE_WRONG] = "wrong",
    };

    return names[trouble];
}

static int tell(struct watch *watch, const struct failure *failure) {
    struct watch_event *event;

    if (watch->troubled && watch->trouble == failure->trouble)
        return 0;
    event = watch_emit(watch, WATCH_EVENT_TROUBLE);
    if (!event)
        return -ENOMEM;
    watch->troubled = true;
    watch->trouble = event->trouble = failure->trouble;
    event->status = failure->status;
    snprintf(event->text, sizeof(event->text), "%s", failure->text && failure->text[0] ? failure->text : "no answer");
    text_clean(event->text); /* a header's bytes, or a letter that the end has cut */
    return 0;
}

int watch_confirm(struct watch *watch, msec now) {
    watch->request.confirmed = true;
    watch->short_closes = 0;
    watch->asked_again = false;
    if (watch->well_since < 0)
        watch->well_since = now;
    if (!watch->troubled || watch->list_failing)
        return 0;
    watch->troubled = false;
    return watch_emit(watch, WATCH_EVENT_RESUMED) ? 0 : -ENOMEM;
}

/* Whether all was well before this failure, so that it is the first of its kind. */
static bool is_first(struct watch *watch, msec now) {
    watch->backoff.last = watch->well_since >= 0 ? watch->well_since : now;
    watch->well_since = -1;
    if (watch->backoff.delay > 0 && now - watch->backoff.last < watch->backoff.calm)
        return false;
    watch->backoff.delay = 0;
    watch->cuts = 0;
    return true;
}

/* What is left of a list whose page failed. */
static int after_list(struct watch *watch, msec now, const struct failure *failure) {
    struct pages *pages = &watch->pages;
    int r;

    /* The token names a moment; what this page told already may be told again. */
    if (failure->keeps_page && pages->n > 0 && ++pages->tries <= PAGE_TRIES &&
        (watch->doubt || watch->due - now <= PAGE_WAIT))
        return 0;
    r = list_abandon(watch);
    if (r < 0 || (failure->restart && ++pages->restarts <= 2))
        return r;
    if (!watch->doubt) {
        watch->want_list = false;
        watch->list_failing = watch->troubled; /* until a list is done, a watch that works is not all that is wanted */
        watch->relist_due = now + watch->relist / 10 + (msec)(watch_random(watch) % (uint64_t)(watch->relist / 10 + 1));
    }
    return 0;
}

int watch_fail(struct watch *watch, msec now, const struct failure *failure) {
    msec asked = MIN(failure->retry_after, RETRY_MOST), pause, delay;
    bool first = is_first(watch, now);
    int r = 0;

    watch->request.dead = true;
    watch->fresh = true;
    watch->stats.failures++;
    delay = watch->backoff.delay;
    pause = backoff_next(&watch->backoff, now, watch_random(watch));
    if (failure->at_once || (first && failure->quick)) {
        /* All clients of a server that starts again come back at once: not in the same moment. */
        pause = (msec)(watch_random(watch) % SECOND);
        watch->backoff.delay = MAX(delay, watch->backoff.first);
    }
    watch->floor = asked > 0 ? now + asked : now;
    watch->due = now + MAX(pause, asked);
    if (!failure->quiet && (!failure->times || (*failure->times)++ > 0))
        r = tell(watch, failure);
    if (r < 0)
        return r;
    if (watch->request.is_list)
        return after_list(watch, now, failure);
    if (failure->doubt)
        watch->doubt = watch->want_list = true;
    return 0;
}

int watch_fail_wrong(struct watch *watch, msec now, const char *text) {
    if (watch->request.decoder == &decode_protobuf)
        watch->json = true; /* which says more about what is wrong, and which proxies let through */
    return watch_fail(watch, now, &(struct failure){.trouble = WATCH_TROUBLE_WRONG, .status = watch->request.status,
                                                    .retry_after = -1, .doubt = true, .text = text});
}

int watch_fail_cut(struct watch *watch, msec now, const char *text) {
    const struct failure failure = {.trouble = WATCH_TROUBLE_NETWORK, .retry_after = -1, .keeps_page = true,
                                    .quick = true, .times = &watch->cuts, .text = text}; /* connections end */

    return watch_fail(watch, now, &failure);
}

/* A 410 is an answer, and what it asks for is a list: an outage before it, and the backoff that this left, are no reason
 * to wait. One soon after another is: then lists do not help. */
int watch_fail_gone(struct watch *watch, msec now, unsigned status, const char *text) {
    bool again = watch->gone_at >= 0 && now - watch->gone_at < watch->backoff.calm;
    const struct failure failure = {.trouble = WATCH_TROUBLE_SERVER, .status = status, .retry_after = -1, .doubt = true,
                                    .restart = true, .at_once = !again, .quiet = !again, .text = text};

    watch->gone_at = now;
    watch->stats.gone++;
    return watch_fail(watch, now, &failure);
}

static bool is_gone(unsigned status, const struct kube_status *said) {
    if (status == 0 && said)
        return strcmp(said->reason, "Expired") == 0 || strcmp(said->reason, "Gone") == 0;
    return status == 410;
}

static struct failure judge(const struct watch *watch, unsigned status, bool too_large) {
    struct failure failure = {.trouble = WATCH_TROUBLE_WRONG, .status = status, .doubt = true};

    switch (status) {
    case 401:
        failure.trouble = WATCH_TROUBLE_UNAUTHORIZED;
        failure.doubt = false;
        break;
    case 403:
        failure.trouble = WATCH_TROUBLE_FORBIDDEN;
        failure.doubt = false;
        break;
    case 408:
    case 429:
    case 503:
    case 504:
        failure.trouble = WATCH_TROUBLE_BUSY;
        failure.doubt = too_large; /* a list names no rv, so it cannot be too large again */
        failure.keeps_page = true;
        break;
    case 0:
    case 500:
        failure.trouble = WATCH_TROUBLE_SERVER;
        failure.keeps_page = true;
        break;
    default:
        if (status > 500) {
            failure.trouble = WATCH_TROUBLE_SERVER;
            failure.doubt = false;
            failure.keeps_page = failure.quick = true;
        }
        failure.restart = status == 400 && watch->request.is_list && watch->pages.n > 0; /* a token it does not know */
    }
    return failure;
}

int watch_fail_refused(struct watch *watch, msec now, unsigned status, const struct kube_status *said,
                       const char *text) {
    char sentence[sizeof(((struct watch_event *)0)->text)], number[48] = "";
    struct failure failure;

    if (status == 401 && !watch->asked_again) {
        watch->asked_again = true;
        watch->request.dead = watch->fresh = true;
        watch->stats.failures++;
        watch->due = now;
        return 0;
    }
    if (!text || !text[0]) {
        if (status)
            snprintf(number, sizeof(number), "the API server answers %u", status);
        else
            snprintf(number, sizeof(number), "the API server ends the watch");
        text = number;
    }
    if (said && said->message[0])
        snprintf(sentence, sizeof(sentence), "%s: %s", text, said->message);
    else
        snprintf(sentence, sizeof(sentence), "%s", text);
    if (is_gone(status, said))
        return watch_fail_gone(watch, now, status, sentence);
    if (status == 406)
        watch->json = true;
    failure = judge(watch, status, said && said->too_large);
    failure.retry_after = MAX(watch->request.retry_after, said ? said->retry_after : -1);
    failure.text = sentence;
    return watch_fail(watch, now, &failure);
}
