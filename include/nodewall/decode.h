/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode - the few fields of Kubernetes' objects that matter here, out of untrusted JSON or protobuf. Pure.
 *
 * A node's addresses come out as they were written; what an address is, inventory.h decides. Unknown fields are passed
 * over, fields of the wrong type make the object invalid. Strings longer than anything Kubernetes allows, or with a NUL
 * in them, are refused; not so in status.addresses, where a node writes whatever it likes: nothing there that a typed API
 * server lets through makes the object invalid.
 */
#pragma once

#include "nodewall/set.h"

#define NODE_NAME_MAX 253       /* DNS subdomain */
#define NODE_UID_MAX 128
#define NODE_ADDRESSES_MAX 4096 /* taken from one status; the rest is counted as `more` */

struct node_address {
    char type[64];              /* "InternalIP", …; a type that is longer is passed over, for no one can ask for it */
    char text[256];             /* as written, a NUL as '?'; may be empty; a longer text is cut and is no address then */
};

struct node {
    char name[NODE_NAME_MAX + 1];
    char uid[NODE_UID_MAX + 1];
    char rv[RV_MAX + 1];        /* metadata.resourceVersion, "" if there is none */
    bool leaving;               /* metadata.deletionTimestamp is set */
    struct node_address *addresses;     /* status.addresses, in order */
    size_t n_addresses;
    size_t more;
};

struct node *node_free(struct node *node);
DEFINE_CLEANUP(struct node, node_free)

/* kind Status, from an ERROR event or an HTTP error's body. */
struct kube_status {
    unsigned code;              /* 0 if it says none */
    char reason[64];            /* "Expired", "Forbidden", … or "" */
    char message[512];          /* control characters replaced; cut */
    msec retry_after;           /* details.retryAfterSeconds; -1: none */
    bool too_large;             /* cause ResourceVersionTooLarge: this replica is behind */
};

enum watch_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

struct watch_line {
    enum watch_type type;
    struct node *node;          /* ADDED, MODIFIED, DELETED; owned */
    char rv[RV_MAX + 1];        /* of the object; BOOKMARK as well; "" with ERROR */
    struct kube_status status;  /* ERROR */
};
void watch_line_done(struct watch_line *line);

/* What a list says beside its items. */
struct list_head {
    bool is_node_list;          /* kind is NodeList */
    bool has_items;             /* set by the caller when `items` was an array; kept here for the machine */
    char rv[RV_MAX + 1];
    char next[4097];            /* metadata.continue, "" at the last page; longer is -EBADMSG */
    int64_t remaining;          /* metadata.remainingItemCount, -1: not told */
};

/* All: 0; -EBADMSG: no such object (broken JSON, wrong kind, no name or uid, an rv that is no decimal); -ENOMEM. */
int decode_node(struct node **ret, const char *data, size_t size);
int decode_watch_line(struct watch_line *ret, const char *data, size_t size);
int decode_status(struct kube_status *ret, const char *data, size_t size);
/* One FRAME_MEMBER of a list; members that don't matter are 0 and change nothing. */
int decode_list_member(struct list_head *head, const char *key, size_t key_size, const char *data, size_t size);
/* The name of what decode_node refuses, for a person to look at: 0, or -EBADMSG if not even that can be read. */
int decode_node_name(char ret[NODE_NAME_MAX + 1], const char *data, size_t size);

/* The same calls for each encoding that an API server may answer with. Of a protobuf, `data` is what frame.h hands out:
 * a bare Node message in a list, a WatchEvent message in a watch; a Status with its k8s prefix. */
struct decoder {
    int (*node)(struct node **ret, const char *data, size_t size);
    int (*node_name)(char ret[NODE_NAME_MAX + 1], const char *data, size_t size);
    int (*watch_line)(struct watch_line *ret, const char *data, size_t size);
    int (*status)(struct kube_status *ret, const char *data, size_t size);
    int (*list_member)(struct list_head *head, const char *key, size_t key_size, const char *data, size_t size);
};
extern const struct decoder decode_json, decode_protobuf;
