#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes digest.json: sets of addresses and what their digest must be, for every implementation of it.

Computed with Python's ipaddress and hashlib only, from the definition: SHA-256 over the records (family byte, address bytes,
prefix length byte), each once, sorted as bytes; IPv4-mapped IPv6 counts as IPv4. It shares no code with what it tests.
Usage: digest.py > digest.json
"""
import hashlib
import ipaddress
import json


def record(text):
    network = ipaddress.ip_network(text)
    length, address = network.prefixlen, network.network_address
    if address.version == 6 and address.ipv4_mapped and length >= 96:
        address, length = address.ipv4_mapped, length - 96
    return bytes([address.version]) + address.packed + bytes([length])


def digest(addresses):
    return hashlib.sha256(b"".join(sorted({record(text) for text in addresses}))).hexdigest()


CASES = {
    "nothing": [],
    "one IPv4": ["203.0.113.7"],
    "one IPv6": ["2001:db8::1"],
    "IPv4 before IPv6, whatever the order given": ["2001:db8::1", "203.0.113.7", "198.51.100.9"],
    "given the other way round": ["198.51.100.9", "203.0.113.7", "2001:db8::1"],
    "numbers sort as bytes, not as text": ["10.0.0.10", "10.0.0.9", "10.0.0.100", "9.255.255.255"],
    "one that came three times": ["203.0.113.7", "203.0.113.7", "::ffff:203.0.113.7"],
    "mapped is IPv4": ["::ffff:198.51.100.9", "::ffff:cb00:7107"],
    "a mapped network": ["::ffff:203.0.113.0/124"],
    "a network": ["203.0.113.0/28"],
    "a network and the host that it is named after": ["203.0.113.0", "203.0.113.0/28", "203.0.113.0/24"],
    "a host said as a network": ["203.0.113.7/32", "2001:db8::1/128"],
    "IPv6 networks": ["2001:db8::/32", "2001:db8::/48", "2001:db8:0:1::/64"],
    "everything": ["0.0.0.0/0", "::/0"],
    "one text, many ways": ["2001:DB8:0:0:0:0:0:1", "2001:0db8::0001"],
    "IPv4 in the last bits of IPv6, not mapped": ["64:ff9b::203.0.113.7", "::203.0.113.7"],
    "as a cluster has them": ["203.0.113.%d" % (200 - n) for n in range(100)] + ["2001:db8:%x::1" % n for n in range(100)],
    "two thousand": ["10.%d.%d.7" % (n % 8, n // 8) for n in range(2000)],
}

if __name__ == "__main__":
    print("[" + ",\n ".join(json.dumps({"name": name, "addresses": addresses, "digest": digest(addresses)}, separators=(",", ":"))
                            for name, addresses in CASES.items()) + "]")
