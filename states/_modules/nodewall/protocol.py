# SPDX-License-Identifier: Apache-2.0
"""
Protocol: which set a cluster shall have, from what the kernel holds, what the disk kept, and what the master published.

Invariants: nothing at or below the generation that is held is taken; a set of another store only with a higher
resourceVersion, otherwise its additions alone; and where a new store would take away more than half, its additions
alone. No kernel, no files, no Salt in here.
"""

from collections import namedtuple

from . import cache, sets

# A new store that lost most of a cluster is a mishap more often than the truth; small sets can't tell.
LOSS_FROM = 3
LOSS_MAX = 0.5

# version None: never synced. result: applied, have, conflict, or kept (nothing could be fetched).
Plan = namedtuple("Plan", "version members extras result comment")


def expected(plan):
    """All records that shall be let in."""
    found = dict(plan.extras.members)
    found.update(plan.members)
    return found


def plan(marker, in_kernel, kept, fetched, accept=False):
    """
    ``marker``: Version in the kernel or None; ``in_kernel``: members there; ``kept``: cache.Kept or None; ``fetched``:
    (Version, members), or a sentence why there is none, or None if nobody asked. ``accept``: an operator takes the
    master's set whatever it takes away.
    """
    if kept is not None and marker is not None and not (_same(kept.version, marker) or _set_back(kept.version, marker)):
        kept = None
    held = kept.version if kept else marker
    extras = kept.extras if kept else cache.NO_EXTRAS
    if not isinstance(fetched, tuple):
        members = kept.members if kept else dict(in_kernel or {})
        return Plan(held, members if held else {}, extras, "kept" if fetched else "have", fetched or "")
    version, offered = fetched
    if kept:
        members = kept.members
    elif held and _same(version, held):
        held, members = version, sets.dated(offered, version.as_of, in_kernel or {})
    else:
        members = dict(in_kernel or {}) if held else {}
    relation = sets.order(held, version)
    offered = sets.dated(offered, version.as_of, members)
    if accept and not (held and _same(held, version) and not extras.members):
        return Plan(version, offered, cache.NO_EXTRAS, "applied", "")
    comment = "its set is of another store, and nothing tells that it is newer"
    if relation == sets.NEWER and held and held.epoch != version.epoch:
        lost = len(set(members) - set(offered))
        if len(members) >= LOSS_FROM and lost > LOSS_MAX * len(members):
            relation = sets.CONFLICT
            comment = "its new set would take away {} of {} addresses at once".format(lost, len(members))
    if relation == sets.NEWER:
        stays = extras if sets.rv_higher(extras.rv, version.rv) else cache.NO_EXTRAS
        return Plan(version, offered, stays, "applied", "")
    if relation == sets.CONFLICT:
        added = dict(extras.members)
        added.update({rec: node for rec, node in offered.items() if rec not in members})
        rv = version.rv if sets.rv_higher(version.rv, extras.rv) or not extras.rv else extras.rv
        comment += "; only its additions were taken. `nodewall.apply accept=True` takes it as it is"
        return Plan(held, members, cache.Extras(rv, added), "conflict", comment)
    return Plan(held, members, extras, "have", "")


def _set_back(kept, marker):
    """
    The disk is ahead: a change was written and then didn't reach the kernel, or somebody loaded an old dump of the table, as
    Debian's nftables.service does with /etc/nftables.conf.
    """
    return kept.epoch == marker.epoch and kept.generation > marker.generation


def _same(one, other):
    return (one.epoch, one.generation, one.digest) == (other.epoch, other.generation, other.digest)
