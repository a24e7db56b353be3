# SPDX-License-Identifier: Apache-2.0
"""
Master: what a minion asks it for, published sets and fresh pillar, each within seconds.

Invariant: the lock is held while sets are fetched, so a master that is away is an answer soon, and is asked once in a run.
Options and grains are passed in: Salt gives its dunders to the package's own file only.
"""

import contextlib
import logging
import os
import socket
import time

import salt.fileclient
import salt.pillar

from . import cache, rules, sets

log = logging.getLogger(__name__)

# A master that doesn't answer within this is away, and what is applied stays.
MASTER_TIMEOUT = 5
MASTER_TRIES = 2
FETCH_TRIES = 3
DEFAULT_STATE_DIR = "/var/lib/nodewall"


class Away(Exception):
    """The master couldn't be asked."""


def _impatient(opts, **more):
    """Options with which a master that is away is an error soon. Salt would sign in for ever unless it is detecting."""
    return dict(opts, detect_mode=True, auth_timeout=MASTER_TIMEOUT, auth_tries=1, **more)


def fetcher(opts, announced=None, resolved=None):
    """
    fetch(name) for one run: (Version, members) of the set that the master publishes, or a sentence why not. What is no
    cluster is taken from ``resolved`` {name: the same}, if it was asked for.
    """
    away = []

    def fetch(cluster):
        if not sets.is_cluster(cluster):
            return (resolved or {}).get(cluster)
        try:
            return away[0] if away else _fetch(opts, cluster, announced)
        except Away as error:
            away.append(str(error))
            return away[0]

    return fetch


def _fetch(opts, cluster, announced):
    problem = "the master can't be reached"
    opts = _impatient(opts, request_channel_timeout=MASTER_TIMEOUT, request_channel_tries=MASTER_TRIES)
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
            raise Away("the master can't be reached, what is applied stays: {}".format(error)) from None
        behind = announced and found[0].epoch == announced.epoch and found[0].generation < announced.generation
        if not behind or attempt == FETCH_TRIES - 1:
            return found
    return problem


def reached(opts, seconds):
    """
    Whether the master answers on a new TCP connection of our own within ``seconds``. A connection that is there already
    proves nothing about the rules. Over ZeroMQ the master speaks first; elsewhere the connection has to do.
    """
    host, _, port = opts["master_uri"].rpartition("/")[2].rpartition(":")
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return False
        with contextlib.suppress(OSError):
            with socket.create_connection((host.strip("[]"), int(port)), timeout=min(left, MASTER_TIMEOUT)) as found:
                if opts.get("transport", "zeromq") != "zeromq" or found.recv(1):
                    return True
        time.sleep(min(0.2, max(0, until - time.monotonic())))


def published(opts, cluster):
    """
    (Version, members) where this machine is the master, or None. In pillar's rendering ``salt://`` is pillar's own files,
    so there the engine's directory is read.
    """
    state_dir = str(opts.get("nodewall_state_dir") or DEFAULT_STATE_DIR)
    try:
        with open(os.path.join(state_dir, "files", "nodewall", cluster + ".json"), "rb") as stream:
            return sets.parse(stream.read(cache.FILE_MAX), cluster)
    except OSError:
        return None


def pillar(opts, grains):
    """
    The key ``nodewall`` of pillar compiled now; Away, or sets.Invalid if pillar has errors. The one in the minion's memory
    may be older than what a state run applied an hour ago, and a schedule that used it would take rules back.
    """
    try:
        source = salt.pillar.get_pillar(
            _impatient(opts, request_channel_tries=1), dict(grains), opts["id"], pillarenv=opts.get("pillarenv")
        )
        found = source.compile_pillar()
    except Exception as error:  # pylint: disable=broad-except
        log.debug("nodewall: pillar", exc_info=True)
        raise Away("no pillar from the master, the rules that are applied stay: {}".format(error)) from None
    if not isinstance(found, dict):
        raise Away("no pillar from the master, the rules that are applied stay")
    if found.get("_errors"):
        raise sets.Invalid("the pillar has errors, its rules may be incomplete: {}".format(rules.plain(found["_errors"])))
    return found.get("nodewall") or {}
