# SPDX-License-Identifier: Apache-2.0
"""
Keep this minion's firewall open to exactly the nodes of the Kubernetes clusters that its rules name.

``nodewall.update`` comes from the master's reactor and changes the members of what is applied; ``nodewall.apply`` (and
the state ``nodewall.applied``) alone reads rules. Both take one lock, then fetch, then compare with the kernel, so a run
that started long ago takes nothing back that came meanwhile.

Invariants: the firewall changes in one nft transaction or not at all; whatever goes wrong, what is applied stays; every
outcome is a value with one sentence, never a traceback.

The parts: sets (addresses, digests, order), rules (pillar), kernel (nft), cache (disk, lock), protocol (which set), and
converge (all of them together).
"""

import contextlib
import logging
import os
import random
import sys
import time
import types

import salt.fileclient
import salt.pillar
from salt.exceptions import CommandExecutionError

if __name__ not in sys.modules:
    # Salt 3007 and 3008 run a package before they register it, and without a parent the relative imports find nothing.
    # Salt puts the real module in this one's place afterwards.
    sys.modules[__name__] = types.ModuleType(__name__)
    sys.modules[__name__].__path__ = __path__

# pylint: disable=wrong-import-position
from . import cache, converge, kernel, rules, sets

log = logging.getLogger(__name__)

__virtualname__ = "nodewall"
__func_alias__ = {"apply_": "apply"}

# Not below the engine's /var/lib/nodewall, which is the master's user's: here only root may write.
DEFAULT_DIR = "/var/lib/nodewall-minion"
LOCK_WAIT = 15
# The lock is held meanwhile; a master that doesn't answer within this is away, and what is applied stays.
MASTER_TIMEOUT = 5
MASTER_TRIES = 2
FETCH_TRIES = 3
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
        yield folder


def _impatient(**more):
    """Options with which a master that is away is an error soon. Salt would sign in for ever unless it is detecting."""
    return dict(__opts__, detect_mode=True, auth_timeout=MASTER_TIMEOUT, auth_tries=1, **more)


def _fetcher(announced=None):
    """_fetch for one run: once the master was away, it isn't asked again, for the lock is held meanwhile."""
    away = []

    def fetch(cluster):
        try:
            return away[0] if away else _fetch(cluster, announced)
        except _Away as error:
            away.append(str(error))
            return away[0]

    return fetch


def _fetch(cluster, announced=None):
    """(Version, members) of the set that the master publishes, or a sentence why not; _Away. Called with the lock held."""
    problem = "the master can't be reached"
    opts = _impatient(request_channel_timeout=MASTER_TIMEOUT, request_channel_tries=MASTER_TRIES)
    for attempt in range(FETCH_TRIES):
        if attempt:
            time.sleep(0.1 * attempt)
        try:
            with salt.fileclient.get_file_client(opts) as client:
                path = client.cache_file("salt://nodewall/{}.json".format(cluster), saltenv="base")
            if not path:
                return "cluster {}: the master has no set of it".format(cluster)
            with open(path, "rb") as stream:
                found = sets.parse(stream.read(cache.FILE_MAX), cluster)
        except (sets.Invalid, OSError) as error:
            # A file that is replaced while it is transferred looks broken once, not three times.
            problem = "cluster {}: the master's set was refused: {}".format(cluster, error)
            continue
        except Exception as error:  # pylint: disable=broad-except
            log.debug("nodewall: fetching %s", cluster, exc_info=True)
            raise _Away("the master can't be reached, what is applied stays: {}".format(error)) from None
        behind = announced and found[0].epoch == announced.epoch and found[0].generation < announced.generation
        if not behind or attempt == FETCH_TRIES - 1:
            return found
    return problem


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
                done = done or converge.fetched(folder, cluster, _fetcher(header), accept)
    except cache.Locked as error:
        return _said({"result": "locked", "cluster": cluster, "comment": str(error)})
    except _failures() as error:
        return _failed({"cluster": cluster}, str(error))
    return _said(done)


def apply_(test=False, accept=False, pillar=None):
    """
    Make the firewall what the pillar's rules say, with the newest addresses that the master has.

    test
        Only say what would be added and removed.
    accept
        Take the master's sets even if they are of another store, or take away most of what is applied.
    pillar
        The pillar key ``nodewall``, for the state; otherwise the master is asked for fresh pillar.

    .. code-block:: bash

        salt 'db*' nodewall.apply test=True
    """
    try:
        # Before the lock: a pillar that takes seconds to compile keeps no update waiting.
        config, warnings, refused = _rules(pillar)
        with _locked(test) as folder:
            if config:
                done = converge.whole(folder, config, _fetcher(), test=test, accept=accept)
            else:
                done = converge.repaired(folder, _fetcher(), test)
        done["warnings"] = warnings + done["warnings"]
        if refused:
            done.update(result="failed", comment="; ".join([refused] + ([done["comment"]] if done["comment"] else [])))
    except cache.Locked as error:
        return _said({"result": "locked", "comment": str(error)})
    except _failures() as error:
        return _failed({}, str(error))
    return _said(done)


class _Away(Exception):
    """The master couldn't be asked."""


def _rules(pillar):
    """
    (the rules, or None if there are none to be taken; warnings; why they were refused, or None). Without rules the
    ones that are applied go on, with new addresses and repaired: somebody's typo mustn't stop either.
    """
    try:
        ours = rules.plain(_fresh_pillar() if pillar is None else pillar)
    except _Away as error:
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
        config = rules.read(ours)
    except sets.Invalid as error:
        problems.append(str(error))
    if problems:
        return None, warnings, "; ".join(problems + ["the rules that are applied stay"])
    return config, warnings, None


def _sentences(value):
    return [str(item) for item in value] if isinstance(value, list) else [str(value)] if value else []


def _fresh_pillar():
    """
    The key ``nodewall`` of pillar compiled now. The one in the minion's memory may be older than what a state run
    applied an hour ago, and a schedule that used it would take rules back.
    """
    try:
        opts = _impatient(request_channel_tries=1)
        source = salt.pillar.get_pillar(opts, dict(__grains__), __opts__["id"], pillarenv=__opts__.get("pillarenv"))
        found = source.compile_pillar()
    except Exception as error:  # pylint: disable=broad-except
        log.debug("nodewall: pillar", exc_info=True)
        raise _Away("no pillar from the master, the rules that are applied stay: {}".format(error)) from None
    if not isinstance(found, dict):
        raise _Away("no pillar from the master, the rules that are applied stay")
    if found.get("_errors"):
        raise sets.Invalid("the pillar has errors, its rules may be incomplete: {}".format(rules.plain(found["_errors"])))
    return found.get("nodewall") or {}


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
            present = kernel.read() is not None
            remembered = cache.load_rules(folder) is not None or bool(cache.clusters(folder))
            if not test and present:
                kernel.remove()
            if not test:
                cache.forget(folder)
    except cache.Locked as error:
        return _said({"result": "locked", "comment": str(error)})
    except _failures() as error:
        return _failed({}, str(error))
    removed = (["table " + kernel.FAMILY_TABLE] if present else []) + (["cache"] if remembered else [])
    return {"result": "applied" if removed else "have", "comment": "", "changes": {"removed": removed} if removed else {}}


def status():
    """
    What is applied here: rules, versions, ages, and whether somebody else changed the table.

    .. code-block:: bash

        salt '*' nodewall.status
    """
    try:
        with _locked(test=True) as folder:
            return converge.status(folder)
    except cache.Locked as error:
        return _said({"result": "locked", "comment": str(error)})
    except _failures() as error:
        return _failed({}, str(error))


def addresses(source):
    """
    The addresses that a source stands for, sorted, for firewalls that are managed otherwise.

    .. code-block:: bash

        salt 'db*' nodewall.addresses kubernetes:prod
    """
    kind, _, name = str(source).partition(":")
    try:
        if kind != "kubernetes":
            return [sets.text(sets.record(source))]
        if not sets.is_cluster(name):
            raise sets.Invalid("{!r} can't be a cluster's name".format(name))
        found = _fetcher()(name)
        if isinstance(found, str):
            kept = cache.load(_folder(), name)
            if kept is None:
                raise sets.Invalid(found)
            found = kept
    except sets.Invalid as error:
        raise CommandExecutionError(str(error)) from None
    return [sets.text(rec) for rec in sorted(found[1])]


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
