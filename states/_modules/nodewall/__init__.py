# SPDX-License-Identifier: Apache-2.0
"""
Keep this minion's firewall open to exactly the nodes of the Kubernetes clusters that its rules name.

``nodewall.update`` comes from the master's reactor and changes the members of what is applied; ``nodewall.apply`` (and
the state ``nodewall.applied``) alone reads rules. Both take one lock, then fetch, then compare with the kernel, so a run
that started long ago takes nothing back that came meanwhile.

Invariants: the firewall changes in one nft transaction or not at all; whatever goes wrong, what is applied stays; every
outcome is a value with one sentence, never a traceback.

The parts: sets (addresses, digests, order), rules (pillar), kernel (nft), cache (disk, lock), protocol (which set), master
(what is asked of it), sources (what other modules say), ports and confirm (nobody is locked out), boot (before Salt),
converge (all of them together), report (what is here, and why).
"""

import contextlib
import logging
import os
import random
import sys
import time
import types

from salt.exceptions import CommandExecutionError

if __name__ not in sys.modules:
    # Salt 3007 and 3008 run a package before they register it, and without a parent the relative imports find nothing.
    # Salt puts the real module in this one's place afterwards.
    sys.modules[__name__] = types.ModuleType(__name__)
    sys.modules[__name__].__path__ = __path__

# pylint: disable=wrong-import-position
from . import confirm as _confirm
from . import boot, cache, converge, kernel, master, ports, report, rules, sets, sources

log = logging.getLogger(__name__)

__virtualname__ = "nodewall"
__func_alias__ = {"apply_": "apply"}

# Not below the engine's /var/lib/nodewall, which is the master's user's: here only root may write.
DEFAULT_DIR = "/var/lib/nodewall-minion"
LOCK_WAIT = 15
SPLAY_MAX = 300


def __virtual__():
    if __grains__.get("kernel", "Linux") != "Linux":
        return False, "nodewall needs Linux and nftables"
    return __virtualname__


def _failures():
    """
    What ends in a sentence. Not a constant: Salt reloads the parts of a package after it has run this file, and classes
    that were bound before are then none that the parts raise.
    """
    return kernel.Failed, sets.Invalid, OSError


def _folder():
    return str(__opts__.get("nodewall_dir") or DEFAULT_DIR)


@contextlib.contextmanager
def _locked(test=False):
    folder = _folder()
    if test and not os.path.isdir(folder):
        yield folder
        return
    cache.prepare(folder)
    with cache.lock(folder, LOCK_WAIT):
        if not test:
            _confirm.settle(folder)
        yield folder


def update(cluster, have=None, deltas=None, splay=0, accept=False):
    """
    Bring one cluster's addresses up to date on this minion, if they are applied here. The reactor calls it.

    cluster
        Its name.
    have
        The master's version of the set. A minion that has it, or a later one, does nothing.
    deltas
        The last changes. Applied if they continue what this minion has; otherwise the whole set is fetched.
    splay
        Seconds over which minions spread their fetches.
    accept
        Take the master's set even if it is of another store, or takes away most of what is applied.

    .. code-block:: bash

        salt 'db*' nodewall.update prod
    """
    if not sets.is_cluster(cluster):
        return _failed({"cluster": str(cluster)}, "{!r} can't be a cluster's name".format(cluster))
    header, chain = None, []
    splay = min(splay, SPLAY_MAX) if type(splay) in (int, float) and splay > 0 else 0
    try:
        header = sets.version(have) if have else None
        chain = [sets.delta(item) for item in deltas] if header and isinstance(deltas, list) else []
    except sets.Invalid as error:
        log.warning("nodewall: %s: what came with the job is refused (%s); fetching the set", cluster, error)
    try:
        with _locked() as folder:
            done = None if accept else converge.quick(folder, cluster, header, chain)
        if done is None:
            time.sleep(random.uniform(0, splay))
            with _locked() as folder:
                done = None if accept else converge.quick(folder, cluster, header, chain)
                done = done or converge.fetched(folder, cluster, master.fetcher(__opts__, header), accept)
    except cache.Locked as error:
        return _said({"result": "locked", "cluster": cluster, "comment": str(error)})
    except _failures() as error:
        return _failed({"cluster": cluster}, str(error))
    return _said(done)


def apply_(test=False, accept=False, pillar=None, confirm=None):
    """
    Make the firewall what the pillar's rules say, with the newest addresses that the master has.

    test
        Only say what would be added and removed.
    accept
        Take the master's sets even if they are of another store, or take away most of what is applied.
    pillar
        The pillar key ``nodewall``, for the state; otherwise the master is asked for fresh pillar.
    confirm
        Seconds within which the master must be reached over a new connection after new rules, or the former ones come back.

    .. code-block:: bash

        salt 'db*' nodewall.apply test=True
    """
    try:
        # Before the lock: a pillar that takes seconds to compile, or a source that does, keeps no update waiting.
        config, warnings, refused = _rules(pillar, confirm)
        resolved = sources.resolve(config, __salt__, warnings) if config else {}
        fetch = master.fetcher(__opts__, resolved=resolved)
        with _locked(test) as folder:
            if config:
                done = converge.whole(folder, config, fetch, test=test, accept=accept, reached=_reached)
            else:
                done = converge.repaired(folder, fetch, test)
        done["warnings"] = warnings + done["warnings"]
        if refused:
            done.update(result="failed", comment="; ".join([refused] + ([done["comment"]] if done["comment"] else [])))
    except cache.Locked as error:
        return _said({"result": "locked", "comment": str(error)})
    except _failures() as error:
        return _failed({}, str(error))
    return _said(done)


def _reached(seconds):
    return master.reached(__opts__, seconds)


def _rules(pillar, confirm=None):
    """
    (the rules, or None if there are none to be taken; warnings; why they were refused, or None). Without rules the
    ones that are applied go on, with new addresses and repaired: somebody's typo mustn't stop either.
    """
    try:
        ours = rules.plain(master.pillar(__opts__, __grains__) if pillar is None else pillar)
    except master.Away as error:
        return None, [str(error)], None
    except sets.Invalid as error:
        return None, [], "{}; the rules that are applied stay".format(error)
    if not isinstance(ours, dict):
        said = "pillar key nodewall is a {}, not a mapping; the rules that are applied stay"
        return None, [], said.format(type(ours).__name__)
    warnings, problems = _sentences(ours.get("warnings")), _sentences(ours.get("errors"))
    if not ours.get("rules") and not problems:
        said = "pillar has no nodewall:rules; the rules that are applied stay (nodewall.clean takes them away)"
        return None, warnings + [said], None
    config = None
    try:
        config = rules.read(ours if confirm is None else dict(ours, confirm=confirm), _known, ports.reserved())
        if config["confirm"] and "master_uri" not in __opts__:
            raise sets.Invalid("confirm needs a master that can be reached; this minion has none")
    except sets.Invalid as error:
        problems.append(str(error))
    if problems:
        return None, warnings, "; ".join(problems + ["the rules that are applied stay"])
    return config, warnings, None


def _known(kind):
    return sources.function(kind) in __salt__


def _sentences(value):
    return [str(item) for item in value] if isinstance(value, list) else [str(value)] if value else []


def restore():
    """
    Rebuild what was last applied from this minion's disk, without a master: at boot, or after somebody flushed all rules.

    .. code-block:: bash

        salt-call --local nodewall.restore
    """
    try:
        with _locked() as folder:
            return _said(converge.repaired(folder, None, False))
    except cache.Locked as error:
        return _said({"result": "locked", "comment": str(error)})
    except _failures() as error:
        return _failed({}, str(error))


def clean(test=False):
    """
    Take nodewall's table and its cache away; nothing else is touched.

    .. code-block:: bash

        salt 'db*' nodewall.clean
    """
    try:
        with _locked(test) as folder:
            here = report.Applied(folder)
            present = here.table is not None
            remembered = bool(here.saved) or bool(cache.clusters(folder))
            if not test and present:
                kernel.remove(here.table, here.set_only())
            if not test:
                cache.forget(folder)
                boot.forget(folder)
    except cache.Locked as error:
        return _said({"result": "locked", "comment": str(error)})
    except _failures() as error:
        return _failed({}, str(error))
    removed = (["table " + kernel.FAMILY_TABLE] if present else []) + (["cache"] if remembered else [])
    return {"result": "applied" if removed else "have", "comment": "", "changes": {"removed": removed} if removed else {}}


def _reported(make):
    """What ``make(folder)`` finds; it changes nothing."""
    try:
        with _locked(test=True) as folder:
            return make(folder)
    except cache.Locked as error:
        return _said({"result": "locked", "comment": str(error)})
    except _failures() as error:
        return _failed({}, str(error))


def status():
    """
    What is applied here: rules, and for each cluster its version, digest, age in seconds, and whether somebody changed it.

    .. code-block:: bash

        salt '*' nodewall.status
    """
    return _reported(report.status)


def explain(address):
    """
    Which rules let an address in, for which node of which cluster, and since when its address is known here.

    .. code-block:: bash

        salt '*' nodewall.explain 203.0.113.7
    """
    return _reported(lambda folder: report.explain(folder, str(address)))


def diff():
    """
    What ``nodewall.apply`` would add and remove now, for each rule and node, with fresh pillar and sets. Changes nothing.

    .. code-block:: bash

        salt 'db*' nodewall.diff
    """
    done = apply_(test=True)
    return done if done["result"] in ("failed", "locked") else done["changes"]


def addresses(source, **options):
    """
    The addresses that a source stands for, sorted, for firewalls that are managed otherwise; in an SLS of states or of
    pillar. Of a cluster, the master's set, or the last one known here when the master is away.

    source
        As in a rule's ``from``: ``kubernetes:prod``, ``minions:app*`` with ``within``, a mapping, one of your own.

    .. code-block:: bash

        salt 'db*' nodewall.addresses kubernetes:prod
    """
    try:
        options = {key: value for key, value in options.items() if not key.startswith("__")}
        if options and isinstance(source, str):
            kind, _, value = source.partition(":")
            source = dict(options, **{kind: value.strip()})
        source = rules.source(rules.plain(source), _known)
        name = rules.set_name(source)
        if name is None:
            return [source] if isinstance(source, str) else _no_addresses(source)
        if sets.is_cluster(name):
            found = master.fetcher(__opts__)(name)
        else:
            found = sources.one(source, __salt__, [])
        if isinstance(found, str):
            kept = cache.load(_folder(), name) or master.published(__opts__, name)
            if kept is None:
                raise sets.Invalid(found)
            found = kept
    except sets.Invalid as error:
        raise CommandExecutionError(str(error)) from None
    return [sets.text(rec) for rec in sorted(found[1])]


def _no_addresses(source):
    raise sets.Invalid("an interface has no addresses that could be listed: {}".format(source["interface"]))


def _failed(result, sentence):
    return _said(dict(result, result="failed", comment=" ".join(sentence.split())))


def _said(result):
    """A failure is a failed job, too."""
    for internal in ("plans", "changed"):
        result.pop(internal, None)
    if result["result"] in ("failed", "locked", "incomplete"):
        __context__["retcode"] = 1
        log.error("nodewall: %s", result.get("comment") or result["result"])
    for warning in result.get("warnings", []):
        log.warning("nodewall: %s", warning)
    return result
