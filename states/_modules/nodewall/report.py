# SPDX-License-Identifier: Apache-2.0
"""
Report: what is applied here, what would change, and why an address gets in; for people.

Everything is said per rule, and each address with the cluster and node that it stands for. What gets in is read from the
kernel, not from what it was meant to be.

Invariant: nothing in here changes anything.
"""

import calendar
import time

from . import cache, kernel, protocol, rules, sets

SHOWN_MAX = 50
SETTINGS = ("flows", "closed", "force")


def age(as_of, now=None):
    """Seconds since then, or None if it isn't known."""
    try:
        then = calendar.timegm(time.strptime(as_of, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return None
    return max(0, int((time.time() if now is None else now) - then))


def spoken(seconds):
    """An age as a person says it."""
    if seconds is None:
        return "of unknown age"
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return "{} {}{} old".format(seconds // size, name, "s" if seconds >= 2 * size else "")
    return "{} seconds old".format(seconds)


def changes(before, after, deltas, drift, limit=SHOWN_MAX):
    """
    {"drift": …, "rules": {name: {"added", "removed", "ports", "settings"}}}, without what is empty. ``before`` and
    ``after``: (effective rules, {cluster: members}); ``deltas``: {cluster: (added, removed)} as members.
    """
    found = {"drift": drift} if drift else {}
    for name in sorted(set(before[0]) | set(after[0])):
        old, new = before[0].get(name), after[0].get(name)
        one = _moved(new, deltas) if old == new else _rewritten(old, new, before[1], after[1])
        one = {key: _shown(value, limit) for key, value in one.items() if value}
        if one:
            found.setdefault("rules", {})[name] = one
    return found


def _moved(rule, deltas):
    """The rule is the same, members came and went."""
    return {
        key: _members(rule, {name: delta[index] for name, delta in deltas.items()})
        for index, key in enumerate(("added", "removed"))
    }


def _rewritten(old, new, before, after):
    had, has = _sources(old, before), _sources(new, after)
    ports, wanted = _ports(old), _ports(new)
    return {
        "added": {key: who for key, who in has.items() if key not in had},
        "removed": {key: who for key, who in had.items() if key not in has},
        "ports": {
            key: value
            for key, value in (
                ("added", [port for port in wanted if port not in ports]),
                ("removed", [port for port in ports if port not in wanted]),
            )
            if value
        },
        "settings": {key: new[key] for key in SETTINGS if old and new and old[key] != new[key]},
    }


def _sources(rule, members):
    """{record or text: who} of everything that a rule lets in."""
    found = _members(rule, members)
    for source in rule["from"] if rule else ():
        if isinstance(source, str):
            found.setdefault(sets.record(source), "pillar")
        elif "interface" in source:
            found["interface " + source["interface"]] = "pillar"
    return found


def _members(rule, members):
    found = {}
    for name in rules.named_sets({"rules": {"": rule}}) if rule else ():
        prefix = name.partition("_")[0] + "/"
        found.update((rec, prefix + label.partition(" ")[0]) for rec, label in members.get(name, {}).items())
    return found


def _ports(rule):
    return [
        "{} {}".format(proto, low if low == high else "{}-{}".format(low, high))
        for proto, low, high in (rules.spans(rule) if rule else ())
    ]


def _shown(value, limit):
    """Addresses in their order, as text, and cut where there are too many for an answer."""
    if not any(isinstance(key, bytes) for key in value):
        return value
    keys = sorted(key for key in value if isinstance(key, bytes)) + sorted(key for key in value if isinstance(key, str))
    found = {sets.text(key) if isinstance(key, bytes) else key: value[key] for key in keys[:limit]}
    if len(found) < len(keys):
        found["..."] = "{} in all".format(len(keys))
    return found


def comment(found):
    """``changes`` in one sentence."""
    parts = ["drift: " + found["drift"]] if "drift" in found else []
    for name, one in found.get("rules", {}).items():
        said = ["{} {}".format(_count(one[key]), key) for key in ("added", "removed") if key in one]
        said += ["{} changed".format(key) for key in ("ports", "settings") if key in one]
        parts.append("{}: {}".format(name, ", ".join(said)))
    return "; ".join(parts)


def _count(shown):
    return shown["..."].split()[0] if "..." in shown else len(shown)


class Applied:
    """What this minion has, in the kernel and on its disk."""

    def __init__(self, folder):
        self.folder, self.table, self.saved = folder, kernel.read(), cache.load_rules(folder) or {}
        self.config = rules.kept(self.saved)
        self.effective = rules.effective(self.saved)

    def set_only(self):
        return bool(self.config) and self.config["mode"] == "set-only"

    def drift(self):
        """What somebody else did to the table, or None."""
        if self.table is None:
            return "the table is gone; nodewall.apply brings it back" if self.effective else None
        if not self.saved:
            return "the rules that made the table are not known; run nodewall.apply"
        if self.table.strange or self.saved.get("shape") != self.table.shape(self.set_only()):
            return "the table was changed by somebody else; nodewall.apply repairs it"
        return None

    def waiting(self):
        """The rules that aren't installed, or only in their former version, until a cluster is synced."""
        wanted = self.config["rules"] if self.config else {}
        return sorted(name for name, rule in wanted.items() if self.effective.get(name) != rule)


def status(folder):
    """See nodewall.status."""
    here = Applied(folder)
    names = set(rules.named_sets(here.config)) if here.config else set()
    names |= set(here.table.markers) if here.table else set()
    drift = here.drift()
    return {
        "table": here.table is not None,
        "mode": here.config["mode"] if here.config else None,
        "rules": sorted(here.config["rules"]) if here.config else [],
        "waiting": here.waiting(),
        "drift": drift or False,
        "clusters": {name: _cluster(here, name) for name in sorted(names)},
    }


def _cluster(here, name):
    kept = cache.load(here.folder, name)
    marker = here.table.markers.get(name) if here.table else None
    entry = {"applied": marker is not None}
    version = kept.version if kept and (marker is None or kept.version.digest == marker.digest) else marker
    if version is not None:
        entry.update({key: value for key, value in version._asdict().items() if value not in (None, "")})
        entry["age"] = age(version.as_of)
    if marker:
        entry["in_kernel"] = len(here.table.members.get(name, {}))
    if kept and marker:
        held = here.table.members.get(name, {})
        wanted = kernel.installed(protocol.expected(protocol.plan(marker, held, kept, None)))
        entry["drift"] = {
            key: [sets.text(rec) for rec in sorted(some)]
            for key, some in (("missing", wanted - set(held)), ("foreign", set(held) - wanted))
            if some
        } or False
        entry["conflict"] = bool(kept.extras.members)
    return entry


def explain(folder, address):
    """See nodewall.explain."""
    rec = sets.record(address)
    if not sets.is_host(rec):
        raise sets.Invalid("{!r} is a network; ask for one of its addresses".format(address))
    here = Applied(folder)
    found = {}
    for name, rule in sorted(here.effective.items() if here.table else ()):
        by = [reason for source in rule["from"] for reason in _reasons(source, rec, here.table)]
        found[name] = {"ports": _ports(rule), "lets_in": bool(by), "by": by}
    waiting = here.waiting()
    answer = {"address": sets.text(rec), "rules": found, "comment": _verdict(found, here)}
    if waiting:
        answer["waiting"] = waiting
    if here.drift():
        answer["drift"] = here.drift()
    return answer


def _reasons(source, rec, table):
    """Why a source lets the address in: [] if it doesn't."""
    if isinstance(source, str):
        return [{"address": source}] if sets.contains(sets.record(source), rec) else []
    if "interface" in source:
        return [{"interface": source["interface"], "if": "it comes in there"}]
    name, kind, found = rules.set_name(source), rules.kind(source), []
    for outer, label in sorted(table.members.get(name, {}).items()):
        if sets.contains(outer, rec):
            node, _, since = label.partition(" ")
            reason = {kind: source[kind], "node": node, "since": since or "not known"}
            if outer != rec:
                reason["network"] = sets.text(outer)
            found.append(reason)
    return found


def _said(by):
    if "interface" in by:
        return "if it comes in by {}".format(by["interface"])
    if "node" in by:
        return "{} of {} since {}".format(by["node"], next(iter(by.values())), by["since"])
    return by["address"]


def _verdict(found, here):
    if here.table is None:
        return "nothing is applied here, nodewall refuses nobody"
    if here.set_only():
        return "mode set-only: nodewall keeps the sets and judges nothing itself"
    said = []
    for name, one in found.items():
        reasons = [_said(by) for by in one["by"]]
        # A port that two rules name is open to whom either lets in: so this is said of the rule, not of the port.
        said.append("{} ({}): {}".format(name, ", ".join(one["ports"]), ", ".join(reasons) or "not let in"))
    return "; ".join(said) or "no rule is applied here"
