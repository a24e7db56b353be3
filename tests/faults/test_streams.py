# SPDX-License-Identifier: Apache-2.0
"""A watch that runs, and what happens to it: cut, closed again and again, in pieces, far too large, far too much, and life as it is.

Case numbers are those of ../FAULTS.md.
"""
import json
import time

import pytest
from faults.bed import bed
from harness.fake_kube import FakeKube
from harness.process import wait_until

HEARTBEATS = 10000
GROWTH = 512            # KiB that 10,000 events may leave behind: nothing, and a page or two that the C library had not touched yet


@pytest.fixture(name="lane")
def _lane(tmp_path):
    with FakeKube() as kube, bed(tmp_path, kube) as lane:
        yield lane


def rv_of(request):
    return request[2].split("resourceVersion=")[1].split("&")[0]


@pytest.mark.parametrize("after", [1, 40, 3000])
@pytest.mark.parametrize("ending", ["fin", "reset"])
def test_an_event_is_cut(lane, ending, after):
    """Case 11: what came of the event is dropped, the next watch begins where this one was, and tells it once."""
    begun, rv, generation = time.monotonic(), str(lane.kube.nodes_store.rv), lane.witness.generation()
    lane.kube.wound(ending, after)
    lane.ledger.join("a", "203.0.113.50")
    lane.settled()
    assert [(one[1], rv_of(one)) for one in lane.kube.asked(None, begun)] == [("watch", rv)]
    assert lane.witness.generation() == generation + 1


def test_events_in_small_pieces(lane):
    """Case 13, by sockets: 7 bytes a chunk, through the middle of letters of several bytes."""
    begun, lane.kube.piece = time.monotonic(), 7
    lane.ledger.join("a", "203.0.113.50", "2001:db8::50")
    lane.kube.nodes_store.change("a", lambda node: node["metadata"].setdefault("annotations", {}).update(note="é€😀" * 50))
    lane.ledger.leave("n1")
    lane.settled()
    assert not lane.kube.asked(None, begun)


def test_the_server_closes_again_and_again(lane):
    """Case 23: 25 normal ends within 8 s, and changes all the time: no list, no backoff, at most a watch each second."""
    begun, number = time.monotonic(), 0
    while time.monotonic() < begun + 8:
        number += 1
        lane.ledger.join(f"c{number}", f"198.51.100.{number}")
        if number > 3:
            lane.ledger.leave(f"c{number - 3}")
        lane.kube.end_watches()
        time.sleep(0.3)                     # the server's own time, not ours
    took = lane.settled()
    asked = lane.kube.asked(None, begun)
    assert {one[1] for one in asked} == {"watch"}, "a normal end is no reason for a list"
    assert 5 <= len(asked) <= 10, asked
    assert max(later[0] - one[0] for one, later in zip(asked, asked[1:], strict=False)) < 2, "the pauses grow"
    assert took < 3


def test_a_large_node_and_one_that_is_none(lane):
    """Case 14: a megabyte is read; a line of 20 MB is given up at 16, costs no more than that, and a list follows."""
    begun = time.monotonic()
    lane.kube.nodes_store.change("n1", lambda node: node["metadata"].setdefault("annotations", {}).update(large="x" * (1 << 20)))
    lane.ledger.join("a", "203.0.113.50")
    lane.settled()
    assert not lane.kube.asked("list", begun)
    before = lane.engine.peak()
    lane.kube.nodes_store.change("n1", lambda node: node["metadata"]["annotations"].update(large="x" * (20 << 20)))
    lane.wait(lambda: lane.kube.asked("list", begun), "a list", 20)
    assert lane.engine.peak() - before < 40 * 1024, "KiB for a line that cannot be"
    lane.kube.nodes_store.change("n1", lambda node: node["metadata"]["annotations"].pop("large"))
    lane.ledger.join("b", "203.0.113.51")
    lane.settled(30)
    wait_until(lambda: lane.engine.rss() < before + 24 * 1024, 10, "the memory to be given back, or to be bounded by a frame")


def heartbeats(kube, count):
    names = list(kube.nodes_store.by_name)
    for number in range(count):
        kube.nodes_store.change(names[number % len(names)],
                                lambda node, number=number: [one.update(lastHeartbeatTime=f"beat {number}") for one in node["status"]["conditions"]])
        if number % 500 == 499:             # the stand-in remembers a thousand events
            yield kube.nodes_store.rv


def to_say(lane):
    """How many events wait for Salt's bus, which is away here."""
    return json.loads(lane.engine.say("status", "-o", "json"))["bus"]["waiting"]


def test_ten_thousand_events_without_a_change(lane):
    """Case 21: nothing is published, nothing is said, nothing grows."""
    def run(count):
        for rv in heartbeats(lane.kube, count):
            wait_until(lambda rv=rv: lane.status()["events"] >= rv - first, 30, "the events to be read", every=0.02)

    first = lane.kube.nodes_store.rv - lane.status()["events"]
    run(1000)                               # what is allocated once
    untouched, before, begun, log = lane.untouched(), lane.engine.rss(), time.monotonic(), lane.engine.log()
    events, waiting = lane.status()["events"], to_say(lane)
    run(HEARTBEATS)
    grown = lane.engine.rss() - before
    print(f"{HEARTBEATS} events in {time.monotonic() - begun:.1f} s, memory {before} KiB and then {grown:+} KiB")
    assert lane.status()["events"] - events >= HEARTBEATS
    assert untouched() and lane.status()["publications"] == 1
    assert not lane.kube.asked(None, begun), "one watch for all of it"
    assert lane.engine.log() == log and to_say(lane) == waiting
    assert grown <= GROWTH


def test_a_node_that_lives_on(lane):
    """Case 22: leaving for long, cordoned, tainted, not ready, ready again: it lives, and keeps its addresses."""
    untouched, store = lane.untouched(), lane.kube.nodes_store
    store.change("n1", lambda node: node["metadata"].update(deletionTimestamp="2026-11-25T10:00:00Z", finalizers=["karpenter.sh/termination"]))
    for round_ in range(20):
        ready = "True" if round_ % 2 else "Unknown"
        taints = [] if round_ % 2 else [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}, {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]
        store.change("n2", lambda node, taints=taints, ready=ready: (node["spec"].update(taints=taints, unschedulable=bool(taints)),
                                                                     [one.update(status=ready) for one in node["status"]["conditions"]]))
    lane.wait(lambda: lane.status()["events"] >= 21, "the events to be read")
    assert untouched()
    lane.ledger.leave("n1")                 # only now it is gone
    lane.settled()


def test_addresses_come_late_and_in_any_order(lane):
    """Case 20: no address, a name only, then addresses: one set more. Another order, doubles, empty ones, unknown types: none."""
    generation, change = lane.witness.generation(), lane.kube.nodes_store.change
    lane.kube.create_node("late", [])
    change("late", lambda node: node["status"].update(addresses=[{"type": "Hostname", "address": "late.example"}]))
    lane.ledger.move("late", "203.0.113.60", "203.0.113.61")
    lane.settled()
    first = lane.witness.generation()
    assert first == generation + 1
    for addresses in (["203.0.113.61", "203.0.113.60"], ["203.0.113.60", "203.0.113.61", "203.0.113.60"],
                      ["203.0.113.60", "", "203.0.113.61", ("TailscaleIP", "100.64.0.1"), ("InternalDNS", "late.internal")]):
        lane.kube.set_addresses("late", addresses)
    events = lane.status()["events"]
    lane.kube.heartbeat("n1")
    lane.wait(lambda: lane.status()["events"] > events, "the events to be read")
    assert lane.witness.generation() == first


def test_an_address_goes_from_node_to_node(lane):
    """Cases 18 and 19: a new node has it before the old one is deleted; a node comes again under its name. It was never away."""
    lane.ledger.join("new", "203.0.113.1", "203.0.113.70")
    lane.settled()
    lane.ledger.leave("n1")
    lane.kube.delete_node("n2")             # and at once again, as a machine that is installed anew
    lane.kube.create_node("n2", ["203.0.113.2"])
    lane.ledger.leave("n3")
    lane.settled()
    lane.kube.end_watches("reset")
    lane.kube.delete_node("n2")
    lane.kube.create_node("n2", ["203.0.113.2"])
    lane.ledger.join("last", "203.0.113.71")
    lane.settled()
