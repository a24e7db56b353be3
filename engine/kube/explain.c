/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explain - what a failed request means for the person who has to mend it: which server, which file, which context.
 *
 * The HTTP layer knows what happened on the wire, the endpoint where everything was configured; only together do they
 * make a sentence that can be acted upon without reading code. One sentence, the status or the cause in it, the way out
 * last.
 * Keeps: no secret is in a sentence; it is one line of valid UTF-8 whatever came from outside.
 * Does not: decide whether to try again. Owns: nothing.
 */
#include "explain.h"

#include <string.h>

static const char *origin(const struct credentials *credentials) {
    return credentials->endpoint->origin ? credentials->endpoint->origin : credentials->endpoint->server;
}

/* "in FILE", or "of context ..." for what stands in the kubeconfig itself. */
static void append_place(char *buffer, size_t size, const struct credentials *credentials, const char *path) {
    text_append(buffer, size, path ? " in %.400s" : " of %.400s", path ? path : origin(credentials));
}

static void append_expiry(char *buffer, size_t size, const struct credentials *credentials, msec wall) {
    char time[TIME_TEXT_MAX];

    if (credentials->expires < wall)
        text_append(buffer, size, "; it has expired at %s", time_format(credentials->expires, time));
}

static void append_trouble(char *buffer, size_t size, const struct credentials *credentials) {
    char text[700];

    if (credentials->trouble.what[0])
        text_append(buffer, size, "; an older one is in use, because of %s",
                    problem_format(&credentials->trouble, text, sizeof(text)));
}

const char *explain_trouble(const struct credentials *credentials, char *buffer, size_t size) {
    char text[EXPLANATION_MAX];

    buffer[0] = 0;
    if (credentials->trouble.what[0])
        text_append(buffer, size, "%s; an older one is in use (%.400s)",
                    problem_format(&credentials->trouble, text, sizeof(text)), origin(credentials));
    else if (credentials->login_trouble.what[0] && credentials->login.has)
        text_append(buffer, size, "%s; what it gave before is in use (%.400s)",
                    problem_format(&credentials->login_trouble, text, sizeof(text)), origin(credentials));
    return text_clean(buffer);
}

static void append_certificate(char *buffer, size_t size, const struct credentials *credentials, msec wall) {
    if (credentials->endpoint->exec)
        text_append(buffer, size, " of the exec plugin %.200s", credentials->endpoint->exec->command);
    else
        append_place(buffer, size, credentials, credentials->endpoint->certificate.path);
    append_expiry(buffer, size, credentials, wall);
    append_trouble(buffer, size, credentials);
}

static void explain_tls(const struct credentials *credentials, const struct http_end *end, msec wall, char *buffer,
                        size_t size) {
    const struct endpoint *endpoint = credentials->endpoint;

    switch (end->tls) {
    case HTTP_TLS_UNTRUSTED:
        if (endpoint->ca.path || endpoint->ca.data) {
            text_append(buffer, size, "; the CA is the one");
            append_place(buffer, size, credentials, endpoint->ca.path);
            append_trouble(buffer, size, credentials);
        } else {
            text_append(buffer, size, "; %.400s names no CA, so the system's are used", origin(credentials));
        }
        break;
    case HTTP_TLS_NAME:
        text_append(buffer, size, "; it should be for %.256s: set tls-server-name in %.400s if another name is right",
                    endpoint->tls_server_name ? endpoint->tls_server_name : endpoint->host, origin(credentials));
        break;
    case HTTP_TLS_EXPIRED:
        text_append(buffer, size, "; is the clock of this machine right? (%.400s)", origin(credentials));
        break;
    case HTTP_TLS_CLIENT:
        text_append(buffer, size, "; the certificate is the one");
        append_certificate(buffer, size, credentials, wall);
        break;
    case HTTP_TLS_NOT_TLS:
        text_append(buffer, size, "; is the port of %.300s right? (%.400s)", endpoint->server, origin(credentials));
        break;
    case HTTP_TLS_OTHER:
        text_append(buffer, size, " (%.400s)", origin(credentials));
        break;
    }
}

const char *explain_end(const struct credentials *credentials, const struct http_end *end, msec wall, char *buffer,
                        size_t size) {
    snprintf(buffer, size, "%s", end->outcome == HTTP_COMPLETE ? "" : end->text);
    if (end->outcome == HTTP_TLS)
        explain_tls(credentials, end, wall, buffer, size);
    else if (end->outcome != HTTP_COMPLETE && !strstr(buffer, origin(credentials)))
        text_append(buffer, size, " (%.400s)", origin(credentials));
    return text_clean(buffer);
}

static void unauthorized(const struct credentials *credentials, msec wall, char *buffer, size_t size) {
    const struct endpoint *endpoint = credentials->endpoint;

    if (endpoint->exec) {
        text_append(buffer, size,
                    "the API server %.300s does not take what the exec plugin %.200s gave for %.400s (401)",
                    endpoint->server, endpoint->exec->command, origin(credentials));
        append_expiry(buffer, size, credentials, wall);
    } else if (endpoint->token_file || endpoint->token) {
        text_append(buffer, size, "the API server %.300s does not take the token", endpoint->server);
        append_place(buffer, size, credentials, endpoint->token_file);
        text_append(buffer, size, " (401)");
        append_trouble(buffer, size, credentials);
    } else if (endpoint->certificate.path || endpoint->certificate.data) {
        text_append(buffer, size, "the API server %.300s does not take the client certificate (401)", endpoint->server);
        append_certificate(buffer, size, credentials, wall);
    } else {
        text_append(buffer, size,
                    "the API server %.300s wants to know who we are (401), and %.400s has neither a token nor a "
                    "client certificate nor an exec plugin",
                    endpoint->server, origin(credentials));
    }
}

static void forbidden(const struct credentials *credentials, char *buffer, size_t size) {
    const struct impersonation *as = &credentials->endpoint->as;

    text_append(buffer, size, "the API server %.300s does not allow it (403): ", credentials->endpoint->server);
    if (as->user)
        text_append(buffer, size, "the user of %.400s must be allowed to impersonate \"%.100s\", who needs",
                    origin(credentials), as->user);
    else
        text_append(buffer, size, "the user of %.400s needs", origin(credentials));
    text_append(buffer, size, " a ClusterRole with list and watch on nodes");
}

const char *explain_status(const struct credentials *credentials, unsigned status, msec wall, char *buffer,
                           size_t size) {
    const char *server = credentials->endpoint->server, *from = origin(credentials);

    buffer[0] = 0;
    if (status == 200)
        return buffer;
    if (status == 401)
        unauthorized(credentials, wall, buffer, size);
    else if (status == 403)
        forbidden(credentials, buffer, size);
    else if (status == 404)
        text_append(buffer, size, "%.300s has no nodes at this path (404): is the server of %.400s right?", server,
                    from);
    else if (status == 410)
        text_append(buffer, size, "the API server %.300s has forgotten this version (410)", server);
    else if (status == 429)
        text_append(buffer, size, "the API server %.300s is busy and asks us to wait (429)", server);
    else if (status == 407)
        text_append(buffer, size, "the proxy on the way to %.300s wants a user and password (407) (%.400s)", server,
                    from);
    else if (status >= 300 && status < 400)
        text_append(buffer, size,
                    "%.300s sends us elsewhere (%u): is a login page or another server at this URL? (%.400s)", server,
                    status, from);
    else if (status >= 500)
        text_append(buffer, size, "the API server %.300s, or a proxy before it, has trouble of its own (%u)", server,
                    status);
    else
        text_append(buffer, size, "%.300s answers with status %u: is it an API server? (%.400s)", server, status, from);
    return text_clean(buffer);
}
