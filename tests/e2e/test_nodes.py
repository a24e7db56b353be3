# SPDX-License-Identifier: Apache-2.0
"""What nodes do, and what db's firewall does about it. Every test ends with the oracle (conftest): the kernel's set equals the
cluster's addresses, and no address was refused while it belonged to a node."""
import time

from world import GRACE, SOON

BUSY = 3.0      # seconds: a tenth of one on an idle machine; `./dev bench` measures, this only tells "at once" from "by a repair"


def test_a_node_joins(world):
    took = world.join("a", "203.0.113.1")
    assert took < BUSY
    event = world.master.bus.wait("nodewall/prod/node/a/added", SOON, world.mark)
    assert event.data["addresses"] == ["203.0.113.1"] and event.data["uid"]
    changes = world.events()
    assert [change.data["added"] for change in changes] == [["203.0.113.1"]]
    assert changes[0].data["reason"] == "watch" and changes[0].data["count"] == 2
    assert [job.data["minions"] for job in world.jobs()] == [["db"]], "exactly the minion whose rules name the cluster is asked"


def test_both_families(world):
    world.join("a", "203.0.113.1", "2001:db8::1")
    assert world.kernel() == {"203.0.113.1", "2001:db8::1"}


def test_an_address_changes(world):
    world.join("a", "203.0.113.1")
    begun = world.move("a", "203.0.113.2")
    assert world.let_in("203.0.113.2", since=begun) - begun < BUSY
    refused = world.shut_out("203.0.113.1", begun)
    assert refused - begun >= GRACE - 0.1, "the old address stays for the grace"
    event = world.master.bus.wait("nodewall/prod/node/a/changed", SOON, world.mark)
    assert event.data["previous"] == ["203.0.113.1"] and event.data["addresses"] == ["203.0.113.2"]


def test_a_node_leaves(world):
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    left = world.leave("a")
    refused = world.shut_out("203.0.113.1", left)
    assert GRACE - 0.1 <= refused - left < GRACE + BUSY
    world.master.bus.wait("nodewall/prod/node/a/removed", SOON, world.mark)
    assert world.events()[-1].data["removed"] == ["203.0.113.1"]


def few(begun):
    """Announcements that there may be since: a burst of eight and one a second, however slow this machine is."""
    return 10 + int(time.monotonic() - begun)


def test_fifty_at_once(world):
    begun = time.monotonic()
    names = {f"n{number}": f"203.0.113.{100 + number}" for number in range(50)}
    for name, address in names.items():
        world.join(name, address, wait=False)
    world.let_in(*names.values(), since=begun, timeout=2 * SOON)
    world.settled()
    changes = world.events()
    assert 1 <= len(changes) <= few(begun), "a burst is a few announcements, not one per node"
    assert sorted(address for change in changes for address in change.data["added"]) == sorted(names.values())


def test_fifty_leave_at_once(world):
    for number in range(50):
        world.join(f"n{number}", f"203.0.113.{100 + number}", wait=False)
    world.let_in(*(f"203.0.113.{100 + number}" for number in range(50)), since=0.0, timeout=2 * SOON)
    before, begun = len(world.events()), time.monotonic()
    for number in range(49):
        world.leave(f"n{number}")
    world.settled(2 * SOON)
    assert len(world.events()) - before <= few(begun)
    assert world.kernel() == {"203.0.113.149"}


def test_same_name_new_uid_same_address(world):
    """A machine is set up anew: its Node is deleted and made again, within the grace. It is never refused."""
    world.join("a", "203.0.113.1")
    first = world.master.bus.wait("nodewall/prod/node/a/added", SOON, world.mark).data["uid"]
    mark = world.master.bus.mark()
    world.cluster.delete_node("a")
    world.cluster.create_node("a", ["203.0.113.1"])
    again = world.master.bus.wait("nodewall/prod/node/a/added", SOON, mark)
    assert again.data["uid"] != first
    outlast_grace(world)


def test_same_name_new_uid_other_address(world):
    world.join("a", "203.0.113.1")
    left = world.leave("a")
    world.join("a", "203.0.113.2")
    world.shut_out("203.0.113.1", left)


def test_an_address_is_taken_over(world):
    """A new node has the address before the old one is deleted, as clouds do it. Never refused, also when the grace is over."""
    world.join("old", "203.0.113.1")
    world.cluster.create_node("new", ["203.0.113.1"])
    world.master.bus.wait("nodewall/prod/node/new/added", SOON, world.mark)
    world.cluster.delete_node("old")
    world.has["new"] = world.has.pop("old")
    world.master.bus.wait("nodewall/prod/node/old/removed", SOON, world.mark)
    outlast_grace(world)


def test_an_address_returns_within_the_grace(world):
    world.join("a", "203.0.113.1")
    world.cluster.delete_node("a")
    world.master.bus.wait("nodewall/prod/node/a/removed", SOON, world.mark)
    world.cluster.create_node("b", ["203.0.113.1"])
    world.has["b"] = world.has.pop("a")
    outlast_grace(world)


def test_heartbeats_say_nothing(world):
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    mark = world.master.bus.mark()
    for _ in range(10):
        world.cluster.heartbeat("a")
        world.cluster.heartbeat("b")
    world.join("c", "203.0.113.3")              # what comes after them shows that they were heard
    assert [change.data["added"] for change in world.events(since=mark)] == [["203.0.113.3"]]
    assert not [event for event in world.events("node/*", mark) if "/node/c/" not in event.tag]


def test_addresses_that_are_none(world):
    """What a node says is not trusted: loopback, link-local and unspecified addresses never reach a firewall, and a NUL, which the
    API server takes, keeps nobody from being let in."""
    world.cluster.create_node("liar", [("InternalIP", "127.0.0.1"), ("InternalIP", "169.254.1.1"), ("InternalIP", "0.0.0.0"),
                                       ("InternalIP", "203.0.113.8\0x"), ("Inter\0nalIP", "203.0.113.7"), ("InternalIP", "203.0.113.9")])
    world.nodes.add_address("203.0.113.9")
    world.prober.add("203.0.113.9")
    world.let_in("203.0.113.9", since=0.0)
    assert world.kernel() == {"203.0.113.9"}
    world.cluster.delete_node("liar")
    world.release("203.0.113.9")


def outlast_grace(world):
    """Goes on knocking until well after a wrong removal would have come, seen by a change that comes after it."""
    time.sleep(GRACE + 0.5)                     # nothing is to happen: there is no event to wait for
    world.join("after", "203.0.113.99")
