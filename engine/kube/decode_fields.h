/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decode fields - what a field must be to be taken, the same for both encodings (decode.c, decode_protobuf.c). For
 * nobody else. Texts come with their size; none is NUL-terminated.
 */
#pragma once

#include "nodewall/decode.h"

/* All: 0 or -EBADMSG, and then *ret is untouched. */
int field_name(char ret[NODE_NAME_MAX + 1], const char *text, size_t size);
int field_uid(char ret[NODE_UID_MAX + 1], const char *text, size_t size);
int field_rv(char ret[RV_MAX + 1], const char *text, size_t size);        /* "" is fine: none */
int field_continue(struct list_head *head, const char *text, size_t size);
int field_watch_type(enum watch_type *ret, const char *text, size_t size);

/* 1: *ret is an address that somebody can ask for; 0: its type is none. These texts are the node's own, and no API server
 * checks them: were a NUL in one, or what is no UTF-8, a reason to refuse the object, one node could keep us from reading
 * any list. It becomes a '?', which no address has. */
int field_address(struct node_address *ret, const char *type, size_t type_size, const char *text, size_t size);
/* Room for n addresses, which may be none, up to NODE_ADDRESSES_MAX. 0 or -ENOMEM. */
int field_addresses_new(struct node *node, size_t n);

/* For people: as much as fits, in whole characters; control characters (C0, DEL, and C1 as UTF-8) become blanks.
 * `text` must be UTF-8 without NUL. */
void field_plain(char *ret, size_t room, const char *text, size_t size);
/* Of a Status; what is out of bounds is as if it weren't there. */
void field_code(struct kube_status *status, int64_t code);
void field_retry_after(struct kube_status *status, int64_t seconds);
/* client-go's apierrors.IsTooLargeResourceVersionError: the cause, and the sentence of servers before 1.18. */
bool field_reason_is_too_large(const char *text, size_t size);
bool field_message_is_too_large(const char *text, size_t size);
