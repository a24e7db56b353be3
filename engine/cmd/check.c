/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodewall check - tries each thing that the engine needs, on its own, and says what is wrong with it and the way out.
 *
 * Works from the files towards Salt: configuration, state directory, and for each cluster kubeconfig, credentials, list and
 * watch; then the bus (an event there and back, or acknowledged), Salt's snippet and the engine. Changes nothing; the event
 * it fires is nodewall/check, on which nobody acts.
 * Keeps: it looks as the engine does. Started by root it becomes the user of salt-master first, because what root can
 * read and write says nothing about a master that runs as `salt`, as Salt's packages have it.
 */
#include "cmd/cmd.h"

#include "bus_setup.h"
#include "cmd/salt_snippet.h"
#include "nodewall/decode.h"
#include "nodewall/json.h"
#include "nodewall/kube_client.h"
#include "nodewall/status.h"

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define SNIPPET_SHIPPED "/usr/share/nodewall/reactor/zz-nodewall.conf"

enum { TRY = 10000, BODY = 16 * 1024 * 1024, ENGINE_TRIES = 10, ENGINE_PAUSE = 500 };

struct check {
    uv_loop_t loop;
    struct http *http;
    struct config *config;
    json_object *results;           /* with -o json; else NULL */
    unsigned failed, warned;
    bool bus, snippet;              /* found to be good: salt-master ought to have started the engine */
};

enum verdict { GOOD, WARNING, BAD };

static void say(struct check *check, enum verdict verdict, const char *what, const char *said, const char *hint) {
    static const char *const words[] = {"ok", "warning", "failed"};
    CLEANUP(cleanup_free) char *copy = strdup(said);
    const char *text = copy ? text_clean(copy) : ""; /* a server's header could move the cursor */
    json_object *result;

    check->failed += verdict == BAD;
    check->warned += verdict == WARNING;
    if (!check->results) {
        printf("%-8s %-22s %s%s%s%s\n", words[verdict], what, text, hint && hint[0] ? " (" : "", hint ? hint : "",
               hint && hint[0] ? ")" : "");
        fflush(stdout);
        return;
    }
    result = json_object_new_object();
    json_object_object_add(result, "what", json_object_new_string(what));
    json_object_object_add(result, "verdict", json_object_new_string(words[verdict]));
    json_object_object_add(result, "text", json_object_new_string(text));
    json_object_object_add(result, "hint", json_object_new_string(hint ? hint : ""));
    json_object_array_add(check->results, result);
}

static void say_problem(struct check *check, const char *what, const struct problem *problem) {
    char text[1000];

    snprintf(text, sizeof(text), "%s%s%s", problem->where, problem->where[0] ? ": " : "", problem->what);
    say(check, BAD, what, text, problem->hint);
}

/* ---- who looks ---- */

static const char *my_name(void) {
    const struct passwd *me = getpwuid(geteuid());

    return me ? me->pw_name : "this user";
}

static void become_user_of_master(struct check *check, const char *salt_dir) {
    CLEANUP(cleanup_free) char *name = salt_user(salt_dir);
    const struct passwd *user = name ? getpwnam(name) : NULL;
    char text[300], hint[300];

    if (!name || (user && user->pw_uid == geteuid()))
        return;
    if (!user) {
        snprintf(text, sizeof(text), "salt-master runs as '%s', whom this machine does not know", name);
        say(check, BAD, "user", text, "look at `user` in Salt's configuration");
        return;
    }
    if (geteuid() == 0) {
        if (initgroups(name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0) {
            snprintf(text, sizeof(text), "cannot look as '%s': %s", name, strerror(errno));
            say(check, WARNING, "user", text, "what root may do says little about that user");
            return;
        }
        snprintf(text, sizeof(text), "'%s', as salt-master does", name);
        say(check, GOOD, "user", text, NULL);
        return;
    }
    snprintf(text, sizeof(text), "this is '%s', and salt-master runs as '%s'", my_name(), name);
    snprintf(hint, sizeof(hint), "what follows is true for '%s'; run this as root", my_name());
    say(check, WARNING, "user", text, hint);
}

/* ---- the API server ---- */

struct attempt {
    struct kube_request *request;
    bool done;
    unsigned status;
    char type[80], text[700];
    char *body;
    size_t size;
};

static void on_headers(struct kube_request *request, const struct http_response *response, void *userdata) {
    struct attempt *attempt = userdata;

    (void)request;
    attempt->status = response->status;
    snprintf(attempt->type, sizeof(attempt->type), "%s", response->content_type);
}

static void on_data(struct kube_request *request, const char *data, size_t size, void *userdata) {
    struct attempt *attempt = userdata;
    char *body = realloc(attempt->body, attempt->size + size + 1);

    (void)request;
    if (!body)
        return;
    memcpy(body + attempt->size, data, size);
    attempt->body = body;
    attempt->size += size;
    body[attempt->size] = '\0';
}

static void on_end(struct kube_request *request, const struct http_end *end, void *userdata) {
    struct attempt *attempt = userdata;

    (void)request;
    attempt->done = true;
    snprintf(attempt->text, sizeof(attempt->text), "%s", end->text);
}

static int get(struct check *check, struct kube_client *client, const char *path, struct attempt *ret) {
    static const struct kube_callbacks callbacks = {on_headers, on_data, on_end};
    const struct kube_options options = {.deadline = TRY, .limit = BODY, .fresh = true};
    int r = kube_client_get(&ret->request, client, path, &options, &callbacks, ret);

    if (r < 0)
        return r;
    while (!ret->done)
        uv_run(&check->loop, UV_RUN_ONCE);
    kube_request_free(ret->request);
    return 0;
}

/* What the server's own words add: "nodes is forbidden: User …". */
static void add_message(char *text, size_t size, const struct attempt *attempt) {
    struct kube_status status;
    size_t used = strlen(text);

    if (attempt->body && decode_status(&status, attempt->body, attempt->size) == 0 && status.message[0])
        snprintf(text + used, size - used, "; it says: %s", status.message);
}

static bool try_path(struct check *check, const char *what, struct kube_client *client, const char *path, char *body_text,
                     size_t body_size) {
    struct attempt attempt = {0};
    char text[1400];
    bool good = false;
    int r = get(check, client, path, &attempt);

    if (r < 0) {
        say(check, BAD, what, strerror(-r), NULL);
    } else if (attempt.status == 0) {
        say(check, BAD, what, attempt.text, NULL);
    } else if (attempt.status != 200) {
        kube_client_explain(client, attempt.status, text, sizeof(text));
        add_message(text, sizeof(text), &attempt);
        say(check, BAD, what, text, NULL);
    } else if (strncmp(attempt.type, "application/json", 16)) {
        snprintf(text, sizeof(text), "%s answers 200 with '%s' instead of JSON: is it an API server, or a proxy's page?",
                 kube_client_endpoint(client)->server, attempt.type);
        say(check, BAD, what, text, NULL);
    } else {
        good = true;
        snprintf(body_text, body_size, "%s", attempt.body ? attempt.body : "");
    }
    free(attempt.body);
    return good;
}

static void percent_encode(char *buffer, size_t size, const char *text) {
    size_t used = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c && used + 4 < size; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-._~", *c);

        used += (size_t)snprintf(buffer + used, size - used, plain ? "%c" : "%%%02X", *c);
    }
    buffer[used] = '\0';
}

static void check_api(struct check *check, const struct cluster_config *config, struct kube_client *client) {
    char what[96], path[16384], selector[6144] = "", fields[6144] = "", body[64], text[512];
    const struct endpoint *endpoint = kube_client_endpoint(client);

    percent_encode(selector, sizeof(selector), config->node_selector ? config->node_selector : "");
    percent_encode(fields, sizeof(fields), config->field_selector ? config->field_selector : "");
    snprintf(what, sizeof(what), "%s: list", config->name);
    snprintf(path, sizeof(path), "/api/v1/nodes?limit=1%s%s%s%s", selector[0] ? "&labelSelector=" : "", selector,
             fields[0] ? "&fieldSelector=" : "", fields);
    if (!try_path(check, what, client, path, body, sizeof(body)))
        return;
    snprintf(text, sizeof(text), "%s lets us list nodes", endpoint->server);
    say(check, GOOD, what, text, NULL);
    snprintf(what, sizeof(what), "%s: watch", config->name);
    snprintf(path, sizeof(path), "/api/v1/nodes?watch=1&timeoutSeconds=1%s%s%s%s", selector[0] ? "&labelSelector=" : "",
             selector, fields[0] ? "&fieldSelector=" : "", fields);
    if (try_path(check, what, client, path, body, sizeof(body)))
        say(check, GOOD, what, "and to watch them", NULL);
}

/* What makes no sense in an endpoint that works, or soon won't. */
static void check_endpoint(struct check *check, const char *what, const struct cluster_config *config,
                           const struct endpoint *endpoint) {
    struct stat st;

    if (endpoint->plain)
        say(check, WARNING, what, "the API server is asked without TLS", "only for tests: the token can be read");
    if (endpoint->insecure)
        say(check, WARNING, what, "the API server's certificate is not checked",
            "take insecure-skip-tls-verify out and give certificate-authority");
    if (!endpoint->token && !endpoint->token_file && !endpoint->certificate.data && !endpoint->certificate.path)
        say(check, WARNING, what, "there is neither a token nor a client certificate",
            "the API server takes us for system:anonymous; give the user a token");
    if (config->kubeconfig && stat(config->kubeconfig, &st) == 0 && (st.st_mode & S_IROTH))
        say(check, WARNING, what, "everybody on this machine can read the kubeconfig", "chmod o= it");
    if (config->kubeconfig && stat(config->kubeconfig, &st) == 0 && (st.st_mode & S_IWOTH))
        say(check, BAD, what, "everybody on this machine can write the kubeconfig", "chmod o= it, and look at what it says");
}

static void check_cluster(struct check *check, const struct cluster_config *config) {
    CLEANUP(kube_client_freep) struct kube_client *client = NULL;
    CLEANUP(endpoint_freep) struct endpoint *endpoint = NULL;
    struct problem problem = {0};
    char what[96];
    int r = cluster_endpoint(&endpoint, config, &problem);

    snprintf(what, sizeof(what), "%s: credentials", config->name);
    if (r == 0) {
        check_endpoint(check, what, config, endpoint);
        r = kube_client_new(&client, check->http, endpoint);
    }
    if (r == 0) {
        (void)TAKE_PTR(endpoint);
        r = kube_client_check(client, &problem);
    }
    if (r < 0) {
        if (r != -EINVAL)
            problem_set(&problem, config->where, NULL, "%s", strerror(-r));
        say_problem(check, what, &problem);
        return;
    }
    say(check, GOOD, what, kube_client_endpoint(client)->origin, NULL);
    check_api(check, config, client);
}

/* ---- Salt ---- */

static void on_echo(void *userdata, const char *tag, const char *id) {
    (void)tag;
    (void)id;
    *(bool *)userdata = true;
}

static void on_timeout(uv_timer_t *timer) {
    *(bool *)timer->data = true;
}

static void check_bus(struct check *check) {
    static const struct bus_handler handler = {.on_delivered = on_echo};
    CLEANUP(json_putp) json_object *data = json_object_new_object();
    struct bus_setup setup;
    struct bus *bus = NULL;
    bool echoed = false, over = false;
    char text[1800];
    uv_timer_t timer;
    int r;

    bus_setup(&setup, check->config, NULL);
    uv_timer_init(&check->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_timeout, TRY / 2, 0);
    r = bus_new(&bus, &check->loop, &setup.options, &handler, &echoed);
    if (r == 0)
        r = bus_publish(bus, OUTBOX_EVENT, "check", "nodewall/check", data, NULL, NULL);
    while (r == 0 && !echoed && !over)
        uv_run(&check->loop, UV_RUN_ONCE);
    check->bus = echoed;
    if (echoed) {
        if (setup.options.minion)
            snprintf(text, sizeof(text), "%s took an event (%s)", bus_stats(bus).minion.master, setup.place);
        else
            snprintf(text, sizeof(text), "an event went there and came back (%s, framing %s)", setup.place,
                     bus_framing_name(bus_stats(bus).write));
        say(check, GOOD, "Salt's bus", text, NULL);
    } else {
        snprintf(text, sizeof(text), "no event %s within %d s: %s", setup.options.minion ? "was taken" : "came back",
                 TRY / 2000, r < 0 ? strerror(-r) : bus_detail(bus)[0] ? bus_detail(bus) : setup.place);
        say(check, BAD, "Salt's bus", text, setup.hint);
    }
    bus_free(bus);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&check->loop, UV_RUN_NOWAIT);
}

static void check_snippet(struct check *check, const char *dir) {
    struct snippet snippet;
    int r = snippet_read(&snippet, dir, check->config->state_dir);
    char text[400], hint[400];
    unsigned found = 0;

    if (r < 0) {
        snprintf(text, sizeof(text), "%s: %s", dir, r == -ENOENT ? "there is no Salt configuration here" : strerror(-r));
        say(check, BAD, "Salt's snippet", text, "run this on the salt-master, or name its directory as an argument");
        return;
    }
    if (snippet.unread[0])
        say(check, WARNING, "Salt's snippet", snippet.unread, "what stands there was not looked at");
    for (int i = 0; i < SNIPPET_MAX; i++)
        found += snippet.found[i];
    if (found == 0) {
        snprintf(text, sizeof(text), "%s/master.d has nothing about nodewall", dir);
        snprintf(hint, sizeof(hint), "cp " SNIPPET_SHIPPED " %s/master.d/ and restart salt-master", dir);
        say(check, BAD, "Salt's snippet", text, hint);
        return;
    }
    check->snippet = found == SNIPPET_MAX;
    snprintf(hint, sizeof(hint), "this is missing in %s/master.d; see " SNIPPET_SHIPPED ", then restart salt-master", dir);
    for (int i = 0; i < SNIPPET_MAX; i++) {
        snprintf(text, sizeof(text), "%s%s%s", snippet_need_text((enum snippet_need)i),
                 i == SNIPPET_SETS ? ", " : "", i == SNIPPET_SETS ? check->config->state_dir : "");
        say(check, snippet.found[i] ? GOOD : BAD, "Salt's snippet", text, snippet.found[i] ? NULL : hint);
    }
}

/* A master that was restarted a moment ago is given time to start it. */
static int ask_engine(const struct check *check, const char *socket_path) {
    CLEANUP(cleanup_free) char *answer = NULL;
    size_t size;
    int r = status_get(&answer, &size, socket_path, "/status", TRY / 2);

    for (unsigned i = 0; check->bus && check->snippet && (r == -ENOENT || r == -ECONNREFUSED) && i < ENGINE_TRIES; i++) {
        (void)poll(NULL, 0, ENGINE_PAUSE);
        r = status_get(&answer, &size, socket_path, "/status", TRY / 2);
    }
    return r;
}

static void check_engine(struct check *check) {
    CLEANUP(cleanup_free) char *path = NULL;
    char text[300];
    int r;

    if (asprintf(&path, "%s/status.sock", check->config->state_dir) < 0)
        return;
    r = ask_engine(check, path);
    if (r == 0)
        say(check, GOOD, "engine", "runs; 'nodewall status' tells more", NULL);
    else if (r == -ENOENT || r == -ECONNREFUSED)
        say(check, check->bus && check->snippet ? BAD : WARNING, "engine", "does not run",
            check->config->bus.transport == BUS_TRANSPORT_MINION
                ? "start it with 'nodewall run'"
                : "salt-master starts it; /var/log/salt/master says why it does not");
    else {
        snprintf(text, sizeof(text), "%s: %s", path, strerror(-r));
        say(check, WARNING, "engine", text, r == -EACCES ? "root and the engine's user may ask" : NULL);
    }
}

/* The directory above must let us make it. */
static void check_no_state_dir(struct check *check, const char *path) {
    CLEANUP(cleanup_free) char *above = strdup(path);
    char text[400], hint[400], *slash = above ? strrchr(above, '/') : NULL;

    if (!slash)
        return;
    slash[slash == above] = '\0';
    if (access(above, W_OK | X_OK) == 0) {
        snprintf(text, sizeof(text), "%s is not there yet", path);
        say(check, WARNING, "state directory", text, "the engine makes it when it starts");
        return;
    }
    snprintf(text, sizeof(text), "%s is not there, and %s may not make it in %s", path, my_name(), above);
    snprintf(hint, sizeof(hint), "as root: install -d -o %s -m 0750 %s", my_name(), path);
    say(check, BAD, "state directory", text, hint);
}

static void check_state_dir(struct check *check) {
    const char *path = check->config->state_dir;
    struct stat st;
    char text[400], hint[400] = "";

    if (stat(path, &st) < 0 && errno == ENOENT) {
        check_no_state_dir(check, path);
        return;
    }
    if (stat(path, &st) < 0) {
        snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
    } else if (!S_ISDIR(st.st_mode)) {
        snprintf(text, sizeof(text), "%s is no directory", path);
        snprintf(hint, sizeof(hint), "move it away, or set another state_dir");
    } else if (st.st_mode & 022) {
        snprintf(text, sizeof(text), "%s is writable for others, and the engine refuses that", path);
        snprintf(hint, sizeof(hint), "look at what is in it, then: chmod 0750 %s", path);
    } else if (access(path, R_OK | W_OK | X_OK) < 0 || (st.st_uid != geteuid() && st.st_uid != 0)) {
        snprintf(text, sizeof(text), "%s does not belong to %s", path, my_name());
        snprintf(hint, sizeof(hint), "if that is the engine's user, as root: chown -R %s: %s", my_name(), path);
    } else {
        say(check, GOOD, "state directory", path, NULL);
        return;
    }
    say(check, BAD, "state directory", text, hint);
}

static int check_main(const struct options *options) {
    struct check check = {.results = options->json ? json_object_new_array() : NULL};
    const char *salt_dir = options->n_arguments ? options->arguments[0] : "/etc/salt";
    struct problem problem = {0};
    int r;

    become_user_of_master(&check, salt_dir);
    r = config_load(&check.config, options->config, &problem);
    if (r < 0) {
        if (r != -EINVAL)
            problem_set(&problem, options->config, NULL, "%s", strerror(-r));
        say_problem(&check, "configuration", &problem);
    } else {
        say(&check, GOOD, "configuration", check.config->path, NULL);
        uv_loop_init(&check.loop);
        r = http_new(&check.http, &check.loop);
        if (r < 0)
            return fail_errno(r, "cannot begin");
        for (size_t i = 0; i < MIN(check.config->n_left_out, (size_t)CONFIG_LEFT_OUT); i++)
            say_problem(&check, "clusters_dir", &check.config->left_out[i]);
        if (check.config->n_clusters == 0)
            say(&check, WARNING, "clusters_dir", check.config->clusters_dir, "there is no cluster yet: put NAME.kubeconfig there");
        check_state_dir(&check);
        for (size_t i = 0; i < check.config->n_clusters; i++)
            check_cluster(&check, check.config->clusters[i]);
        check_bus(&check);
        /* With transport minion the snippet is on another machine. */
        if (options->n_arguments || check.config->bus.transport == BUS_TRANSPORT_LOCAL)
            check_snippet(&check, salt_dir);
        check_engine(&check);
        check.http = http_free(check.http);
        uv_run(&check.loop, UV_RUN_DEFAULT);
        uv_loop_close(&check.loop);
        config_free(check.config);
    }
    if (check.results) {
        puts(json_object_to_json_string_ext(check.results, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(check.results);
    } else {
        printf("\n%u failed, %u warning%s\n", check.failed, check.warned, check.warned == 1 ? "" : "s");
    }
    return check.failed ? EXIT_FAILED : 0;
}

const struct command command_check = {
    .name = "check",
    .summary = "try everything that the engine needs, and say what is wrong",
    .synopsis = "[OPTIONS] [SALT_CONFIG_DIR]",
    .help = "Tries the configuration, the state directory, each cluster's credentials and permissions, Salt's bus\n"
            "and Salt's configuration (in /etc/salt, or the directory given), each on its own, and says what is\n"
            "wrong and the way out. Changes nothing. Run it as root: it becomes the user of salt-master, and\n"
            "tries what that user can. With transport minion Salt's configuration is elsewhere, and is looked at\n"
            "only in a directory given; run it as the user of the engine then.\n"
            "Exit code 1 if anything failed; warnings alone are 0.\n",
    .options = "o",
    .least = 0,
    .most = 1,
    .main = check_main,
};
