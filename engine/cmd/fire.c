/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall fire TAG [JSON] - one event on the master's bus, known to be there before it says so.
 *
 * Refuses what would hurt whoever listens: tags that Salt itself acts on, data that is no map, text that is no UTF-8.
 * Salt's bus acknowledges nothing, so the exit code 0 means that the event's echo came back; with transport minion, that
 * the master answered for it.
 */
#include "cmd/cmd.h"

#include "bus_setup.h"
#include "nodewall/bus.h"
#include "nodewall/json.h"
#include "nodewall/pack.h"

#include <string.h>

struct fire {
    struct bus *bus;
    uv_timer_t timer;
    bool delivered;
    char detail[1000];              /* what the bus said last */
};

static void end(struct fire *fire) {
    fire->bus = bus_free(fire->bus);
    if (!uv_is_closing((uv_handle_t *)&fire->timer))
        uv_close((uv_handle_t *)&fire->timer, NULL);
}

static void on_delivered(void *userdata, const char *tag, const char *id) {
    struct fire *fire = userdata;

    (void)tag;
    (void)id;
    fire->delivered = true;
    end(fire);
}

static void on_state(void *userdata, enum bus_state state, const char *detail) {
    struct fire *fire = userdata;

    snprintf(fire->detail, sizeof(fire->detail), "%s", detail);
}

static void on_timeout(uv_timer_t *timer) {
    end(timer->data);
}

static int parse_data(json_object **ret, const char *text) {
    struct problem problem;
    json_tokener *tokener = json_tokener_new_ex(PACK_DEPTH);
    json_object *data;
    size_t length = strlen(text);

    if (!tokener)
        return fail_errno(ENOMEM, "cannot read the data");
    data = json_tokener_parse_ex(tokener, text, (int)MIN(length + 1, (size_t)INT32_MAX));
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        problem_set(&problem, "JSON", "for example '{\"reason\": \"test\"}'", "%s at byte %zu",
                    json_tokener_error_desc(json_tokener_get_error(tokener)), json_tokener_get_parse_end(tokener));
        json_tokener_free(tokener);
        return fail(&problem);
    }
    json_tokener_free(tokener);
    *ret = data;
    return 0;
}

static int read_stdin(char **ret) {
    size_t size;
    int r = file_read(ret, &size, "/dev/stdin", PACK_MAX);

    return r < 0 ? fail_errno(r, "cannot read the data from standard input") : 0;
}

/* The bus itself is built after the event was found fit, so that a bad one costs nobody a connection. */
static int fire_event(const struct bus_setup *bus, const char *tag, json_object *data, msec timeout) {
    struct fire fire = {0};
    const struct bus_handler handler = {.on_state = on_state, .on_delivered = on_delivered};
    struct problem problem = {0};
    uv_loop_t loop;
    int r;

    uv_loop_init(&loop);
    uv_timer_init(&loop, &fire.timer);
    fire.timer.data = &fire;
    r = bus_new(&fire.bus, &loop, &bus->options, &handler, &fire);
    if (r < 0)
        return fail_errno(r, "cannot use the bus");
    r = bus_publish(fire.bus, OUTBOX_EVENT, tag, tag, data, NULL, &problem);
    if (r < 0) {
        end(&fire);
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
        return problem.what[0] ? fail(&problem) : fail_errno(r, "cannot fire");
    }
    uv_timer_start(&fire.timer, on_timeout, (uint64_t)timeout, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    if (fire.delivered)
        return 0;
    problem_set(&problem, bus->place, bus->hint, "the event was not %s within %lld s%s%s",
                bus->options.minion ? "taken" : "seen on the bus", (long long)(timeout / 1000), fire.detail[0] ? ": " : "",
                fire.detail);
    return fail(&problem);
}

static int fire_main(const struct options *options) {
    CLEANUP(json_putp) json_object *data = NULL;
    CLEANUP(cleanup_free) char *from_stdin = NULL;
    CLEANUP(config_freep) struct config *config = NULL;
    const char *text = options->n_arguments > 1 ? options->arguments[1] : "{}";
    msec timeout = options->timeout == MSEC_NEVER ? 5000 : options->timeout;
    struct bus_setup bus;
    struct problem problem;
    int r;

    if (pack_check_tag(options->arguments[0], &problem) < 0)
        return fail(&problem);
    if (!strcmp(text, "-")) {
        r = read_stdin(&from_stdin);
        if (r)
            return r;
        text = from_stdin;
    }
    r = parse_data(&data, text);
    if (r)
        return r;
    /* Firing needs a bus, not clusters: without a configuration file Salt's usual place will do. */
    if (options->config_given || access(options->config, F_OK) == 0) {
        r = config_load(&config, options->config, &problem);
        if (r < 0)
            return r == -EINVAL ? fail(&problem) : fail_errno(r, "cannot load %s", options->config);
    }
    bus_setup(&bus, config, NULL);
    return fire_event(&bus, options->arguments[0], data, timeout);
}

const struct command command_fire = {
    .name = "fire",
    .summary = "put one event on Salt's event bus",
    .synopsis = "[OPTIONS] TAG [JSON|-]",
    .help = "Fires one event on Salt's bus and waits until it is seen there, or with transport minion until the master\n"
            "has answered for it.\n"
            "JSON is a map; '-' reads it from standard input; without it the data is an empty map.\n"
            "Tags that Salt itself acts on (salt/...) are refused.\n"
            "Without -t it gives up after 5 seconds.\n",
    .options = "t",
    .least = 1,
    .most = 2,
    .main = fire_main,
};
