#!py
# SPDX-License-Identifier: Apache-2.0
"""
Reactor: an announcement of the engine becomes one job for exactly the minions whose rules name the cluster.

Any minion may fire any tag, so nothing of an event is believed but the token by which it names an announcement that the
engine wrote beside its store; version, deltas and targets come from the master's own files. It is Python because no
data must ever pass through Jinja.

Invariants: an event without a known token does nothing; a cluster's name is checked before it touches a path; the
targets are always minions of the index; it returns a job or nothing, and never raises (Salt would log a traceback for
whatever somebody fires). What is fired without a token costs a read and a line in the log a minute.
"""

import hmac
import json
import logging
import os
import re
import time

# By name: the renderer puts its own `salt` (execution modules) over a module of that name.
from salt.utils.yaml import safe_load

log = logging.getLogger(__name__)

DEFAULT_CONFIG = "/etc/nodewall/nodewall.yaml"
DEFAULT_STATE_DIR = "/var/lib/nodewall"
ANNOUNCE_MAX = 4 << 20
ADDRESSES_MAX = 200     # in one job; whoever needs more fetches the whole set
FETCHES_PER_SECOND = 50   # what a master's file server takes easily; spreads whole-set fetches of many minions
SPLAY_MAX = 30
SAY_AGAIN_SECONDS = 60

TAG = re.compile(r"nodewall/([a-z0-9][a-z0-9.-]{0,62})/addresses\Z")
TOKEN = re.compile(r"[0-9a-f]{32}\Z")
ENTRY = re.compile(r"(?:[A-Za-z0-9_.-]|%[0-9A-F]{2})+\Z")
HEADER = ("epoch", "generation", "rv", "as_of", "digest", "count")


def run():
    try:
        return _react(tag, data)
    except Exception as error:  # pylint: disable=broad-except
        _warn("nodewall: event %r: %r", str(tag)[:100], error)
        return {}


def _warn(*what):
    """Any minion can fire this tag as often as it likes. The logger is what outlives this file, which is run at each event."""
    now = time.monotonic()
    if now - getattr(log, "nodewall_said", -SAY_AGAIN_SECONDS) >= SAY_AGAIN_SECONDS:
        log.nodewall_said = now
        log.warning(*what)


def _react(tag, data):
    match = TAG.match(tag)
    token = data.get("token")
    # Events of a cluster peer carry __peer_id; the peer's own reactor answers them.
    if not match or "__peer_id" in data or not isinstance(token, str) or not TOKEN.match(token):
        return {}
    cluster = match.group(1)
    state_dir = _state_dir()
    announced = _announced(state_dir, cluster)
    entry = _entry(announced, token) if announced else None
    if entry is None:
        _warn("nodewall: an event for %s names no announcement of the engine; ignored", cluster)
        return {}
    targets = _index(state_dir, cluster)
    if entry.get("minions") is not None:
        wanted = set(entry["minions"])
        targets = [minion for minion in targets if minion in wanted]
    if not targets:
        return {}
    deltas = _suffix(announced["deltas"])
    kwarg = {
        "cluster": cluster,
        "have": {key: announced[key] for key in HEADER},
        "deltas": deltas,
        # Only for those whom the deltas don't fit.
        "splay": min(SPLAY_MAX, len(targets) // FETCHES_PER_SECOND),
    }
    return {
        "nodewall-" + cluster: {
            "local.nodewall.update": [{"tgt": targets}, {"tgt_type": "list"}, {"kwarg": kwarg}],
        }
    }


def _state_dir():
    if __opts__.get("nodewall_state_dir"):
        return str(__opts__["nodewall_state_dir"])
    try:
        with open(__opts__.get("nodewall_config") or DEFAULT_CONFIG, encoding="utf-8") as stream:
            found = safe_load(stream)
        if isinstance(found, dict) and found:
            return str(found.get("state_dir") or DEFAULT_STATE_DIR)
    except Exception:  # pylint: disable=broad-except
        pass
    # The file is broken or half written. The engine goes on with what it had, and so must this.
    for root in (__opts__.get("file_roots") or {}).get("base") or []:
        state_dir, name = os.path.split(str(root).rstrip("/"))
        if name == "files" and os.path.isdir(os.path.join(state_dir, "announce")):
            return state_dir
    return DEFAULT_STATE_DIR


def _announced(state_dir, cluster):
    try:
        with open(os.path.join(state_dir, "announce", cluster + ".json"), encoding="utf-8") as stream:
            text = stream.read(ANNOUNCE_MAX + 1)
    except FileNotFoundError:
        return None
    announced = json.loads(text) if len(text) <= ANNOUNCE_MAX else {}
    return announced if announced.get("v") == 1 and announced.get("cluster") == cluster else None


def _entry(announced, token):
    found = None
    for entry in announced["tokens"]:
        if hmac.compare_digest(str(entry.get("token")).encode(), token.encode()):
            found = entry
    return found


def _index(state_dir, cluster):
    """
    Sorted ids of the minions that name the cluster. File names are percent-encoded ids; one that isn't exactly the
    encoding of an id is somebody's own file.
    """
    try:
        names = os.listdir(os.path.join(state_dir, "minions", cluster))
    except FileNotFoundError:
        return []
    return sorted(minion for minion in map(_decode, names) if minion)


def _decode(name):
    if not ENTRY.match(name):
        return None
    data = re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match.group(1), 16)]), name.encode("ascii"))
    again = re.sub(rb"\A\.|[^A-Za-z0-9_.-]", lambda match: b"%%%02X" % match.group()[0], data)
    try:
        return data.decode() if again == name.encode("ascii") and b"\0" not in data else None
    except UnicodeDecodeError:
        return None


def _suffix(deltas):
    """The newest deltas, oldest first, with at most ADDRESSES_MAX addresses among them."""
    total, first = 0, len(deltas)
    while first > 0:
        total += len(deltas[first - 1]["added"]) + len(deltas[first - 1]["removed"])
        if total > ADDRESSES_MAX:
            break
        first -= 1
    return deltas[first:]
