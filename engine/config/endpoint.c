/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoint - where an API server is and how to speak to it, from a pod's mount or from a server's URL.
 *
 * Keeps: a server URL is https, or http to a loopback address; it has a host and nothing that would end up in a log as a
 * secret (no user, no query). Does not: open a credential file. Owns: the endpoint's memory, overwritten where secret.
 */
#include "endpoint.h"

#include "credential.h"
#include "field.h"
#include "nodewall/address.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

struct endpoint *endpoint_free(struct endpoint *endpoint) {
    if (!endpoint)
        return NULL;
    free(endpoint->origin);
    free(endpoint->server);
    free(endpoint->host);
    free(endpoint->tls_server_name);
    secret_free(endpoint->proxy);
    credential_done(&endpoint->ca);
    credential_done(&endpoint->certificate);
    credential_done(&endpoint->key);
    secret_free(endpoint->token);
    free(endpoint->token_file);
    exec_plugin_free(endpoint->exec);
    free(endpoint->as.user);
    free(endpoint->as.uid);
    strings_free(endpoint->as.groups);
    strings_free(endpoint->as.extra);
    free(endpoint);
    return NULL;
}

bool host_is_loopback(const char *host) {
    struct address address;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    return address_parse(&address, host, strlen(host)) >= 0 && address_is_host(&address) &&
           address_classify(&address) == ADDRESS_LOOPBACK;
}

bool host_is_name(const char *host) {
    size_t n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

    return n >= 1 && n <= 253 && !host[n] && host[0] != '.' && host[0] != '-';
}

/* What stands between "//" and the first slash: name, address or [IPv6 address], then an optional port. */
static bool split_authority(const char *authority, size_t size, char host[256], uint16_t *port) {
    const char *end = authority + size, *colon = NULL;
    struct address address;
    unsigned long number = 0;
    size_t n;

    if (size && authority[0] == '[') {
        const char *bracket = memchr(authority, ']', size);

        if (!bracket || address_parse(&address, authority + 1, (size_t)(bracket - authority - 1)) < 0 ||
            !address_is_host(&address))
            return false;
        n = (size_t)(bracket - authority - 1);
        memcpy(host, authority + 1, n);
        colon = bracket + 1;
    } else {
        colon = memchr(authority, ':', size);
        n = (size_t)((colon ? colon : end) - authority);
        if (n > 253)
            return false;
        memcpy(host, authority, n);
    }
    host[n] = 0;
    if (authority[0] != '[' && !host_is_name(host))
        return false;
    if (!colon || colon == end)
        return true;
    if (*colon++ != ':' || end - colon > 5 || end == colon)
        return false;
    for (; colon < end; colon++) {
        if (*colon < '0' || *colon > '9')
            return false;
        number = number * 10 + (unsigned long)(*colon - '0');
    }
    *port = (uint16_t)number;
    return number >= 1 && number <= 65535;
}

static bool path_is_plain(const char *path) {
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.-_~%:+,=@!$&'()*;")] == 0;
}

int endpoint_set_server(struct endpoint *endpoint, const char *url, const char *where, struct problem *problem) {
    bool tls = strncasecmp(url, "https://", 8) == 0, plain = strncasecmp(url, "http://", 7) == 0;
    const char *authority = url + (tls ? 8 : 7), *path;
    char host[256];
    uint16_t port = tls ? 443 : 80;
    size_t n;

    if (!tls && !plain)
        return problem_set(problem, where, "write https://HOST:PORT", "server \"%.100s\" is no https URL", url);
    n = strcspn(authority, "/?#");
    path = authority + n;
    if (memchr(authority, '@', n)) /* not quoted: what stands before it is probably a password */
        return problem_set(problem, where, "use a token or a client certificate", "the server's URL has a user in it");
    if (!split_authority(authority, n, host, &port))
        return problem_set(problem, where, "write https://HOST:PORT, an IPv6 address in brackets",
                           "server \"%.100s\" has no valid host and port", url);
    if (!path_is_plain(path))
        return problem_set(problem, where, "write https://HOST:PORT or https://HOST:PORT/PREFIX",
                           "server \"%.100s\" has more than a path behind its host", url);
    if (plain && !host_is_loopback(host))
        return problem_set(problem, where, "use https; plain http is for 127.0.0.1 and localhost only",
                           "server \"%.100s\" would be spoken to without TLS", url);
    n = strlen(url);
    while (n > (size_t)(authority - url) && url[n - 1] == '/')
        n--;
    free(endpoint->server);
    free(endpoint->host);
    endpoint->host = strdup(host);
    if (asprintf(&endpoint->server, "%s://%.*s", tls ? "https" : "http", (int)(n - (size_t)(authority - url)), authority) < 0)
        endpoint->server = NULL;
    endpoint->port = port;
    endpoint->plain = plain;
    return endpoint->server && endpoint->host ? 0 : -ENOMEM;
}

static int set_copy(char **ret, const char *value) {
    if (!value)
        return 0;
    *ret = strdup(value);
    return *ret ? 0 : -ENOMEM;
}

int endpoint_from_server(struct endpoint **ret, const char *server, const char *ca, const char *token_file,
                         const char *where, struct problem *problem) {
    CLEANUP(endpoint_freep) struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    int r;

    if (!endpoint)
        return -ENOMEM;
    r = endpoint_set_server(endpoint, server, where, problem);
    if (r < 0)
        return r;
    if (endpoint->plain && ca)
        return problem_set(problem, where, "use https, or remove ca", "a CA with a server that is spoken to without TLS");
    if (set_copy(&endpoint->ca.path, ca) < 0 || set_copy(&endpoint->token_file, token_file) < 0 ||
        set_copy(&endpoint->origin, where) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(endpoint);
    return 0;
}

int endpoint_from_cluster(struct endpoint **ret, const char *root, const char *where, struct problem *problem) {
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    CLEANUP(cleanup_free) char *server = NULL, *ca = NULL, *token = NULL;
    bool bracket;

    if (!host || !host[0] || !port || !port[0])
        return problem_set(problem, where, "run it in a pod, or name a kubeconfig",
                           "in_cluster: this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    bracket = strchr(host, ':') != NULL;
    if (!root)
        root = SERVICE_ACCOUNT;
    if (asprintf(&server, "https://%s%s%s:%s", bracket ? "[" : "", host, bracket ? "]" : "", port) < 0)
        server = NULL;
    if (asprintf(&ca, "%s/ca.crt", root) < 0)
        ca = NULL;
    if (asprintf(&token, "%s/token", root) < 0)
        token = NULL;
    if (!server || !ca || !token)
        return -ENOMEM;
    if (access(token, F_OK) < 0)
        return problem_set(problem, where, "give the pod a service account (automountServiceAccountToken)",
                           "in_cluster: %.200s: %s", token, strerror(errno));
    return endpoint_from_server(ret, server, ca, token, where, problem);
}
