# SPDX-License-Identifier: Apache-2.0
"""What people type wrongly: it is refused whole, with a sentence that says where, and what was there goes on and keeps up to date."""
import json
import time

import yaml
from harness.process import wait_until
from world import CLUSTER, GRACE, PILLAR, PORT, SOON

# What is added to the good pillar: (a rule named `more`, words that the answer must have)
BAD_RULES = [
    ({"port": 80, "from": [{"kubernetes": "prd"}]}, ["rule more", "'prd'", "this master has: prod"]),
    ({"port": 80, "from": [{"kubernetes": "../../etc"}]}, ["rule more", "can't be a cluster's name"]),
    ({"port": 80, "from": ["203.0.113.7/24"]}, ["rule more", "203.0.113.0/24"]),
    ({"port": 80, "from": ["203.0.113.300", {"kubernets": CLUSTER}]}, ["rule more", "203.0.113.300"]),
    ({"port": 80, "from": [{"kubernets": CLUSTER}]}, ["rule more", "there is no source `kubernets`"]),
    ({"port": 66000, "from": ["203.0.113.7"]}, ["rule more", "66000", "1 to 65535"]),
    ({"port": 22, "from": ["203.0.113.7"]}, ["rule more", "ssh", "force: true"]),
    ({"ports": 80, "from": ["203.0.113.7"]}, ["rule more", "there is no key ports"]),
    ({"port": 80}, ["rule more", "`from` is missing"]),
    (["a list"], ["rule more", "not a mapping"]),
]


def test_bad_rules_are_refused_whole(world):
    """One bad rule: the state fails and names it, the firewall stays what it is, and joins are still let in."""
    world.join("a", "203.0.113.1")
    before = world.rules(world.db)
    try:
        for rule, words in BAD_RULES:
            pillar = json.loads(json.dumps(PILLAR))
            pillar["nodewall"]["rules"]["more"] = rule
            world.pillar("db", pillar)
            code, said = world.try_apply(world.db)
            assert code != 0 and all(word in said for word in words), f"{rule}: {code}, {said}"
            assert world.rules(world.db) == before, f"{rule} changed the firewall"
        world.join("b", "203.0.113.2")
    finally:
        world.pillar("db", PILLAR)
        world.apply(world.db)


def test_a_pillar_that_is_no_mapping(world):
    world.join("a", "203.0.113.1")
    before = world.rules(world.db)
    try:
        for ours in ("on", ["postgres"], {"rules": ["postgres"]}, {"rules": "all"}):
            world.pillar("db", {"nodewall": ours})
            code, said = world.try_apply(world.db)
            assert code != 0 and "mapping" in said, f"{ours}: {code}, {said}"
            assert world.rules(world.db) == before
    finally:
        world.pillar("db", PILLAR)
        world.apply(world.db)


def test_a_pillar_without_rules_takes_nothing_away(world):
    """Removing the pillar key removes nothing: nodewall.clean does."""
    world.join("a", "203.0.113.1")
    before = world.rules(world.db)
    try:
        world.pillar("db", {"something": "else"})
        world.apply(world.db)
        assert world.rules(world.db) == before
        world.join("b", "203.0.113.2")
    finally:
        world.pillar("db", PILLAR)
        world.apply(world.db)


def test_a_bad_configuration_is_refused_whole(world):
    """At a reload: the sentence says file and line, the old configuration goes on."""
    world.join("a", "203.0.113.1")
    good, pid = world.setup.config.read_text(encoding="utf-8"), world.engine_pid()
    try:
        for text, words in ((good.replace("removal_grace", "removal_grase"), ["removal_grase"]), ("clusters: [", []), ("", [])):
            mark = len(world.master.log_text())
            world.reload(text)
            wait_until(lambda mark=mark, words=words: all(word in world.master.log_text()[mark:] for word in ["nodewall.yaml", *words]), SOON,
                       f"the master's log to say what is wrong with {text[-60:]!r}:\n{world.story()}")
        assert world.engine_pid() == pid, "it went on"
        world.join("b", "203.0.113.2")
    finally:
        world.reload(good)


def test_a_reload_adds_and_takes_out(world):
    """`extra` is let in without any node; what an operator puts into `except` goes at once, without grace."""
    world.join("a", "203.0.113.1")
    world.join("b", "203.0.113.2")
    good = world.setup.config.read_text(encoding="utf-8")
    changed = yaml.safe_load(good)
    changed["clusters"][CLUSTER].update({"extra": ["203.0.113.77"], "except": ["203.0.113.2"], "removal_grace": "1h"})
    world.nodes.add_address("203.0.113.77")
    world.prober.add("203.0.113.77")
    begun = world.release("203.0.113.2")
    try:
        world.reload(yaml.safe_dump(changed))
        assert world.shut_out("203.0.113.2", begun) - begun < SOON
        wait_until(lambda: world.prober.first("203.0.113.77", "accepted", begun), SOON, "the extra address to be let in")
        assert world.events()[-1].data["reason"] == "operator"
    finally:
        world.reload(good)
        world.prober.discard("203.0.113.77")
    world.let_in("203.0.113.2", since=time.monotonic())
    world.settled(SOON + GRACE)


def test_a_second_cluster_that_cannot_be_read(world):
    """A kubeconfig that is missing, and a server that isn't there, disturb no other cluster."""
    world.join("a", "203.0.113.1")
    good = world.setup.config.read_text(encoding="utf-8")
    changed = yaml.safe_load(good)
    changed["clusters"]["lost"] = {"kubeconfig": "/nonexistent/kubeconfig"}
    changed["clusters"]["away"] = {"server": "https://127.0.0.1:9", "token_file": str(world.setup.config)}
    mark = len(world.master.log_text())
    try:
        world.reload(yaml.safe_dump(changed))
        wait_until(lambda: "/nonexistent/kubeconfig" in world.master.log_text()[mark:], SOON, "the master's log to say which file is missing")
        world.join("b", "203.0.113.2")
        left = world.leave("b")
        world.shut_out("203.0.113.2", left)
    finally:
        world.reload(good)
    assert world.nodes.connect(world.db.address, PORT, "203.0.113.1") == "accepted"
