/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source - drives the watch machine: does what it asks for, tells it what came, feeds its events to the inventory.
 *
 * Keeps: one request at a time; every event is taken out before the machine is asked again, so that nothing waits in
 * between while the network is read on.
 * Does not: decide what any of it means. A request that cannot even be made counts as one without an answer.
 */
#include "source.h"

#include <string.h>

struct source {
    uv_timer_t timer;
    struct kube_client *client;
    struct kube_request *request;
    struct watch *watch;
    struct inventory *inventory;
    struct source_handler handler;
    void *userdata;
    uint64_t revision;          /* of the inventory, as last told */
    unsigned status;            /* of the request's answer; 0: no headers yet */
    bool listed;                /* a list was complete, once */
    bool old_credentials;       /* as last told */
    bool stepping;
    int failed;
};

static void step(struct source *source);

static void fail(struct source *source, int error) {
    source->failed = error;
    source->request = kube_request_free(source->request);
    uv_timer_stop(&source->timer);
    if (source->handler.on_failure)
        source->handler.on_failure(source->userdata, error);
}

/* Told when it begins and when it ends; what a plugin says may be another sentence every time. */
static void tell_credentials(struct source *source) {
    char text[1600];
    bool old = kube_client_trouble(source->client, text, sizeof(text))[0] != '\0';

    if (old == source->old_credentials)
        return;
    source->old_credentials = old;
    if (source->handler.on_credentials)
        source->handler.on_credentials(source->userdata, text);
}

static void on_timer(uv_timer_t *timer) {
    step(timer->data);
}

static void on_headers(struct kube_request *request, const struct http_response *response, void *userdata) {
    struct source *source = userdata;
    int r;

    (void)request;
    source->status = response->status;
    tell_credentials(source);
    r = watch_headers(source->watch, clock_now(), response->status, response->content_type, response->retry_after);
    if (r < 0)
        fail(source, r);
    else
        step(source);
}

static void on_data(struct kube_request *request, const char *data, size_t size, void *userdata) {
    struct source *source = userdata;
    int r = watch_body(source->watch, clock_now(), data, size);

    (void)request;
    if (r < 0)
        fail(source, r);
    else
        step(source);
}

static void on_end(struct kube_request *request, const struct http_end *end, void *userdata) {
    struct source *source = userdata;
    enum watch_ending ending = end->outcome == HTTP_COMPLETE ? WATCH_COMPLETE
                               : source->status               ? WATCH_CUT
                                                              : WATCH_NO_ANSWER;
    char text[1600];
    int r;

    (void)request;
    /* Where the credentials stand is what a person needs to know first; what the server adds comes behind it. */
    if (ending == WATCH_COMPLETE && (source->status == 401 || source->status == 403))
        r = watch_end(source->watch, clock_now(), ending, kube_client_explain(source->client, source->status, text, sizeof(text)));
    else
        r = watch_end(source->watch, clock_now(), ending, end->text);
    source->request = kube_request_free(source->request);
    tell_credentials(source);
    if (r < 0)
        fail(source, r);
    else
        step(source);
}

static int begin(struct source *source, const struct watch_want *want) {
    static const struct kube_callbacks callbacks = {on_headers, on_data, on_end};
    const struct kube_options options = {
        .idle = want->idle,
        .deadline = want->deadline,
        .fresh = want->fresh,
        .protobuf = !want->json,
        .gzip = want->is_list,
    };
    int r;

    source->status = 0;
    r = kube_client_get(&source->request, source->client, want->path, &options, &callbacks, source);
    return r < 0 ? watch_end(source->watch, clock_now(), WATCH_NO_ANSWER, strerror(-r)) : 0;
}

static int take(struct source *source, const struct watch_event *event, bool *done) {
    switch (event->kind) {
    case WATCH_EVENT_LIST_START:
        return inventory_list_start(source->inventory);
    case WATCH_EVENT_NODE:
        return inventory_apply(source->inventory, event->node, event->listed);
    case WATCH_EVENT_GONE:
        return inventory_gone(source->inventory, event->node);
    case WATCH_EVENT_LIST_DONE:
        *done = source->listed = true;
        return inventory_list_done(source->inventory);
    case WATCH_EVENT_LIST_ABANDONED:
        inventory_list_abandoned(source->inventory);
        return 0;
    case WATCH_EVENT_TROUBLE:
    case WATCH_EVENT_RESUMED:
        if (source->handler.on_trouble)
            source->handler.on_trouble(source->userdata, event);
        return 0;
    case WATCH_EVENT_BOOKMARK:
        return 0;
    }
    return 0;
}

static int tell_changes(struct source *source) {
    for (;;) {
        CLEANUP(inventory_change_done) struct inventory_change change = {0};
        int r = inventory_pop(source->inventory, &change);

        if (r <= 0)
            return r;
        if (source->handler.on_change)
            source->handler.on_change(source->userdata, &change);
    }
}

static int drain(struct source *source, bool *done) {
    for (;;) {
        CLEANUP(watch_event_done) struct watch_event event = {0};
        int r = watch_pop(source->watch, &event);

        if (r <= 0)
            return r;
        r = take(source, &event, done);
        if (r < 0)
            return r;
    }
}

/* Does what the machine wants until it wants to wait. *done: a list was completed on the way. */
static int advance(struct source *source, bool *done) {
    for (;;) {
        struct watch_want want;
        msec now;
        int r = drain(source, done);

        if (r < 0)
            return r;
        now = clock_now();
        r = watch_next(source->watch, now, &want);
        if (r < 0)
            return r;
        switch (want.action) {
        case WATCH_START:
            r = begin(source, &want);
            if (r < 0)
                return r;
            break;
        case WATCH_CANCEL:
            source->request = kube_request_free(source->request);
            break;
        case WATCH_WAIT:
            if (want.due == MSEC_NEVER)
                uv_timer_stop(&source->timer);
            else
                uv_timer_start(&source->timer, on_timer, (uint64_t)MAX(want.due - now, 0), 0);
            return 0;
        }
    }
}

static void step(struct source *source) {
    bool done = false;
    int r;

    if (source->failed || source->stepping)
        return;
    source->stepping = true;
    r = advance(source, &done);
    if (r >= 0)
        r = tell_changes(source);
    if (r < 0) {
        fail(source, r);
    } else if (source->listed && (done || inventory_revision(source->inventory) != source->revision)) {
        source->revision = inventory_revision(source->inventory);
        if (source->handler.on_picture)
            source->handler.on_picture(source->userdata, done);
    }
    source->stepping = false;
}

static void inventory_options_of(struct inventory_options *ret, const struct cluster_config *config) {
    *ret = (struct inventory_options){
        .types = (const char *const *)config->address_types,
        .within = config->within.items,
        .n_within = config->within.n,
        .max_per_node = config->max_addresses_per_node,
    };
}

static int new_parts(struct source *source, struct http *http, const struct cluster_config *config,
                     struct problem *problem) {
    struct inventory_options inventory_options;
    struct watch_options watch_options = {.selector = config->node_selector, .field_selector = config->field_selector};
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    int r;

    r = random_bytes(&watch_options.seed, sizeof(watch_options.seed));
    if (r < 0)
        return r;
    r = cluster_endpoint(&endpoint, config, problem);
    if (r < 0)
        return r;
    r = kube_client_new(&source->client, http, endpoint);
    if (r < 0)
        return r;
    (void)TAKE_PTR(endpoint); /* the client's now */
    r = watch_new(&source->watch, &watch_options);
    inventory_options_of(&inventory_options, config);
    return r < 0 ? r : inventory_new(&source->inventory, &inventory_options);
}

int source_new(struct source **ret, uv_loop_t *loop, struct http *http, const struct cluster_config *config,
               const struct source_handler *handler, void *userdata, struct problem *problem) {
    struct source *source = calloc(1, sizeof(*source));
    int r;

    if (!source)
        return -ENOMEM;
    source->handler = *handler;
    source->userdata = userdata;
    uv_timer_init(loop, &source->timer);
    source->timer.data = source;
    r = new_parts(source, http, config, problem);
    if (r < 0) {
        source_free(source);
        return r;
    }
    uv_timer_start(&source->timer, on_timer, 0, 0); /* the first request goes with the next turn of the loop */
    *ret = source;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

struct source *source_free(struct source *source) {
    if (source) {
        kube_request_free(source->request);
        kube_client_free(source->client);
        watch_free(source->watch);
        inventory_free(source->inventory);
        uv_close((uv_handle_t *)&source->timer, on_closed);
    }
    return NULL;
}

void source_relist(struct source *source) {
    watch_relist(source->watch);
    if (!source->failed)
        uv_timer_start(&source->timer, on_timer, 0, 0);
}

int source_choose(struct source *source, const struct cluster_config *config) {
    struct inventory_options options;
    int r;

    inventory_options_of(&options, config);
    r = inventory_reload(source->inventory, &options);
    if (r == 0)
        source_relist(source);
    return r;
}

struct inventory *source_inventory(struct source *source) {
    return source->inventory;
}

struct kube_client *source_client(struct source *source) {
    return source->client;
}

struct watch_stats source_stats(const struct source *source) {
    return watch_stats(source->watch);
}
