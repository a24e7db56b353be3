# SPDX-License-Identifier: Apache-2.0
"""Each part goes away in the middle, and what was said meanwhile arrives. The oracle is judged after each (conftest)."""
import os
import time

import pytest
from harness.process import wait_until
from world import ANCHOR, GRACE, SOON

BACK = 60.0     # until a master, its engine and its minions have found each other again; Salt's own part is most of it


@pytest.mark.parametrize("how", ["in good order", "killed"])
def test_the_master_restarts_in_the_middle(world, how):
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    if how == "killed":
        world.master.kill()
    else:
        world.master.process.stop()
    begun = time.monotonic()
    world.join("c", "203.0.113.3", wait=False)
    world.leave("b")
    world.master.start()
    world.join("d", "203.0.113.4", wait=False)
    world.let_in("203.0.113.3", "203.0.113.4", since=begun, timeout=BACK)
    world.settled(BACK)


def test_the_engine_is_killed_in_the_middle(world):
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    begun = time.monotonic()
    world.join("c", "203.0.113.3", wait=False)
    world.leave("b")
    world.kill_engine()
    world.join("d", "203.0.113.4", wait=False)
    world.let_in("203.0.113.3", "203.0.113.4", since=begun, timeout=30)
    world.settled(30)


def test_the_engine_is_killed_again_and_again(world):
    """At whatever point it dies, the generations go on upwards and nothing is lost."""
    world.join("a", "203.0.113.1")
    generations = []
    for number in range(2, 5):
        begun = time.monotonic()
        world.join(f"n{number}", f"203.0.113.{number}", wait=False)
        time.sleep(0.004 * number)                  # no waiting: a moment in which to be hit
        world.kill_engine()
        world.let_in(f"203.0.113.{number}", since=begun, timeout=30)
        generations.append(world.events()[-1].data["generation"])
    assert generations == sorted(set(generations))
    assert len({event.data["epoch"] for event in world.events()}) == 1, "the store was kept"


@pytest.mark.parametrize("how", ["in good order", "killed", "with its history gone"])
def test_the_api_server_restarts_in_the_middle(world, how):
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    if how == "with its history gone":
        world.leave("b")
        world.cluster.expire_history()              # whoever resumes its watch gets 410
    else:
        world.cluster.restart_apiserver(kill=how == "killed")
        world.leave("b")
    begun = time.monotonic()
    world.join("c", "203.0.113.3", wait=False)
    world.let_in("203.0.113.3", since=begun, timeout=BACK)
    world.settled(BACK)


@pytest.mark.timeout(200)
def test_the_right_to_read_nodes_is_taken_away(world):
    """403: what is applied stays, and it is said; when the right is back, so is what was missed."""
    world.join("a", "203.0.113.1")
    world.cluster.revoke()
    try:
        world.cluster.restart_apiserver(kill=True)      # ends the watch, which goes on without the right
        world.join("b", "203.0.113.2", wait=False)
        health = world.master.bus.wait("nodewall/prod/health", 30, world.mark, where=lambda event: event.data["state"] == "unauthorized")
        assert "403" in health.data["detail"], health.data
        assert world.kernel() == {"203.0.113.1"}
    finally:
        world.cluster.grant()
    # Without the right it asks each 30 to 60 s (the longest backoff, and its jitter); a 410 then is answered with a list at once.
    world.let_in("203.0.113.2", since=time.monotonic(), timeout=75)


def test_nodes_are_removed_while_the_engine_is_down(world):
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    world.join("c", "203.0.113.3")
    with world.engine_down():
        world.leave("b")
        world.leave("c")
        begun = time.monotonic()
        world.join("d", "203.0.113.4", wait=False)
    world.let_in("203.0.113.4", since=begun, timeout=40)
    world.settled(40)
    assert world.kernel() == {"203.0.113.1", "203.0.113.4"}


def test_a_minion_is_away_during_ten_changes(world):
    world.join("a", "203.0.113.1")
    world.db.salt.process.stop()
    for number in range(2, 7):
        world.join(f"n{number}", f"203.0.113.{number}", wait=False)
        world.master.bus.wait(f"nodewall/prod/node/n{number}/added", SOON, world.mark)
    for number in range(2, 7):
        world.leave(f"n{number}")
        world.master.bus.wait(f"nodewall/prod/node/n{number}/removed", SOON, world.mark)
    world.join("last", "203.0.113.9", wait=False)
    world.master.bus.wait("nodewall/prod/node/last/added", SOON, world.mark)
    time.sleep(GRACE + 0.2)
    assert "203.0.113.9" not in world.kernel(), "it was to be away"
    mark, begun = world.master.bus.mark(), time.monotonic()
    world.db.salt.start()
    world.let_in("203.0.113.9", since=begun, timeout=BACK)
    world.settled(BACK)
    time.sleep(1.0)                                 # nothing more is to happen
    told = world.master.bus.events("salt/job/*/ret/db", mark, where=lambda event: event.data.get("fun") == "nodewall.update")
    assert len(told) <= 1, "a minion that comes back is told once"


def test_a_lost_event_is_repaired(world):
    """The announcement becomes no job for anybody. The engine sees that db does not answer, and tells it again."""
    world.join("a", "203.0.113.1")
    mark, begun = world.master.bus.mark(), time.monotonic()
    with world.reactor_away():
        world.join("b", "203.0.113.2", wait=False)
        world.master.bus.wait("nodewall/prod/addresses", SOON, mark)
        time.sleep(1.0)
        assert "203.0.113.2" not in world.kernel() and not world.jobs(mark), "the event was to be lost"
    world.let_in("203.0.113.2", since=begun, timeout=60)
    repair = world.events(since=mark)[-1].data
    assert repair["reason"] == "repair" and repair["minions"] == ["db"], repair
    assert [job.data["minions"] for job in world.jobs(mark)] == [["db"]], "nobody else hears of it"


@pytest.mark.parametrize("how", ["delete table inet nodewall", "flush ruleset"])
def test_rules_are_flushed_by_hand(world, how):
    """Whoever takes the rules away takes the marker with them, so that what is gone shows; apply brings all of it back."""
    world.join("a", "203.0.113.1")
    rules = world.rules(world.db)
    world.db.nft(*how.split())
    world.nodes.add_address("192.0.2.66")
    # The next change comes to a kernel without our table. Whoever is let in now is let in by nobody's word, so it counts later.
    world.join("b", "203.0.113.2", wait=False)
    world.db.salt.cmd("nodewall.apply", timeout=30)  # what the schedule calls
    assert world.nodes.connect(world.db.address, 5432, "192.0.2.66") == "dropped"
    world.settled()
    world.let_in("203.0.113.2", since=time.monotonic())
    assert [line for line in world.rules(world.db).split("\n") if "dport" in line] == [line for line in rules.split("\n") if "dport" in line]


def test_the_set_alone_is_flushed_by_hand(world):
    """Members taken out by hand, marker and all: the next change finds that what it builds on isn't there, and brings the whole set."""
    world.join("a", "203.0.113.1")
    world.release("203.0.113.1", ANCHOR)
    world.db.nft("flush", "set", "inet", "nodewall", "cluster-prod-v4")
    world.db.nft("flush", "set", "inet", "nodewall", "applied")
    begun = time.monotonic()
    world.join("b", "203.0.113.2")
    world.let_in("203.0.113.1", ANCHOR, since=begun)
    world.settled()


def test_a_minion_restarts_and_its_kernel_was_emptied(world):
    """As after a boot: nothing is in the kernel, and the rules come back without anybody's doing."""
    world.join("a", "203.0.113.1")
    world.db.salt.process.stop()
    world.release("203.0.113.1")
    world.db.nft("flush", "ruleset")
    begun = time.monotonic()
    world.db.salt.start()
    wait_until(lambda: world.kernel() == {"203.0.113.1"}, BACK, "the schedule's nodewall.apply at the minion's start")
    world.nodes.add_address("192.0.2.66")
    assert world.nodes.connect(world.db.address, 5432, "192.0.2.66") == "dropped"
    world.let_in("203.0.113.1", since=begun)
