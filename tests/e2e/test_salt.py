# SPDX-License-Identifier: Apache-2.0
"""Between the bus and the kernel: who is asked, who may ask, and what happens to rules that change or states that run meanwhile."""
import json

import pytest
from harness import nodewall
from harness.process import wait_until
from world import PILLAR, PORT, SOON, WEB_PILLAR

SLOW = """
begin:
  cmd.run:
    - name: touch {flag} && sleep 4
rules:
  nodewall.applied:
    - require:
      - cmd: begin
"""


def test_a_rule_just_added_is_reached_by_the_next_event(world):
    """Its pillar in the minion's memory and the master's cache of it may be old: no refresh by hand is needed."""
    world.join("a", "203.0.113.1")
    world.pillar("web", PILLAR)
    try:
        world.apply(world.web)
        assert world.kernel(world.web) == {"203.0.113.1"}, "applied with what the cluster has"
        world.join("b", "203.0.113.2")
        wait_until(lambda: world.kernel(world.web) == {"203.0.113.1", "203.0.113.2"}, SOON, "web to have heard of it too")
        assert world.nodes.connect(world.web.address, PORT, "203.0.113.2") == "accepted"
    finally:
        world.pillar("web", WEB_PILLAR)
        world.apply(world.web)
    assert not world.kernel(world.web), "the rule is gone, and its set with it"
    world.join("c", "203.0.113.3")
    entry = world.setup.state / "minions" / "prod" / "web"
    wait_until(lambda: not entry.exists(), 30, "web, which answered not-mine, to be taken out of the index")
    mark = world.master.bus.mark()
    world.join("d", "203.0.113.4")
    assert not world.jobs(mark, "web"), "and it is not asked again"


@pytest.mark.parametrize("what", ["joins", "leaves"])
def test_a_highstate_in_progress(world, what):
    """It began before the change, its pillar is older, and its nodewall.applied comes last: the firewall changes at once and stays so."""
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    flag = world.master.base / f"flag-{what}"
    (world.master.file_root / "slow.sls").write_text(SLOW.format(flag=flag), encoding="utf-8")
    job = world.master.cmd_async("db", "state.apply", "slow")
    wait_until(flag.exists, SOON, "the highstate to be at its first state")
    if what == "joins":
        assert world.join("c", "203.0.113.3") < 3.0
    else:
        left = world.leave("b")
        assert world.shut_out("203.0.113.2", left) - left < 3.5
    assert not world.master.bus.events(f"salt/job/{job}/ret/db", world.mark), "the highstate was to be still running"
    after = world.kernel()
    done = world.master.bus.wait(f"salt/job/{job}/ret/db", 30, world.mark)
    assert done.data["retcode"] == 0, json.dumps(done.data, default=repr)[:2000]
    assert world.kernel() == after == world.wanted(), "it did not take the change back"


def forged(world, **data):
    """An announcement as the engine would make it, but by somebody else."""
    old = world.events(since=0)[-1].data
    return {**{key: value for key, value in old.items() if key != "_stamp"}, "generation": old["generation"] + 1, "added": ["198.51.100.66"],
            "removed": ["203.0.113.1"], **data}


def test_a_forged_event_does_nothing(world):
    world.join("a", "203.0.113.1")
    before, jobs = world.kernel(), len(world.jobs())
    publisher = world.master.publisher()
    try:
        for number, token in enumerate(["0" * 32, "", None, "../../../etc/passwd", 7, ["0" * 32]]):
            publisher.fire("nodewall/prod/addresses", forged(world, token=token, number=number))
        without = forged(world)
        del without["token"]
        publisher.fire("nodewall/prod/addresses", without)
        publisher.fire("nodewall/../../etc/addresses", forged(world))
        publisher.fire("nodewall/PROD/addresses", forged(world))
    finally:
        publisher.close()
    world.master.bus.wait("nodewall/PROD/addresses", SOON, world.mark)
    world.join("b", "203.0.113.2")              # the reactor goes through events in order: it has been through those
    assert len(world.jobs()) == jobs + 1, "of all of them, only the engine's own event became a job"
    assert world.kernel() == before | {"203.0.113.2"}


def test_a_minion_cannot_speak_for_the_engine(world):
    """Every accepted minion may fire any tag; it has no token."""
    world.join("a", "203.0.113.1")
    jobs = len(world.jobs())
    assert world.web.salt.cmd("event.send", "nodewall/prod/addresses", forged(world, token="f" * 32)) is True
    world.master.bus.wait("nodewall/prod/addresses", SOON, world.mark, where=lambda event: event.data.get("added") == ["198.51.100.66"]
                          or event.data.get("data", {}).get("added") == ["198.51.100.66"])
    world.join("b", "203.0.113.2")
    assert len(world.jobs()) == jobs + 1


def test_an_old_announcement_told_again_changes_nothing(world):
    """A token that was true stays true for a while: then the newest is applied, never the event's own word."""
    world.join("a", "203.0.113.1")
    old = world.events()[-1].data
    left = world.leave("a")
    world.shut_out("203.0.113.1", left)
    world.settled()
    publisher = world.master.publisher()
    try:
        publisher.fire("nodewall/prod/addresses", {key: value for key, value in old.items() if key != "_stamp"})
    finally:
        publisher.close()
    world.join("b", "203.0.113.2")
    assert world.kernel() == {"203.0.113.2"}


def test_test_mode_changes_nothing(world):
    world.join("a", "203.0.113.1")
    before = world.rules(world.db)
    pillar = json.loads(json.dumps(PILLAR))
    pillar["nodewall"]["rules"]["postgres"]["from"].append("192.0.2.77")
    world.pillar("db", pillar)
    try:
        answer = world.master.cmd("db", "state.apply", "nodewall", test=True, timeout=60)["db"]
        results = [state for state in answer.values() if state.get("__id__") or "nodewall" in state.get("name", "")]
        assert any(state["result"] is None and state["changes"] for state in results), json.dumps(answer)[:2000]
        assert world.rules(world.db) == before
    finally:
        world.pillar("db", PILLAR)
    again = world.master.cmd("db", "state.apply", "nodewall", test=True, timeout=60)["db"]
    assert all(state["result"] is True for state in again.values()), "in sync is True, never None"


def test_who_lets_an_address_in(world):
    """`nodewall who` on the master: the node, and the minion with the version that it has said."""
    world.join("a", "203.0.113.1")
    wanted = (world.version_published(), "db")

    def told():
        found = json.loads(nodewall.run("who", "-c", world.setup.config, "-o", "json", "203.0.113.1").stdout)["clusters"]
        assert [(one["node"], one["state"]) for one in found[0]["addresses"]] == [("a", "in")]
        return [(minion["generation"], minion["id"]) for minion in found[0]["minions"]] == [wanted]
    wait_until(told, SOON, f"db to have told that it has {wanted}")


def test_web_lets_in_by_address_alone(world):
    """A rule without a cluster: nobody but the address it names, whatever the cluster does."""
    world.join("a", "203.0.113.1")
    world.nodes.add_address("192.0.2.250")
    assert world.nodes.connect(world.web.address, PORT, "192.0.2.250") == "accepted"
    assert world.nodes.connect(world.web.address, PORT, "203.0.113.1") == "dropped"
