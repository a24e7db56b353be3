# SPDX-License-Identifier: Apache-2.0
"""
Sets: the addresses of one cluster, their digest, and the order between versions.

Members are ``{record: label}``. A record is the unit that digest and order are made of: family byte (4 or 6), the 4 or
16 bytes of the address, prefix length. The label says which node the address stands for and, on a minion, since when:
``node-a 2026-01-02T03:04:05Z``.

Invariant: whatever comes out of here was checked byte by byte; IPv4-mapped IPv6 is IPv4, host bits behind a prefix are
zero, labels hold nothing that means something to nft. No file, no kernel, no Salt in here.
"""

import hashlib
import ipaddress
import json
import re
import socket
from collections import namedtuple

MEMBERS_MAX = 262144
GENERATION_MAX = 1 << 53
CLUSTER = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}\Z")
# What rules.set_name makes of a source that isn't a cluster: no cluster's name has an underscore.
OTHER = re.compile(r"[a-z0-9]{1,24}_[0-9a-f]{8}\Z")
EPOCH = re.compile(r"[0-9a-f]{16}\Z")
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
RV = re.compile(r"[0-9]{0,40}\Z")
AS_OF = re.compile(r"[0-9TZ:.+-]{0,40}\Z")
SINCE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
PREFIX = re.compile(r"(0|[1-9][0-9]{0,2})\Z")
NOT_LABEL = re.compile(r"[^A-Za-z0-9._-]")
MAPPED = b"\0" * 10 + b"\xff\xff"


class Invalid(ValueError):
    """One sentence that says what is wrong with something that came from outside."""


class Version(namedtuple("Version", "epoch generation rv as_of digest count")):
    """Which set it is. (epoch, generation) orders within a store, rv between two; the digest says only what is in it."""

    __slots__ = ()


def is_cluster(name):
    return isinstance(name, str) and CLUSTER.match(name) is not None


def is_name(name):
    """Whether a set may have this name: a cluster's, or one that stands for another source."""
    return is_cluster(name) or (isinstance(name, str) and OTHER.match(name) is not None)


def record(text):
    """The record of an address or network in text form; Invalid if it is neither."""
    if not isinstance(text, str):
        raise Invalid("{!r} is no address but {}; quote it".format(text, _article(text)))
    address, slash, length = text.partition("/")
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address)
    except (OSError, ValueError):
        raise Invalid("{!r} is neither an address nor a network".format(text)) from None
    bits = len(packed) * 8
    if slash and not (PREFIX.match(length) and int(length) <= bits):
        raise Invalid("{!r}: the prefix length is a number from 0 to {}".format(text, bits))
    prefix = int(length) if slash else bits
    if len(packed) == 16 and packed.startswith(MAPPED) and prefix >= 96:
        packed, prefix, bits = packed[12:], prefix - 96, 32
    if prefix < bits and int.from_bytes(packed, "big") & ((1 << (bits - prefix)) - 1):
        raise Invalid("{!r}: bits are set behind the prefix, the network is {}".format(text, _masked(text)))
    return bytes((4 if bits == 32 else 6,)) + packed + bytes((prefix,))


def _article(value):
    return "a number (YAML 1.1 reads some IPv6 addresses so)" if isinstance(value, (int, float)) else (
        "a {}".format(type(value).__name__)
    )


def _masked(text):
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return "another one"


def text(rec):
    """The canonical text of a record."""
    if rec[0] == 4:
        address = socket.inet_ntop(socket.AF_INET, rec[1:5])
        return address if rec[5] == 32 else "{}/{}".format(address, rec[5])
    address = socket.inet_ntop(socket.AF_INET6, rec[1:17])
    return address if rec[17] == 128 else "{}/{}".format(address, rec[17])


def is_host(rec):
    return rec[-1] == (32 if rec[0] == 4 else 128)


def label(node):
    """A node's name as it may stand in a comment of the kernel's."""
    return NOT_LABEL.sub("_", str(node))[:63] or "-"


def dated(members, as_of, before=()):
    """``members`` with the time they count from; what ``before`` has for the same node keeps its own."""
    found = {}
    since = " " + as_of if SINCE.match(as_of) else ""
    for rec, node in members.items():
        old = before[rec] if rec in before else ""
        if " " in node:
            found[rec] = node
        elif " " in old and old.startswith(node + " "):
            found[rec] = old
        else:
            found[rec] = node + since
    return found


def contains(outer, inner):
    """Whether every address of ``inner`` is one of ``outer``."""
    if outer[0] != inner[0] or outer[-1] > inner[-1]:
        return False
    shift = (len(outer) - 2) * 8 - outer[-1]
    return int.from_bytes(outer[1:-1], "big") >> shift == int.from_bytes(inner[1:-1], "big") >> shift


def clean_label(text):
    """A label as somebody else may have left it."""
    node, _, since = text.partition(" ")
    return (label(node) if node else "") + (" " + since if SINCE.match(since) else "")


def digest(members):
    return hashlib.sha256(b"".join(sorted(members))).hexdigest()


def pairs(members):
    """[[address, node], …] or [[address, node, since], …] in the order of the records."""
    return [[text(rec)] + members[rec].split(" ") for rec in sorted(members)]


def members(rows):
    """{record: label} of what ``pairs`` gives; Invalid if an address comes twice or is none."""
    if not isinstance(rows, list) or len(rows) > MEMBERS_MAX:
        raise Invalid("addresses are a list of at most {} items".format(MEMBERS_MAX))
    found, checked = {}, None
    for row in rows:
        if not isinstance(row, (list, tuple)) or not 2 <= len(row) <= 3:
            raise Invalid("an item of addresses is no pair")
        if len(row) == 2:
            found[record(row[0])] = label(row[1])
            continue
        since = row[2]
        if since != checked and not (isinstance(since, str) and SINCE.match(since)):
            raise Invalid("since when is {!r}".format(since))
        checked = since
        found[record(row[0])] = label(row[1]) + " " + since
    if len(found) != len(rows):
        raise Invalid("an address is there twice")
    return found


def version(source):
    """A Version from the fields of a header; Invalid if one is missing or malformed."""
    if not isinstance(source, dict):
        raise Invalid("the version is no mapping")
    found = Version(*(source.get(key) for key in Version._fields))
    for name, pattern in (("epoch", EPOCH), ("digest", DIGEST), ("rv", RV), ("as_of", AS_OF)):
        value = getattr(found, name)
        if not isinstance(value, str) or not pattern.match(value):
            raise Invalid("{} is {!r}".format(name, value))
    for name, limit in (("generation", GENERATION_MAX), ("count", MEMBERS_MAX)):
        value = getattr(found, name)
        if type(value) is not int or not 0 <= value <= limit:
            raise Invalid("{} is {!r}".format(name, value))
    return found


def parse(data, cluster):
    """(Version, members) of a published set's bytes; Invalid unless it is whole, this cluster's, and its digest right."""
    try:
        source = json.loads(data)
    except ValueError as error:
        raise Invalid("it is no JSON: {}".format(error)) from None
    return check(source, cluster)


def check(source, cluster):
    """The same of a set that is decoded already."""
    if not isinstance(source, dict) or source.get("v") != 1 or source.get("cluster") != cluster:
        raise Invalid("it is no set of cluster {}".format(cluster))
    found, addresses = version(source), members(source.get("addresses"))
    if found.count != len(addresses):
        raise Invalid("it has {} addresses and says {}".format(len(addresses), found.count))
    if found.digest != digest(addresses):
        raise Invalid("its digest is not the one of its addresses")
    return found, addresses


OLDER, SAME, NEWER, CONFLICT = "older", "same", "newer", "conflict"


def order(held, other):
    """How ``other`` stands to what is held; CONFLICT if nothing tells."""
    if held is None:
        return NEWER
    if held.epoch == other.epoch:
        if other.generation == held.generation:
            return SAME if other.digest == held.digest else CONFLICT
        return NEWER if other.generation > held.generation else OLDER
    if rv_higher(other.rv, held.rv):
        return NEWER
    return SAME if other.digest == held.digest else CONFLICT


def rv_higher(one, other):
    return bool(one and other) and int(one) > int(other)


Delta = namedtuple("Delta", "generation base digest rv added removed")


def delta(source):
    """A checked Delta: ``added`` {record: label}, ``removed`` a set of records."""
    if not isinstance(source, dict) or not isinstance(source.get("removed"), list):
        raise Invalid("a delta is no mapping, or lacks `removed`")
    found = Delta(
        source.get("generation"),
        source.get("base"),
        source.get("digest"),
        source.get("rv", ""),
        members(source.get("added")),
        {record(item) for item in source["removed"][:MEMBERS_MAX]},
    )
    if type(found.generation) is not int or not 0 < found.generation <= GENERATION_MAX:
        raise Invalid("a delta's generation is {!r}".format(found.generation))
    for value in (found.base, found.digest):
        if not isinstance(value, str) or not DIGEST.match(value):
            raise Invalid("a delta's digest is {!r}".format(value))
    if not isinstance(found.rv, str) or not RV.match(found.rv):
        raise Invalid("a delta's rv is {!r}".format(found.rv))
    return found


def continuing(deltas, held):
    """The part of the chain that leads on from ``held``, without a gap; [] if there is none."""
    chain, generation, base = [], held.generation, held.digest
    for item in deltas:
        if item.generation <= held.generation:
            continue
        if item.generation != generation + 1 or item.base != base:
            return []
        chain.append(item)
        generation, base = item.generation, item.digest
    return chain


def fold(chain):
    """(added {record: label}, removed) of a chain as one step: what comes and goes within it is neither."""
    added, removed = {}, set()
    for item in chain:
        for rec in item.removed:
            if rec in added:
                del added[rec]
            else:
                removed.add(rec)
        for rec, node in item.added.items():
            if rec in removed:
                removed.discard(rec)
            else:
                added[rec] = node
    return added, removed


def cover(records):
    """The networks among ``records`` that no other one contains: an interval set takes no overlaps."""
    kept = []
    for rec in sorted(records, key=lambda rec: (rec[0], rec[1:-1], rec[-1])):
        if not (kept and contains(kept[-1], rec)):
            kept.append(rec)
    return kept
