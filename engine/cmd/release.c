/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall release CLUSTER - lets go what the engine holds back, after showing it.
 *
 *   GET /held/<cluster> ──shown──▶ consent ──▶ requests/<cluster>.release ──engine──▶ requests/<cluster>.result
 *        ▲                                                                              │ "changed"
 *        ╰──────────────────────────────────────────────────────────────────────────────╯ shown again, and not released
 *
 * Keeps: nothing goes that was not shown: the request carries the digest of what was, and the engine compares.
 */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "folder.h"
#include "requests.h"

#include <string.h>

enum { WAIT = 15000, REQUEST_MODE = 0644 }; /* nothing secret; written by root, it must be readable for the engine's user */

struct release {
    const struct options *options;
    char *state_dir;
    const char *cluster;
    json_object *held;              /* as shown */
    char *request, *result;         /* paths */
    char id[REQUEST_ID_DIGITS + 1];
    uv_loop_t loop;
    uv_timer_t timer;
    struct folder *folder;
    char outcome[32];               /* "": no answer yet */
};

static void release_done(struct release *release) {
    json_object_put(release->held);
    free(release->state_dir);
    free(release->request);
    free(release->result);
}

static const char *text(json_object *from, const char *key) {
    const char *value = json_object_get_string(json_get(from, key));

    return value ? value : "";
}

/* ---- showing ---- */

static void print_held(const struct release *release) {
    static const char *const heading[] = {"ADDRESS", "NODE", "HELD SINCE", "WHY"};
    CLEANUP(table_done) struct table table = {.n_columns = ARRAY_LENGTH(heading)};
    json_object *list = json_get(release->held, "held");

    if (release->options->json) {
        puts(json_object_to_json_string_ext(release->held, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(heading); i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        json_object *one = json_object_array_get_idx(list, i);

        table_cell(&table, "%s", text(one, "address"));
        table_cell(&table, "%s", text(one, "node"));
        table_cell(&table, "%s", text(one, "since"));
        table_cell(&table, "%s", text(one, "why"));
    }
    table_print(&table, stdout);
}

static int show(struct release *release) {
    char page[80], missing[120];
    int r;

    snprintf(page, sizeof(page), "/held/%s", release->cluster);
    snprintf(missing, sizeof(missing), "the engine has no cluster '%s'", release->cluster);
    json_object_put(TAKE_PTR(release->held));
    r = ask_engine(&release->held, release->state_dir, page, missing);
    if (r)
        return r;
    if (json_object_get_int64(json_get(release->held, "count")) > 0 || release->options->json)
        print_held(release);
    return 0;
}

/* ---- consent ---- */

static bool consent(const struct release *release) {
    long long count = (long long)json_object_get_int64(json_get(release->held, "count"));
    char line[16] = "";

    if (release->options->yes)
        return true;
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "nodewall release: nothing was released: look at it, then add --yes\n");
        return false;
    }
    fprintf(stderr, "Let these %lld addresses of %s go, on every minion that names it? [y/N] ", count, release->cluster);
    if (fgets(line, sizeof(line), stdin) && (!strcmp(line, "y\n") || !strcmp(line, "yes\n")))
        return true;
    fprintf(stderr, "nodewall release: nothing was released\n");
    return false;
}

/* ---- asking the engine ---- */

static void end(struct release *release) {
    uv_stop(&release->loop);
}

static void on_result(void *userdata) {
    struct release *release = userdata;
    CLEANUP(cleanup_free) char *data = NULL;
    CLEANUP(json_putp) json_object *root = NULL;
    size_t size;

    if (file_read(&data, &size, release->result, 4096) < 0)
        return;
    root = json_tokener_parse(data);
    if (strcmp(text(root, "id"), release->id))
        return; /* another operator's */
    snprintf(release->outcome, sizeof(release->outcome), "%s", text(root, "outcome"));
    end(release);
}

static void on_timeout(uv_timer_t *timer) {
    end(timer->data);
}

static int wait_for_result(struct release *release, const char *directory) {
    msec wait = release->options->timeout == MSEC_NEVER ? WAIT : release->options->timeout;
    int r = uv_loop_init(&release->loop);

    if (r < 0)
        return r;
    uv_timer_init(&release->loop, &release->timer);
    release->timer.data = release;
    r = folder_new(&release->folder, &release->loop, directory, ".result", 0, on_result, release);
    if (r == 0) {
        CLEANUP(cleanup_free) char *request = NULL;
        int n = asprintf(&request, "{\"v\":1,\"id\":\"%s\",\"digest\":\"%s\"}\n", release->id,
                         text(release->held, "digest"));

        r = n < 0 ? -ENOMEM : file_write_atomic(release->request, request, (size_t)n, REQUEST_MODE, false);
        if (n < 0)
            request = NULL;
    }
    if (r == 0) {
        uv_timer_start(&release->timer, on_timeout, (uint64_t)wait, 0);
        uv_run(&release->loop, UV_RUN_DEFAULT);
    }
    folder_free(release->folder);
    uv_close((uv_handle_t *)&release->timer, NULL);
    uv_run(&release->loop, UV_RUN_DEFAULT);
    uv_loop_close(&release->loop);
    return r;
}

static int ask(struct release *release) {
    CLEANUP(cleanup_free) char *directory = NULL;
    int r = !hex_is(text(release->held, "digest"), DIGEST_DIGITS) ? -EBADMSG : random_hex(release->id, REQUEST_ID_DIGITS);

    if (r == 0 && asprintf(&directory, "%s/requests", release->state_dir) < 0) {
        directory = NULL;
        r = -ENOMEM;
    }
    if (r == 0 && (asprintf(&release->request, "%s/%s.release", directory, release->cluster) < 0 ||
                   asprintf(&release->result, "%s/%s.result", directory, release->cluster) < 0)) {
        release->request = release->result = NULL;
        r = -ENOMEM;
    }
    if (r == 0)
        r = wait_for_result(release, directory);
    if (r < 0)
        return fail_errno(r, "cannot ask the engine by %s", directory ? directory : "a file");
    (void)unlink(release->outcome[0] ? release->result : release->request); /* not to be followed when nobody waits any more */
    return 0;
}

static int tell(struct release *release, long long count) {
    struct problem problem;

    if (!strcmp(release->outcome, "released")) {
        fprintf(stderr, "nodewall release: %s: %lld addresses go now\n", release->cluster, count);
        return 0;
    }
    if (!strcmp(release->outcome, "changed")) {
        fprintf(stderr, "nodewall release: what is held has changed meanwhile, so nothing was released. Now it is:\n");
        (void)show(release);
        return EXIT_FAILED;
    }
    problem_set(&problem, release->cluster,
                release->outcome[0] ? "'nodewall status' lists the ones that run" : "its log says more; nothing is asked any more",
                release->outcome[0] ? "the engine has no such cluster" : "the engine gave no answer in time");
    return fail(&problem);
}

static int release_main(const struct options *options) {
    CLEANUP(release_done) struct release release = {.options = options, .cluster = options->arguments[0]};
    struct problem problem;
    long long count;
    int r;

    if (!name_is_cluster(release.cluster)) {
        problem_set(&problem, "CLUSTER", "small letters, digits, dots and hyphens", "'%.80s' is no name for a cluster", release.cluster);
        return fail(&problem);
    }
    r = ask_state_dir(&release.state_dir, options);
    if (r == 0)
        r = show(&release);
    if (r)
        return r;
    count = (long long)json_object_get_int64(json_get(release.held, "count"));
    if (count == 0) {
        fprintf(stderr, "nodewall release: %s: nothing is held\n", release.cluster);
        return 0;
    }
    if (!consent(&release))
        return EXIT_FAILED;
    r = ask(&release);
    return r ? r : tell(&release, count);
}

const struct command command_release = {
    .name = "release",
    .summary = "let go what the engine holds back, after showing it",
    .synopsis = "[OPTIONS] CLUSTER",
    .help = "Shows the addresses of CLUSTER that stay although the cluster has them no more: a loss above\n"
            "max_removal, nodes that live and report no address, or everything of a cluster that is not configured\n"
            "any more. With consent (asked for on a terminal, or --yes) exactly these go, at once.\n"
            "If they have changed since they were shown, nothing goes and they are shown again, exit code 1.\n"
            "Wants to write in the state directory: run it as root or as the engine's user.\n",
    .options = "oty",
    .least = 1,
    .most = 1,
    .main = release_main,
};
