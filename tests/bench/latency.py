# SPDX-License-Identifier: Apache-2.0
"""Rows event, burst and firewall: from the API server's answer to the bus, and to the kernel of a minion.

One node creation serves event and firewall at once, with its reference in the same round: the informer saw the very same creation, and
the reference of the firewall, an empty module asked for by an event of our own, runs half a period later, when the minion is idle again.

Zero is the moment at which the API server's answer had been read. A watcher may be told before that, so a time may be below zero.
Invariant: the prober is given an address when its event has come, and its first knock must have been dropped: what is measured is the
opening of a firewall, and knocking doesn't disturb the times on the bus.
"""
import time
from collections import namedtuple

from bench.report import Figure, percentile
from bench.stage import CALM, EVERY, LANES, PATIENCE, PING, PORT
from harness import cache
from harness.process import wait_until

PERIOD = (CALM + 0.5) / LANES
BURST = 50
GOAL_EVENT = 5.0            # ms after the informer and one fsync
GOAL_FIREWALL = 2.0         # times the empty module

Round = namedtuple("Round", "informer event fsync bus accepted nothing returned")      # seconds since zero; fsync, bus, nothing, returned by themselves


def _address(number):
    return f"203.0.{100 + number // 200}.{1 + number % 200}"


def _ping(stage, publisher, number):
    """(seconds until our own event came back to the subscriber, until the empty module ran, until its return was on the bus)."""
    mark = stage.master.bus.mark()
    begun = time.monotonic()
    publisher.fire(PING, {"number": number})

    def ours(event):
        return event.data.get("fun") == "nwbench.nothing" and isinstance(event.data.get("return"), dict) and event.data["return"].get("number") == number
    returned = stage.master.bus.wait("salt/job/*/ret/db", 15, mark, ours)
    seen = stage.master.bus.events(PING, mark)[0]
    return seen.at - begun, returned.data["return"]["at"] - begun, returned.at - begun


def _accepted(stage, address, since):
    """When db's kernel accepted a connection from this address; it must have dropped one before."""
    stage.prober.add(address)
    try:
        found = wait_until(lambda: stage.prober.first(address, "accepted"), 15, f"{address} to be let in", every=0.01)
        time.sleep(PATIENCE + 0.05)                 # a dropped knock is known as such when nobody has answered for so long
        before = [item for item in stage.prober.of(address) if item.start < found.start]
        if not before:
            raise AssertionError(f"{address} was let in at the first knock: nothing to measure")
    finally:
        stage.prober.discard(address)
    return found.start + found.took - since


def _round(stage, publisher, number):
    address, name = _address(number), f"bench{number}"
    mark = stage.master.bus.mark()
    zero = stage.create(name, address, number)
    event = stage.event(address, number, mark)
    accepted = _accepted(stage, address, zero)
    informer = stage.informer.added(name)
    bus, nothing, returned = _ping(stage, publisher, number)
    return Round(informer - zero, event - zero, stage.fsync(), bus, accepted, nothing, returned)


def spaced(stage, rounds):
    """Rounds far enough from each other that each change is a first one."""
    publisher = stage.master.publisher()
    found = []
    try:
        for number in range(-LANES, rounds):            # one round in each lane warms up, and is not counted
            due = time.monotonic() + PERIOD
            one = _round(stage, publisher, number + LANES)
            if number >= 0:
                found.append(one)
                if (number + 1) % 20 == 0:
                    cache.say(f"event, firewall: {number + 1} of {rounds} rounds")
            time.sleep(max(0.0, due - time.monotonic()))
    finally:
        publisher.close()
    return found


def burst(stage, first):
    """BURST nodes as fast as the API server takes them, into one lane: (informer, event) of each, in seconds since its own zero."""
    cache.say(f"burst: {BURST} nodes at once")
    time.sleep(CALM + 0.5)
    mark, zeros = stage.master.bus.mark(), {}
    for number in range(first, first + BURST):
        zeros[number] = stage.create(f"bench{number}", _address(number), 0)
    found = []
    for number, zero in zeros.items():
        found.append((stage.informer.added(f"bench{number}") - zero, stage.event(_address(number), 0, mark, 20) - zero))
    return found, len(stage.master.bus.events("nodewall/lane0/addresses", mark))


def _ms(values):
    return [value * 1e3 for value in values]


def event_figures(found):
    disk = percentile([one.fsync for one in found], 0.5)
    pairs = _ms(one.event - one.informer - disk for one in found)
    own = percentile(_ms(one.bus for one in found), 0.5)
    return [Figure("event", "spaced: node created -> addresses event at a subscriber", "ms", _ms(one.event for one in found),
                   "the informer's callback for the same node", _ms(one.informer for one in found), pairs=pairs, goal=GOAL_EVENT,
                   note=f"the difference is of each event and its own callback, less the median fsync ({disk * 1e3:.2f} ms). "
                        f"In it is Salt's own bus: {own:.2f} ms (p50) from writing an event to its subscriber."),
            Figure("event", "one fsync of 4 KiB where the engine's state lies", "ms", _ms(one.fsync for one in found))]


def burst_figures(found, announcements):
    return [Figure("burst", f"{BURST} at once: node created -> event that has it", "ms", _ms(event for _, event in found),
                   "the informer's callback for the same nodes", _ms(informer for informer, _ in found),
                   note=f"{announcements} announcements. No goal: sets are 200 ms apart on purpose, and after a burst of eight a second.")]


def firewall_figures(found):
    return [Figure("firewall", f"node created -> connection to port {PORT} accepted", "ms", _ms(one.accepted for one in found),
                   "event -> an empty module ran on that minion", _ms(one.nothing for one in found), "ratio", goal=GOAL_FIREWALL,
                   note=f"an acceptance is known to {EVERY * 1e3:.0f} ms. The empty module's return was on the bus after "
                        f"{percentile(_ms(one.returned for one in found), 0.5):.0f} ms (p50).")]
