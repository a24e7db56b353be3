/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kube client - one endpoint's requests: URL, headers, today's credentials.
 *
 * Keeps: a request carries the credentials that were good when it was made; a 401 makes the next one read the token
 * anew. When the certificate is for another name than the server's, that name stands in the URL, and the connection
 * goes to the server: so SNI, verification and Host agree. A request that is freed is never touched again, also from
 * within its own callback. A request that waits for an exec plugin is sent when that has ended, with what there is then;
 * one run at a time.
 * Does not: retry, follow, know what a Node is. Owns: the endpoint, its credentials; each request is its caller's.
 */
#include "nodewall/kube_client.h"

#include "credentials.h"
#include "exec.h"
#include "explain.h"

#include <openssl/crypto.h>
#include <string.h>

#define HEADERS_MAX (4 + 64 + 64)       /* ours, impersonated groups and extra values as a kubeconfig may have them */

struct kube_client {
    struct http *http;
    struct endpoint *endpoint;
    struct credentials credentials;
    char **fixed;                       /* header lines that are the same in every request */
    size_t n_fixed;
    struct exec *exec;                  /* runs; NULL: none does */
    struct kube_request *waiting;       /* for it */
};

struct kube_request {
    struct kube_client *client;
    struct http_request *http;          /* NULL while it waits */
    struct kube_request *next;          /* of those that wait */
    char *path;
    struct kube_options options;
    struct kube_callbacks callbacks;
    void *userdata;
};

static void secret_done(char **secret) {
    if (*secret)
        OPENSSL_cleanse(*secret, strlen(*secret));
    free(*secret);
}

static int add_fixed(struct kube_client *client, const char *name, const char *value) {
    char *line;

    if (client->n_fixed == HEADERS_MAX)
        return -E2BIG;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return -ENOMEM;
    client->fixed[client->n_fixed++] = line;
    return 0;
}

/* As client-go does it: what may not stand in a header's name, and the percent sign itself, becomes %XX. */
static int add_extra(struct kube_client *client, const char *key, const char *value) {
    static const char plain[] = "!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char prefix[] = "Impersonate-Extra-";
    size_t size = sizeof(prefix) + 3 * strlen(key), n = sizeof(prefix) - 1;
    CLEANUP(cleanup_free) char *name = malloc(size);

    if (!name)
        return -ENOMEM;
    memcpy(name, prefix, sizeof(prefix));
    for (; *key; key++)
        n += (size_t)snprintf(name + n, size - n, strchr(plain, *key) ? "%c" : "%%%02X", (unsigned char)*key);
    return add_fixed(client, name, value);
}

static int add_impersonation(struct kube_client *client, const struct impersonation *as) {
    int r = as->user ? add_fixed(client, "Impersonate-User", as->user) : 0;

    if (r >= 0 && as->uid)
        r = add_fixed(client, "Impersonate-Uid", as->uid);
    for (char **group = as->groups; r >= 0 && group && *group; group++)
        r = add_fixed(client, "Impersonate-Group", *group);
    for (char **pair = as->extra; r >= 0 && pair && pair[0]; pair += 2)
        r = add_extra(client, pair[0], pair[1]);
    return r;
}

int kube_client_new(struct kube_client **ret, struct http *http, struct endpoint *endpoint) {
    CLEANUP(kube_client_freep) struct kube_client *client = calloc(1, sizeof(*client));
    int r;

    if (!client)
        return -ENOMEM;
    client->http = http;
    credentials_init(&client->credentials, endpoint);
    client->fixed = calloc(HEADERS_MAX, sizeof(*client->fixed));
    if (!client->fixed)
        return -ENOMEM;
    r = add_impersonation(client, &endpoint->as);
    if (r < 0)
        return r;
    client->endpoint = endpoint; /* only now, so that a failure leaves it to the caller */
    *ret = TAKE_PTR(client);
    return 0;
}

struct kube_client *kube_client_free(struct kube_client *client) {
    if (!client)
        return NULL;
    exec_free(client->exec);
    for (size_t i = 0; i < client->n_fixed; i++)
        free(client->fixed[i]);
    free(client->fixed);
    credentials_done(&client->credentials);
    endpoint_free(client->endpoint);
    free(client);
    return NULL;
}

const struct endpoint *kube_client_endpoint(const struct kube_client *client) {
    return client->endpoint;
}

int kube_client_check(struct kube_client *client, struct problem *problem) {
    return credentials_check(&client->credentials, clock_now(), clock_wall(), problem);
}

const char *kube_client_explain(const struct kube_client *client, unsigned status, char *buffer, size_t size) {
    return explain_status(&client->credentials, status, clock_wall(), buffer, size);
}

static void on_headers(struct http_request *http, const struct http_response *response, void *userdata) {
    struct kube_request *request = userdata;

    if (response->status == 401)
        credentials_refused(&request->client->credentials);
    else
        credentials_accepted(&request->client->credentials);
    if (request->callbacks.on_headers)
        request->callbacks.on_headers(request, response, request->userdata);
}

static void on_data(struct http_request *http, const char *data, size_t size, void *userdata) {
    struct kube_request *request = userdata;

    if (request->callbacks.on_data)
        request->callbacks.on_data(request, data, size, request->userdata);
}

static void on_end(struct http_request *http, const struct http_end *end, void *userdata) {
    struct kube_request *request = userdata;
    char text[EXPLANATION_MAX];
    struct http_end explained = *end;

    if (end->outcome == HTTP_TLS && end->tls == HTTP_TLS_CLIENT) /* a 401 in other words */
        credentials_refused(&request->client->credentials);
    explained.text = explain_end(&request->client->credentials, end, clock_wall(), text, sizeof(text));
    if (request->callbacks.on_end)
        request->callbacks.on_end(request, &explained, request->userdata);
}

/* The server's URL with `path` behind it, and tls_server_name in place of the host if there is one. */
static int make_url(char **ret, const struct endpoint *endpoint, const char *path) {
    const char *authority = strstr(endpoint->server, "://"), *prefix;
    int r;

    if (path[0] != '/' || !authority)
        return -EINVAL;
    prefix = strchr(authority + 3, '/');
    if (endpoint->tls_server_name)
        r = asprintf(ret, "%.*s%s:%u%s%s", (int)(authority + 3 - endpoint->server), endpoint->server,
                     endpoint->tls_server_name, endpoint->port, prefix ? prefix : "", path);
    else
        r = asprintf(ret, "%s%s", endpoint->server, path);
    return r < 0 ? -ENOMEM : 0;
}

static struct http_blob blob_of(const struct held *held) {
    return (struct http_blob){.data = held->data, .size = held->size};
}

static int send_request(struct kube_request *request) {
    static const struct http_callbacks callbacks = {.on_headers = on_headers, .on_data = on_data, .on_end = on_end};
    struct kube_client *client = request->client;
    const struct kube_options *options = &request->options;
    const struct endpoint *endpoint = client->endpoint;
    const struct credentials *held = &client->credentials;
    const char *headers[HEADERS_MAX + 3] = {0};
    CLEANUP(secret_done) char *authorization = NULL;
    CLEANUP(cleanup_free) char *url = NULL;
    struct http_options wanted = {
        .headers = headers,
        .ca = blob_of(&held->ca),
        .certificate = blob_of(&held->certificate),
        .key = blob_of(&held->key),
        .insecure = endpoint->insecure,
        .connect_host = endpoint->tls_server_name ? endpoint->host : NULL,
        .connect_port = endpoint->port,
        .proxy = endpoint->proxy,
        .gzip = options->gzip && !endpoint->disable_compression,
        .fresh = options->fresh,
        .idle = options->idle,
        .deadline = options->deadline,
        .limit = options->limit,
    };
    int r = make_url(&url, endpoint, request->path);

    if (r < 0) {
        url = NULL; /* asprintf leaves it undefined */
        return r;
    }
    memcpy(headers, client->fixed, client->n_fixed * sizeof(*headers));
    headers[client->n_fixed] = options->protobuf ? "Accept: application/vnd.kubernetes.protobuf, application/json"
                                                 : "Accept: application/json";
    if (held->token.data) {
        size_t size = sizeof("Authorization: Bearer ") + held->token.size;

        authorization = malloc(size); /* asprintf would leave pieces of it behind where it grows */
        if (!authorization)
            return -ENOMEM;
        snprintf(authorization, size, "Authorization: Bearer %s", held->token.data);
        headers[client->n_fixed + 1] = authorization;
    }
    return http_get(&request->http, client->http, url, &wanted, &callbacks, request);
}

/* Ends in the next turn of the loop, for a reason of our own. */
static int fail_request(struct kube_request *request, const struct problem *problem) {
    static const struct http_callbacks ended = {.on_end = on_end};
    char text[EXPLANATION_MAX];

    return http_fail(&request->http, request->client->http, HTTP_LOCAL, problem_format(problem, text, sizeof(text)), &ended,
                     request);
}

/* With what there is, now that the plugin has ended; or without, if there never was anything. */
static int go_on(struct kube_request *request) {
    const struct credentials *credentials = &request->client->credentials;

    return credentials->login.has ? send_request(request) : fail_request(request, &credentials->login_trouble);
}

static void on_exec(void *userdata, struct exec_reply *reply, const struct problem *problem) {
    struct kube_client *client = userdata;
    struct credentials *credentials = &client->credentials;
    struct problem found = *problem;
    int r = -EINVAL;

    client->exec = NULL;
    if (reply)
        r = credentials_take(credentials, reply, clock_now(), clock_wall(), &found);
    if (r == -ENOMEM)
        problem_set(&found, credentials->endpoint->exec->command, "", "%s", strerror(ENOMEM));
    if (r < 0)
        login_failed(&credentials->login, clock_now());
    credentials->login_trouble = r < 0 ? found : (struct problem){0};
    while (client->waiting) {
        struct kube_request *request = client->waiting;

        client->waiting = TAKE_PTR(request->next);
        if (go_on(request) < 0) { /* no memory for it: told now, for we are not within kube_client_get */
            const struct http_end end = {.outcome = HTTP_LOCAL, .text = strerror(ENOMEM)};

            on_end(NULL, &end, request);
        }
    }
}

/* Runs the plugin if it is time; whether this request has to wait for it. -EINVAL with *problem, -ENOMEM. */
static int log_in(struct kube_client *client, struct problem *problem) {
    struct credentials *credentials = &client->credentials;
    enum login_need need = login_need(&credentials->login, clock_wall());
    int r = 0;

    if (need != LOGIN_FRESH && !client->exec && login_may_run(&credentials->login, clock_now())) {
        CLEANUP(cleanup_free) char *info = NULL;

        r = exec_plugin_info(&info, client->endpoint, credentials->ca.data, credentials->ca.size);
        if (r >= 0)
            r = exec_start(&client->exec, http_loop(client->http), client->endpoint->exec, info, EXEC_TIME_LIMIT, on_exec,
                           client, &credentials->login_trouble);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            login_failed(&credentials->login, clock_now());
    }
    if (need == LOGIN_NOW && client->exec)
        return 1;
    if (credentials->login.has)
        return 0;
    *problem = credentials->login_trouble;
    return -EINVAL;
}

int kube_client_get(struct kube_request **ret, struct kube_client *client, const char *path,
                    const struct kube_options *options, const struct kube_callbacks *callbacks, void *userdata) {
    CLEANUP(kube_request_freep) struct kube_request *request = calloc(1, sizeof(*request));
    struct problem problem = {0};
    int r;

    if (!request)
        return -ENOMEM;
    request->client = client;
    request->callbacks = *callbacks;
    request->userdata = userdata;
    request->options = *options;
    request->path = strdup(path);
    if (!request->path)
        return -ENOMEM;
    if (path[0] != '/')
        return -EINVAL;
    r = credentials_refresh(&client->credentials, clock_now(), &problem);
    if (r >= 0 && client->endpoint->exec)
        r = log_in(client, &problem);
    if (r == 1) {
        request->next = client->waiting;
        client->waiting = request;
        r = 0;
    } else if (r == -EINVAL) {
        r = fail_request(request, &problem);
    } else if (r >= 0) {
        r = send_request(request);
    }
    if (r < 0)
        return r;
    *ret = TAKE_PTR(request);
    return 0;
}

struct kube_request *kube_request_free(struct kube_request *request) {
    if (!request)
        return NULL;
    for (struct kube_request **at = &request->client->waiting; *at; at = &(*at)->next)
        if (*at == request) {
            *at = request->next;
            break;
        }
    http_request_free(request->http);
    free(request->path);
    free(request);
    return NULL;
}

const char *kube_client_trouble(const struct kube_client *client, char *buffer, size_t size) {
    return explain_trouble(&client->credentials, buffer, size);
}
