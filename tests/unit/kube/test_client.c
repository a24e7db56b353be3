/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig, a path, and a real server that says what came and what is wrong. */
#include "client_bed.h"

static void test_request(void **state) {
    struct kube_options options = {.gzip = true};
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client = open_client(&loop, "good", "certificate-authority: ca.crt", "token: abc.def");
    struct kube_request *request = NULL;
    struct kube_callbacks none = {0};

    get(&loop, client, &answer, "/api/v1/nodes?limit=500&continue=a%2Fb", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    assert_has(answer.body, "GET /prefix/api/v1/nodes?limit=500&continue=a%2Fb HTTP/1.1\r\n");
    assert_has(answer.body, "\r\nAuthorization: Bearer abc.def\r\n");
    assert_has(answer.body, "\r\nAccept: application/json\r\n");
    assert_null(strstr(answer.body, "Accept-Encoding"));
    assert_null(strstr(answer.body, "Impersonate"));
    get(&loop, client, &answer, "/api/v1/nodes", &options);
    assert_has(answer.body, "\r\nAccept-Encoding: gzip\r\n");
    assert_true(answer.reused);
    options.fresh = options.protobuf = true;
    get(&loop, client, &answer, "/api/v1/nodes", &options);
    assert_false(answer.reused);
    assert_has(answer.body, "\r\nAccept: application/vnd.kubernetes.protobuf, application/json\r\n");
    assert_has(answer.body, "\r\nAuthorization: Bearer abc.def\r\n");
    assert_int_equal(kube_client_get(&request, client, "api", &options, &none, NULL), -EINVAL);
    assert_null(request);
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_limits_are_passed_on(void **state) {
    struct kube_options idle = {.idle = 800}, deadline = {.deadline = 300}, limit = {.limit = 3};
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client = open_client(&loop, "good", "certificate-authority: ca.crt", "token: t");

    /* "/.." folds the prefix away, behind which server.py has no pages. */
    get(&loop, client, &answer, "/../silent", &idle);
    assert_int_equal(answer.end.outcome, HTTP_IDLE);
    assert_has(answer.text, "test.kubeconfig");
    get(&loop, client, &answer, "/../drip", &deadline);
    assert_int_equal(answer.end.outcome, HTTP_DEADLINE);
    get(&loop, client, &answer, "/../ok", &limit);
    assert_int_equal(answer.end.outcome, HTTP_TOO_LARGE);
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_impersonation(void **state) {
    struct answer answer = {0};
    struct kube_options options = {.gzip = true};
    struct loop loop;
    struct kube_client *client = open_client(
        &loop, "good", "certificate-authority: ca.crt, disable-compression: true",
        "as: jane, as-uid: '7', as-groups: [a, b], as-user-extra: {'Acme.com/Project %': [x, y]}");

    get(&loop, client, &answer, "/", &options);
    assert_has(answer.body, "\r\nImpersonate-User: jane\r\n");
    assert_has(answer.body, "\r\nImpersonate-Uid: 7\r\n");
    assert_has(answer.body, "\r\nImpersonate-Group: a\r\nImpersonate-Group: b\r\n");
    assert_has(answer.body, "\r\nImpersonate-Extra-acme.com%2Fproject%20%25: x\r\n");
    assert_has(answer.body, "\r\nImpersonate-Extra-acme.com%2Fproject%20%25: y\r\n");
    assert_null(strstr(answer.body, "Authorization"));
    assert_null(strstr(answer.body, "Accept-Encoding"));
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_tls_server_name(void **state) {
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client =
        open_client(&loop, "other", "certificate-authority: ca.crt, tls-server-name: other.test", "token: t");
    char host[64];

    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    snprintf(host, sizeof(host), "\r\nHost: other.test:%u\r\n", bed_port("other"));
    assert_has(answer.body, host);
    assert_has(answer.body, "GET /prefix/x ");
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_token_after_401(void **state) {
    char text[1000];
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client;

    bed_directory();
    bed_write("token", "secret-1\n");
    bed_write("accepted", "secret-1");
    client = open_client(&loop, "good", "certificate-authority: ca.crt", "tokenFile: token");
    get(&loop, client, &answer, "/../gate", NULL);
    assert_int_equal(answer.status, 200);
    bed_write("token", "secret-2\n");
    get(&loop, client, &answer, "/../gate", NULL);      /* not yet a minute: the old one, and it is taken */
    assert_int_equal(answer.status, 200);
    bed_write("accepted", "secret-2");
    get(&loop, client, &answer, "/../gate", NULL);
    assert_int_equal(answer.status, 401);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    get(&loop, client, &answer, "/../gate", NULL);
    assert_int_equal(answer.status, 200);

    bed_write("accepted", "secret-3");                  /* and if nobody has renewed it, it is said */
    bed_write("token", "");
    get(&loop, client, &answer, "/../gate", NULL);
    get(&loop, client, &answer, "/../gate", NULL);
    assert_int_equal(answer.status, 401);
    kube_client_explain(client, answer.status, text, sizeof(text));
    assert_has(text, "does not take the token in ");
    assert_has(text, "/token (401)");
    assert_has(text, "the token file is empty");
    assert_null(strstr(text, "secret"));
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_token_that_never_was(void **state) {
    CLEANUP(cleanup_free) char *path = NULL;
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client = open_client(&loop, "refused", "certificate-authority: ca.crt", "tokenFile: never");

    path = bed_path("never");
    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.outcome, HTTP_LOCAL);       /* a connection would have been refused */
    assert_false(answer.end.connected);
    assert_has(answer.text, path);
    assert_has(answer.text, "No such file");
    assert_has(answer.text, "context test (user u) in ");
    answer_done(&answer);
    close_client(&loop, client);
}

static void put(const char *from, const char *to) {
    CLEANUP(cleanup_free) char *path = bed_path(from), *data = NULL;

    assert_int_equal(file_read(&data, NULL, path, 100000), 0);
    bed_write(to, data);
}

static void test_ca_swap(void **state) {
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client;

    bed_directory();
    put("stranger.crt", "swap-ca.crt");
    client = open_client(&loop, "good", "certificate-authority: swap-ca.crt", "token: t");
    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.outcome, HTTP_TLS);
    assert_int_equal(answer.end.tls, HTTP_TLS_UNTRUSTED);
    assert_has(answer.text, "/swap-ca.crt");
    put("ca.crt", "swap-ca.crt");
    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    bed_write("swap-ca.crt", "-----BEGIN CERTIFICATE-----\nMIIB");     /* somebody is writing */
    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    put("stranger.crt", "swap-ca.crt");                     /* the pooled connection must not outlive its CA */
    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.tls, HTTP_TLS_UNTRUSTED);
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_client_certificate_swap(void **state) {
    struct answer answer = {0};
    struct problem problem;
    struct loop loop;
    struct kube_client *client;

    bed_directory();
    put("stray.crt", "swap.crt");
    put("stray.key", "swap.key");
    client = open_client(&loop, "mutual", "certificate-authority: ca.crt",
                         "client-certificate: swap.crt, client-key: swap.key");
    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.tls, HTTP_TLS_CLIENT);
    assert_has(answer.text, "/swap.crt");
    put("client.crt", "swap.crt");
    assert_int_equal(kube_client_check(client, &problem), -EINVAL);
    assert_has(problem.what, "does not belong");
    put("client.key", "swap.key");
    assert_int_equal(kube_client_check(client, &problem), 0);
    get(&loop, client, &answer, "/x", NULL);
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_sentences_of_failures(void **state) {
    static const struct {
        const char *listener, *cluster;
        enum http_outcome outcome;
        const char *words;
    } cases[] = {
        {"refused", "certificate-authority: ca.crt", HTTP_REFUSED, "Connection refused (context test (user u) in "},
        {"good", "certificate-authority: ca.crt, tls-server-name: wrong.test", HTTP_TLS,
         "for wrong.test: set tls-server-name"},
        {"expired", "certificate-authority: ca.crt", HTTP_TLS, "clock of this machine"},
        {"plain", "certificate-authority: ca.crt", HTTP_TLS, "is the port of https://127.0.0.1:"},
        {"good", "disable-compression: false", HTTP_TLS, "names no CA, so the system's are used"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct answer answer = {0};
        struct loop loop;
        struct kube_client *client = open_client(&loop, cases[i].listener, cases[i].cluster, "token: very-secret");

        get(&loop, client, &answer, "/x", NULL);
        assert_int_equal(answer.end.outcome, cases[i].outcome);
        assert_has(answer.text, cases[i].words);
        assert_has(answer.text, "127.0.0.1:");
        assert_has(answer.text, "test.kubeconfig");
        assert_null(strstr(answer.text, "very-secret"));
        answer_done(&answer);
        close_client(&loop, client);
    }
}

static void test_explain(void **state) {
    static const struct {
        unsigned status;
        const char *user, *words;
    } cases[] = {
        {401, "token: t", "does not take the token of context test (user u) in "},
        {401, "tokenFile: token", "does not take the token in /tmp/"},
        {401, "client-certificate: client.crt, client-key: client.key", "client certificate (401) in /tmp/"},
        {401, "", "has neither a token nor a client certificate"},
        {403, "token: t", "needs a ClusterRole with list and watch on nodes"},
        {403, "token: t, as: jane", "impersonate \"jane\""},
        {404, "", "is the server of context test"},
        {302, "", "(302)"},
        {410, "", "(410)"},
        {429, "", "(429)"},
        {500, "", "(500)"},
        {503, "", "(503)"},
        {204, "", "status 204"},
        {418, "", "status 418"},
    };
    char text[1000];

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct loop loop;
        struct kube_client *client = open_client(&loop, "good", "certificate-authority: ca.crt", cases[i].user);

        assert_ptr_equal(kube_client_explain(client, cases[i].status, text, sizeof(text)), text);
        assert_has(text, cases[i].words);
        assert_has(text, "https://127.0.0.1:");
        assert_string_equal(kube_client_explain(client, 200, text, sizeof(text)), "");
        assert_int_equal(strlen(kube_client_explain(client, cases[i].status, text, 20)), 19);
        close_client(&loop, client);
    }
}

struct owner {
    struct kube_request *request;
    bool freed;
};

static void free_own(struct owner *owner) {
    assert_false(owner->freed);
    owner->freed = true;
    owner->request = kube_request_free(owner->request);
}

static void on_headers_free(struct kube_request *request, const struct http_response *response, void *userdata) {
    free_own(userdata);
}

static void on_data_free(struct kube_request *request, const char *data, size_t size, void *userdata) {
    free_own(userdata);
}

static void on_end_free(struct kube_request *request, const struct http_end *end, void *userdata) {
    free_own(userdata);
    assert_string_equal(end->text, "");     /* still there: it lives until the callback returns */
}

static void test_free_in_callbacks(void **state) {
    static const struct kube_callbacks callbacks[] = {
        {.on_headers = on_headers_free}, {.on_data = on_data_free}, {.on_end = on_end_free}};
    static const struct kube_options options = {0};
    struct loop loop;
    struct kube_client *client = open_client(&loop, "good", "certificate-authority: ca.crt", "token: t");

    for (size_t i = 0; i < ARRAY_LENGTH(callbacks); i++) {
        struct owner owner = {0};

        assert_int_equal(kube_client_get(&owner.request, client, "/x", &options, &callbacks[i], &owner), 0);
        loop_until(&loop, &owner.freed);
        loop_turn_for(&loop, 20);
        assert_null(owner.request);
    }
    assert_null(kube_request_free(NULL));
    close_client(&loop, client);
}

RUN(cmocka_unit_test(test_request), cmocka_unit_test(test_limits_are_passed_on), cmocka_unit_test(test_impersonation),
    cmocka_unit_test(test_tls_server_name), cmocka_unit_test(test_token_after_401),
    cmocka_unit_test(test_token_that_never_was), cmocka_unit_test(test_ca_swap),
    cmocka_unit_test(test_client_certificate_swap), cmocka_unit_test(test_sentences_of_failures),
    cmocka_unit_test(test_explain), cmocka_unit_test(test_free_in_callbacks))
