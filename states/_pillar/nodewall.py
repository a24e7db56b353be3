# SPDX-License-Identifier: Apache-2.0
"""
External pillar: reads a minion's rules, carries none of its own.

For a minion whose pillar has ``nodewall:rules`` it
- notes in the index ``<state_dir>/minions/<cluster>/<minion>`` which clusters the rules name: the reactor targets by it;
- adds ``nodewall:clusters`` (what this master knows, and whether it was ever synced) and ``nodewall:errors`` or
  ``nodewall:warnings``, on which only ``nodewall.apply`` and the state ``nodewall.applied`` act;
- adds the default schedule, a periodic ``nodewall.apply``.

Invariants: it never raises (Salt would refuse every state of that minion for one typo), never blocks (one small file,
two directory listings, no network), and puts no name into a path that wasn't checked. It only ever adds to the index:
an entry goes when the minion itself says ``not-mine``, or with its key, both seen by the engine.

.. code-block:: yaml

    ext_pillar:
      - nodewall: /etc/nodewall/nodewall.yaml
"""

import contextlib
import logging
import os
import re

import salt.utils.yaml

log = logging.getLogger(__name__)

__virtualname__ = "nodewall"

DEFAULT_CONFIG = "/etc/nodewall/nodewall.yaml"
DEFAULT_STATE_DIR = "/var/lib/nodewall"
CONFIG_MAX = 1 << 20
SCHEDULE = {"minutes": 30, "splay": 300}
SCHEDULE_KEYS = {"seconds": 1, "minutes": 60, "hours": 3600}

CLUSTER = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}\Z")
PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")

_config_cache = {}


def __virtual__():
    return __virtualname__


def ext_pillar(minion_id, pillar, config=None, **_):
    """Adds to the minion's pillar what its rules need from the master; see the head of this file."""
    try:
        return _extend(minion_id, pillar, config)
    except Exception as error:  # pylint: disable=broad-except
        log.exception("nodewall: the pillar of %s", minion_id)
        return {"nodewall": {"errors": ["the master's ext_pillar failed, its log says more: {!r}".format(error)]}}


def _extend(minion_id, pillar, config):
    ours = pillar.get("nodewall") if isinstance(pillar, dict) else None
    if ours is None:
        return {}
    if not isinstance(ours, dict):
        return {"nodewall": {"errors": ["pillar key nodewall is a {}, not a mapping".format(type(ours).__name__)]}}
    rules = ours.get("rules")
    if not rules:
        return {}
    named, errors, warnings = _named(rules)
    options, problem = _config(config or __opts__.get("nodewall_config") or DEFAULT_CONFIG)
    state_dir = str(__opts__.get("nodewall_state_dir") or options.get("state_dir") or DEFAULT_STATE_DIR)
    synced = _published(state_dir)
    known = synced | _configured(options)
    for cluster, rule in sorted(named.items()):
        # With an unreadable configuration a cluster may be known and only not be synced yet: the minion says so.
        if cluster not in known and problem is None:
            errors.append(
                "rule {}: there is no cluster {!r}; this master has: {}".format(
                    rule, cluster, ", ".join(sorted(known)) or "none"
                )
            )
    warnings += [problem] if problem else []
    # A name that comes from a grain is the minion's own: a new one each time must not fill the disk.
    warnings += _note(state_dir, sorted(set(named) & known if problem is None else named), minion_id)
    added = {"clusters": {cluster: {"synced": cluster in synced} for cluster in sorted(known)}}
    schedule = _schedule(ours, errors)
    added.update({key: value for key, value in (("errors", errors), ("warnings", warnings)) if value})
    result = {"nodewall": added}
    jobs = pillar.get("schedule") or {}
    if schedule and isinstance(jobs, dict) and "nodewall" not in jobs:
        result["schedule"] = {"nodewall": schedule}
    if __opts__.get("pillar_source_merging_strategy") in ("overwrite", "aggregate"):
        # With these a key that we return replaces the whole of what was there.
        result = {key: dict(pillar.get(key) or {}, **value) for key, value in result.items()}
    return result


def _named(rules):
    """({cluster: the first rule that names it}, errors, warnings). Whatever else is wrong with a rule, the minion says."""
    named, errors = {}, []
    if not isinstance(rules, dict):
        return named, ["nodewall:rules is a {}, not a mapping of names to rules".format(type(rules).__name__)], []
    for name, rule in rules.items():
        sources = rule.get("from") if isinstance(rule, dict) else None
        for source in sources if isinstance(sources, list) else [sources]:
            cluster = None
            if isinstance(source, dict):
                cluster = source.get("kubernetes")
            elif isinstance(source, str) and source.startswith("kubernetes:"):
                cluster = source.split(":", 1)[1].strip()
            if cluster is None:
                continue
            if isinstance(cluster, str) and CLUSTER.match(cluster):
                named.setdefault(cluster, name)
            else:
                errors.append("rule {}: {!r} can't be a cluster's name".format(name, cluster))
    return named, errors, []


def _config(path):
    """(the configuration as far as it can be read, None or a sentence); parsed again only when the file changed."""
    try:
        found = os.stat(path)
        key = (path, found.st_mtime_ns, found.st_size, found.st_ino)
        if key not in _config_cache:
            with open(path, encoding="utf-8") as stream:
                options = salt.utils.yaml.safe_load(stream.read(CONFIG_MAX)) or {}
            if not isinstance(options, dict):
                raise ValueError("it is no mapping")
            _config_cache.clear()
            _config_cache[key] = options
        return _config_cache[key], None
    except Exception as error:  # pylint: disable=broad-except
        return {}, "the master can't read {}: {}".format(path, " ".join(str(error).split()))


def _configured(options):
    clusters = options.get("clusters")
    found = {str(name) for name in clusters} if isinstance(clusters, dict) else set()
    folder = options.get("clusters_dir")
    if isinstance(folder, str):
        try:
            found |= {name[: -len(".kubeconfig")] for name in os.listdir(folder) if name.endswith(".kubeconfig")}
        except OSError:
            pass
    return {name for name in found if CLUSTER.match(name)}


def _published(state_dir):
    try:
        names = os.listdir(os.path.join(state_dir, "files", "nodewall"))
    except OSError:
        return set()
    return {name[:-5] for name in names if name.endswith(".json") and CLUSTER.match(name[:-5])}


def _note(state_dir, clusters, minion_id):
    """Creates the missing index entries; returns warnings."""
    entry = encode(minion_id)
    for cluster in clusters:
        folder = os.path.join(state_dir, "minions", cluster)
        path = os.path.join(folder, entry)
        try:
            if not os.path.lexists(path):
                # The engine refuses what others can write, and makes these itself if it comes first.
                for made in (state_dir, os.path.dirname(folder), folder):
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(made, 0o750)
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640))
        except OSError as error:
            return [
                "the master can't note that this minion wants {}, so changes reach it by the schedule only: {}".format(
                    cluster, error
                )
            ]
    return []


def encode(minion_id):
    """A minion's id as a file name: bytes outside [A-Za-z0-9_.-], and a leading dot, become %XX."""
    data = minion_id.encode("utf-8", "surrogateescape")
    return "".join(
        chr(byte) if byte in PLAIN and not (index == 0 and byte == 0x2E) else "%{:02X}".format(byte)
        for index, byte in enumerate(data)
    )


def _schedule(ours, errors):
    """The periodic nodewall.apply, or None if the pillar says ``schedule: false``."""
    wanted = ours.get("schedule")
    if wanted is False:
        return None
    timing = dict(SCHEDULE)
    if wanted is not None:
        allowed = set(SCHEDULE_KEYS) | {"splay"}
        if not isinstance(wanted, dict) or not set(wanted) <= allowed or not all(
            type(value) is int and value > 0 for value in wanted.values()
        ):
            errors.append("nodewall:schedule is false, or has {} as whole numbers".format(", ".join(sorted(allowed))))
        else:
            if set(wanted) & set(SCHEDULE_KEYS):
                timing = {"splay": timing["splay"]}
            timing.update(wanted)
    return dict(timing, function="nodewall.apply", run_on_start=True, maxrunning=1)
