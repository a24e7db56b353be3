/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request - one transfer: its options for curl, what curl hands back, and how long it may be silent.
 *
 * Keeps: the response's headers are told before its body, both only while the owner still has the request; bytes of
 * headers and body are counted and bounded. Silence is measured in bytes on the wire, so that a peer whose kernel still
 * answers keepalives is found out, and a gzip stream that has not yet yielded a byte is not blamed.
 * Does not: know the loop. Owns: the easy handle, its lists, and a copy of the private key, overwritten when it ends.
 *
 * What curl keeps beyond our reach and frees without overwriting: the request as it was sent, with its headers, until the
 * connection's buffer is used again; a proxy's user and password; the client certificate and CA of a pooled connection
 * (no secrets). OpenSSL overwrites its form of the key. Core dumps and ptrace are off for the whole process (main.c).
 */
#include "request.h"

#include "nodewall/address.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define IDLE_DEFAULT 60000
#define RETRY_AFTER_MAX (6 * 3600 * (msec)1000)   /* where newer releases of libcurl stop counting, too */

/* A dead peer that acknowledges nothing is found by the kernel within half a minute to a minute, whether we wait or
 * write. */
#define KEEPALIVE_IDLE 30
#define KEEPALIVE_INTERVAL 10
#define KEEPALIVE_COUNT 3
#define USER_TIMEOUT_MSEC 30000

int request_new(struct http_request **ret, struct http *http, const struct http_callbacks *callbacks, void *userdata) {
    struct http_request *request = calloc(1, sizeof(*request));

    if (!request)
        return -ENOMEM;
    request->http = http;
    request->callbacks = *callbacks;
    request->userdata = userdata;
    *ret = request;
    return 0;
}

/* Headers hold tokens. */
static void forget(struct curl_slist *list) {
    for (struct curl_slist *line = list; line; line = line->next)
        OPENSSL_cleanse(line->data, strlen(line->data));
    curl_slist_free_all(list);
}

void request_release(struct http_request *request) {
    curl_easy_cleanup(request->easy);
    request->easy = NULL;
    forget(request->headers);
    if (request->key)
        OPENSSL_cleanse(request->key, request->key_size);
    free(request->key);
    request->key = NULL;
    curl_slist_free_all(request->connect_to);
    request->headers = request->connect_to = NULL;
}

struct http_request *request_bury(struct http_request *request) {
    if (request->previous)
        request->previous->next = request->next;
    else if (request->http)
        request->http->requests = request->next;
    if (request->next)
        request->next->previous = request->previous;
    request_release(request);
    free(request->failure_text);
    free(request);
    return NULL;
}

void request_tell(struct http_request *request, const struct http_end *how) {
    if (!request->freed && request->callbacks.on_end)
        request->callbacks.on_end(request, how, request->userdata);
}

void request_started(struct http_request *request) {
    request->started = request->last_byte = clock_now();
}

msec request_due(struct http_request *request, enum http_outcome *ret) {
    msec deadline = request->deadline ? request->started + request->deadline : MSEC_NEVER, silent;
    curl_off_t n_received = 0;
    long n_header = 0;

    /* Chunk sizes and gzip's own headers come without a callback; count them. */
    curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &n_received);
    curl_easy_getinfo(request->easy, CURLINFO_HEADER_SIZE, &n_header);
    if (n_received + n_header != request->n_received) {
        request->n_received = n_received + n_header;
        request->last_byte = clock_now();
    }
    silent = request->last_byte + request->idle;
    *ret = silent <= deadline ? HTTP_IDLE : HTTP_DEADLINE;
    return MIN(silent, deadline);
}

static void tell_response(struct http_request *request) {
    struct http_response response = {.retry_after = -1, .content_type = ""};
    long status = 0, n_connects = 0;
    curl_off_t seconds = 0;
    char *type = NULL;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return; /* 100 and its like announce, the response is still to come */
    curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &seconds);
    curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &n_connects);
    response.status = (unsigned)status;
    if (type)
        response.content_type = type;
    if (seconds > 0)
        response.retry_after = seconds < RETRY_AFTER_MAX / 1000 ? (msec)seconds * 1000 : RETRY_AFTER_MAX;
    response.reused = n_connects == 0;
    request->has_response = true;
    if (request->callbacks.on_headers)
        request->callbacks.on_headers(request, &response, request->userdata);
}

static size_t on_header(char *line, size_t one, size_t size, void *userdata) {
    struct http_request *request = userdata;

    request->last_byte = clock_now();
    request->n_header += size;
    if (request->n_header > HTTP_HEADERS_LIMIT)
        request->bad_headers = true;
    if (request->freed || request->bad_headers)
        return 0;
    /* Trailers behind a chunked body come this way, too, and end with no empty line of interest. */
    if (!request->has_response && (line[0] == '\r' || line[0] == '\n'))
        tell_response(request);
    return request->freed ? 0 : size;
}

static size_t on_body(char *data, size_t one, size_t size, void *userdata) {
    struct http_request *request = userdata;

    request->last_byte = clock_now();
    if (request->freed)
        return 0;
    if (request->limit && size > request->limit - request->n_body) {
        request->too_large = true;
        return 0;
    }
    request->n_body += size;
    if (size && request->callbacks.on_data)
        request->callbacks.on_data(request, data, size, request->userdata);
    return request->freed ? 0 : size;
}

static curl_socket_t open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_socket_open(void *userdata, curl_socket_t fd, curlsocktype purpose) {
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MSEC},
    };

    /* What a kernel refuses is not worth a connection: the idle timer finds a dead peer, too, only later. */
    for (size_t i = 0; i < ARRAY_LENGTH(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
    return CURL_SOCKOPT_OK;
}

static bool host_is_loopback(const char *host) {
    size_t n = strlen(host);
    struct address address;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (n >= 2 && host[0] == '[') {
        host++;
        n -= 2;
    }
    return address_parse(&address, host, n) >= 0 && address_classify(&address) == ADDRESS_LOOPBACK;
}

static void cleanup_url(CURLU **url) {
    curl_url_cleanup(*url);
}

static void cleanup_part(char **part) {
    curl_free(*part);
}

/* Checks the URL; who we shall talk to goes into request->peer, and whether that is this host into *ret_loopback. */
static int read_url(struct http_request *request, const char *text, const struct http_options *options,
                    bool *ret_loopback) {
    CLEANUP(cleanup_url) CURLU *url = curl_url();
    CLEANUP(cleanup_part) char *host = NULL, *port = NULL;

    if (!url)
        return -ENOMEM;
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return -EINVAL;
    *ret_loopback = host_is_loopback(options->connect_host ? options->connect_host : host);
    if (options->connect_host) {
        bool bracket = strchr(options->connect_host, ':') != NULL;

        snprintf(request->peer, sizeof(request->peer), "%s%.256s%s:%u", bracket ? "[" : "", options->connect_host,
                 bracket ? "]" : "", options->connect_port);
    } else {
        snprintf(request->peer, sizeof(request->peer), "%.256s:%.6s", host, port);
    }
    return 0;
}

static int append(struct curl_slist **list, const char *line) {
    struct curl_slist *grown = curl_slist_append(*list, line);

    if (!grown)
        return -ENOMEM;
    *list = grown;
    return 0;
}

static CURLcode set_blob(CURL *easy, CURLoption option, const struct http_blob *blob) {
    struct curl_blob copied = {.data = (void *)blob->data, .len = blob->size, .flags = CURL_BLOB_COPY};

    return blob->data ? curl_easy_setopt(easy, option, &copied) : CURLE_OK;
}

static CURLcode set_key(struct http_request *request, const struct http_blob *key) {
    struct curl_blob lent = {.len = key->size, .flags = CURL_BLOB_NOCOPY};

    if (!key->data)
        return CURLE_OK;
    request->key = lent.data = malloc(key->size + 1);
    if (!request->key)
        return CURLE_OUT_OF_MEMORY;
    memcpy(request->key, key->data, key->size);
    request->key_size = key->size;
    return curl_easy_setopt(request->easy, CURLOPT_SSLKEY_BLOB, &lent);
}

static CURLcode set_tls(struct http_request *request, const struct http_options *options) {
    CURL *easy = request->easy;
    CURLcode code = set_blob(easy, CURLOPT_CAINFO_BLOB, &options->ca);

    if (!code)
        code = set_blob(easy, CURLOPT_SSLCERT_BLOB, &options->certificate);
    if (!code)
        code = set_key(request, &options->key);
    if (code)
        return code;
    if (options->ca.data) {
        /* A cluster's CA is to be the only one; the library's own directory would otherwise be trusted beside it. */
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a resumed session would be that of an old certificate */
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, options->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, options->insecure ? 0L : 2L);
    return CURLE_OK;
}

/* Named for this server: no_proxy does not matter. As in Go's programs, a socks5 proxy looks names up itself, and one that
 * speaks TLS may have a certificate of the cluster's CA; here one of the system's will do, too. */
static CURLcode set_proxy(CURL *easy, const struct http_options *options) {
    static const char socks[] = "socks5://";
    bool far = strncasecmp(options->proxy, socks, sizeof(socks) - 1) == 0;
    size_t size = strlen(options->proxy) + 2;
    char *url = malloc(size);
    CURLcode code;

    if (!url)
        return CURLE_OUT_OF_MEMORY;
    snprintf(url, size, "%s%s", far ? "socks5h://" : "", options->proxy + (far ? sizeof(socks) - 1 : 0));
    code = curl_easy_setopt(easy, CURLOPT_PROXY, url);
    OPENSSL_cleanse(url, size);
    free(url);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    return code ? code : set_blob(easy, CURLOPT_PROXY_CAINFO_BLOB, &options->ca);
}

static CURLcode set_route(struct http_request *request, const struct http_options *options, bool loopback) {
    CURL *easy = request->easy;
    char route[320];
    CURLcode code;

    if (options->proxy) {
        request->via_proxy = true;
        code = set_proxy(easy, options);
        if (code)
            return code;
    } else if (loopback) {
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    }
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* our token is not for the proxy */
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!options->connect_host)
        return CURLE_OK;
    snprintf(route, sizeof(route), "::%s", request->peer);
    if (append(&request->connect_to, route) < 0)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(easy, CURLOPT_CONNECT_TO, request->connect_to);
}

static void set_manners(CURL *easy, const struct http_options *options) {
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "nodewall/" NODEWALL_VERSION);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MSEC);
    /* New connections are rare, and mean that something has moved. */
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_open);
    if (options->gzip)
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (options->fresh)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}

static int of_curl(CURLcode code) {
    return code == CURLE_OK ? 0 : code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

int request_prepare(struct http_request *request, const char *url, const struct http_options *options) {
    bool loopback;
    CURLcode code;
    CURL *easy;
    int r = read_url(request, url, options, &loopback);

    if (r < 0)
        return r;
    request->easy = easy = curl_easy_init();
    if (!easy)
        return -ENOMEM;
    request->idle = options->idle ? options->idle : IDLE_DEFAULT;
    request->deadline = options->deadline;
    request->limit = options->limit;
    for (const char *const *header = options->headers; header && *header; header++) {
        if ((*header)[strcspn(*header, "\r\n")])
            return -EINVAL;
        r = append(&request->headers, *header);
        if (r < 0)
            return r;
    }
    set_manners(easy, options);
    code = curl_easy_setopt(easy, CURLOPT_URL, url);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    if (!code)
        code = set_tls(request, options);
    if (!code)
        code = set_route(request, options, loopback);
    if (code)
        return of_curl(code);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    return 0;
}
