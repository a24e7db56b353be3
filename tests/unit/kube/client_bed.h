/* SPDX-License-Identifier: Apache-2.0 */
/* A client with a kubeconfig of its own, and its answers. */
#pragma once

#include "nodewall/kube_client.h"

#include "../http/bed.h"
#include "../unit.h"

static inline void on_headers(struct kube_request *request, const struct http_response *response, void *userdata) {
    answer_headers(userdata, response);
}

static inline void on_data(struct kube_request *request, const char *data, size_t size, void *userdata) {
    answer_data(userdata, data, size);
}

static inline void on_end(struct kube_request *request, const struct http_end *end, void *userdata) {
    answer_end(userdata, end);
}

static inline void get(struct loop *loop, struct kube_client *client, struct answer *answer, const char *path,
                const struct kube_options *options) {
    static const struct kube_callbacks callbacks = {.on_headers = on_headers, .on_data = on_data, .on_end = on_end};
    static const struct kube_options none = {0};
    struct kube_request *request = NULL;

    answer_done(answer);
    assert_int_equal(kube_client_get(&request, client, path, options ? options : &none, &callbacks, answer), 0);
    assert_int_equal(answer->n_headers + answer->n_ends, 0);
    loop_until(loop, &answer->ended);
    loop_turn_for(loop, 1);
    assert_int_equal(answer->n_ends, 1);
    assert_true((answer->end.outcome == HTTP_COMPLETE) == !answer->text[0]);
    assert_null(kube_request_free(request));
}

/* A client of context "test" in the file test.kubeconfig of bed_directory; all that is given stands in its YAML. */
static inline struct kube_client *open_client(struct loop *loop, const char *listener, const char *cluster, const char *user) {
    CLEANUP(cleanup_free) char *path = NULL, *text = NULL;
    struct kube_client *client = NULL;
    struct endpoint *endpoint = NULL;
    struct problem problem;
    char why[1400];

    loop_open(loop);
    path = bed_path("test.kubeconfig");
    assert_true(asprintf(&text, "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:%u/prefix', %s}}]\n"
                                "users: [{name: u, user: {%s}}]\n"
                                "contexts: [{name: test, context: {cluster: c, user: u}}]\n"
                                "current-context: test\n", bed_port(listener), cluster, user) > 0);
    bed_write("test.kubeconfig", text);
    if (endpoint_from_kubeconfig(&endpoint, path, NULL, &problem) < 0)
        fail_msg("%s", problem_format(&problem, why, sizeof(why)));
    assert_int_equal(kube_client_new(&client, loop->http, endpoint), 0);
    assert_ptr_equal(kube_client_endpoint(client), endpoint);
    return client;
}

static inline void close_client(struct loop *loop, struct kube_client *client) {
    assert_null(kube_client_free(client));
    loop_close(loop);
}

static inline void assert_has(const char *text, const char *words) {
    if (!strstr(text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, text);
}
