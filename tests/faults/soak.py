#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults and churn by chance, for minutes; and at no moment a living node's address out of the published set.

Usage: ./dev soak [SECONDS] [SEED]...       300 s, and a seed that is printed; several seeds run side by side, each with its own engine

What happens is a function of the seed; when the engine asks, and what its jitter is, is not. Each run has a server (fake_kube), an
engine, a ledger and a witness. All the time nodes join, leave, move, are made anew, hand addresses over and beat; and every so often
something goes wrong: see FAULTS. Then all is well again, and what was published must become what a consistent list says.
The oracle: bed.Witness for every set that was ever published; the end; at most RATE requests a second.
"""
import collections
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

from faults.bed import bed
from harness import cache
from harness.fake_kube import FakeKube
from harness.misbehave import answer, close, cut, gone, html, stall, status, stream
from harness.process import Timeout

RATE = 1.6              # requests a second that misfortune may cost: a watch each second at most, a list now and then, its pages
CALM_AGAIN = 90         # seconds: the longest backoff is 60
SILENT = 260            # … and a watch that says nothing is given up after 180: only in runs that are longer than that

Fault = collections.namedtuple("Fault", "weight carry_out")


def _expire(soak):
    soak.kube.compact()
    soak.kube.end_watches(soak.chance.choice(["complete", "fin", "reset"]))


def _lie(soak):
    """One list, well-formed, that lacks some nodes or all of them. Never two without a true one in between: two are believed."""
    if soak.told_true >= soak.kube.counts.get("pages", 0):
        return
    soak.told_true = soak.kube.counts["pages"]
    rv, nodes = soak.kube.nodes_store.list()
    kept = soak.chance.sample(nodes, soak.chance.randrange(len(nodes))) if soak.chance.random() < 0.5 else []
    soak.kube.fail("list", answer(json.dumps({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": str(rv)}, "items": kept})))
    _expire(soak)


def _silent(soak):
    """A watch, or a list, that begins and says nothing any more: the idle limits, 180 and 75 s."""
    if soak.seconds >= SILENT and not soak.counts["silent"]:
        soak.kube.fail(soak.chance.choice(["watch", "list"]), stall())
        _expire(soak)


def refuse(verb, times, *faults):
    return lambda soak: [soak.kube.fail(verb, fault, times) for fault in faults]


def _away(soak):
    soak.kube.stop()
    soak.later(soak.chance.uniform(0.5, 8), soak.kube.start)


def _mute(soak):
    soak.kube.mute = True
    soak.later(soak.chance.uniform(1, 30), lambda: setattr(soak.kube, "mute", False))


def _kill(soak):
    soak.lane.engine.kill()
    soak.later(soak.chance.uniform(0, 3), soak.lane.engine.process.start)


def _stop_reading(soak):
    soak.lane.engine.process.child.send_signal(19)       # SIGSTOP: as a machine that is suspended
    soak.later(soak.chance.uniform(0.5, 6), lambda: soak.lane.engine.process.child.send_signal(18))


FAULTS = {
    "ends": Fault(8, lambda soak: soak.kube.end_watches()),
    "fin": Fault(5, lambda soak: soak.kube.end_watches("fin")),
    "reset": Fault(5, lambda soak: soak.kube.end_watches("reset")),
    "wound": Fault(8, lambda soak: soak.kube.wound(soak.chance.choice(["fin", "reset"]), soak.chance.choice([1, 40, 4000]))),
    "expired": Fault(6, _expire),
    "history-gone": Fault(3, lambda soak: soak.kube.compact()),
    "watch-410": Fault(3, refuse("watch", 1, status(410, "Expired", "too old"))),
    "watch-429": Fault(3, refuse("watch", 2, status(429, "TooManyRequests", "later", retry_after=1))),
    "watch-503": Fault(3, refuse("watch", 2, status(503, "ServiceUnavailable", "later"))),
    "any-500": Fault(2, refuse("any", 2, status(500, "InternalError", "etcd: no leader"))),
    "any-401": Fault(2, refuse("any", 2, status(401, "Unauthorized", "Unauthorized"))),
    "any-403": Fault(2, refuse("any", 3, status(403, "Forbidden", "forbidden"))),
    "any-html": Fault(2, refuse("any", 2, html())),
    "no-answer": Fault(3, refuse("any", 2, close())),
    "watch-cut": Fault(3, refuse("watch", 2, cut(30, reset=True))),
    "nonsense": Fault(3, refuse("watch", 1, stream('{"type":"ADDED","object":{\n'))),
    "closed-at-once": Fault(3, refuse("watch", 2, stream(""))),
    "list-cut": Fault(4, lambda soak: (soak.kube.fail("list", cut(soak.chance.randrange(20000), soak.chance.random() < 0.5)), _expire(soak))),
    "list-short": Fault(3, lambda soak: (soak.kube.fail("list", answer('{"kind":"NodeList","metadata":{"resourceVersion":"5"},"items":[', length=5000)), _expire(soak))),
    "list-410": Fault(2, lambda soak: (soak.kube.fail("list", gone(), 2), _expire(soak))),
    "list-null": Fault(2, lambda soak: (soak.kube.fail("list", answer('{"kind":"NodeList","metadata":{"resourceVersion":"5"},"items":null}')), _expire(soak))),
    "list-lies": Fault(3, _lie),
    "away": Fault(3, _away),
    "mute": Fault(3, _mute),
    "pieces": Fault(3, lambda soak: setattr(soak.kube, "piece", soak.chance.choice([None, None, 7, 1000]))),
    "killed": Fault(10, _kill),
    "suspended": Fault(3, _stop_reading),
    "silent": Fault(3, _silent),
}


class Soak:
    """One run. `run` returns what it was like, in a line; raises what was wrong."""

    def __init__(self, seed, seconds, directory, build=None):
        self.seed, self.seconds, self.directory, self.build = seed, seconds, pathlib.Path(directory), build
        self.chance, self.counts, self.due = random.Random(seed), collections.Counter(), []
        self.kube, self.lane, self.names, self.serial = None, None, [], 0
        self.told_true = 0              # pages of true lists when the last lie was laid; it goes to the next list that is asked for

    def later(self, seconds, work):
        self.due.append((time.monotonic() + seconds, work))

    def address(self):
        """One that nobody ever had."""
        self.serial += 1
        return f"10.{self.serial >> 16}.{self.serial >> 8 & 255}.{self.serial & 255}" if self.chance.random() < 0.7 else f"2001:db8::{self.serial:x}"

    def churn(self):
        ledger, what = self.lane.ledger, self.chance.random()
        name = self.chance.choice(self.names) if self.names else None
        if name is None or (what < 0.3 and len(self.names) < 40):
            self.serial += 1
            self.names.append(f"s{self.serial}")
            ledger.join(self.names[-1], *(self.address() for _ in range(self.chance.randint(1, 3))))
        elif what < 0.5:
            self.names.remove(name)
            ledger.leave(name)
        elif what < 0.65:
            kept = self.chance.sample(ledger.has[name], self.chance.randint(0, len(ledger.has[name])))
            ledger.move(name, *kept, self.address())
        elif what < 0.72:                       # another node has it first, then the old one goes
            self.serial += 1
            heir = f"s{self.serial}"
            ledger.join(heir, *ledger.has[name])
            self.names.append(heir)
            self.names.remove(name)
            ledger.leave(name)
        elif what < 0.78:                       # the order, doubles
            addresses = [*ledger.has[name], ledger.has[name][0]]
            self.chance.shuffle(addresses)
            self.kube.set_addresses(name, addresses)
        else:
            self.kube.heartbeat(name)
        self.counts["changes"] += 1

    def busy(self):
        """Nothing else goes wrong while the engine or the server is away, for each has to come back first."""
        return bool(self.due)

    def spoil(self):
        name = self.chance.choices(list(FAULTS), [fault.weight for fault in FAULTS.values()])[0]
        if self.busy() and name in ("away", "killed", "suspended", "mute"):
            return
        FAULTS[name].carry_out(self)
        self.counts["faults"] += 1
        self.counts[name] += 1

    def mend(self, everything=False):
        now = time.monotonic()
        for entry in [entry for entry in self.due if everything or entry[0] <= now]:
            self.due.remove(entry)
            entry[1]()

    def live(self):
        end, next_fault = time.monotonic() + self.seconds, time.monotonic()
        while time.monotonic() < end:
            self.mend()
            self.churn()
            if time.monotonic() >= next_fault:
                self.spoil()
                next_fault = time.monotonic() + self.chance.expovariate(1 / (3 if self.seconds < 100 else 5))
            time.sleep(self.chance.expovariate(1 / 0.08))
            if not self.busy() and not self.lane.engine.process.alive():
                raise AssertionError(f"the engine ended by itself\n{self.lane.engine.process.tail()}")

    def calm_down(self):
        self.mend(everything=True)
        with self.kube.guard:
            self.kube.faults.clear()
            self.kube.wounds.clear()
        self.kube.mute, self.kube.piece = False, None
        return self.lane.settled(SILENT if self.counts["silent"] else CALM_AGAIN)

    def run(self):
        with FakeKube(bookmark_every=5.0) as self.kube, bed(self.directory, self.kube, build=self.build) as self.lane:
            begun, asked = time.monotonic(), len(self.kube.requests)
            try:
                self.live()
            finally:
                self.mend(everything=True)          # a stopped engine cannot be ended in good order
            rate = (len(self.kube.requests) - asked) / (time.monotonic() - begun)
            took = self.calm_down()
            self.lane.witness.judge()
            assert rate <= RATE, f"{rate:.2f} requests a second"
            rss = self.lane.engine.rss()
        self._judge_log()
        return (f"seed {self.seed}: good; {self.counts['changes']} changes, {self.counts['faults']} faults, {len(self.lane.witness.seen)} sets seen, "
                f"{rate:.2f} requests a second, right {took:.1f} s after the last fault, {rss} KiB")

    def _judge_log(self):
        log = self.lane.engine.log()
        assert "Sanitizer" not in log and "runtime error" not in log and " ERROR " not in log, log[-3000:]


def soak_all(seeds, seconds, directory, build=None):
    """[(seed, line or exception)] of runs side by side."""
    found = {}

    def one(seed):
        try:
            found[seed] = Soak(seed, seconds, pathlib.Path(directory) / str(seed), build).run()
        except (AssertionError, Timeout, OSError) as error:
            found[seed] = error
        cache.say(found[seed] if isinstance(found[seed], str) else f"seed {seed}: WRONG: {found[seed]}")

    threads = [threading.Thread(target=one, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [(seed, found.get(seed, AssertionError("it broke off"))) for seed in seeds]


def main(words):
    try:
        seconds, seeds = int(words[0]) if words else 300, [int(word) for word in words[1:]]
    except ValueError:
        print(__doc__, file=sys.stderr)
        return 2
    seeds = seeds or [int.from_bytes(os.urandom(3), "big")]
    cache.say(f"{seconds} s of faults and churn; seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}")
    directory = tempfile.mkdtemp(prefix="nodewall-soak-")
    found = soak_all(seeds, seconds, directory)
    wrong = [seed for seed, what in found if not isinstance(what, str)]
    if wrong:
        cache.say(f"{len(wrong)} of {len(seeds)} wrong: what the engines wrote is below {directory}; again: ./dev soak {seconds} {' '.join(map(str, wrong))}")
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    print(f"{len(seeds)} of {len(seeds)} good: {sum(1 for _ in seeds) * seconds} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
