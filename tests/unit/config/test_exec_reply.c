/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin prints: taken whole, or refused without a word of it. */
#include "nodewall/exec_plugin.h"
#include "../unit.h"

#define V1 "client.authentication.k8s.io/v1"
#define REPLY(status) "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"spec\":{\"interactive\":false},\"status\":{" status "}}\n"

static const struct exec_plugin plugin = {.command = "login", .api_version = V1};

static struct exec_reply taken(const char *text) {
    struct exec_reply reply;
    struct problem problem = {0};

    if (exec_reply_parse(&reply, &plugin, text, strlen(text), &problem) < 0)
        fail_msg("%s: %s", text, problem.what);
    return reply;
}

static void a_token(void **state) {
    struct exec_reply reply = taken(REPLY("\"expirationTimestamp\":\"2026-11-25T10:00:00Z\",\"token\":\"k8s-aws-v1.a\\u003d\""));

    assert_string_equal(reply.token, "k8s-aws-v1.a=");
    assert_null(reply.certificate.data);
    assert_int_equal(reply.expires, 1795600800000);
    exec_reply_done(&reply);
    exec_reply_done(&reply); /* idempotent */
    reply = taken(REPLY("\"token\":\"t\",\"clientKeyData\":\"\",\"clientCertificateData\":null,\"expirationTimestamp\":null"));
    assert_int_equal(reply.expires, MSEC_NEVER);
    exec_reply_done(&reply);
}

static void a_certificate(void **state) {
    struct exec_reply reply = taken(REPLY("\"clientCertificateData\":\"a\\nb\\n\",\"clientKeyData\":\"c\\n\",\"token\":\"\""));

    assert_null(reply.token);
    assert_string_equal(reply.certificate.data, "a\nb\n");
    assert_int_equal(reply.certificate.size, 4);
    assert_string_equal(reply.key.data, "c\n");
    exec_reply_done(&reply);
}

static void as_yaml(void **state) {
    struct exec_reply reply = taken("apiVersion: " V1 "\nkind: ExecCredential\nstatus:\n  token: abc\n  clientCertificateData: |\n"
                                    "    a\n    b\n  clientKeyData: |\n    c\n  expirationTimestamp: '2026-11-25T11:00:00+01:00'\n");

    assert_string_equal(reply.token, "abc");
    assert_string_equal(reply.certificate.data, "a\nb\n");
    assert_int_equal(reply.expires, 1795600800000);
    exec_reply_done(&reply);
}

static const struct {
    const char *text, *words;
} refused_cases[] = {
    {"", "no ExecCredential"},
    {"hunter2", "no ExecCredential"},
    {"{\"hunter2", "neither JSON nor YAML"},
    {"hunter2: 1\nhunter2: 2\n", "neither JSON nor YAML"},
    {"[]", "no ExecCredential"},
    {"{\"kind\":\"Status\",\"apiVersion\":\"hunter2\"}", "no ExecCredential"},
    {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"hunter2\",\"status\":{\"token\":\"t\"}}", "does not answer in " V1},
    {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "beta1\",\"status\":{\"token\":\"t\"}}", "does not answer in " V1},
    {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"}", "has no status"},
    {REPLY(""), "neither a token nor a certificate"},
    {REPLY("\"token\":\"\""), "neither a token nor a certificate"},
    {REPLY("\"token\":7"), "something else than texts"},
    {REPLY("\"token\":[\"hunter2\"]"), "something else than texts"},
    {REPLY("\"token\":\"hunter2\\r\\nX: y\""), "no token has"},
    {REPLY("\"token\":\"hunter2 \""), "no token has"},
    {REPLY("\"token\":\"t\",\"expirationTimestamp\":\"hunter2\""), "is no time"},
    {REPLY("\"token\":\"t\",\"expirationTimestamp\":5"), "is no time"},
    {REPLY("\"token\":\"t\",\"clientKeyData\":\"hunter2\""), "a key without its certificate"},
    {REPLY("\"clientCertificateData\":\"hunter2\""), "a certificate without its key"},
};

static void refused(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(refused_cases); i++) {
        struct exec_reply reply;
        struct problem problem = {0};
        char sentence[1400];

        if (exec_reply_parse(&reply, &plugin, refused_cases[i].text, strlen(refused_cases[i].text), &problem) != -EINVAL)
            fail_msg("taken: %s", refused_cases[i].text);
        if (!strstr(problem.what, refused_cases[i].words))
            fail_msg("%s: %s", refused_cases[i].text, problem.what);
        assert_string_equal(problem.where, "login");
        assert_null(strstr(problem_format(&problem, sentence, sizeof(sentence)), "hunter2"));
    }
}

/* Killed while it wrote. */
static void every_cut(void **state) {
    static const char whole[] = REPLY("\"token\":\"t\",\"clientCertificateData\":\"a\\n\",\"clientKeyData\":\"c\\n\"");

    for (size_t size = 0; size < sizeof(whole) - 3; size++) {
        struct exec_reply reply;

        assert_int_equal(exec_reply_parse(&reply, &plugin, whole, size, NULL), -EINVAL);
    }
}

RUN(cmocka_unit_test(a_token), cmocka_unit_test(a_certificate), cmocka_unit_test(as_yaml), cmocka_unit_test(refused),
    cmocka_unit_test(every_cut))
