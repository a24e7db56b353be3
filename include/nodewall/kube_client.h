/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kube client - an endpoint and a path become an HTTP request with today's credentials, and what goes wrong
 * becomes a sentence with a way out.
 *
 * Token files are read again when a minute has passed and after every 401; CA, certificate and key files before a
 * request if they changed. A file that cannot be read, is empty or half written leaves the old credential in use; only
 * when there never was one does the request end with HTTP_LOCAL. Nothing here retries: the next request is the retry.
 *
 * An exec plugin is run when a request needs what it gives: the first waits for it; later ones go with what there is
 * while a new one is fetched a minute before the end, and wait again only for what has ended or was refused. A plugin
 * that fails leaves the old in use, and is run again after 5 s and up to 5 min.
 */
#pragma once

#include "nodewall/http.h"
#include "nodewall/kubeconfig.h"

struct kube_client;
struct kube_request;

/* Same rules as http_callbacks (http.h); end->text is the sentence for people, naming server, file, context. */
struct kube_callbacks {
    void (*on_headers)(struct kube_request *request, const struct http_response *response, void *userdata);
    void (*on_data)(struct kube_request *request, const char *data, size_t size, void *userdata);
    void (*on_end)(struct kube_request *request, const struct http_end *end, void *userdata);
};

struct kube_options {
    msec idle;          /* as in http_options: 0 is 60 s */
    msec deadline;      /* 0: none */
    size_t limit;       /* bytes of body; 0: none */
    bool fresh;         /* new connection; say so after any failure */
    bool protobuf;      /* is welcome, JSON too; else JSON alone */
    bool gzip;          /* for lists; a watch is never compressed */
};

/* `http` must outlive the client. Takes `endpoint` over on success. Opens no file and connects nowhere. 0 or -errno. */
int kube_client_new(struct kube_client **ret, struct http *http, struct endpoint *endpoint);
/* Before it, free its requests. A plugin that runs is killed; the loop must go on turning until that is done. */
struct kube_client *kube_client_free(struct kube_client *client);
DEFINE_CLEANUP(struct kube_client, kube_client_free)

const struct endpoint *kube_client_endpoint(const struct kube_client *client);

/* Why credentials that are not the newest are in use: a sentence; "" if that is not so. */
const char *kube_client_trouble(const struct kube_client *client, char *buffer, size_t size);

/* Reads every credential file now, checks that they fit together, and looks for the exec plugin without running it: for
 * `nodewall check`. Everything that is wrong at once: -EINVAL with *problem. */
int kube_client_check(struct kube_client *client, struct problem *problem);

/* `path` begins with a slash ("/api/v1/nodes?limit=500"), is already percent-encoded, and is put behind the server's
 * prefix. 0 and *ret (the caller's, to be freed at any time), or -errno; no callback from within. */
int kube_client_get(struct kube_request **ret, struct kube_client *client, const char *path,
                    const struct kube_options *options, const struct kube_callbacks *callbacks, void *userdata);
struct kube_request *kube_request_free(struct kube_request *request);
DEFINE_CLEANUP(struct kube_request, kube_request_free)

/*
 * What a response other than 200 means for a person, "" for 200: "the API server https://… does not take the token in
 * FILE (401)". One line of UTF-8 without secrets. Returns buffer.
 */
const char *kube_client_explain(const struct kube_client *client, unsigned status, char *buffer, size_t size);
