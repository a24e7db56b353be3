/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address - parsing, writing and classifying addresses.
 *
 * Node status is written by nodes, so every text here is hostile: what inet_pton does not take whole is refused.
 * Keeps: a parsed address is normal (mapped IPv4 folded, host bits zero), so equal addresses are equal bytes.
 */
#include "nodewall/address.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static int parse_length(uint8_t *ret, const char *text, unsigned most) {
    unsigned value = 0;
    size_t n = strlen(text);

    if (n < 1 || n > 3 || (n > 1 && text[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > most)
        return -EINVAL;
    *ret = (uint8_t)value;
    return 0;
}

static bool host_bits_zero(const struct address *address) {
    size_t width = address->family == 4 ? 32 : 128;

    for (size_t bit = address->length; bit < width; bit++)
        if (address->bytes[bit / 8] & (0x80u >> (bit % 8)))
            return false;
    return true;
}

int address_parse(struct address *ret, const char *text, size_t size) {
    struct address address = {0};
    char copy[ADDRESS_TEXT_MAX], *slash;
    int r;

    if (size == 0 || size >= sizeof(copy) || memchr(text, 0, size))
        return -EINVAL;
    memcpy(copy, text, size);
    copy[size] = 0;
    slash = strchr(copy, '/');
    if (slash)
        *slash = 0;

    if (inet_pton(AF_INET, copy, address.bytes) == 1)
        address.family = 4;
    else if (inet_pton(AF_INET6, copy, address.bytes) == 1)
        address.family = 6;
    else
        return -EINVAL;

    address.length = address.family == 4 ? 32 : 128;
    if (slash) {
        r = parse_length(&address.length, slash + 1, address.length);
        if (r < 0)
            return r;
    }
    if (address.family == 6 && address.length >= 96 && !memcmp(address.bytes, mapped_prefix, sizeof(mapped_prefix))) {
        memmove(address.bytes, address.bytes + 12, 4);
        memset(address.bytes + 4, 0, 12);
        address.family = 4;
        address.length -= 96;
    }
    if (!host_bits_zero(&address))
        return -EINVAL;
    *ret = address;
    return 0;
}

const char *address_format(const struct address *address, char buffer[ADDRESS_TEXT_MAX]) {
    size_t used;

    if (!inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, buffer, ADDRESS_TEXT_MAX))
        buffer[0] = 0;
    if (!address_is_host(address)) {
        used = strlen(buffer);
        snprintf(buffer + used, ADDRESS_TEXT_MAX - used, "/%u", address->length);
    }
    return buffer;
}

size_t address_record(const struct address *address, uint8_t buffer[ADDRESS_RECORD_MAX]) {
    size_t n = address->family == 4 ? 4 : 16;

    buffer[0] = address->family;
    memcpy(buffer + 1, address->bytes, n);
    buffer[1 + n] = address->length;
    return n + 2;
}

int address_compare(const struct address *a, const struct address *b) {
    int r;

    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    r = memcmp(a->bytes, b->bytes, a->family == 4 ? 4 : 16);
    if (r)
        return r;
    return (a->length > b->length) - (a->length < b->length);
}

bool address_is_host(const struct address *address) {
    return address->length == (address->family == 4 ? 32 : 128);
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits) {
    uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

    if (memcmp(a, b, bits / 8))
        return false;
    return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

bool address_within(const struct address *address, const struct address *network) {
    return address->family == network->family && address->length >= network->length &&
           bits_equal(address->bytes, network->bytes, network->length);
}

/* A class holds for an address inside its network, and for a network that would contain it: 0.0.0.0/0 is no node. */
static const struct {
    struct address network;
    enum address_class class;
} classes[] = {
    {{4, 8, {127}}, ADDRESS_LOOPBACK},
    {{4, 8, {0}}, ADDRESS_UNSPECIFIED},
    {{4, 16, {169, 254}}, ADDRESS_LINK_LOCAL},
    {{4, 4, {224}}, ADDRESS_MULTICAST},
    {{4, 4, {240}}, ADDRESS_RESERVED},
    {{6, 128, {0}}, ADDRESS_UNSPECIFIED},
    {{6, 128, {[15] = 1}}, ADDRESS_LOOPBACK},
    {{6, 10, {0xfe, 0x80}}, ADDRESS_LINK_LOCAL},
    {{6, 8, {0xff}}, ADDRESS_MULTICAST},
};

enum address_class address_classify(const struct address *address) {
    for (size_t i = 0; i < ARRAY_LENGTH(classes); i++)
        if (address_within(address, &classes[i].network) || address_within(&classes[i].network, address))
            return classes[i].class;
    return ADDRESS_USABLE;
}

const char *address_class_name(enum address_class class) {
    static const char *const names[] = {
        [ADDRESS_USABLE] = "usable",         [ADDRESS_UNSPECIFIED] = "unspecified", [ADDRESS_LOOPBACK] = "loopback",
        [ADDRESS_LINK_LOCAL] = "link-local", [ADDRESS_MULTICAST] = "multicast",     [ADDRESS_RESERVED] = "reserved",
    };
    return (size_t)class < ARRAY_LENGTH(names) ? names[class] : "unknown";
}
