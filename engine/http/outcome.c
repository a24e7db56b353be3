/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outcome - curl's hundred ways to fail, told as the dozen that a watcher acts upon, each in one sentence.
 *
 * The sentences are ours where we know what happened; curl's own words stand behind a colon only where we do not.
 * OpenSSL tells the client's side of a handshake only as text in curl's error buffer, so some of it is read there.
 * Keeps: nothing that was sent (headers, URL) is in a sentence. Does not: decide what to do. Owns: nothing.
 */
#include "request.h"

#include <openssl/x509_vfy.h>
#include <string.h>

const char *http_outcome_name(enum http_outcome outcome) {
    static const char *const names[] = {
        [HTTP_COMPLETE] = "complete",
        [HTTP_TRUNCATED] = "truncated",
        [HTTP_REFUSED] = "refused",
        [HTTP_DNS] = "dns",
        [HTTP_CONNECT_TIMEOUT] = "connect-timeout",
        [HTTP_IDLE] = "idle",
        [HTTP_DEADLINE] = "deadline",
        [HTTP_TLS] = "tls",
        [HTTP_PROXY] = "proxy",
        [HTTP_PROTOCOL] = "protocol",
        [HTTP_TOO_LARGE] = "too-large",
        [HTTP_LOCAL] = "local",
        [HTTP_FAILED] = "failed",
    };

    _Static_assert(ARRAY_LENGTH(names) == HTTP_OUTCOME_MAX, "every outcome has a name");
    return (unsigned)outcome < HTTP_OUTCOME_MAX ? names[outcome] : "unknown";
}

static bool says(const struct http_request *request, const char *words) {
    return strstr(request->error, words) != NULL;
}

static void say(struct http_end *ret, enum http_outcome outcome, char text[END_TEXT_MAX], const char *format, ...)
    PRINTF(4, 5);
static void say(struct http_end *ret, enum http_outcome outcome, char text[END_TEXT_MAX], const char *format, ...) {
    va_list arguments;

    ret->outcome = outcome;
    va_start(arguments, format);
    vsnprintf(text, END_TEXT_MAX, format, arguments);
    va_end(arguments);
}

static const char *reason_of(const struct http_request *request, CURLcode code) {
    return request->error[0] ? request->error : curl_easy_strerror(code);
}

/* The server's certificate did not pass. */
static void verification(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request) {
    long result = 0;

    curl_easy_getinfo(request->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        ret->tls = HTTP_TLS_EXPIRED;
        say(ret, HTTP_TLS, text, "a certificate of %s %s", request->peer,
            result == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet");
        break;
    case X509_V_OK: /* the chain is fine, and curl compares the name itself */
    case X509_V_ERR_UNSPECIFIED: /* what curl leaves there until the name has passed, too */
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        ret->tls = HTTP_TLS_NAME;
        say(ret, HTTP_TLS, text, "the certificate of %s is for another name", request->peer);
        break;
    default:
        ret->tls = HTTP_TLS_UNTRUSTED;
        say(ret, HTTP_TLS, text, "the certificate of %s does not lead to the CA: %s", request->peer,
            X509_verify_cert_error_string(result));
    }
}

/* The server answered our part of the handshake with an alert. With TLS 1.3 it may come after the handshake seemed
 * done. */
static bool client_certificate_refused(const struct http_request *request) {
    return says(request, "alert certificate required") || says(request, "alert unknown ca") ||
           says(request, "alert bad certificate") || says(request, "alert certificate expired") ||
           says(request, "alert certificate revoked") || says(request, "alert certificate unknown") ||
           says(request, "alert unsupported certificate") || says(request, "alert access denied") ||
           says(request, "alert decrypt error"); /* signed by a CA of the same name with another key */
}

static void handshake(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request) {
    if (says(request, "asn1 encoding routines") || says(request, "provider signature failure")) {
        /* OpenSSL's words, of 3.0 and of 3.5, for a signature that is another's */
        ret->tls = HTTP_TLS_UNTRUSTED;
        say(ret, HTTP_TLS, text, "the certificate of %s does not lead to the CA: it was signed by another of the same name",
            request->peer);
    } else if (says(request, "wrong version number") || says(request, "packet length too long") ||
        says(request, "http request") || says(request, "unknown protocol")) {
        ret->tls = HTTP_TLS_NOT_TLS;
        say(ret, HTTP_TLS, text, "%s does not speak TLS", request->peer);
    } else if (client_certificate_refused(request)) {
        ret->tls = HTTP_TLS_CLIENT;
        say(ret, HTTP_TLS, text, "%s does not take our client certificate", request->peer);
    } else if (says(request, "SSL_ERROR_SYSCALL") || says(request, "Connection reset") ||
               says(request, "unexpected eof")) {
        say(ret, HTTP_REFUSED, text, "%s closed the connection during the TLS handshake", request->peer);
    } else {
        say(ret, HTTP_TLS, text, "no TLS connection to %s: %s", request->peer,
            reason_of(request, CURLE_SSL_CONNECT_ERROR));
    }
}

/* The connection stood, and then went. */
static void lost(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request, CURLcode code) {
    if (client_certificate_refused(request)) {
        ret->tls = HTTP_TLS_CLIENT;
        say(ret, HTTP_TLS, text, "%s does not take our client certificate", request->peer);
    } else if (request->has_response) {
        say(ret, HTTP_TRUNCATED, text, "the answer of %s was cut: %s", request->peer, reason_of(request, code));
    } else {
        say(ret, HTTP_REFUSED, text, "%s closed the connection without an answer", request->peer);
    }
}

static void not_connected(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request, CURLcode code) {
    long error = 0;

    curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &error);
    say(ret, request->via_proxy ? HTTP_PROXY : HTTP_REFUSED, text, "no connection to %s%s: %s",
        request->via_proxy ? "the proxy for " : "", request->peer,
        error ? strerror((int)error) : reason_of(request, code));
}

static void by_code(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request, CURLcode code) {
    switch (code) {
    case CURLE_OK:
        say(ret, HTTP_COMPLETE, text, "%s", "");
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        say(ret, HTTP_DNS, text, "no address is known for the host of %s", request->peer);
        break;
    case CURLE_COULDNT_CONNECT:
        not_connected(ret, text, request, code);
        break;
    case CURLE_OPERATION_TIMEDOUT: /* curl is given no other time limit */
        say(ret, HTTP_CONNECT_TIMEOUT, text, "no connection to %s within %d s", request->peer,
            HTTP_CONNECT_TIMEOUT_MSEC / 1000);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
        verification(ret, text, request);
        break;
    case CURLE_SSL_CERTPROBLEM:
        ret->tls = HTTP_TLS_CLIENT;
        say(ret, HTTP_TLS, text, "our client certificate or its key cannot be used: %s", reason_of(request, code));
        break;
    case CURLE_SSL_CACERT_BADFILE:
        say(ret, HTTP_LOCAL, text, "the CA cannot be used: %s", reason_of(request, code));
        break;
    case CURLE_SSL_CONNECT_ERROR:
        handshake(ret, text, request);
        break;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        say(ret, HTTP_PROXY, text, "no way through the proxy to %s", request->peer);
        break;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_BAD_CONTENT_ENCODING:
        lost(ret, text, request, code);
        break;
#if LIBCURL_VERSION_NUM >= 0x080600 /* before, it is CURLE_OUT_OF_MEMORY, see outcome_of_curl */
    case CURLE_TOO_LARGE:
        say(ret, HTTP_PROTOCOL, text, "a header of %s is too large", request->peer);
        break;
#endif
    case CURLE_UNSUPPORTED_PROTOCOL: /* what came begins like no HTTP that we take */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP_RETURNED_ERROR:
        say(ret, HTTP_PROTOCOL, text, "%s does not speak HTTP: %s", request->peer, reason_of(request, code));
        break;
    default:
        say(ret, HTTP_FAILED, text, "the request to %s failed: %s", request->peer, reason_of(request, code));
    }
}

static bool was_connected(struct http_request *request) {
    curl_off_t ready = 0;

    curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
    return ready > 0 || request->has_response;
}

void outcome_of_curl(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request, CURLcode code) {
    long proxy_status = 0;

    *ret = (struct http_end){.text = text, .connected = was_connected(request)};
    curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (request->too_large)
        say(ret, HTTP_TOO_LARGE, text, "the answer of %s is larger than %zu KiB", request->peer, request->limit / 1024);
    else if (request->bad_headers)
        say(ret, HTTP_PROTOCOL, text, "the headers of %s are larger than %d KiB", request->peer,
            HTTP_HEADERS_LIMIT / 1024);
    else if (code == CURLE_OUT_OF_MEMORY && ret->connected && !request->has_response) /* so curl calls a huge header */
        say(ret, HTTP_PROTOCOL, text, "a header of %s is too large", request->peer);
    else if (code && proxy_status >= 300)
        say(ret, HTTP_PROXY, text, "the proxy refuses to connect to %s (%ld)", request->peer, proxy_status);
    else if (code == CURLE_OK && !request->has_response) /* curl is content with half the headers */
        say(ret, HTTP_TRUNCATED, text, "%s closed the connection within the headers of its answer", request->peer);
    else
        by_code(ret, text, request, code);
}

void outcome_of_watchdog(struct http_end *ret, char text[END_TEXT_MAX], struct http_request *request,
                         enum http_outcome outcome) {
    *ret = (struct http_end){.text = text, .connected = was_connected(request)};
    if (!ret->connected && outcome == HTTP_IDLE)
        say(ret, HTTP_CONNECT_TIMEOUT, text, "no connection to %s within %.1f s", request->peer,
            (double)request->idle / 1000);
    else if (outcome == HTTP_DEADLINE)
        say(ret, outcome, text, "%s had not ended its answer after %.1f s", request->peer,
            (double)request->deadline / 1000);
    else
        say(ret, outcome, text, "%s was silent for %.1f s", request->peer, (double)request->idle / 1000);
}
