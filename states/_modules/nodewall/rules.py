# SPDX-License-Identifier: Apache-2.0
"""
Rules: the pillar's rules, checked, and compiled to what the kernel can decide.

``read`` turns pillar into plain checked data (it goes to disk as JSON and comes back through ``read``, too); ``compile``
makes disjoint segments: each (protocol, port range) has the union of its rules' sources and one verdict for the rest.

Invariant: ``read`` either takes every rule or raises with a sentence for each bad one, so nothing is half applied.
No kernel, no files, no Salt in here.
"""

import hashlib
import ipaddress
import json
import re

from . import sets

MODES = ("guard", "set-only")
PROTOCOLS = ("tcp", "udp", "sctp")
KEYS = {"port", "proto", "from", "flows", "closed", "force"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}\Z")
INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}\*?\Z")
RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
KIND = re.compile(r"([a-z][a-z0-9_]*):\s*(.*)\Z", re.DOTALL)
SOURCES = "an address, a network, `kubernetes: NAME`, `interface: NAME`, `minions: TARGET`"
# Beside the key that says the kind of a source.
OPTIONS = {"within", "trust_grains", "function"}
# Of a compound target: whatever isn't a list, an expression, or pillar, and so may go by what a minion claims about itself (grains;
# S@ compares with the addresses in them, N@ may hold any of these). One character more is the delimiter: G|@os|Debian.
CLAIMED = re.compile(r"(?:\A|[\s(!])(?![LEIJR])[A-Z].?@", re.DOTALL)
FUNCTION = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)?\Z")


def plain(value):
    """Pillar as ordinary dicts, lists and scalars, read by indexing (Salt 3008 masks what is printed)."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


CONFIRM_MAX = 3600


def read(pillar, known=None, reserved=()):
    """
    {"mode", "confirm", "rules": {name: {...}}} from the pillar key ``nodewall``; sets.Invalid with all that is wrong.
    ``known(kind)``: whether there is a module for a source of that kind; ``reserved`` {port: what it is for}: the ports that
    need ``force``. What was accepted once, and comes from disk, is asked for neither.
    """
    problems = []
    mode = pillar.get("mode", "guard")
    if mode == "iptables":
        problems.append("mode iptables isn't supported yet; there are: {}".format(", ".join(MODES)))
    elif mode not in MODES:
        problems.append("mode {!r}: there are {}".format(mode, ", ".join(MODES)))
    confirm = pillar.get("confirm", 0)
    if type(confirm) is not int or not 0 <= confirm <= CONFIRM_MAX:
        problems.append("confirm {!r}: seconds, from 1 to {}; 0 is off".format(confirm, CONFIRM_MAX))
    source, rules = pillar.get("rules"), {}
    if not isinstance(source, dict):
        raise sets.Invalid("rules are a mapping of names to rules")
    for name, rule in source.items():
        try:
            if str(name) in rules:
                raise sets.Invalid("its name is there twice")
            rules[str(name)] = _rule(name, rule, mode, known, reserved)
        except sets.Invalid as error:
            problems.append("rule {}: {}".format(name, error))
    if problems:
        raise sets.Invalid("; ".join(problems))
    return {"mode": mode, "confirm": confirm, "rules": rules}


def _rule(name, rule, mode, known, reserved):
    if not isinstance(name, (str, int)) or not NAME.match(str(name)):
        raise sets.Invalid("a rule's name has letters, digits, blanks and . _ - only, at most 63")
    if not isinstance(rule, dict):
        raise sets.Invalid("it is a {}, not a mapping with `port` and `from`".format(type(rule).__name__))
    unknown = sorted(str(key) for key in set(rule) - KEYS)
    if unknown:
        raise sets.Invalid("there is no key {}; there are {}".format(", ".join(unknown), ", ".join(sorted(KEYS))))
    for key in ("closed", "force"):
        if not isinstance(rule.get(key, False), bool):
            raise sets.Invalid("{} is true or false".format(key))
    flows = rule.get("flows", "cut")
    if flows not in ("cut", "keep"):
        raise sets.Invalid("flows is cut (the default) or keep, not {!r}".format(flows))
    protocols = rule.get("proto", "tcp")
    protocols = protocols if isinstance(protocols, list) else [protocols]
    if not protocols or any(proto not in PROTOCOLS for proto in protocols):
        raise sets.Invalid("proto {!r}: there are {}".format(rule.get("proto"), ", ".join(PROTOCOLS)))
    if flows == "keep" and protocols != ["tcp"]:
        raise sets.Invalid("flows: keep is for tcp")
    checked = {"proto": protocols, "flows": flows, "closed": rule.get("closed", False), "from": _sources(rule, known)}
    checked["force"] = rule.get("force", False)
    if mode != "set-only" or "port" in rule:
        checked["port"] = _ports(rule, protocols, reserved)
    return checked


def _ports(rule, protocols, reserved):
    given = rule.get("port")
    if given is None or given == []:
        raise sets.Invalid("`port` is missing: 5432, \"8000-8100\" or a list of them")
    ports = []
    for item in given if isinstance(given, list) else [given]:
        match = RANGE.match(str(item)) if type(item) in (int, str) else None
        low = int(match.group(1)) if match else 0
        high = int(match.group(2) or low) if match else 0
        if not 1 <= low <= high <= 65535:
            raise sets.Invalid("port {!r}: a number from 1 to 65535, or \"FIRST-LAST\"".format(item))
        for port in sorted(reserved):
            if low <= port <= high and "tcp" in protocols and not rule.get("force"):
                said = "port {} is {}, and a mistake there locks you out; say `force: true` if you mean it"
                raise sets.Invalid(said.format(port, reserved[port]))
        ports.append("{}-{}".format(low, high) if high > low else str(low))
    return ports


def _sources(rule, known):
    given = rule.get("from")
    if given is None or given == []:
        raise sets.Invalid("`from` is missing: a list of {}".format(SOURCES))
    return [source(item, known) for item in (given if isinstance(given, list) else [given])]


def source(item, known=None):
    """One checked source: an address or network as text, or {kind: value} with its options."""
    if isinstance(item, dict):
        kinds = [key for key in item if key not in OPTIONS]
        if len(kinds) != 1:
            raise sets.Invalid("{!r}: a source has one key that says what it is: {}".format(item, SOURCES))
        return _named(str(kinds[0]), item[kinds[0]], {key: item[key] for key in item if key in OPTIONS}, known)
    if isinstance(item, str):
        try:
            return sets.text(sets.record(item.strip()))
        except sets.Invalid:
            match = KIND.match(item)
            if match and "::" not in item:
                return _named(match.group(1), match.group(2), {}, known)
            raise
    sets.record(item)
    raise sets.Invalid("{!r} is no source".format(item))


def _named(kind, value, options, known):
    if kind == "kubernetes":
        if not sets.is_cluster(value):
            raise sets.Invalid("{!r} can't be a cluster's name ([a-z0-9.-], at most 63)".format(value))
    elif kind == "interface":
        if not isinstance(value, str) or not INTERFACE.match(value):
            raise sets.Invalid("{!r} can't be an interface's name".format(value))
    elif not KIND.match(kind + ":") or (known and not known(kind)):
        raise sets.Invalid("there is no source `{}`; there are {}, and what a module nodewall_{} adds".format(kind, SOURCES, kind))
    if options and kind in ("kubernetes", "interface"):
        raise sets.Invalid("the source `{}` has no {}".format(kind, ", ".join(sorted(options))))
    if "within" in options:
        networks = options["within"] if isinstance(options["within"], list) else [options["within"]]
        options = dict(options, within=[sets.text(sets.record(item)) for item in networks])
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise sets.Invalid("{}: {!r} is no plain value".format(kind, value)) from None
    if kind == "minions":
        _minions(value, options)
    elif set(options) - {"within"}:
        raise sets.Invalid("the source `{}` has no {}".format(kind, ", ".join(sorted(set(options) - {"within"}))))
    return dict(options, **{kind: value})


def _minions(value, options):
    """The mine holds what each minion says of itself; these are the limits to what one of them can open."""
    if not isinstance(value, str) or not value.strip():
        raise sets.Invalid("minions: {!r} is no target".format(value))
    if not options.get("within"):
        raise sets.Invalid("minions needs `within`: the networks in which their addresses may be, for a minion can claim any")
    if type(options.get("trust_grains", False)) is not bool:
        raise sets.Invalid("trust_grains is true or false")
    if CLAIMED.search(value) and not options.get("trust_grains"):
        raise sets.Invalid("minions {!r} goes by grains, which a minion claims itself; say `trust_grains: true` if you mean it".format(value))
    function = options.get("function", "network.ip_addrs6")
    if not isinstance(function, str) or not FUNCTION.match(function):
        raise sets.Invalid("function {!r} is no key of the mine".format(function))


def kept(saved):
    """The rules that were accepted last, from what ``rules.json`` holds; None if there are none."""
    try:
        return read(saved["config"]) if saved else None
    except (sets.Invalid, KeyError, AttributeError):
        return None


def effective(saved):
    """{name: rule} as they are installed."""
    try:
        return read({"mode": saved["config"]["mode"], "rules": saved["effective"]})["rules"]
    except (sets.Invalid, KeyError, AttributeError, TypeError):
        return {}


def kind(source):
    """What a source is: address, interface, kubernetes, minions, …"""
    return "address" if isinstance(source, str) else next(key for key in source if key not in OPTIONS)


def set_name(source):
    """The name of the set that holds a source's addresses, or None if it needs none. Two rules with one source share it."""
    what = kind(source)
    if what in ("address", "interface"):
        return None
    if what == "kubernetes":
        return source[what]
    printed = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()
    return "{}_{}".format(what.replace("_", "")[:24], printed[:8])


def named_sets(config):
    """{set name: source} of what the rules name, in the order of the names."""
    found = {set_name(source): source for rule in config["rules"].values() for source in rule["from"]}
    found.pop(None, None)
    return dict(sorted(found.items()))


def title(name, config):
    """How a set is called when a person reads it."""
    source = named_sets(config).get(name) if config else None
    what = kind(source) if source else "kubernetes"
    return "cluster " + name if what == "kubernetes" else "{} {}".format(what, source[what])


def _sets_of(rule):
    return [name for name in map(set_name, rule["from"]) if name]


def guarded_by(segments):
    """[[proto, low, high], …] of the segments."""
    return [[segment["proto"], segment["low"], segment["high"]] for segment in segments]


def spans(rule):
    """[(proto, low, high), …] of a rule; none if it only names sets."""
    found = []
    for port in rule.get("port", []):
        low, _, high = port.partition("-")
        found += [(proto, int(low), int(high or low)) for proto in rule["proto"]]
    return found


def compile(config, missing=(), previous=None, guarded=()):  # pylint: disable=redefined-builtin
    """
    (segments, effective rules, left out): disjoint segments sorted by (proto, low), the rules that they are made of, and
    the names of the rules that wait.

    A rule that names a cluster in ``missing`` (never synced) would refuse nodes that get in today. It waits: its former
    version, if ``previous`` (the effective rules last installed) has one, stays, and every port that it names is left
    as open as it is: judged where ``guarded`` (spans of the segments last installed) has it, and nowhere else. Unless it
    says ``closed``.
    """
    if config["mode"] == "set-only":
        return [], dict(config["rules"]), []
    missing, previous = set(missing), previous or {}
    effective, left_out = {}, []
    for name, rule in config["rules"].items():
        if rule["closed"] or not missing.intersection(_sets_of(rule)):
            effective[name] = rule
            continue
        left_out.append(name)
        if name in previous and not missing.intersection(_sets_of(previous[name])):
            effective[name] = previous[name]
    waiting = [span for name in left_out for span in spans(config["rules"][name])]
    guarded = [tuple(span) for span in guarded]
    segments = []
    for proto in PROTOCOLS:
        segments += _segments(proto, effective, waiting, guarded)
    return segments, effective, left_out


def _segments(proto, effective, waiting, guarded):
    """The disjoint segments of one protocol: between two cuts nothing changes."""

    def within(all_spans, low):
        return any(p == proto and first <= low <= last for p, first, last in all_spans)

    by_span = [(low, high, name) for name, rule in effective.items() for p, low, high in spans(rule) if p == proto]
    cuts = {point for p, low, high in waiting + guarded if p == proto for point in (low, high + 1)}
    cuts = sorted(cuts | {point for low, high, _ in by_span for point in (low, high + 1)})
    segments = []
    for low, above in zip(cuts, cuts[1:]):
        names = sorted({name for first, last, name in by_span if first <= low <= last})
        if not names or (within(waiting, low) and not within(guarded, low)):
            continue
        if segments and segments[-1]["high"] == low - 1 and segments[-1]["rules"] == names:
            segments[-1]["high"] = above - 1
        else:
            segments.append(_segment(proto, low, above - 1, names, effective))
    return segments


def _segment(proto, low, high, names, rules):
    of = [rules[name] for name in names]
    static = [ipaddress.ip_network(source) for rule in of for source in rule["from"] if isinstance(source, str)]
    return {
        "proto": proto,
        "low": low,
        "high": high,
        "rules": list(names),
        "clusters": sorted({name for rule in of for name in _sets_of(rule)}),
        "interfaces": sorted({source["interface"] for rule in of for source in rule["from"] if kind(source) == "interface"}),
        "v4": [str(net) for net in ipaddress.collapse_addresses(net for net in static if net.version == 4)],
        "v6": [str(net) for net in ipaddress.collapse_addresses(net for net in static if net.version == 6)],
        # A flow is kept only where nobody asks for the stricter way.
        "keep": bool(of) and all(rule["flows"] == "keep" for rule in of),
    }
