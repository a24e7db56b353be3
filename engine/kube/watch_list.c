/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch list - the pages of one list, from LIST_START to LIST_DONE or LIST_ABANDONED.
 *
 * A list asks for no resourceVersion: that is the most recent state, and never one of the past (with `limit`, an rv
 * would mean exactly that moment, and an empty past is a list without nodes). The pages after the first come from the
 * same moment, which the continue token names; so all of them say the same rv, and the watch begins there.
 *
 * Keeps: LIST_DONE only if every page was a NodeList with items, an rv and nothing unreadable in it. One node that
 * cannot be read makes the whole list wrong, again and again if need be: a list without that node would say that it is
 * gone, and one with it cannot be had. The picture of before stays, the trouble's text names the node, and the API
 * server, which writes typed objects, is where to look.
 * Does not: hold nodes; they go out as they come. Owns: nothing.
 */
#include "watch_machine.h"

#include <string.h>

#define PAGES_MAX 2048      /* a million nodes; each page is asked for at once, and a server may never end */

int list_begin(struct watch *watch) {
    if (watch->pages.open)
        return 0;
    watch->pages.open = true;
    return watch_emit(watch, WATCH_EVENT_LIST_START) ? 0 : -ENOMEM;
}

int list_abandon(struct watch *watch) {
    bool open = watch->pages.open;

    watch->pages.open = false;
    watch->pages.n = watch->pages.tries = 0;
    watch->pages.next[0] = watch->pages.rv[0] = '\0';
    return !open || watch_emit(watch, WATCH_EVENT_LIST_ABANDONED) ? 0 : -ENOMEM;
}

static int wrong_node(struct watch *watch, msec now, const struct frame_piece *piece) {
    char name[NODE_NAME_MAX + 1], text[NODE_NAME_MAX + 200];
    int r = watch->request.decoder->node_name(name, piece->data, piece->size);

    if (r == -ENOMEM)
        return r;
    if (r >= 0)
        snprintf(text, sizeof(text), "node %s of the list cannot be read, and without it no list is complete", name);
    else
        snprintf(text, sizeof(text), "node %llu of a page cannot be read, and without it no list is complete",
                 (unsigned long long)watch->request.items + 1);
    return watch_fail_wrong(watch, now, text);
}

static int take_node(struct watch *watch, msec now, const struct frame_piece *piece) {
    CLEANUP(node_freep) struct node *node = NULL;
    struct watch_event *event;
    int r = watch->request.decoder->node(&node, piece->data, piece->size);

    if (r == -EBADMSG)
        return wrong_node(watch, now, piece);
    if (r < 0)
        return r;
    event = watch_emit(watch, WATCH_EVENT_NODE);
    if (!event)
        return -ENOMEM;
    event->node = TAKE_PTR(node);
    event->listed = true;
    watch->request.items++;
    return 0;
}

int list_body(struct watch *watch, msec now) {
    struct request *request = &watch->request;

    while (!request->dead) {
        struct frame_piece piece;
        int r = frame_next(request->frame, &piece);

        if (r == FRAME_NEED_MORE)
            return 0;
        if (r == -E2BIG)
            return watch_fail_wrong(watch, now, "the list has an object larger than 16 MiB");
        if (r == -EBADMSG)
            return watch_fail_wrong(watch, now, "the API server answers a list with something that is no list");
        if (r == FRAME_END) {
            request->complete = true;
            continue;
        }
        if (r == FRAME_OBJECT)
            r = take_node(watch, now, &piece);
        else if (r == FRAME_MEMBER)
            r = request->decoder->list_member(&request->head, piece.key, piece.key_size, piece.data,
                                              piece.size);
        if (r == -EBADMSG)
            r = watch_fail_wrong(watch, now, "the list's kind or metadata cannot be read");
        if (r < 0)
            return r;
    }
    return 0;
}

static int done(struct watch *watch, msec now) {
    struct pages *pages = &watch->pages;
    int r = watch_emit_rv(watch, WATCH_EVENT_LIST_DONE, pages->rv);

    if (r < 0)
        return r;
    memcpy(watch->rv, pages->rv, sizeof(watch->rv));
    *pages = (struct pages){0};
    watch->want_list = watch->doubt = watch->list_failing = false;
    watch->stats.last_list = now;
    watch->relist_due = now + watch->relist + (msec)(watch_random(watch) % (uint64_t)(watch->relist / 2 + 1));
    return 0;
}

int list_end(struct watch *watch, msec now) {
    const struct request *request = &watch->request;
    struct pages *pages = &watch->pages;
    const struct list_head *head = &request->head;

    if (!request->complete && frame_is_partial(request->frame))
        return watch_fail_cut(watch, now, "the list ends in its middle");
    if (!request->complete)
        return watch_fail_wrong(watch, now, "the API server answers a list with nothing at all");
    if (!head->is_node_list || !frame_has_items(request->frame) || !head->rv[0])
        return watch_fail_wrong(watch, now, "the API server answers a list of nodes with an object that is none");
    if (pages->n > 0 && strcmp(head->rv, pages->rv) != 0)
        return watch_fail_wrong(watch, now, "the pages of one list are of different moments");
    if (head->next[0] && strcmp(head->next, pages->next) == 0)
        return watch_fail_wrong(watch, now, "the list goes round in a circle: a page continues with itself");
    if (head->next[0] && pages->n >= PAGES_MAX)
        return watch_fail_wrong(watch, now, "the list has more pages than any cluster has nodes");
    if (pages->n == 0)
        memcpy(pages->rv, head->rv, sizeof(pages->rv));
    memcpy(pages->next, head->next, sizeof(pages->next));
    pages->n++;
    pages->tries = 0;
    watch->asked_again = false;
    watch->due = now;
    return head->next[0] ? 0 : done(watch, now);
}
