# SPDX-License-Identifier: Apache-2.0
"""
Cache: what was last applied, on the minion's disk, for the boot and for the time without a master; and the one lock.

    lock                      flock'ed by everything that changes the table
    rules.json                the rules as accepted, the effective ones, and the shape of the table that they made
    cluster-<name>.json       a whole set with its version; sources that are no clusters have sets, too
    cluster-<name>.deltas     one line of JSON for each delta since
    revert.nft                confirm.py's: the table to go back to
    boot.nft, closed.nft      boot.py's: the table as nft and a shell load it
    cluster-<name>.extras     what another store's set adds while nothing tells which of the two is newer

Invariants: sets are written, durably, before the kernel has them: whoever was let in before a crash is let in after the
boot. So the disk may be ahead of the kernel, by what it was about to get. A line that is cut off, or doesn't continue,
ends the replay: what comes out is always one set with its right digest. It keeps no secret, but what it says becomes
firewall rules: a folder that others can write to is refused.
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from collections import namedtuple

from . import sets

DELTAS_MAX = 512
FILE_MAX = 64 << 20

Extras = namedtuple("Extras", "rv members")


class Kept(namedtuple("Kept", "version members extras")):
    """A set on disk."""

    __slots__ = ()

    def everything(self):
        """All that is let in: another store's additions, too."""
        return {**self.extras.members, **self.members}


NO_EXTRAS = Extras("", {})


class Locked(Exception):
    """Somebody else holds the lock."""


def prepare(folder):
    """Makes the folder; OSError if it isn't safe to believe."""
    os.makedirs(folder, mode=0o755, exist_ok=True)
    found = os.stat(folder)
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "others than root can write to it; chown root and chmod go-w", folder)


@contextlib.contextmanager
def lock(folder, wait):
    """Holds the lock, or raises Locked after ``wait`` seconds."""
    fd = _lock_file(os.path.join(folder, "lock"))
    try:
        until, pause = time.monotonic() + wait, 0.005
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise Locked("another run of nodewall holds {}/lock".format(folder)) from None
                time.sleep(pause)
                pause = min(pause * 2, 0.1)
        yield
    finally:
        os.close(fd)


def _lock_file(path):
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC):
            raise
        # Without a disk that can be written to addresses still have to change; a lock takes no writing.
        return os.open(path if os.path.lexists(path) else os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def write(path, text):
    """Replaces a file, durably."""
    temporary = path + ".new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(fd)
    os.replace(temporary, path)
    _sync_folder(path)


def _write(path, value):
    # dumps, not dump: it is ten times as fast.
    write(path, json.dumps(value, separators=(",", ":")))


def _sync_folder(path):
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(path):
    """The value, or None if there is no file or no sense in it."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.loads(stream.read(FILE_MAX))
    except (OSError, ValueError):
        return None


def remove(path):
    """Whether it was there."""
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False


def _path(folder, cluster, suffix):
    if not sets.is_name(cluster):
        raise sets.Invalid("{!r} can't be a set's name".format(cluster))
    return os.path.join(folder, "cluster-{}.{}".format(cluster, suffix))


def save_rules(folder, value):
    _write(os.path.join(folder, "rules.json"), dict(value, v=1))


def load_rules(folder):
    found = _read(os.path.join(folder, "rules.json"))
    return found if isinstance(found, dict) and found.get("v") == 1 else None


def save(folder, cluster, kept):
    """A whole set; the deltas that led to it aren't needed any more."""
    value = dict(kept.version._asdict(), v=1, cluster=cluster, addresses=sets.pairs(kept.members))
    if kept.extras.members:
        extras = {"rv": kept.extras.rv, "addresses": sets.pairs(kept.extras.members)}
        _write(_path(folder, cluster, "extras"), extras)
    _write(_path(folder, cluster, "json"), value)
    remove(_path(folder, cluster, "deltas"))
    if not kept.extras.members:
        remove(_path(folder, cluster, "extras"))


def has_extras(folder, cluster):
    return os.path.lexists(_path(folder, cluster, "extras"))


def extend(path, text):
    """Adds to a file, durably; its size from then on."""
    new = not os.path.lexists(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fdatasync(fd)
        size = stream.tell()
    if new:
        _sync_folder(path)
    return size


def append(folder, cluster, chain, as_of):
    """
    Deltas that will be applied. Returns False when the file has become so long that the whole set should be saved instead.
    """
    lines = [
        dict(
            item._asdict(),
            as_of=as_of,
            added=sets.pairs(item.added),
            removed=[sets.text(rec) for rec in sorted(item.removed)],
        )
        for item in chain
    ]
    # The line before may have been cut off by a crash.
    text = "".join("\n" + json.dumps(line, separators=(",", ":")) for line in lines) + "\n"
    return extend(_path(folder, cluster, "deltas"), text) < DELTAS_MAX * 256


def load(folder, cluster):
    """The Kept set that the files make, or None."""
    try:
        version, members = sets.check(_read(_path(folder, cluster, "json")), cluster)
        extras = _read(_path(folder, cluster, "extras")) or {}
        extras = Extras(str(extras.get("rv", "")), sets.members(extras.get("addresses", [])))
    except (sets.Invalid, AttributeError):
        return None
    return _replay(folder, cluster, Kept(version, members, extras))


def _replay(folder, cluster, kept):
    chain, as_of = [], {}
    try:
        with open(_path(folder, cluster, "deltas"), encoding="utf-8") as stream:
            for line in stream:
                with contextlib.suppress(ValueError):
                    source = json.loads(line)
                    item, when = sets.delta(source), str(source.get("as_of", ""))
                    chain.append(item._replace(added=sets.dated(item.added, when)))
                    as_of[item.generation] = when
    except (OSError, ValueError):
        pass
    # Each step is checked by its digest at the end only; if that is wrong, the whole set alone is right.
    chain = _connected(chain, kept.version)
    if not chain:
        return kept
    added, removed = sets.fold(chain)
    members = {rec: node for rec, node in kept.members.items() if rec not in removed}
    members.update(added)
    last = chain[-1]
    if sets.digest(members) != last.digest:
        return kept
    version = kept.version._replace(
        generation=last.generation,
        rv=last.rv,
        digest=last.digest,
        count=len(members),
        as_of=as_of[last.generation],
    )
    return Kept(version, members, kept.extras)


def _connected(chain, version):
    """The longest beginning that continues ``version``; what was written for a change that then failed is there twice."""
    generation, base, found = version.generation, version.digest, []
    for item in chain:
        if item.generation <= generation:
            continue
        if item.generation != generation + 1 or item.base != base:
            break
        found.append(item)
        generation, base = item.generation, item.digest
    return found


def clusters(folder):
    """The clusters that have a file."""
    with contextlib.suppress(OSError):
        names = [name[8:-5] for name in os.listdir(folder) if name.startswith("cluster-") and name.endswith(".json")]
        return sorted(filter(sets.is_name, names))
    return []


def forget(folder, cluster=None):
    """Removes one cluster's files, or everything but the lock."""
    if cluster is None:
        remove(os.path.join(folder, "rules.json"))
        for name in clusters(folder):
            forget(folder, name)
        return
    for suffix in ("json", "deltas", "extras"):
        remove(_path(folder, cluster, suffix))
