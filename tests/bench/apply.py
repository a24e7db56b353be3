# SPDX-License-Identifier: Apache-2.0
"""Row apply: five thousand addresses on a minion from nothing, beside `nft -f` of the very same script alone.

The module runs in Salt's own loader, which is warm: what is timed is the call of nodewall.apply, from its rules to its answer, seen from
outside the process. The set comes from a local file root there. What Salt adds to it on a real minion (the job's way over the bus, the
minion's fork for it, pillar compiled by the master, the fetch from its file server) is a line of its own, without a goal: the same as a
job, from its publication to its return.

Invariant: a sample counts only if the kernel then has all addresses, and each apply was exactly one new generation of the ruleset,
by `nft monitor`, which is the kernel's word and not the module's.
"""
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

from bench.report import Figure, percentile
from bench.stage import Stage
from harness import cache, netns
from harness.process import Timeout, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "salt"))
from box import Box, Cluster, Worker, prod      # noqa: E402

COUNT = 5000
GOAL = 3.0


def addresses(count):
    """Half of them IPv6."""
    return [f"10.{number >> 8}.{number & 255}.7" if number % 2 else f"2001:db8:{number:x}::7" for number in range(count)]


class Generations:
    """The kernel's own count of transactions: each takes the next generation of the namespace's ruleset, whatever is in it.

    `now` makes one of its own and finds its number, so what lies between two calls is the difference less one.
    """

    def __init__(self, namespace):
        self.namespace, self._numbers, self._added, self._marks = namespace, {}, None, itertools.count()
        self.child = subprocess.Popen(["nsenter", f"--net={namespace.path}", "--", "stdbuf", "-oL", "nft", "monitor"], stdout=subprocess.PIPE,
                                      text=True, errors="replace")
        self._thread = threading.Thread(target=self._read, name="nft-monitor", daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.child.stdout:
            added = re.match(r"add table inet (bench-mark-\d+)", line)
            generation = re.match(r"# new generation (\d+)", line)
            if added:
                self._added = added[1]
            elif generation and self._added:
                self._numbers[self._added], self._added = int(generation[1]), None

    def now(self):
        """The number of a transaction made in this moment."""
        for _ in range(20):                         # the first ones may come before nft listens
            name = f"bench-mark-{next(self._marks)}"
            self.namespace.nft("add", "table", "inet", name)
            try:
                return wait_until(lambda name=name: self._numbers.get(name), 1, "nft monitor to tell of a transaction")
            except Timeout:
                continue
        raise Timeout("nft monitor tells nothing")

    def close(self):
        self.child.terminate()
        self.child.wait()
        self._thread.join(2)


def _timed(work):
    begun = time.perf_counter()
    value = work()
    return value, (time.perf_counter() - begun) * 1e3


def _transactions(box):
    """How many transactions one apply from nothing takes. Not one of those that are timed: telling of 5,000 elements costs the kernel time."""
    box.call("nodewall.clean")
    generations = Generations(box.namespace)
    try:
        before = generations.now()
        box.call("nodewall.apply", pillar={"rules": prod()})
        return generations.now() - before - 1
    finally:
        generations.close()


def _script(box, directory):
    """What nft is given for it, written down by a wrapper that stands before nft in the worker's PATH."""
    script = directory / "script"
    with box.nft_as(f'case "$*" in "-f -") cat >{script}; exec /usr/sbin/nft -f {script} ;; *) exec /usr/sbin/nft "$@" ;; esac'):
        box.call("nodewall.clean")
        box.call("nodewall.apply", pillar={"rules": prod()})
    return script


def _rounds(box, cluster, script, rounds):
    bare, whole, disk = [], [], []

    def alone():
        return subprocess.run(["/usr/sbin/nft", "-f", str(script)], check=True)

    for number in range(rounds + 1):                # the first one warms up
        box.namespace.nft("flush", "ruleset")
        taken_alone = box.namespace.inside(lambda: _timed(alone))[1]
        box.has(cluster)
        box.call("nodewall.clean")
        done, taken = _timed(lambda: box.call("nodewall.apply", pillar={"rules": prod()}))
        if done["result"] != "applied":
            raise AssertionError(f"nodewall.apply answered {done}")
        box.has(cluster)
        box.namespace.nft("flush", "ruleset")
        restored, taken_disk = _timed(lambda: box.call("nodewall.restore"))
        if restored["result"] != "applied":
            raise AssertionError(f"nodewall.restore answered {restored}")
        if number:
            bare.append(taken_alone)
            whole.append(taken)
            disk.append(taken_disk)
    return bare, whole, disk


def _jobs(version, rounds):
    """Milliseconds of nodewall.apply from nothing as a job of a real master on a real minion, from `…/new` to `…/ret` on the bus."""
    found = []
    with Stage(version, addresses(COUNT)) as stage:
        stage.only_big()
        cache.say(f"apply: as a job through Salt, {rounds} rounds")
        for number in range(rounds + 1):            # the first one warms up
            stage.db.salt.cmd("nodewall.clean")
            mark = stage.master.bus.mark()
            done = stage.db.salt.cmd("nodewall.apply")
            if done["result"] != "applied" or done["clusters"]["big"]["count"] != COUNT:
                raise AssertionError(f"nodewall.apply answered {str(done)[:500]}")
            new, ret = (stage.master.bus.wait(f"salt/job/*/{what}", 10, mark, lambda event: event.data.get("fun") == "nodewall.apply")
                        for what in ("new", "ret/db"))
            if number:
                found.append((ret.at - new.at) * 1e3)
    return found


def measure(version, rounds):
    """The figures of this row."""
    with tempfile.TemporaryDirectory(prefix="nwb") as directory, netns.Net("bench") as net:
        directory = pathlib.Path(directory)
        worker = Worker(version, net.attach("db"), directory / "worker.log")
        try:
            box = Box(worker, directory / "box")
            cluster = Cluster(addresses=addresses(COUNT))
            box.publish(cluster)
            box.pillar(prod())
            cache.say(f"apply: {COUNT} addresses, {rounds} rounds")
            script = _script(box, directory)
            bare, whole, disk = _rounds(box, cluster, script, rounds)
            made = _transactions(box)
            empty = [_timed(lambda: box.call("test.ping"))[1] for _ in range(10)]
        finally:
            worker.close()
    jobs = _jobs(version, max(5, rounds // 2))
    said = f"in it is asking the loader, {percentile(empty, 0.5):.1f} ms, and Salt's file client for the set, here from a local root."
    return [Figure("apply", f"{COUNT} addresses from nothing, nodewall.apply", "ms", whole, "nft -f of the same script", bare, "ratio", goal=GOAL, note=said),
            Figure("apply", "the same from the minion's disk, nodewall.restore", "ms", disk, "nft -f of the same script", bare, "ratio",
                   note="apply less restore is that file client, reading the set, and writing the boot cache."),
            Figure("apply", "the same as a job: publication -> return on the bus", "ms", jobs, "nft -f of the same script", bare, "ratio",
                   note="the job has Salt's part too: pillar compiled, the set fetched from the master's file server, a process forked."),
            Figure("apply", "transactions of one apply, by nft monitor", "", [made], compare="value", goal=1)]
