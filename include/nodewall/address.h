/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address - an IPv4 or IPv6 host or network, always normal: IPv4-mapped IPv6 is IPv4, host bits behind the prefix are zero.
 */
#pragma once

#include "nodewall/base.h"

struct address {
    uint8_t family;     /* 4 or 6 */
    uint8_t length;     /* prefix length; 32 or 128 for a host */
    uint8_t bytes[16];  /* network order; the last 12 are zero for IPv4 */
};

#define ADDRESS_TEXT_MAX 52
#define ADDRESS_RECORD_MAX 18

/* Accepts what inet_pton accepts, with an optional /length. Host bits that are set behind the prefix: -EINVAL.
 * No zone ids, no leading zeros, no blanks. `size` bytes need not be NUL-terminated. */
int address_parse(struct address *ret, const char *text, size_t size);
const char *address_format(const struct address *address, char buffer[ADDRESS_TEXT_MAX]);
/* Family byte, 4 or 16 bytes, prefix length: the unit that the digest and the order are made of. Returns its size. */
size_t address_record(const struct address *address, uint8_t buffer[ADDRESS_RECORD_MAX]);
int address_compare(const struct address *a, const struct address *b);   /* order of the records */
bool address_is_host(const struct address *address);
bool address_within(const struct address *address, const struct address *network);

/* Addresses that no node on a network can honestly have. ADDRESS_USABLE is 0. */
enum address_class { ADDRESS_USABLE, ADDRESS_UNSPECIFIED, ADDRESS_LOOPBACK, ADDRESS_LINK_LOCAL, ADDRESS_MULTICAST, ADDRESS_RESERVED };
enum address_class address_classify(const struct address *address);
const char *address_class_name(enum address_class class);
