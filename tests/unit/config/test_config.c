/* SPDX-License-Identifier: Apache-2.0 */
#include "nodewall/config.h"
#include "scratch.h"

#define PROD "clusters:\n  prod:\n    kubeconfig: prod.kubeconfig\n"
#define DIRS "clusters_dir: clusters.d\n"

static int load(struct config **ret, const char *text, struct problem *problem) {
    scratch_write("nodewall.yaml", text);
    return config_load(ret, scratch_path("nodewall.yaml"), problem);
}

static void defaults(void **state) {
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(cleanup_free) char *kubeconfig = scratch_expand("DIR/prod.kubeconfig"), *where = scratch_expand("DIR/nodewall.yaml:2");
    const struct cluster_config *prod;

    assert_int_equal(load(&config, PROD, NULL), 0);
    assert_int_equal(config->n_clusters, 1);
    assert_null(config_find(config, "test"));
    prod = config_find(config, "prod");
    assert_string_equal(prod->kubeconfig, kubeconfig);
    assert_string_equal(prod->where, where);
    assert_null(prod->context);
    assert_null(prod->node_selector);
    assert_string_equal(prod->address_types[0], "ExternalIP");
    assert_string_equal(prod->address_types[1], "InternalIP");
    assert_null(prod->address_types[2]);
    assert_int_equal(prod->within.n + prod->extra.n + prod->except.n, 0);
    assert_int_equal(prod->removal_grace, 30000);
    assert_int_equal(prod->max_removal, 50);
    assert_int_equal(prod->max_addresses_per_node, 16);
    assert_int_equal(prod->max_addresses, 65536);
    assert_int_equal(prod->stale_after, 600000);
    assert_string_equal(config->state_dir, "/var/lib/nodewall");
    assert_string_equal(config->bus.sock_dir, "/var/run/salt/master");
    assert_int_equal(config->bus.ipc_mode, BUS_IPC_UNIX);
    assert_int_equal(config->bus.framing, CONFIG_FRAMING_AUTO);
    assert_int_equal(config->bus.pub_port, 4512);
    assert_int_equal(config->bus.pull_port, 4513);
    assert_null(config->metrics_host);
}

static void assert_address(const struct address *address, const char *expected) {
    char text[ADDRESS_TEXT_MAX];

    assert_string_equal(address_format(address, text), expected);
}

static void everything(void **state) {
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(cleanup_free) char *text = scratch_expand("DIR/state");
    const struct cluster_config *prod;

    assert_int_equal(load(&config,
                          "clusters:\n"
                          "  prod:\n"
                          "    kubeconfig: /etc/nodewall/prod.kubeconfig\n"
                          "    context: prod\n"
                          "    node_selector: 'pool=web'\n"
                          "    address_types: [InternalIP]\n"
                          "    within: [172.104.0.0/15, '2001:db8::/32']\n"
                          "    extra: [203.0.113.7]\n"
                          "    except: ['::ffff:198.51.100.1']\n"
                          "    removal_grace: 0\n"
                          "    max_removal: 100%\n"
                          "    max_addresses_per_node: 4\n"
                          "    max_addresses: 100\n"
                          "    stale_after: 2h\n"
                          "  here: {in_cluster: true}\n"
                          "  by-hand: {server: 'https://[2001:db8::1]:6443', ca: ca.pem, token_file: /run/token}\n"
                          "state_dir: ./state\n"
                          "bus: {transport: local, sock_dir: /run/salt, ipc_mode: tcp, pub_port: 1, pull_port: 65535, framing: len32}\n"
                          "metrics: '[::1]:9798'\n",
                          NULL), 0);
    assert_int_equal(config->n_clusters, 3);
    assert_string_equal(config->clusters[0]->name, "by-hand");
    assert_string_equal(config->clusters[0]->token_file, "/run/token");
    assert_true(config_find(config, "here")->in_cluster);
    prod = config_find(config, "prod");
    assert_string_equal(prod->context, "prod");
    assert_string_equal(prod->node_selector, "pool=web");
    assert_string_equal(prod->address_types[0], "InternalIP");
    assert_null(prod->address_types[1]);
    assert_int_equal(prod->within.n, 2);
    assert_address(&prod->within.items[0], "172.104.0.0/15");
    assert_address(&prod->within.items[1], "2001:db8::/32");
    assert_address(&prod->extra.items[0], "203.0.113.7");
    assert_address(&prod->except.items[0], "198.51.100.1");
    assert_int_equal(prod->removal_grace, 0);
    assert_int_equal(prod->max_removal, 100);
    assert_int_equal(prod->max_addresses_per_node, 4);
    assert_int_equal(prod->max_addresses, 100);
    assert_int_equal(prod->stale_after, 7200000);
    assert_string_equal(config->state_dir, text);
    assert_string_equal(config->bus.sock_dir, "/run/salt");
    assert_int_equal(config->bus.ipc_mode, BUS_IPC_TCP);
    assert_int_equal(config->bus.pub_port, 1);
    assert_int_equal(config->bus.pull_port, 65535);
    assert_int_equal(config->bus.framing, CONFIG_FRAMING_LEN32);
    assert_string_equal(config->metrics_host, "::1");
    assert_int_equal(config->metrics_port, 9798);
}

#define MINION PROD "bus:\n  transport: minion\n  id: engine\n  trust_first_use: true\n"

static void through_a_minion(void **state) {
    static const struct {
        const char *typed, *host;
        unsigned port;
    } masters[] = {
        {"salt", "salt", 4506},
        {"salt.example.org:14506", "salt.example.org", 14506},
        {"203.0.113.1:1", "203.0.113.1", 1},
        {"'2001:db8::1'", "2001:db8::1", 4506},
        {"'[2001:db8::1]'", "2001:db8::1", 4506},
        {"'[2001:db8::1]:65535'", "2001:db8::1", 65535},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(masters); i++) {
        CLEANUP(config_freep) struct config *config = NULL;
        CLEANUP(cleanup_free) char *text = NULL;

        assert_true(asprintf(&text, MINION "  master: [salt0, %s]\n", masters[i].typed) > 0);
        assert_int_equal(load(&config, text, NULL), 0);
        assert_int_equal(config->bus.transport, BUS_TRANSPORT_MINION);
        assert_int_equal(config->bus.minion.n_masters, 2);
        assert_string_equal(config->bus.minion.masters[1].host, masters[i].host);
        assert_int_equal(config->bus.minion.masters[1].port, masters[i].port);
        assert_string_equal(config->bus.minion.id, "engine");
        assert_true(config->bus.minion.trust_first_use);
        assert_null(config->bus.minion.fingers);
    }
}

static void clusters_from_a_directory(void **state) {
    CLEANUP(config_freep) struct config *config = NULL, *again = NULL;
    struct problem problem = {0};

    assert_int_equal(load(&config, DIRS, &problem), -EINVAL);
    assert_sentence(&problem, "DIR/clusters.d: clusters_dir cannot be read: No such file or directory "
                              "(create it, or remove clusters_dir)");
    assert_int_equal(mkdir(scratch_path("clusters.d"), 0700), 0);
    assert_int_equal(load(&config, DIRS, &problem), 0); /* one may come */
    assert_int_equal(config->n_clusters, 0);
    config = config_free(config);

    scratch_write("clusters.d/b.kubeconfig", "");
    scratch_write("clusters.d/a.kubeconfig", "");
    scratch_write("clusters.d/.c.kubeconfig", "");
    scratch_write("clusters.d/README", "");
    assert_int_equal(load(&config, PROD DIRS, NULL), 0);
    assert_int_equal(config->n_clusters, 3);
    assert_string_equal(config->clusters[0]->name, "a");
    assert_true(config->clusters[0]->from_dir);
    assert_string_equal(config->clusters[0]->kubeconfig, scratch_path("clusters.d/a.kubeconfig"));
    assert_false(config_find(config, "prod")->from_dir);
    config = config_free(config);

    scratch_write("clusters.d/prod.kubeconfig", "");
    assert_int_equal(load(&config, PROD DIRS, &problem), 0);
    assert_int_equal(config->n_clusters, 3);
    assert_int_equal(config->n_left_out, 1);
    assert_sentence(&config->left_out[0], "DIR/clusters.d/prod.kubeconfig: the cluster prod is in DIR/nodewall.yaml:2, too, "
                                          "and that one counts (remove one of them)");
    assert_false(config_find(config, "prod")->from_dir);
    remove(scratch_path("clusters.d/prod.kubeconfig"));
    scratch_write("clusters.d/Bad.kubeconfig", "");
    scratch_write("clusters.d/c.kubeconfig", "");
    scratch_write("nodewall.yaml", "this is: not\nread: again\n");
    assert_int_equal(config_list_again(&again, config, &problem), 0);
    assert_int_equal(again->n_clusters, 4);
    assert_int_equal(again->n_left_out, 1);
    assert_sentence(&again->left_out[0], "DIR/clusters.d/Bad.kubeconfig: \"Bad\" is no name for a cluster "
                                         "(rename it: small letters, digits, dots and hyphens, at most 63)");
    for (size_t i = 0; i < CONFIG_LEFT_OUT; i++) { /* more than are told are counted */
        char name[64];

        snprintf(name, sizeof(name), "clusters.d/BAD%zu.kubeconfig", i);
        scratch_write(name, "");
    }
    again = config_free(again);
    assert_int_equal(config_list_again(&again, config, &problem), 0);
    assert_int_equal(again->n_left_out, CONFIG_LEFT_OUT + 1);
    assert_int_equal(again->n_clusters, 4);
    again = config_free(again);
    assert_int_equal(chmod(scratch_path("clusters.d"), 01777), 0); /* sticky or not, a file is all it takes */
    assert_int_equal(config_list_again(&again, config, &problem), -EINVAL);
    assert_sentence(&problem, "DIR/clusters.d: everybody on this machine can write into clusters_dir, and a kubeconfig may name a "
                              "program to run (look at what is in it, then: chmod o-w it)");
}

/* What a change of each key asks for. */
static const struct {
    const char *line;
    unsigned changed;
} changes[] = {
    {"", 0},
    {"    max_removal: 50%\n", 0}, /* as it is anyway */
    {"    extra: [203.0.113.7]\n", CONFIG_WORDS},
    {"    except: [203.0.113.7]\n", CONFIG_WORDS},
    {"    removal_grace: 31s\n", CONFIG_WORDS},
    {"    max_removal: 51%\n", CONFIG_WORDS},
    {"    max_addresses: 7\n", CONFIG_WORDS},
    {"    stale_after: 7s\n", CONFIG_WORDS},
    {"    within: [203.0.113.0/24]\n", CONFIG_WORDS | CONFIG_CHOICE},
    {"    max_addresses_per_node: 7\n", CONFIG_WORDS | CONFIG_CHOICE},
    {"    address_types: [InternalIP]\n", CONFIG_CHOICE | CONFIG_SELECTION},
    {"    node_selector: a=b\n", CONFIG_SOURCE | CONFIG_SELECTION},
    {"    field_selector: metadata.name=a\n", CONFIG_SOURCE | CONFIG_SELECTION},
    {"    context: other\n", CONFIG_SOURCE},
};

static void compared(void **state) {
    static const char *const elsewhere[] = {
        "clusters:\n  prod:\n    kubeconfig: other.kubeconfig\n", "clusters:\n  prod: {in_cluster: true}\n",
        "clusters:\n  prod: {server: 'https://a.example'}\n", "clusters:\n  prod: {server: 'https://b.example'}\n",
        "clusters:\n  prod: {server: 'https://b.example', ca: ca}\n",
        "clusters:\n  prod: {server: 'https://b.example', ca: ca, token_file: t}\n",
    };
    CLEANUP(config_freep) struct config *base = NULL, *before = NULL;

    assert_int_equal(load(&base, PROD, NULL), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        CLEANUP(config_freep) struct config *config = NULL;
        char text[256];

        /* The comment moves every line, which is no change. */
        snprintf(text, sizeof(text), "# moved\n%s%s", PROD, changes[i].line);
        assert_int_equal(load(&config, text, NULL), 0);
        assert_int_equal(cluster_config_compare(base->clusters[0], config->clusters[0]), changes[i].changed);
        assert_int_equal(cluster_config_compare(config->clusters[0], base->clusters[0]), changes[i].changed);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(elsewhere); i++) {
        struct config *config = NULL;

        assert_int_equal(load(&config, elsewhere[i], NULL), 0);
        assert_int_equal(cluster_config_compare((before ? before : base)->clusters[0], config->clusters[0]), CONFIG_SOURCE);
        config_free(before);
        before = config;
    }
}

static const struct {
    const char *text, *sentence;
} refused_cases[] = {
    {"", "DIR/nodewall.yaml:1: there is nothing in this file (begin with \"clusters:\")"},
    {"prod\n", "DIR/nodewall.yaml:1: is a text, and must be a mapping (write \"name: value\" lines, indented below it)"},
    {"state_dir: /x\n", "DIR/nodewall.yaml:1: there is no cluster, neither here nor in /etc/nodewall/clusters.d "
                        "(add one under \"clusters:\", or put NAME.kubeconfig into clusters_dir)"},
    {PROD "metric: 127.0.0.1:1\n", "DIR/nodewall.yaml:4: unknown key \"metric\" (did you mean \"metrics\"?)"},
    {PROD "sets: 1\n", "DIR/nodewall.yaml:4: unknown key \"sets\" (what there is: clusters, clusters_dir, state_dir, bus, metrics)"},
    {PROD "    removal_grase: 1s\n",
     "DIR/nodewall.yaml:4: clusters.prod has the unknown key \"removal_grase\" (did you mean \"removal_grace\"?)"},
    {PROD "    within:\n", "DIR/nodewall.yaml:4: clusters.prod has \"within\" without a value (give it one, or remove the line)"},
    {MINION, "DIR/nodewall.yaml:4: bus has no master (add master: and its name or address)"},
    {MINION "  master: []\n", "DIR/nodewall.yaml:8: bus.master has 0 masters, and may have 1 to 16"},
    {MINION "  master: a b\n", "DIR/nodewall.yaml:8: bus.master is \"a b\", which is no host "
                              "(write salt.example.org, or 203.0.113.1:4506, or [2001:db8::1]:4506)"},
    {MINION "  master: a/b\n", "DIR/nodewall.yaml:8: bus.master is \"a/b\", which is no host "
                              "(write salt.example.org, or 203.0.113.1:4506, or [2001:db8::1]:4506)"},
    {MINION "  master: [a, 'b:0']\n", "DIR/nodewall.yaml:8: bus.master[1] has the port \"0\" (a number from 1 to 65535)"},
    {MINION "  master: a\n  master_finger: 'aa:bb'\n",
     "DIR/nodewall.yaml:9: bus.master_finger has \"aa:bb\", which is no SHA-256 fingerprint "
     "(on the master, salt-key -F master shows that of master.pub)"},
    {MINION "  master: a\n  master_key: master.pub\n",
     "DIR/nodewall.yaml:4: bus has more than one of master_finger, master_key and trust_first_use (keep one)"},
    {MINION "  master: a\n  sock_dir: /x\n",
     "DIR/nodewall.yaml:9: bus has the unknown key \"sock_dir\" (what there is: transport, master, id, master_finger, master_key, "
     "trust_first_use, hash)"},
    {PROD "bus: {transport: minion, master: a, trust_first_use: true}\n",
     "DIR/nodewall.yaml:4: bus has no id (add id: and the name that salt-key is to show)"},
    {PROD "bus: {transport: minion, master: a, id: ../a, trust_first_use: true}\n",
     "DIR/nodewall.yaml:4: bus.id is \"../a\" (letters, digits, dots, hyphens and underscores)"},
    {PROD "bus: {transport: minion, master: a, id: a}\n",
     "DIR/nodewall.yaml:4: bus does not say how the master is known: master_finger, master_key or trust_first_use "
     "(add master_finger: and what salt-key -F master shows there for master.pub)"},
    {PROD "bus: {transport: minion, master: a, id: a, trust_first_use: true, hash: md5}\n",
     "DIR/nodewall.yaml:4: bus.hash is \"md5\" (write auto, sha1 or sha224)"},
    {PROD "    removal_grace: 30\n", "DIR/nodewall.yaml:4: clusters.prod.removal_grace is \"30\", which is no duration "
                                     "(write a whole number and s, m, h or d: 30s, 5m, 2h, 7d)"},
    {PROD "    removal_grace: 1.5h\n", "DIR/nodewall.yaml:4: clusters.prod.removal_grace is \"1.5h\", which is no duration "
                                       "(write a whole number and s, m, h or d: 30s, 5m, 2h, 7d)"},
    {PROD "    removal_grace: 99999999d\n", "DIR/nodewall.yaml:4: clusters.prod.removal_grace is \"99999999d\", which is no duration "
                                            "(write a whole number and s, m, h or d: 30s, 5m, 2h, 7d)"},
    {PROD "    stale_after: 0s\n", "DIR/nodewall.yaml:4: clusters.prod.stale_after is 0s, and must be at least 1s"},
    {PROD "    max_removal: 50\n",
     "DIR/nodewall.yaml:4: clusters.prod.max_removal is \"50\", which is no percentage (write 0% to 100%, like 50%)"},
    {PROD "    max_removal: 101%\n",
     "DIR/nodewall.yaml:4: clusters.prod.max_removal is \"101%\", which is no percentage (write 0% to 100%, like 50%)"},
    {PROD "    max_addresses: 0\n", "DIR/nodewall.yaml:4: clusters.prod.max_addresses is 0, and must be 1 to 262144"},
    {PROD "    max_addresses: '7'\n",
     "DIR/nodewall.yaml:4: clusters.prod.max_addresses is a text, and must be a number (write digits, without quotes)"},
    {PROD "    extra:\n      - 203.0.113.7\n      - 203.0.113.300\n",
     "DIR/nodewall.yaml:6: clusters.prod.extra[1] is \"203.0.113.300\", which is no address or network "
     "(write 203.0.113.7, 203.0.113.0/28, 2001:db8::1 or 2001:db8::/64)"},
    {PROD "    extra: [203.0.113.7/28]\n",
     "DIR/nodewall.yaml:4: clusters.prod.extra[0] is 203.0.113.7/28, which has bits behind its prefix length "
     "(the network is 203.0.113.0/28; one host is written without /28)"},
    {PROD "    extra: 203.0.113.7\n",
     "DIR/nodewall.yaml:4: clusters.prod.extra must be a list (write it as [203.0.113.7, 203.0.113.0/28])"},
    {PROD "    address_types: [InternalIp]\n", "DIR/nodewall.yaml:4: clusters.prod.address_types[0] is \"InternalIp\" "
                                               "(write ExternalIP, InternalIP or Hostname)"},
    {PROD "    address_types: []\n", "DIR/nodewall.yaml:4: clusters.prod.address_types is empty: no node would have an address "
                                     "(name at least one, or remove the line)"},
    {PROD "    context: 5\n", "DIR/nodewall.yaml:4: clusters.prod.context is a number, and must be a text (put it in quotes)"},
    {PROD "    in_cluster: true\n", "DIR/nodewall.yaml:2: clusters.prod says in more than one way where the cluster is "
                                    "(keep one of kubeconfig, in_cluster and server)"},
    {PROD "    in_cluster: yes\n", "DIR/nodewall.yaml:4: clusters.prod.in_cluster is a text, and must be true or false "
                                   "(without quotes; yes and no are not taken)"},
    {PROD "    ca: /x\n", "DIR/nodewall.yaml:2: clusters.prod has a ca or token_file, which belong to server "
                          "(remove ca and token_file, or use server)"},
    {PROD "  Prod: {}\n", "DIR/nodewall.yaml:4: clusters.Prod is no name for a cluster "
                          "(small letters, digits, dots and hyphens, at most 63, not beginning with a dot or hyphen)"},
    {PROD "  ../x: {}\n", "DIR/nodewall.yaml:4: clusters.../x is no name for a cluster "
                          "(small letters, digits, dots and hyphens, at most 63, not beginning with a dot or hyphen)"},
    {PROD "  prod: {}\n", "DIR/nodewall.yaml:4: \"prod\" is given twice (the first is in line 2; keep one of them)"},
    {"clusters:\n  prod:\n    context: x\n", "DIR/nodewall.yaml:2: clusters.prod does not say where the cluster is "
                                            "(add \"kubeconfig: PATH\", \"in_cluster: true\" or \"server: https://...\")"},
    {"clusters:\n  prod:\n    kubeconfig: ~/x\n",
     "DIR/nodewall.yaml:3: clusters.prod.kubeconfig begins with ~, which only a shell understands (write the whole path)"},
    {"clusters:\n  prod:\n    kubeconfig: \"a\\nb\"\n",
     "DIR/nodewall.yaml:3: clusters.prod.kubeconfig has a control character (keep it on one line)"},
    {"clusters:\n  prod:\n    kubeconfig: ''\n",
     "DIR/nodewall.yaml:3: clusters.prod.kubeconfig is an empty text (give it a value, or remove the line)"},
    {"clusters: [prod]\n", "DIR/nodewall.yaml:1: clusters is a list, and must be a mapping "
                           "(write \"name: value\" lines, indented below it)"},
    {PROD "bus: {transport: zmq}\n", "DIR/nodewall.yaml:4: bus.transport is \"zmq\" (write local or minion)"},
    {PROD "bus: {framing: 32}\n", "DIR/nodewall.yaml:4: bus.framing is \"32\" (write auto, bare or len32)"},
    {PROD "bus: {pub_port: 65536}\n", "DIR/nodewall.yaml:4: bus.pub_port is 65536, and must be 1 to 65535"},
    {PROD "metrics: localhost:9798\n", "DIR/nodewall.yaml:4: metrics is \"localhost:9798\", which is no address and port "
                                       "(write 127.0.0.1:9798 or [::1]:9798)"},
    {PROD "metrics: ::1:9798\n", "DIR/nodewall.yaml:4: metrics is \"::1:9798\", which is no address and port "
                                 "(write 127.0.0.1:9798 or [::1]:9798)"},
    {PROD "metrics: 127.0.0.1:0\n", "DIR/nodewall.yaml:4: metrics is \"127.0.0.1:0\", which is no address and port "
                                    "(write 127.0.0.1:9798 or [::1]:9798)"},
};

static void refused(void **state) {
    for (size_t i = 0; i < ARRAY_LENGTH(refused_cases); i++) {
        struct config *config = NULL;
        struct problem problem = {0};

        assert_int_equal(load(&config, refused_cases[i].text, &problem), -EINVAL);
        assert_null(config);
        assert_sentence(&problem, refused_cases[i].sentence);
        assert_int_equal(load(&config, refused_cases[i].text, NULL), -EINVAL);
    }
}

static void unreadable(void **state) {
    struct config *config = NULL;
    struct problem problem = {0};

    assert_int_equal(config_load(&config, scratch_path("none.yaml"), &problem), -EINVAL);
    assert_sentence(&problem, "DIR/none.yaml: there is no configuration (begin with /usr/share/nodewall/examples/nodewall.yaml, or name another file with -c)");
    assert_int_equal(config_load(&config, scratch, &problem), -EINVAL);
    assert_sentence(&problem, "DIR: cannot be read: Is a directory");
    assert_int_equal(truncate(scratch_path("nodewall.yaml"), 2 * 1024 * 1024), 0);
    assert_int_equal(config_load(&config, scratch_path("nodewall.yaml"), &problem), -EINVAL);
    assert_sentence(&problem, "DIR/nodewall.yaml: larger than 1024 KiB (is this the right file?)");
    assert_null(config);
}

static void guessed(void **state) {
    static const struct {
        const char *text, *state_dir;
    } cases[] = {
        {"clusters: [\nstate_dir: /srv/nodewall   # ours\n", "/srv/nodewall"},
        {"state_dir: \"/srv/a b\"\r\nclusters:\n", "/srv/a b"},
        {"  state_dir: /x\n# state_dir: /y\n", "/var/lib/nodewall"},
        {"state_dir: relative\n", "/var/lib/nodewall"},
        {"", "/var/lib/nodewall"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(cleanup_free) char *found = NULL;

        scratch_write("broken.yaml", cases[i].text);
        assert_int_equal(config_guess_state_dir(&found, scratch_path("broken.yaml")), 0);
        assert_string_equal(found, cases[i].state_dir);
    }
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(defaults),  cmocka_unit_test(everything), cmocka_unit_test(through_a_minion), cmocka_unit_test(clusters_from_a_directory),
        cmocka_unit_test(refused),   cmocka_unit_test(unreadable),
        cmocka_unit_test(compared), cmocka_unit_test(guessed),
    };

    return cmocka_run_group_tests(cases, scratch_make, scratch_remove);
}
