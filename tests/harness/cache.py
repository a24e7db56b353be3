# SPDX-License-Identifier: Apache-2.0
"""Where things live that are expensive to make: built servers, virtual environments, stamps.

Everything is outside the tree, in `${NODEWALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nodewall}`; deleting that directory is always
safe. An entry is made under a temporary name and renamed into place, so that what stands there is complete; a lock per entry
lets two runs at once share the work. Keys carry versions and a hash of the recipe: another version is another entry.

Does not: expire old entries. Standard library only, because it runs before there is a virtual environment.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import sys
import time


def root():
    """The cache directory, made if it isn't there."""
    base = os.environ.get("NODEWALL_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nodewall")
    path = pathlib.Path(base)
    path.mkdir(parents=True, exist_ok=True)
    return path


def say(text):
    """One line of progress, on stderr with the rest of what people read."""
    print(f"[dev] {text}", file=sys.stderr, flush=True)


def recipe(*parts):
    """Eight hex digits that change when one of the strings does."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


@contextlib.contextmanager
def locked(name):
    """Holds the lock of this name; says so when it has to wait."""
    with open(root() / f".{name}.lock", "w", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another run is making it, waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(key, what, make):
    """The entry's directory. `make(directory)` fills a temporary one when it isn't there yet."""
    final = root() / key
    if final.exists():
        return final
    with locked(key):
        if final.exists():
            return final
        for old in root().glob(f".{key}.tmp-*"):      # left by a run that was killed; nobody else can hold our lock
            shutil.rmtree(old, ignore_errors=True)
        temp = root() / f".{key}.tmp-{os.getpid()}"
        temp.mkdir()
        start = time.monotonic()
        say(f"{what}: making it (once)")
        try:
            make(temp)
            os.rename(temp, final)
        except BaseException:
            shutil.rmtree(temp, ignore_errors=True)
            raise
        say(f"{what}: ready after {time.monotonic() - start:.0f} s, kept in {final}")
    return final
