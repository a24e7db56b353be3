# SPDX-License-Identifier: Apache-2.0
"""
Kernel: our table ``inet nodewall``, read and written with nft.

The table holds the truth: the set ``applied`` has one marker element per cluster, whose key is made of the version and
whose comment says it. Every transaction that changes members deletes the marker that it starts from and adds the one
that it leads to, so one that is late, repeated, or has a wrong base is refused by the kernel as a whole.

In mode ``set-only`` others may have chains of their own in this table, which name our sets: nft can't name a set of
another table. Then the table is never taken away, and everything in it that isn't ours stays.

Invariants: one ``nft -f -`` per change, all or nothing; nft is run by argv, its input is made only of records, checked
names and cleaned labels, also where the kernel is what they come from: whoever has CAP_NET_ADMIN in this network, a
container for one, can put any bytes into a comment, and we are root; no other table is ever touched or listed.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess

from . import sets

FAMILY_TABLE = "inet nodewall"
MARKERS = "applied"
# After conntrack (-200), before mangle (-150) and destination NAT (-100): a port is judged as it was dialled.
PRIORITY = -155
TIMEOUT = 60
COMMENT_MAX = 127
SINCE_LENGTH = len(" ") + len(" 2026-01-02T03:04:05Z")
SUFFIXES = ("v4", "v6", "net4", "net6")
JSON = ("-j",)
SBIN = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"


class Failed(Exception):
    """nft couldn't be run, or refused a transaction; one sentence."""


def program():
    """nft's path."""
    found = shutil.which("nft") or shutil.which("nft", path=SBIN)
    if found is None:
        raise Failed("nft isn't installed here; install the package nftables")
    return found


def _nft(arguments, script=None):
    try:
        done = subprocess.run(
            [program()] + arguments,
            input=script,
            stdin=subprocess.DEVNULL if script is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=False,
            env=dict(os.environ, LC_ALL="C"),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed("nft: {}".format(error)) from None
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def run(script, only_check=False, form=()):
    """One transaction; or nft's and the kernel's opinion of it. ``form``: JSON for a dump, else nft's language."""
    code, _, error = _nft((["-c"] if only_check else []) + list(form) + ["-f", "-"], script.encode())
    if code:
        lines = [line.strip() for line in error.splitlines() if "Error" in line] or [error.strip()]
        raise Failed("nft refused the transaction, nothing was changed: {}".format(lines[0][:300]))


def _list(what):
    """The objects of an nft listing, or None if there is no such thing."""
    code, output, error = _nft(["-j", "list"] + what)
    if code:
        if "No such file or directory" in error:
            return None
        raise Failed("nft can't list {}: {}".format(" ".join(what), " ".join(error.split())[:300]))
    return _listing(output)


def _listing(output):
    try:
        return json.loads(output)["nftables"]
    except (ValueError, KeyError, TypeError):
        raise Failed("nft's listing is no JSON") from None


def dump():
    """
    What makes the table as it is now, for ``run`` with JSON. In nft's own language a comment that somebody else wrote could
    end its quotes, and go on with an ``include``.
    """
    table = {"table": dict(zip(("family", "name"), FAMILY_TABLE.split()))}
    listing = _list(["table"] + FAMILY_TABLE.split()) or []
    script = [{"add": table}, {"delete": table}]
    for kind, body in (pair for item in listing for pair in item.items() if pair[0] != "metainfo"):
        # A handle that is given to add says behind which rule, by nft's manual; these come in order.
        script.append({"add": {kind: {key: value for key, value in body.items() if key != "handle"}}})
    script = json.dumps({"nftables": script})
    run(script, only_check=True, form=JSON)
    return script


def markers():
    """{cluster: Version} of the marker set, or None without a table. The cheap look: one small listing."""
    found = _list(["set"] + FAMILY_TABLE.split() + [MARKERS])
    return None if found is None else _markers(next((item["set"] for item in found if "set" in item), {}))


def _markers(listed):
    found = {}
    for item in listed.get("elem", []):
        try:
            key = tuple(item["elem"]["val"]["concat"])
            words = item["elem"]["comment"].split()
            cluster, epoch, generation = words[0], words[1], int(words[2])
            version = sets.Version(
                epoch, generation, words[3] if len(words) > 3 else "", "", _digest_of(key[1:]), None
            )
            # All of it goes into scripts again.
            sets.version(dict(version._asdict(), count=0))
            if sets.is_name(cluster) and marker_key(cluster, version) == " . ".join(key):
                found[cluster] = version
        except (KeyError, TypeError, IndexError, ValueError, OSError):
            continue
    return found


def _digest_of(key):
    return "".join(socket.inet_pton(socket.AF_INET6, part).hex() for part in key)


def marker_key(cluster, version):
    name = "{} {} {}".format(cluster, version.epoch, version.generation)
    parts = [hashlib.sha256(name.encode()).digest()[:16], bytes.fromhex(version.digest)[:16]]
    parts.append(bytes.fromhex(version.digest)[16:])
    return " . ".join(_ipv6(part) for part in parts)


def _ipv6(packed):
    return socket.inet_ntop(socket.AF_INET6, packed)


def _marker(cluster, version):
    comment = "{} {} {}".format(cluster, version.epoch, version.generation)
    if version.rv and len(comment) + 1 + len(version.rv) <= COMMENT_MAX:
        comment += " " + version.rv
    return '{} comment "{}"'.format(marker_key(cluster, version), comment)


class Table:
    """
    What the kernel holds: ``markers`` {cluster: Version}, ``members`` {cluster: {record: label}} as far as they can be
    read, ``strange`` (clusters whose sets hold something that isn't ours), ``chains`` (their names), ``sets`` (the names of
    ours), ``shape(set_only)``: a hash over everything but members; of our own sets alone in mode set-only.
    """

    def __init__(self, listing):
        self.markers, self.members, self.strange, self.sets, self.chains, self._all = {}, {}, set(), [], [], []
        for item in listing:
            kind, body = next(iter(item.items()))
            if kind == "metainfo":
                continue
            if kind == "set" and body["name"] == MARKERS:
                self.markers = _markers(body)
            elif kind == "set":
                self._take(body)
            elif kind == "chain":
                self.chains.append(body["name"])
            self._all.append([kind, _shape(body)])

    def shape(self, set_only=False):
        parts = self._all
        if set_only:
            # In the order of their names: others may have declared them before us.
            ours = [part for part in parts if part[0] == "set" and part[1]["name"] in self.sets + [MARKERS]]
            parts = sorted(ours, key=lambda part: part[1]["name"])
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _take(self, body):
        prefix, _, rest = body["name"].partition("-")
        cluster, _, suffix = rest.rpartition("-")
        if prefix not in ("cluster", "source") or suffix not in SUFFIXES or not sets.is_name(cluster):
            return
        self.sets.append(body["name"])
        found = self.members.setdefault(cluster, {})
        for element in body.get("elem", []):
            comment = ""
            if isinstance(element, dict) and "elem" in element:
                comment, element = element["elem"].get("comment", ""), element["elem"]["val"]
            if isinstance(element, dict) and "prefix" in element:
                element = "{addr}/{len}".format(**element["prefix"])
            try:
                found[sets.record(element)] = sets.clean_label(comment.partition(" ")[2])
            except sets.Invalid:
                self.strange.add(cluster)


def _shape(body):
    if isinstance(body, dict):
        # Handles, counters and members come and go; what is left is what somebody configured.
        return {key: _shape(body[key]) for key in body if key not in ("handle", "elem", "packets", "bytes")}
    return [_shape(item) for item in body] if isinstance(body, list) else body


def read():
    """The Table, or None if there is none. The thorough look: lists all members."""
    listing = _list(["table"] + FAMILY_TABLE.split())
    return None if listing is None else Table(listing)


def _set_name(cluster, rec):
    return _named(cluster, ("v{}" if sets.is_host(rec) else "net{}").format(rec[0]))


def _named(cluster, suffix):
    return "{}-{}-{}".format("cluster" if sets.is_cluster(cluster) else "source", cluster, suffix)


def _by_set(cluster, members):
    """{set name: [records]}; a network inside another one is no element of its own."""
    found = {}
    for rec in sorted(members):
        found.setdefault((sets.is_host(rec), rec[0]), []).append(rec)
    return {_set_name(cluster, group[0]): group if host else sets.cover(group) for (host, _), group in found.items()}


def installed(members):
    """The records among ``members`` that are elements in the kernel."""
    networks = {rec for rec in members if not sets.is_host(rec)}
    return (set(members) - networks) | set(sets.cover(networks))


def _elements(cluster, records, members):
    """Such as 203.0.113.7 comment "prod node-a 2026-01-02T03:04:05Z", one a line."""
    most = COMMENT_MAX - len(cluster) - SINCE_LENGTH
    found = []
    for rec in records:
        label = members[rec]
        if len(label) > most:
            label = " ".join([node(cluster, label)] + label.split(" ")[1:])
        found.append('{} comment "{} {}"'.format(sets.text(rec), cluster, label))
    return ",\n".join(found)


def node(cluster, label):
    """The node of a label as the kernel's comment has it: one that is too long loses its end, so that since when stays."""
    return label.partition(" ")[0][:COMMENT_MAX - len(cluster) - SINCE_LENGTH]


def change(cluster, held, version, added, removed):
    """
    The script that leads a cluster from one version to another: ``added`` {record: label}, ``removed`` records, hosts and
    whole elements only. The kernel refuses all of it unless ``held`` is what it has (None: unless it has none).
    """
    lines = []
    if held is not None:
        lines.append("delete element {} {} {{ {} }}".format(FAMILY_TABLE, MARKERS, marker_key(cluster, held)))
    lines.append("create element {} {} {{ {} }}".format(FAMILY_TABLE, MARKERS, _marker(cluster, version)))
    for verb, records, members in (("delete", removed, None), ("add", added, added)):
        named = {}
        for rec in sorted(records):
            named.setdefault(_set_name(cluster, rec), []).append(rec)
        for name, group in named.items():
            body = ",\n".join(map(sets.text, group)) if members is None else _elements(cluster, group, members)
            lines.append("{} element {} {} {{\n{}\n}}".format(verb, FAMILY_TABLE, name, body))
    return "\n".join(lines) + "\n"


def again(cluster, added, removed):
    """Members that come and go, as a script that never fails: what is deleted is added first. Hosts only."""
    lines = []
    for verbs, records in ((("add", "delete"), removed), (("add",), added)):
        for rec in sorted(records):
            for verb in verbs:
                body = _elements(cluster, [rec], added) if verbs == ("add",) else sets.text(rec)
                lines.append("{} element {} {} {{ {} }}".format(verb, FAMILY_TABLE, _set_name(cluster, rec), body))
    return "".join(line + "\n" for line in lines)


def mark(cluster, version):
    """The line of a script that says which version a cluster has."""
    return "add element {} {} {{ {} }}".format(FAMILY_TABLE, MARKERS, _marker(cluster, version))


def whole(clusters, segments):
    """
    The script that makes the table anew, in one transaction: ``clusters`` {name: (Version or None, members)}, ``segments``
    as rules.compile returns them.
    """
    lines = ["table {0}".format(FAMILY_TABLE), "delete table {0}".format(FAMILY_TABLE), "table {} {{".format(FAMILY_TABLE)]
    lines += _sets(clusters)
    for segment in segments:
        lines += _segment(segment)
    if segments:
        lines += _guard(segments)
    return "\n".join(lines + ["}", ""])


def sets_only(clusters, table=None, leftover=(), delete=True):
    """
    The script of mode set-only: our sets as they shall be, whatever else is in ``table``. The chains ``leftover`` of
    an earlier mode go. So do sets that no rule names any more, unless others' chains do: then they are emptied.
    """
    bare = {name: (None, {}) for name in clusters}
    lines = ["table {} {{".format(FAMILY_TABLE)] + _sets(bare) + ["}"]
    ours = [_named(name, suffix) for name in clusters for suffix in SUFFIXES]
    others = [name for name in table.sets if name not in ours] if table else []
    lines += ["flush set {} {}".format(FAMILY_TABLE, name) for name in [MARKERS] + ours + others]
    if table:
        gone = [name for name in leftover if name in table.chains]
        lines += ["{} chain {} {}".format(verb, FAMILY_TABLE, name) for verb in ("flush", "delete") for name in gone]
        if delete:
            lines += ["delete set {} {}".format(FAMILY_TABLE, name) for name in others]
    return "\n".join(lines + ["table {} {{".format(FAMILY_TABLE)] + _sets(clusters) + ["}", ""])


def _sets(clusters):
    elements = ",\n".join(_marker(name, version) for name, (version, _) in sorted(clusters.items()) if version)
    lines = _set(MARKERS, "ipv6_addr . ipv6_addr . ipv6_addr", "", elements)
    for name, (_, members) in sorted(clusters.items()):
        groups = _by_set(name, members)
        for suffix in SUFFIXES:
            set_name = _named(name, suffix)
            lines += _set(
                set_name,
                "ipv4_addr" if suffix.endswith("4") else "ipv6_addr",
                "flags interval" if suffix.startswith("net") else "",
                _elements(name, groups.get(set_name, []), members),
            )
    return lines


def _set(name, kind, flags, elements):
    lines = ["set {} {{".format(name), "type {}".format(kind)]
    if flags:
        lines.append(flags)
    if elements:
        lines.append("elements = {{\n{}\n}}".format(elements))
    return lines + ["}"]


def _segment(segment):
    """A chain that knows who may dial these ports, and drops the rest: a drop is final whatever other tables accept."""
    lines = ["chain {} {{".format(_chain(segment))]
    if segment["keep"]:
        lines.append("ct state established accept")
    lines += ['iifname "{}" accept'.format(name) for name in segment["interfaces"]]
    for family, word in (("4", "ip"), ("6", "ip6")):
        for name in segment["clusters"]:
            lines += ["{} saddr @{} accept".format(word, _named(name, kind + family)) for kind in ("v", "net")]
        if segment["v" + family]:
            lines.append("{} saddr {{\n{}\n}} accept".format(word, ",\n".join(segment["v" + family])))
    comment = ", ".join(segment["rules"])[:120]
    return lines + ['counter drop comment "{}"'.format(comment), "}"]


def _guard(segments):
    lines = ["chain guard {", "type filter hook prerouting priority {}; policy accept;".format(PRIORITY)]
    # What we dialled ourselves comes back unjudged; what others dialled is judged packet by packet, so that an address
    # that goes is cut at its next one. What is only routed through here isn't ours to judge.
    lines += ['iifname "lo" accept', "ct direction reply accept"]
    lines.append("fib daddr type != { local, broadcast, multicast, anycast } accept")
    lines += ["{} dport {} jump {}".format(s["proto"], _ports(s), _chain(s)) for s in segments]
    return lines + ["}"]


def _ports(segment):
    return "{low}-{high}".format(**segment) if segment["high"] > segment["low"] else str(segment["low"])


def chains(segments):
    """The names of the chains that guard these segments."""
    return ["guard"] + [_chain(segment) for segment in segments] if segments else []


def _chain(segment):
    return "port-{}-{}".format(segment["proto"], _ports(segment))


def remove(table, set_only):
    """Takes our table away; in mode set-only, if there are others' chains in it, our sets alone."""
    if not set_only or not table.chains:
        run("table {0}\ndelete table {0}\n".format(FAMILY_TABLE))
        return
    try:
        run("".join("delete set {} {}\n".format(FAMILY_TABLE, name) for name in table.sets + [MARKERS]))
    except Failed as error:
        said = "your chains in table {} still name the sets ({}); take those rules away first. {}"
        raise Failed(said.format(FAMILY_TABLE, ", ".join(table.chains)[:200], error)) from None


def shape(set_only=False):
    """Table.shape of what is there now, without listing members."""
    code, output, error = _nft(["-j", "-t", "list", "table"] + FAMILY_TABLE.split())
    if code:
        raise Failed("nft can't list the table: {}".format(" ".join(error.split())[:300]))
    return Table(_listing(output)).shape(set_only)
