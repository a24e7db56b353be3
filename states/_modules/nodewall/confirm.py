# SPDX-License-Identifier: Apache-2.0
"""
Confirm: new rules go by themselves again unless the minion then reaches its master over a new connection.

Before rules change, the table as it is goes to ``revert.nft``, and a shell of a session of its own waits: whoever has
taken that file away when its time is over has decided. The run that changed the rules removes it when the master
answered, and loads it when it didn't; should that run have died, the next one, or the shell, loads it.

Invariants: the shell needs neither Salt nor Python, and outlives both; the file counts for the boot that wrote it alone,
for a boot begins with the rules that were confirmed last. Called with the lock held.
"""

import logging
import os
import subprocess

from . import cache, kernel

log = logging.getLogger(__name__)

BOOT_ID = "/proc/sys/kernel/random/boot_id"
# The run that is alive reverts by itself, a moment before.
SPARE = 1
TIMER = """
sleep "$1"; cd "$2" && mv revert.nft reverting.nft 2>/dev/null || exit 0
tail -n +2 reverting.nft | "$3" -j -f - && rm -f reverting.nft && said="the rules that were not confirmed are taken back" \
  || said="the rules that were not confirmed could NOT be taken back, see $2/reverting.nft"
logger -p daemon.crit -t nodewall "$said" 2>/dev/null
"""


def _path(folder):
    return os.path.join(folder, "revert.nft")


def _boot():
    with open(BOOT_ID, encoding="ascii") as stream:
        return "# boot {}\n".format(stream.read().strip())


def arm(folder, seconds):
    """From now on the table as it is comes back after ``seconds``; returns the shell that waits."""
    cache.write(_path(folder), _boot() + kernel.dump() + "\n")
    return subprocess.Popen(  # pylint: disable=consider-using-with
        ["/bin/sh", "-c", TIMER, "nodewall-confirm", str(seconds), folder, kernel.program()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def keep(folder, timer):
    """The rules stay. False if they were taken back already."""
    kept = cache.remove(_path(folder))
    _end(timer)
    return kept


def _end(timer):
    """The shell and its sleep; it is ours, and in a group of its own."""
    try:
        os.killpg(timer.pid, 15)
    except ProcessLookupError:
        pass
    timer.wait()


def revert(folder, timer=None):
    """The table of before comes back, now."""
    with open(_path(folder), encoding="utf-8") as stream:
        stream.readline()
        script = stream.read()
    if cache.remove(_path(folder)):
        kernel.run(script, form=kernel.JSON)
    if timer:
        _end(timer)


def settle(folder):
    """What a run that died has left: rules that nobody confirmed."""
    if not os.path.lexists(_path(folder)):
        return
    with open(_path(folder), encoding="utf-8") as stream:
        stale = stream.readline() != _boot()
    if stale:
        cache.remove(_path(folder))
        return
    log.error("nodewall: the run that changed the rules ended before the master was reached; the former rules are back")
    revert(folder)
