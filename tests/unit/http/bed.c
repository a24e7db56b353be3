/* SPDX-License-Identifier: Apache-2.0 */
#include "bed.h"

#include "../unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

static struct {
    char directory[64];
    struct authority *authority;
    struct {
        char name[32];
        unsigned port;
    } ports[20];
    size_t n_ports;
    pid_t server;
    int to_server;
} bed;

static void stop_server(void) {
    authority_free(bed.authority);
    close(bed.to_server);       /* it ends with its standard input, and takes the directory along */
    waitpid(bed.server, NULL, 0);
}

static void read_ports(int fd) {
    FILE *lines = fdopen(fd, "r");

    assert_non_null(lines);
    for (;;) {
        assert_true(bed.n_ports < ARRAY_LENGTH(bed.ports));
        assert_int_equal(fscanf(lines, "%31s %u", bed.ports[bed.n_ports].name, &bed.ports[bed.n_ports].port), 2);
        if (strcmp(bed.ports[bed.n_ports].name, "ready") == 0)
            break;
        bed.n_ports++;
    }
    fclose(lines);
}

static void start(void) {
    static const char names[] = "DNS:kube.test,IP:127.0.0.1";
    struct authority *stranger;
    int in[2], out[2];
    char script[400];

    if (bed.n_ports)
        return;
    snprintf(bed.directory, sizeof(bed.directory), "/tmp/nodewall-http.XXXXXX");
    assert_non_null(mkdtemp(bed.directory));
    bed.authority = authority_new(bed.directory, "ca");
    stranger = authority_new(bed.directory, "stranger");
    authority_issue(stranger, "stray", NULL, 0, 10);
    authority_free(stranger);
    authority_issue(bed.authority, "good", names, 0, 10);
    authority_issue(bed.authority, "expired", names, -10, -1);
    authority_issue(bed.authority, "future", names, 5, 10);
    authority_issue(bed.authority, "other", "DNS:other.test", 0, 10);
    authority_issue(bed.authority, "client", NULL, 0, 10);
    bed_write("accepted", "secret-1");

    assert_non_null(getenv("NODEWALL_TESTS"));
    snprintf(script, sizeof(script), "%s/unit/http/server.py", getenv("NODEWALL_TESTS"));
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    bed.server = fork();
    assert_true(bed.server >= 0);
    if (bed.server == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execlp("python3", "python3", script, bed.directory, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    bed.to_server = in[1];
    read_ports(out[0]);
    atexit(stop_server);
}

const char *bed_directory(void) {
    start();
    return bed.directory;
}

struct authority *bed_authority(void) {
    start();
    return bed.authority;
}

unsigned bed_port(const char *name) {
    start();
    for (size_t i = 0; i < bed.n_ports; i++)
        if (strcmp(bed.ports[i].name, name) == 0)
            return bed.ports[i].port;
    fail_msg("there is no listener %s", name);
    return 0;
}

char *bed_path(const char *file) {
    char *path;

    assert_true(asprintf(&path, "%s/%s", bed.directory, file) > 0);
    return path;
}

void bed_write(const char *file, const char *text) {
    CLEANUP(cleanup_free) char *path = bed_path(file);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, false), 0);
}

void loop_open(struct loop *loop) {
    start();
    assert_int_equal(uv_loop_init(&loop->uv), 0);
    assert_int_equal(http_new(&loop->http, &loop->uv), 0);
}

void loop_close(struct loop *loop) {
    loop->http = http_free(loop->http);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop->uv), 0);
}

static void on_time(uv_timer_t *timer) {
    *(bool *)timer->data = true;
}

static void loop_run(struct loop *loop, const bool *flag, unsigned ms, bool must) {
    uv_timer_t *timer = calloc(1, sizeof(*timer));
    bool late = false;

    assert_non_null(timer);
    uv_update_time(&loop->uv);
    uv_timer_init(&loop->uv, timer);
    timer->data = &late;
    uv_timer_start(timer, on_time, ms, 0);
    while (!late && !(flag && *flag))
        uv_run(&loop->uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    if (must && late)
        fail_msg("nothing came within %u ms", ms);
}

void loop_until(struct loop *loop, const bool *flag) {
    loop_run(loop, flag, 10000, true);
}

void loop_turn_for(struct loop *loop, unsigned ms) {
    loop_run(loop, NULL, ms, false);
}

void answer_headers(struct answer *answer, const struct http_response *response) {
    answer->status = response->status;
    answer->retry_after = response->retry_after;
    answer->reused = response->reused;
    answer->n_headers++;
    answer->headers_first = !answer->body && !answer->ended;
    snprintf(answer->type, sizeof(answer->type), "%s", response->content_type);
}

void answer_data(struct answer *answer, const char *data, size_t size) {
    answer->body = realloc(answer->body, answer->size + size + 1);
    assert_non_null(answer->body);
    memcpy(answer->body + answer->size, data, size);
    answer->size += size;
    answer->body[answer->size] = 0;
}

void answer_end(struct answer *answer, const struct http_end *end) {
    answer->end = *end;
    answer->end.text = answer->text;
    snprintf(answer->text, sizeof(answer->text), "%s", end->text);
    answer->n_ends++;
    answer->ended = true;
}

void answer_done(struct answer *answer) {
    free(answer->body);
    *answer = (struct answer){0};
}

static void on_headers(struct http_request *request, const struct http_response *response, void *userdata) {
    answer_headers(userdata, response);
}

static void on_data(struct http_request *request, const char *data, size_t size, void *userdata) {
    answer_data(userdata, data, size);
}

static void on_end(struct http_request *request, const struct http_end *end, void *userdata) {
    answer_end(userdata, end);
}

struct http_request *ask_url(struct loop *loop, struct answer *answer, const char *url, const struct http_options *options) {
    static const struct http_callbacks callbacks = {.on_headers = on_headers, .on_data = on_data, .on_end = on_end};
    struct http_request *request = NULL;

    answer_done(answer);
    assert_int_equal(http_get(&request, loop->http, url, options, &callbacks, answer), 0);
    assert_int_equal(answer->n_headers + answer->n_ends, 0);
    return request;
}

struct http_request *ask(struct loop *loop, struct answer *answer, const char *listener, const char *path,
                         const struct http_options *options) {
    static const struct http_options none = {0};
    bool tls = options && (options->ca.data || options->insecure);
    char url[400];

    snprintf(url, sizeof(url), "http%s://%s:%u/%s", tls ? "s" : "",
             options && options->connect_host ? "kube.test" : "127.0.0.1", bed_port(listener), path);
    return ask_url(loop, answer, url, options ? options : &none);
}

void fetch(struct loop *loop, struct answer *answer, const char *listener, const char *path,
           const struct http_options *options) {
    struct http_request *request = ask(loop, answer, listener, path, options);

    loop_until(loop, &answer->ended);
    loop_turn_for(loop, 1);     /* nothing may come behind the end */
    assert_int_equal(answer->n_ends, 1);
    assert_true(answer->n_headers <= 1);
    assert_true(!answer->n_headers || answer->headers_first);
    assert_true((answer->end.outcome == HTTP_COMPLETE) == !answer->text[0]);
    http_request_free(request);
}
