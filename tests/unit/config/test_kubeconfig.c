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
    CLEANUP(cleanup_free) char *origin = scratch_expand("context prod (user u) in " FILE_);

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
    assert_string_equal(endpoint->token, "old"); /* until the file, which is the one that rotates, can be read */
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
#define IN "context \"prod\": "
#define OTHERWISE "(give this user a token, a tokenFile, a client certificate or an exec plugin)"
#define V1 "client.authentication.k8s.io/v1"
static const struct {
    const char *text, *context, *sentence;
} refused_cases[] = {
    {"", NULL, AT("1") "there is no mapping in this file (is this a kubeconfig?)"},
    {"a: b\n", NULL, AT("1") "the list \"contexts\" is missing (is this a kubeconfig?)"},
    {CONTEXTS, NULL, AT("1") "there is no current-context, and no context was named (there are: prod, test)"},
    {HEAD CONTEXTS, "Prod", AT("4") "contexts does not have the context \"Prod\" (there are: prod, test)"},
    {HEAD "contexts: []\n", NULL, AT("4") "contexts does not have the context \"prod\" (there is no other)"},
    {HEAD CONTEXTS, NULL, AT("1") IN "the list \"clusters\" is missing; the list \"users\" is missing (is this a kubeconfig?)"},
    {HEAD CONTEXTS "clusters: [{name: d, cluster: {server: x}}]\n" USER("token: t"), NULL,
     AT("5") IN "clusters does not have \"c\", which the context names (there are: d)"},
    {HEAD CONTEXTS OK_CLUSTER "users: []\n", NULL,
     AT("6") IN "users does not have \"u\", which the context names (there is no other)"},
    {HEAD CONTEXTS CLUSTER("") USER("token: t"), NULL, AT("5") IN "cluster \"c\" has no server (add server: https://HOST:PORT)"},
    {HEAD CONTEXTS CLUSTER("server: kube:6443") USER("token: t"), NULL, AT("5") IN "server \"kube:6443\" is no https URL (write https://HOST:PORT)"},
    {HEAD CONTEXTS CLUSTER("server: 'http://kube.example'") USER("token: t"), NULL,
     AT("5") IN "server \"http://kube.example\" would be spoken to without TLS (use https; plain http is for 127.0.0.1 and localhost only)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://me:hunter2@kube'") USER("token: t"), NULL,
     AT("5") IN "the server's URL has a user in it (use a token or a client certificate)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://kube:0'") USER("token: t"), NULL,
     AT("5") IN "server \"https://kube:0\" has no valid host and port (write https://HOST:PORT, an IPv6 address in brackets)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://2001:db8::1'") USER("token: t"), NULL,
     AT("5") IN "server \"https://2001:db8::1\" has no valid host and port (write https://HOST:PORT, an IPv6 address in brackets)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://'") USER("token: t"), NULL,
     AT("5") IN "server \"https://\" has no valid host and port (write https://HOST:PORT, an IPv6 address in brackets)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://kube/?x=1'") USER("token: t"), NULL,
     AT("5") IN "server \"https://kube/?x=1\" has more than a path behind its host (write https://HOST:PORT or https://HOST:PORT/PREFIX)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', certificate-authority-data: Y2E") USER("token: t"), NULL,
     AT("5") IN "cluster \"c\".certificate-authority-data is not base64 (was it cut when it was copied?)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', certificate-authority-data: 'Y2E=Y2E='") USER("token: t"), NULL,
     AT("5") IN "cluster \"c\".certificate-authority-data is not base64 (was it cut when it was copied?)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', certificate-authority: /ca, insecure-skip-tls-verify: true") USER("token: t"), NULL,
     AT("5") IN "cluster \"c\" has a CA and says that it is not to be checked against (remove insecure-skip-tls-verify)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', insecure-skip-tls-verify: 'true'") USER("token: t"), NULL,
     AT("5") IN "cluster \"c\".insecure-skip-tls-verify is a text, and must be true or false (without quotes; yes and no are not taken)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', proxy-url: 'ftp://me:hunter2@p'") USER("token: t"), NULL,
     AT("5") IN "cluster \"c\".proxy-url is no URL of a proxy (write http://, https:// or socks5:// and a host)"},
    {HEAD CONTEXTS CLUSTER("server: 'https://x', tls-server-name: 'a b'") USER("token: t"), NULL,
     AT("5") IN "cluster \"c\".tls-server-name is no host name (write the name that the certificate has)"},
    {HEAD CONTEXTS OK_CLUSTER USER("auth-provider: {name: oidc}"), NULL,
     AT("6") IN "user \"u\".auth-provider is not supported, and kubectl has dropped most of it too " OTHERWISE},
    {HEAD CONTEXTS OK_CLUSTER USER("username: me, password: hunter2"), NULL,
     AT("6") IN "user \"u\".username is no use: API servers have not taken user names and passwords since 1.19 " OTHERWISE},
    {HEAD CONTEXTS OK_CLUSTER USER("token: 'hunter2 hunter2'"), NULL,
     AT("6") IN "user \"u\".token has a character that no token has (was it copied whole, and on one line?)"},
    {HEAD CONTEXTS OK_CLUSTER USER("token: 12345"), NULL, AT("6") IN "user \"u\".token is a number, and must be a text (put it in quotes)"},
    {HEAD CONTEXTS OK_CLUSTER USER("client-certificate: /c"), NULL,
     AT("6") IN "user \"u\" has a client certificate without its key (give both client-certificate and client-key)"},
    {HEAD CONTEXTS OK_CLUSTER USER("as-groups: [system:masters]"), NULL,
     AT("6") IN "user \"u\" impersonates a uid, groups or extra without a user (add \"as: NAME\")"},
    {HEAD CONTEXTS OK_CLUSTER USER("as: \"a\\r\\nAuthorization: x\""), NULL,
     AT("6") IN "user \"u\".as has a control character (keep it on one line)"},
    {HEAD CONTEXTS "clusters: [{name: c, cluster: {server: 'https://x'}}, {name: c, cluster: {server: 'https://y'}}]\n" USER("token: a"), NULL,
     AT("5") IN "clusters[1] (c) is there twice, the first is in line 5 (keep one of them)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {apiVersion: " V1 ", interactiveMode: Never}"), NULL,
     AT("6") IN "user \"u\".exec has no command (add command: PROGRAM)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws}"), NULL,
     AT("6") IN "user \"u\".exec has no apiVersion (add apiVersion: " V1 ")"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: client.authentication.k8s.io/v1alpha1}"), NULL,
     AT("6") IN "user \"u\".exec.apiVersion is v1alpha1, which is no more "
                "(have the plugin's own tool write the kubeconfig anew: kubectl has dropped it in 1.24)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: v1}"), NULL,
     AT("6") IN "user \"u\".exec.apiVersion is \"v1\" (write " V1 " or " V1 "beta1)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: " V1 "}"), NULL,
     AT("6") IN "user \"u\".exec has no interactiveMode, which v1 must have (add interactiveMode: Never)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: " V1 ", interactiveMode: Always}"), NULL,
     AT("6") IN "user \"u\".exec.interactiveMode is Always: the plugin wants a person to answer it, and there is none here "
                "(use credentials that need nobody, such as a service account's)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: " V1 "beta1, interactiveMode: Sometimes}"), NULL,
     AT("6") IN "user \"u\".exec.interactiveMode is \"Sometimes\" (write Never, IfAvailable or Always)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: " V1 "beta1, args: [hunter2, 7]}"), NULL,
     AT("6") IN "user \"u\".exec.args[1] is no text (put it in quotes)"},
    {HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: " V1 "beta1, env: [{value: hunter2}]}"), NULL,
     AT("6") IN "user \"u\".exec.env[0] has no name (write {name: NAME, value: VALUE})"},
    {HEAD CONTEXTS OK_CLUSTER USER("token: t, exec: {command: aws}"), NULL,     /* not used, and wrong all the same */
     AT("6") IN "user \"u\".exec has no apiVersion (add apiVersion: " V1 ")"},
    {HEAD CONTEXTS CLUSTER("server: kube, insecure-skip-tls-verify: 1, tls-server-name: 'a b'")
     USER("token: 7, client-key: /k,\n  exec: {apiVersion: " V1 "}"), NULL,     /* all at once */
     AT("5") IN "server \"kube\" is no https URL; cluster \"c\".insecure-skip-tls-verify is a number, and must be true or false; "
                "cluster \"c\".tls-server-name is no host name; line 6: user \"u\".token is a number, and must be a text; "
                "user \"u\" has a client key without its certificate; line 7: user \"u\".exec has no command; "
                "user \"u\".exec has no interactiveMode, which v1 must have "
                "(write https://HOST:PORT; without quotes; yes and no are not taken; write the name that the certificate has; "
                "put it in quotes; give both client-certificate and client-key; add command: PROGRAM; add interactiveMode: Never)"},
    {HEAD CONTEXTS "clusters: []\n" USER("token: 7"), NULL,
     AT("5") IN "clusters does not have \"c\", which the context names; line 6: user \"u\".token is a number, and must be a text "
                "(there is no other; put it in quotes)"},
};

static void refused(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(refused_cases); i++) {
        struct endpoint *endpoint = NULL;
        struct problem problem = {0};

        if (load(&endpoint, refused_cases[i].text, refused_cases[i].context, &problem) != -EINVAL)
            fail_msg("taken: %s", refused_cases[i].text);
        assert_null(endpoint);
        assert_sentence(&problem, refused_cases[i].sentence);
        assert_null(strstr(problem.what, "hunter2"));
    }
}

#define PLUGIN "exec: {command: ./bin/login, apiVersion: " V1 ", interactiveMode: IfAvailable, provideClusterInfo: true, " \
               "args: ['', 'a b', '$(x)'], env: [{name: A, value: 'b=c'}, {name: EMPTY}], installHint: \"get\\n\\e[1mit\"}"

static void an_exec_plugin(void **state) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    CLEANUP(cleanup_free) char *info = NULL, *expected = NULL;
    struct problem problem = {0};
    const char *const text = HEAD CONTEXTS CLUSTER("server: 'https://x/', tls-server-name: y, proxy-url: 'http://p', extensions: "
                                                   "[{name: other, extension: 1}, {name: client.authentication.k8s.io/exec, extension: {a: [1, b]}}]")
        USER(PLUGIN);

    assert_int_equal(load(&endpoint, text, NULL, NULL), 0);
    assert_string_equal(endpoint->exec->command, scratch_path("bin/login"));
    assert_string_equal(endpoint->exec->arguments[0], "");
    assert_string_equal(endpoint->exec->arguments[2], "$(x)");
    assert_null(endpoint->exec->arguments[3]);
    assert_string_equal(endpoint->exec->environment[0], "A=b=c");
    assert_string_equal(endpoint->exec->environment[1], "EMPTY=");
    assert_string_equal(endpoint->exec->install_hint, "get  [1mit");
    assert_int_equal(exec_plugin_info(&info, endpoint, "ca\n", 3), 0);
    assert_string_equal(info, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"spec\":{\"interactive\":false,\"cluster\":"
                              "{\"server\":\"https://x\",\"tls-server-name\":\"y\",\"certificate-authority-data\":\"Y2EK\","
                              "\"proxy-url\":\"http://p\",\"config\":{\"a\":[1,\"b\"]}}}}");
    endpoint = endpoint_free(endpoint);
    assert_int_equal(load(&endpoint, HEAD CONTEXTS OK_CLUSTER USER("tokenFile: t, " PLUGIN), NULL, NULL), 0);
    assert_null(endpoint->exec); /* as kubectl does it */
    endpoint = endpoint_free(endpoint);
    assert_int_equal(load(&endpoint, HEAD CONTEXTS OK_CLUSTER USER("exec: {command: aws, apiVersion: " V1 "beta1}"), NULL, NULL), 0);
    assert_string_equal(endpoint->exec->command, "aws"); /* PATH has it */
    free(info);
    assert_int_equal(exec_plugin_info(&info, endpoint, "ca\n", 3), 0);
    assert_string_equal(info, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "beta1\",\"spec\":{\"interactive\":false}}");
    endpoint = endpoint_free(endpoint);

    assert_int_equal(chmod(scratch_path("k.kubeconfig"), 0620), 0);
    assert_int_equal(endpoint_from_kubeconfig(&endpoint, scratch_path("k.kubeconfig"), NULL, &problem), -EINVAL);
    assert_sentence(&problem, AT("6") IN "user \"u\".exec would run a program that others may choose: the file is writable for "
                                         "them (chmod go-w it)");
}

static void assert_refused(const char *paths, const char *sentence) {
    CLEANUP(cleanup_free) char *expanded = scratch_expand(paths);
    struct endpoint *endpoint = NULL;
    struct problem problem = {0};

    assert_int_equal(endpoint_from_kubeconfig(&endpoint, expanded, NULL, &problem), -EINVAL);
    assert_sentence(&problem, sentence);
}

/* client-go's rules: by name, the first wins; what does not exist is passed over; paths are from each file's directory. */
static void several_files(void **state) {
    CLEANUP(cleanup_free) char *paths = scratch_expand("DIR/absent::DIR/1/a:DIR/2/b:DIR/1/a");
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;

    assert_int_equal(mkdir(scratch_path("1"), 0700) + mkdir(scratch_path("2"), 0700), 0);
    scratch_write("1/a", "clusters: [{name: c, cluster: {server: 'https://first', certificate-authority: ca}}]\nusers: null\n");
    scratch_write("2/b", "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
                         "clusters: [{name: c, cluster: {server: 'https://second', proxy-url: 'http://p'}}]\n"
                         "users: [{name: u, user: {tokenFile: t, token: '', client-key: '', as: '', as-uid: ''}}]\n");
    scratch_write("2/c", "current-context: y\ncontexts: [{name: x, context: {cluster: d}}, {name: y, context: {cluster: d}}]\n");
    scratch_write("2/empty", "");
    assert_int_equal(endpoint_from_kubeconfig(&endpoint, paths, NULL, NULL), 0);
    assert_string_equal(endpoint->server, "https://first");
    assert_string_equal(endpoint->ca.path, scratch_path("1/ca"));
    assert_null(endpoint->proxy); /* entries are not mixed */
    assert_string_equal(endpoint->token_file, scratch_path("2/t"));
    assert_refused("DIR/absent:DIR/2/none", "DIR/absent:DIR/2/none: none of these files exists (create one of them, or name another)");
    assert_refused("DIR/2/empty:DIR/2/c:DIR/2/b", "DIR/2/b:3: context \"y\": clusters does not have \"d\", which the context names "
                                                  "(there are: c)");
    scratch_write("2/bad", "contexts: [\n");
    scratch_write("2/text", "- a\n");
    assert_refused("DIR/2/bad:DIR/2/b:DIR/2/text",
                   "DIR/2/bad:2: this is not YAML: did not find expected node content; DIR/2/text:1: there is no mapping in this file "
                   "(look at the indentation, quotes and brackets here and in the line before; is this a kubeconfig?)");
    scratch_write("odd:name", "contexts: [\n"); /* one file that is there is one file */
    assert_refused("DIR/odd:name", "DIR/odd:name:2: this is not YAML: did not find expected node content "
                                   "(look at the indentation, quotes and brackets here and in the line before)");
}

static void several_files_of_a_cluster(void **state) {
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(cleanup_free) char *two = scratch_expand("DIR/x:/abs/y");

    scratch_write("nodewall.yaml", "clusters:\n  a: {kubeconfig: ['x', /abs/y]}\n  b: {kubeconfig: 'x::/abs/y'}\n");
    assert_int_equal(config_load(&config, scratch_path("nodewall.yaml"), NULL), 0);
    assert_string_equal(config_find(config, "a")->kubeconfig, two);
    assert_string_equal(config_find(config, "b")->kubeconfig, two);
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
        cmocka_unit_test(an_exec_plugin), cmocka_unit_test(several_files), cmocka_unit_test(several_files_of_a_cluster),
    };

    return cmocka_run_group_tests(cases, scratch_make, scratch_remove);
}
