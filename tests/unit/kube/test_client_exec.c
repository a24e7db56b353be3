/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose credentials come from an exec plugin: a real program, a real server. */
#include "client_bed.h"

#include <sys/stat.h>

#define EXEC "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin, env: [{name: PATH, value: /usr/bin:/bin}]}"

/* Counts its runs in `runs`, does what `does` says, and answers with what `answer` has. */
static void write_plugin(const char *does, const char *status) {
    CLEANUP(cleanup_free) char *text = NULL, *path = NULL;

    bed_directory();
    assert_true(asprintf(&text, "#!/bin/sh\ncd '%s' || exit\necho x >>runs\n%s\ncat <<END\n"
                                "{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\",\"status\":{%s}}\n"
                                "END\n", bed_directory(), does, status) > 0);
    bed_write("plugin", text);
    path = bed_path("plugin");
    assert_int_equal(chmod(path, 0700), 0);
}

static size_t n_runs(void) {
    CLEANUP(cleanup_free) char *path = bed_path("runs"), *text = NULL;
    size_t size = 0;

    return file_read(&text, &size, path, 100000) < 0 ? 0 : size / 2;
}

static struct kube_client *open_exec(struct loop *loop, const char *listener) {
    CLEANUP(cleanup_free) char *path = NULL;

    bed_directory();
    path = bed_path("runs");
    unlink(path);
    return open_client(loop, listener, "certificate-authority: ca.crt", EXEC);
}

static void assert_trouble(const struct kube_client *client, const char *words) {
    char text[2000];

    kube_client_trouble(client, text, sizeof(text));
    if (words[0])
        assert_has(text, words);
    else
        assert_string_equal(text, "");
}

static void test_exec_token(void **state) {
    struct answer answer = {0}, second = {0};
    static const struct kube_callbacks callbacks = {.on_headers = on_headers, .on_data = on_data, .on_end = on_end};
    struct kube_request *waiting[3] = {0};
    struct kube_options options = {0};
    struct loop loop;
    struct kube_client *client = open_exec(&loop, "good");

    write_plugin("", "\"token\":\"from-plugin\"");
    /* Those that come while it runs wait for the same run, and may go away. */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(kube_client_get(&waiting[i], client, "/x", &options, &callbacks, i == 1 ? &answer : &second), 0);
    kube_request_free(waiting[0]);
    kube_request_free(waiting[2]);
    loop_until(&loop, &answer.ended);
    kube_request_free(waiting[1]);
    assert_has(answer.body, "\r\nAuthorization: Bearer from-plugin\r\n");
    assert_false(second.ended);
    get(&loop, client, &answer, "/y", NULL);
    assert_has(answer.body, "\r\nAuthorization: Bearer from-plugin\r\n");
    assert_int_equal(n_runs(), 1);
    assert_trouble(client, "");
    answer_done(&answer);
    close_client(&loop, client);
}

/* It is not run again with every request, and what it says is told without what looks like a secret. */
static void test_exec_fails(void **state) {
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client = open_exec(&loop, "good");

    write_plugin("echo 'no way with s3cr3ts3cr3ts3cr3t' >&2; exit 1", "");
    for (unsigned i = 0; i < 3; i++) {
        get(&loop, client, &answer, "/x", NULL);
        assert_int_equal(answer.end.outcome, HTTP_LOCAL);
        assert_has(answer.text, "the exec plugin ended with exit code 1: no way with [...] (context test (user u) in ");
    }
    assert_int_equal(n_runs(), 1);
    assert_trouble(client, ""); /* the request has told it, and nothing older is in use */
    answer_done(&answer);
    close_client(&loop, client);
    client = open_exec(&loop, "good");
    write_plugin("exec sed s/x/y/ /dev/null", "");
    get(&loop, client, &answer, "/x", NULL);
    assert_has(answer.text, "is no ExecCredential");
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_exec_certificate(void **state) {
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client = open_exec(&loop, "mutual");
    static const char *const files[][2] = {{"client.crt", "good.key"}, {"client.crt", "client.key"}};

    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        char does[400];

        /* The status is made by the script: PEM with its line ends as \\n. */
        snprintf(does, sizeof(does), "c=$(awk '{printf \"%%s\\\\n\", $0}' %s); k=$(awk '{printf \"%%s\\\\n\", $0}' %s)", files[i][0], files[i][1]);
        write_plugin(does, "\"clientCertificateData\":\"$c\",\"clientKeyData\":\"$k\"");
        get(&loop, client, &answer, "/ok", NULL);
        if (i == 0) {
            assert_int_equal(answer.end.outcome, HTTP_LOCAL);
            assert_has(answer.text, "the private key does not belong to the client certificate");
            close_client(&loop, client);
            client = open_exec(&loop, "mutual");
        }
    }
    assert_int_equal(answer.end.outcome, HTTP_COMPLETE);
    answer_done(&answer);
    close_client(&loop, client);
}

static void test_exec_is_checked(void **state) {
    struct problem problem = {0};
    CLEANUP(cleanup_free) char *path = NULL;
    struct loop loop;
    struct kube_client *client = open_exec(&loop, "good");

    write_plugin("", "");
    assert_int_equal(kube_client_check(client, &problem), 0);
    assert_int_equal(n_runs(), 0);
    path = bed_path("plugin");
    unlink(path);
    assert_int_equal(kube_client_check(client, &problem), -EINVAL);
    assert_has(problem.what, "there is no such exec plugin");
    close_client(&loop, client);
}

/* The client goes while its plugin runs: nothing is left of either. */
static void test_exec_is_left(void **state) {
    static const struct kube_callbacks callbacks = {.on_end = on_end};
    struct kube_options options = {0};
    struct kube_request *request = NULL;
    struct answer answer = {0};
    struct loop loop;
    struct kube_client *client = open_exec(&loop, "good");

    write_plugin("sleep 100", "");
    assert_int_equal(kube_client_get(&request, client, "/x", &options, &callbacks, &answer), 0);
    loop_turn_for(&loop, 50);
    kube_request_free(request);
    kube_client_free(client);
    loop_turn_for(&loop, 300); /* to be reaped */
    loop_close(&loop);
    assert_false(answer.ended);
}

RUN(cmocka_unit_test(test_exec_token), cmocka_unit_test(test_exec_fails), cmocka_unit_test(test_exec_certificate),
    cmocka_unit_test(test_exec_is_checked), cmocka_unit_test(test_exec_is_left))
