# SPDX-License-Identifier: Apache-2.0
"""Row clusters: one engine, twenty clusters, three of them broken in different ways; whether the other seventeen notice.

In turns, in the same run: the seventeen alone, and then all twenty, by a reload. What is measured is the way of one change, from the answer to
its creation to the event at a subscriber of the bus. No Salt: its part is in the rows event and firewall, and would only add its own spread.

Invariant: a change is the only one of its cluster for at least a second, so that no set waits for another.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import tempfile
import time

import yaml
from bench.report import Figure
from faults.bed import Engine
from harness import cache
from harness.fake_kube import FakeKube
from harness.misbehave import cut, status
from harness.process import wait_until
from harness.relay import Relay

GOOD, TURNS, GOAL = 17, 10, 1.2
APART = 1.05                # seconds between two changes of one cluster


class Site:
    """The engine and its servers. A context manager."""

    def __enter__(self):
        self.undo = contextlib.ExitStack()
        try:
            directory = pathlib.Path(tempfile.mkdtemp(prefix="nwc"))
            self.undo.callback(shutil.rmtree, directory, ignore_errors=True)
            self.kubes = {f"c{number:02}": self.undo.enter_context(FakeKube()) for number in range(GOOD)}
            cutting, refusing = self.undo.enter_context(FakeKube()), self.undo.enter_context(FakeKube())
            cutting.fail("any", cut(100), 100000)
            refusing.fail("any", status(401, "Unauthorized", "Unauthorized"), 100000)
            self.broken = {"cut": {"server": cutting.url}, "nobody": {"server": refusing.url}, "away": {"server": "http://127.0.0.1:9"}}
            for number, kube in enumerate(self.kubes.values()):
                kube.create_node("first", [f"192.0.2.{number + 1}"])
            relay = self.undo.enter_context(Relay(directory / "bus"))
            self.bus = relay.bus
            self.engine = self.undo.enter_context(Engine(directory / "engine", {name: {"server": kube.url} for name, kube in self.kubes.items()},
                                                         bus={"sock_dir": str(directory / "bus")}))
            for name in self.kubes:
                self.bus.wait(f"nodewall/{name}/addresses", 30)
        except BaseException:
            self.undo.close()
            raise
        return self

    def __exit__(self, *_):
        self.undo.close()

    def reload(self, with_broken):
        tree = yaml.safe_load(self.engine.config.read_text(encoding="utf-8"))
        for name, options in self.broken.items():
            tree["clusters"].pop(name, None)
            if with_broken:
                tree["clusters"][name] = options
        self.engine.config.write_text(yaml.safe_dump(tree), encoding="utf-8")
        os.kill(self.engine.process.pid, signal.SIGHUP)
        wanted = ("unreachable", "unauthorized") if with_broken else (None,)
        wait_until(lambda: all(self.engine.status(name).get("state") in wanted for name in self.broken), 20,
                   "the broken ones to be in trouble" if with_broken else "the broken ones to be gone")

    def change(self, name, number):
        """Seconds from the server's answer to the event."""
        mark, address = self.bus.mark(), f"203.0.{113 + number // 250}.{number % 250 + 1}"
        self.kubes[name].create_node(f"n{number}", [address])
        zero = time.monotonic()
        return self.bus.wait(f"nodewall/{name}/addresses", 10, mark, lambda event: address in event.data.get("added", [])).at - zero


def measure(rounds):
    """Figures; `rounds` changes with the broken ones, and as many without."""
    each = max(1, rounds // TURNS)
    alone, beside, number = [], [], 0
    with Site() as site:
        for turn in range(2 * TURNS):
            site.reload(turn % 2)
            for _ in range(each):
                begun = time.monotonic()
                took = site.change(f"c{number % GOOD:02}", number)
                (beside if turn % 2 else alone).append(took * 1e3)
                number += 1
                time.sleep(max(0.0, begun + APART / GOOD - time.monotonic()))
            cache.say(f"clusters: turn {turn + 1} of {2 * TURNS}")
    return [Figure("clusters", f"{GOOD} of 20 clusters, 3 broken: node created -> event", "ms", beside, f"the same {GOOD} alone, in turns", alone,
                   compare="ratio", goal=GOAL, note="The three: a server that cuts each answer, one that says 401, one that isn't there.")]
