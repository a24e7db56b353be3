# SPDX-License-Identifier: Apache-2.0
"""
Sources: what a Salt module ``nodewall_<kind>`` says that a source stands for, checked, as a set with a version.

The extension point: a source ``consul: web`` calls ``nodewall_consul.addresses("web")``, an ordinary execution module,
for a list of addresses or networks, or a mapping of them to names. ``minions`` is one of these.

Invariants: it is called without the lock, for it may take its time; what it says is never believed beyond ``within``;
no answer, an empty one, or an exception is a sentence, and what is applied stays. Such a set has no store that counts its
versions: its epoch is made from its digest, and the time orders it, so that one that would lose most of its addresses at
once is held like a new store's.
"""

import time

from . import rules, sets

SHOWN_MAX = 3


def function(kind):
    return "nodewall_{}.addresses".format(kind)


def resolve(config, salt, warnings):
    """{set name: (Version, members) or a sentence} of the rules' sources that are no clusters; ``salt``: the modules."""
    return {
        name: one(source, salt, warnings)
        for name, source in rules.named_sets(config).items()
        if rules.kind(source) != "kubernetes"
    }


def one(source, salt, warnings):
    """(Version, members) of one source, or a sentence. What it said and may not say is added to ``warnings``."""
    kind = rules.kind(source)
    title = "{} {}".format(kind, source[kind])
    options = {key: value for key, value in source.items() if key not in (kind, "within")}
    try:
        found, refused = _checked(salt[function(kind)](source[kind], **options), source)
    except Exception as error:  # pylint: disable=broad-except
        return "{}: {}".format(title, " ".join(str(error).split()) or type(error).__name__)
    if refused:
        more = " and {} more".format(len(refused) - SHOWN_MAX) if len(refused) > SHOWN_MAX else ""
        warnings.append("{}: refused {}{}".format(title, ", ".join(refused[:SHOWN_MAX]), more))
    if not found:
        return "{}: it has no address".format(title)
    digest, now = sets.digest(found), time.time()
    as_of = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    return sets.Version(digest[:16], 1, str(int(now * 1000)), as_of, digest, len(found)), found


def _checked(said, source):
    """({record: name}, what was refused)"""
    rows = said.items() if isinstance(said, dict) else [(item, "-") for item in said]
    allowed = [sets.record(item) for item in source["within"]] if "within" in source else None
    found, refused = {}, []
    for address, name in rows:
        try:
            rec = sets.record(address)
        except sets.Invalid as error:
            refused.append(str(error)[:100])
            continue
        if rules.kind(source) == "minions" and not sets.is_host(rec):
            refused.append("{} of {}, a network".format(address, sets.label(name)))
        elif allowed is not None and not any(sets.contains(outer, rec) for outer in allowed):
            refused.append("{} of {}, not within {}".format(address, sets.label(name), ", ".join(source["within"])))
        else:
            found[rec] = sets.label(name)
    if len(found) > sets.MEMBERS_MAX:
        raise sets.Invalid("it has more than {} addresses".format(sets.MEMBERS_MAX))
    return found, refused
