/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/config.h"
#include "scratch.h"

#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: prod\n"
#define CONTEXTS "contexts: [{name: prod, context: {cluster: c, user: u}}, {name: test, context: {cluster: c, user: u2}}]\n"
#define CLUSTER(text) "clusters: [{name: c, cluster: {" text "}}]\n"
#define USER(text) "users: [{name: u, user: {" text "}}, {name: u2, user: {token: two}}]\n"
#define FILE_ "DIR/k.kubeconfig"

static int load(struct endpoint **ret, const char *text, const char *context, struct problem *problem) {
    scratch_write("k.kubeconfig", text);
    return endpoint_from_kubeconfig(ret, scratch_path("k.kubeconfig"), context, problem);
}

static void data_and_defaults(void **state) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    CLEANUP(cleanup_free) char *origin = scratch_expand("context prod in " FILE_);

    assert_int_equal(load(&endpoint,
                          HEAD CONTEXTS "preferences: {}\nextensions: [{name: whatever}]\n"
                          CLUSTER("server: 'HTTPS://kube.example:6443/', certificate-authority-data: Y2EK, certificate-authority: /x")
                          USER("client-certificate-data: Y2VydA==, client-key-data: a2V5, token: abc"), NULL, NULL), 0);
    assert_string_equal(endpoint->origin, origin);
    assert_string_equal(endpoint->server, "https://kube.example:6443");
    assert_string_equal(endpoint->host, "kube.example");
    assert_int_equal(endpoint->port, 6443);
    assert_string_equal(endpoint->ca.data, "ca\n");
    assert_int_equal(endpoint->ca.size, 3);
    assert_null(endpoint->ca.path); /* data wins */
    assert_string_equal(endpoint->certificate.data, "cert");
    assert_string_equal(endpoint->key.data, "key");
    assert_string_equal(endpoint->token, "abc");
    assert_null(endpoint->token_file);
    assert_null(endpoint->proxy);
    assert_false(endpoint->plain || endpoint->insecure || endpoint->disable_compression);
}

static void files_and_options(void **state) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;

    assert_int_equal(load(&endpoint,
                          HEAD CONTEXTS CLUSTER("server: 'https://[2001:db8::1]/k8s/clusters/c-1', certificate-authority: ca.pem, "
                                                "tls-server-name: kube.internal, proxy-url: 'socks5://user:secret@[::1]:1080', "
                                                "disable-compression: true")
                          USER("client-certificate: /c.pem, client-key: ./k.pem, token: old, tokenFile: token, as: jane, as-uid: '7', "
                               "as-groups: [a, b], as-user-extra: {Scopes: [x, y]}"), "prod", NULL), 0);
    assert_string_equal(endpoint->server, "https://[2001:db8::1]/k8s/clusters/c-1");
    assert_string_equal(endpoint->host, "2001:db8::1");
    assert_int_equal(endpoint->port, 443);
    assert_string_equal(endpoint->ca.path, scratch_path("ca.pem"));
    assert_string_equal(endpoint->tls_server_name, "kube.internal");
    assert_string_equal(endpoint->proxy, "socks5://user:secret@[::1]:1080");
    assert_true(endpoint->disable_compression);
    assert_string_equal(endpoint->certificate.path, "/c.pem");
    assert_string_equal(endpoint->key.path, scratch_path("k.pem"));
    assert_string_equal(endpoint->token_file, scratch_path("token"));
    assert_null(endpoint->token); /* the file is the one that rotates */
    assert_string_equal(endpoint->as.user, "jane");
    assert_string_equal(endpoint->as.uid, "7");
    assert_string_equal(endpoint->as.groups[1], "b");
    assert_string_equal(endpoint->as.extra[2], "scopes");
    assert_string_equal(endpoint->as.extra[3], "y");
    assert_null(endpoint->as.extra[4]);
}

static void another_context_and_json(void **state) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;

    assert_int_equal(load(&endpoint,
                          "{\"apiVersion\":\"v1\",\"kind\":\"Config\",\n\t\"contexts\":[{\"name\":\"a\",\"context\":{\"cluster\":\"c\",\"user\":\"\"}}],\n"
                          "\t\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://127.0.0.1:8001\"}}],\"users\":null}\n",
                          "a", NULL), 0);
    assert_true(endpoint->plain);
    assert_null(endpoint->token);
    endpoint = endpoint_free(endpoint);
    assert_int_equal(load(&endpoint, HEAD CONTEXTS CLUSTER("server: 'https://x', insecure-skip-tls-verify: true") USER("token: one"),
                          "test", NULL), 0);
    assert_string_equal(endpoint->token, "two");
    assert_true(endpoint->insecure);
}

#define OK_CLUSTER CLUSTER("server: 'https://x'")
#define AT(line) FILE_ ":" line ": "
static const struct {
    const char *text, *context, *sentence;
} refused_cases[] = {
    {"", NULL, AT("1") "there is no mapping in this file (is this a kubeconfig?)"},
    {"a: b\n", NULL, AT("1") "the list \"contexts\" is missing (is this a kubeconfig?)"},
    {CONTEXTS, NULL, AT("1") "there is no current-context, and no context was named (there are: prod, test)"},
    {HEAD CONTEXTS, "Prod", AT("4") "contexts does not have the context \"Prod\" (there are: prod, test)"},
    {HEAD "contexts: []\n", NULL, AT("4") "contexts does not have the context \"prod\" (there is no other)"},
    {HEAD CONTEXTS, NULL, AT("1") "the list \"clusters\" is missing (is this a kubeconfig?)"},
    {HEAD CONTEXTS "clusters: [{name: d, cluster: {server: x}}]\n", NULL,
     AT("5") "clusters does not have \"c\", which context \"prod\" names (there are: d)"},
    {HEAD CONTEXTS OK_CLUSTER "users: []\n", NULL,
     AT("6") "users does not have \"u\", which context \"prod\" names (there is no other)"},
    {HEAD CONTEXTS CLUSTER(""), NULL, AT("5") "cluster \"c\" has no server (add server: https://HOST:PORT)"},
    {HEAD CONTEXTS CLUSTER("server: kube:6443"), NULL, AT("5") "server \"kube:6443\" is no https URL (write https://HOST:PORT)"},
    {HEAD CONTEXTS CLUSTER("server: 'http://kube.example'"), NULL,
     AT("5") "server \"http://kube.example\" would be spoken to without TLS (use https; plain http is for 127.0.0.1 and localhost only)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://me:hunter2@kube'"), NULL,
     AT("5") "the server's URL has a user in it (use a token or a client certificate)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://kube:0'"), NULL,
     AT("5") "server \"https://kube:0\" has no valid host and port (write https://HOST:PORT, an IPv6 address in brackets)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://2001:db8::1'"), NULL,
     AT("5") "server \"https://2001:db8::1\" has no valid host and port (write https://HOST:PORT, an IPv6 address in brackets)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://'"), NULL,
     AT("5") "server \"https://\" has no valid host and port (write https://HOST:PORT, an IPv6 address in brackets)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://kube/?x=1'"), NULL,
     AT("5") "server \"https://kube/?x=1\" has more than a path behind its host (write https://HOST:PORT or https://HOST:PORT/PREFIX)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', certificate-authority-data: Y2E"), NULL,
     AT("5") "cluster \"c\".certificate-authority-data is not base64 (was it cut when it was copied?)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', certificate-authority-data: 'Y2E=Y2E='"), NULL,
     AT("5") "cluster \"c\".certificate-authority-data is not base64 (was it cut when it was copied?)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', certificate-authority: /ca, insecure-skip-tls-verify: true"), NULL,
     AT("5") "cluster \"c\" has a CA and says that it is not to be checked against (remove insecure-skip-tls-verify)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', insecure-skip-tls-verify: 'true'"), NULL,
     AT("5") "cluster \"c\".insecure-skip-tls-verify is a text, and must be true or false (without quotes; yes and no are not taken)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', proxy-url: 'ftp://me:hunter2@p'"), NULL,
     AT("5") "cluster \"c\".proxy-url is no URL of a proxy (write http://, https:// or socks5:// and a host)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', tls-server-name: 'a b'"), NULL,
     AT("5") "cluster \"c\".tls-server-name is no host name (write the name that the certificate has)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: client.authentication.k8s.io/v1}"), NULL,
     AT("6") "user \"u\".exec (context \"prod\"): the exec plugin \"aws\" would have to be run; exec plugins are not supported yet "
             "(give this user a token, a tokenFile or a client certificate)"},
    {HEAD CONTEXTS OK_CLUSTER USER("auth-provider: {name: oidc}"), NULL,
     AT("6") "user \"u\".auth-provider (context \"prod\"): auth-provider is not supported, and kubectl has dropped it too "
             "(give this user a token, a tokenFile or a client certificate)"},
    {HEAD CONTEXTS OK_CLUSTER USER("username: me, password: hunter2"), NULL,
     AT("6") "user \"u\".username (context \"prod\"): API servers have not taken user names and passwords since 1.19 "
             "(give this user a token, a tokenFile or a client certificate)"},
    {HEAD CONTEXTS OK_CLUSTER USER("token: 'hunter2 hunter2'"), NULL,
     AT("6") "user \"u\".token has a character that no token has (was it copied whole, and on one line?)"},
    {HEAD CONTEXTS OK_CLUSTER USER("token: 12345"), NULL, AT("6") "user \"u\".token is a number, and must be a text (put it in quotes)"},
    {HEAD CONTEXTS OK_CLUSTER USER("client-certificate: /c"), NULL,
     AT("6") "user \"u\" has a client certificate without its key (give both client-certificate and client-key)"},
    {HEAD CONTEXTS OK_CLUSTER USER("as-groups: [system:masters]"), NULL,
     AT("6") "user \"u\" impersonates a uid, groups or extra without a user (add \"as: NAME\")"},
    {HEAD CONTEXTS OK_CLUSTER USER("as: \"a\\r\\nAuthorization: x\""), NULL,
     AT("6") "user \"u\".as has a control character (keep it on one line)"},
};

static void refused(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(refused_cases); i++) {
        struct endpoint *endpoint = NULL;
        struct problem problem = {0};

        assert_int_equal(load(&endpoint, refused_cases[i].text, refused_cases[i].context, &problem), -EINVAL);
        assert_null(endpoint);
        assert_sentence(&problem, refused_cases[i].sentence);
        assert_null(strstr(problem.what, "hunter2"));
    }
}

static void by_cluster(void **state) {
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    struct problem problem = {0};

    scratch_write("nodewall.yaml", "clusters:\n  a: {kubeconfig: none, context: x}\n  b: {in_cluster: true}\n"
                                   "  c: {server: 'https://kube', ca: ca.pem}\n  d: {server: 'kube'}\n");
    assert_int_equal(config_load(&config, scratch_path("nodewall.yaml"), NULL), 0);
    assert_int_equal(cluster_endpoint(&endpoint, config_find(config, "a"), &problem), -EINVAL);
    assert_sentence(&problem, "DIR/none: cluster a: cannot be read: No such file or directory (is the path right?)");
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(cluster_endpoint(&endpoint, config_find(config, "b"), &problem), -EINVAL);
    assert_sentence(&problem, "DIR/nodewall.yaml:3: cluster b: in_cluster: this is no pod: KUBERNETES_SERVICE_HOST and "
                              "KUBERNETES_SERVICE_PORT are not set (run it in a pod, or name a kubeconfig)");
    assert_int_equal(cluster_endpoint(&endpoint, config_find(config, "d"), &problem), -EINVAL);
    assert_sentence(&problem, "DIR/nodewall.yaml:5: cluster d: server \"kube\" is no https URL (write https://HOST:PORT)");
    assert_null(endpoint);
    assert_int_equal(cluster_endpoint(&endpoint, config_find(config, "c"), &problem), 0);
    assert_string_equal(endpoint->ca.path, scratch_path("ca.pem"));
    assert_null(endpoint->token_file);
}

static void in_a_pod(void **state) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    struct problem problem = {0};

    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(endpoint_from_cluster(&endpoint, scratch_path("pod"), "x:1", &problem), -EINVAL);
    assert_sentence(&problem, "x:1: in_cluster: DIR/pod/token: No such file or directory "
                              "(give the pod a service account (automountServiceAccountToken))");
    assert_int_equal(mkdir(scratch_path("pod"), 0700), 0);
    scratch_write("pod/token", "t");
    assert_int_equal(endpoint_from_cluster(&endpoint, scratch_path("pod"), "x:1", &problem), 0);
    assert_string_equal(endpoint->server, "https://[fd00::1]:443");
    assert_string_equal(endpoint->token_file, scratch_path("pod/token"));
    assert_string_equal(endpoint->ca.path, scratch_path("pod/ca.crt"));
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(data_and_defaults), cmocka_unit_test(files_and_options), cmocka_unit_test(another_context_and_json),
        cmocka_unit_test(refused),           cmocka_unit_test(by_cluster),        cmocka_unit_test(in_a_pod),
    };

    return cmocka_run_group_tests(cases, scratch_make, scratch_remove);
}
