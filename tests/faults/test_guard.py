# SPDX-License-Identifier: Apache-2.0
"""The guard on a running engine: grace and holds over kill -9, lists that are short, selections, stores that are lost. The rules
themselves, under virtual time, are tests/unit/policy."""
import json
import os
import signal
import time

import pytest
import yaml
from faults.bed import Engine
from faults.test_release import published
from harness.fake_kube import FakeKube
from harness.misbehave import answer

SOON = 15
NODES = {f"n{number}": f"203.0.113.{number}" for number in range(1, 7)}
ALL = set(NODES.values())


@pytest.fixture(name="kube")
def _kube():
    with FakeKube() as kube:
        for name, address in NODES.items():
            kube.create_node(name, [address], {"pool": "web" if name in ("n1", "n2") else "db"})
        yield kube


def engine_for(kube, directory, **options):
    return Engine(directory, {"prod": {"server": kube.url, **options}})


def has(engine, addresses):
    engine.process.wait(lambda: published(engine) == addresses, SOON, f"the set to be {sorted(addresses)}")
    return time.monotonic()


def list_of(kube, names):
    """A well-formed list that has only these nodes."""
    version, nodes = kube.nodes_store.list()[:2]
    return answer(json.dumps({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)},
                              "items": [node for node in nodes if node["metadata"]["name"] in names]}))


def test_the_grace_survives_kill_9(kube, tmp_path):
    """Six seconds of grace, the engine dead in their middle: neither begun anew nor skipped."""
    with engine_for(kube, tmp_path, removal_grace="6s") as engine:
        has(engine, ALL)
        kube.delete_node("n6")
        gone = time.monotonic()
        store = engine.state / "store" / "prod.json"
        engine.process.wait(lambda: NODES["n6"] in json.loads(store.read_text(encoding="utf-8"))["store"]["policy"]["gone"], SOON, "the grace to be on disk")
        engine.kill()
        engine.process.start()
        assert has(engine, ALL - {NODES["n6"]}) - gone >= 5.9
        assert published(engine) >= ALL - {NODES["n6"]}


def test_a_short_list_is_not_believed_until_a_second_agrees(kube, tmp_path):
    """A relist that lacks half of the nodes, as a proxy in front of another server gives: the next one has them, and nothing went."""
    with engine_for(kube, tmp_path) as engine:
        has(engine, ALL)
        generation = engine.status()["generation"]
        kube.fail("list", list_of(kube, ["n1", "n2", "n3", "n4"]))
        kube.compact()
        kube.end_watches()
        kube.create_node("n7", ["203.0.113.7"])
        has(engine, ALL | {"203.0.113.7"})
        engine.process.wait(lambda: engine.status().get("lists", 0) >= 4 and engine.status()["in_grace"] == 0, SOON, "the second list")
        assert published(engine) == ALL | {"203.0.113.7"} and engine.status()["generation"] == generation + 1
        # And the same for good: two lists agree, and the grace has passed.
        for name in ("n5", "n6"):
            kube.delete_node(name)
        has(engine, (ALL | {"203.0.113.7"}) - {NODES["n5"], NODES["n6"]})


def test_another_selection_goes_at_once(kube, tmp_path):
    """An hour of grace and a strict guard: both are for what happens, not for what an operator says."""
    with engine_for(kube, tmp_path, removal_grace="1h", max_removal="10%") as engine:
        has(engine, ALL)

        def select(selector):
            tree = yaml.safe_load(engine.config.read_text(encoding="utf-8"))
            tree["clusters"]["prod"]["node_selector"] = selector
            engine.config.write_text(yaml.safe_dump(tree), encoding="utf-8")
            os.kill(engine.process.pid, signal.SIGHUP)
        select("pool=web")
        has(engine, {NODES["n1"], NODES["n2"]})
        select("pool=nowhere")              # a mistake, more likely than not: it is held as any loss is
        engine.process.wait(lambda: engine.status().get("in_grace") == 2, SOON, "the empty selection to be seen")
        select("pool!=nowhere")
        has(engine, ALL)


def test_a_store_that_is_damaged_and_one_that_is_lost(kube, tmp_path):
    """The newest copy damaged: the one before, and the set is right again. Both gone: a new epoch, from two lists that agree."""
    with engine_for(kube, tmp_path) as engine:
        has(engine, ALL)
        kube.create_node("n7", ["203.0.113.7"])
        has(engine, ALL | {"203.0.113.7"})
        engine.process.wait(lambda: engine.status().get("state") == "synced", SOON, "it to be synced")
        epoch, store = engine.status()["epoch"], engine.state / "store" / "prod.json"
        engine.kill()
        store.write_bytes(store.read_bytes()[:-20])
        engine.process.start()
        engine.process.wait(lambda: engine.status().get("state") == "synced", SOON, "it to be synced")
        has(engine, ALL | {"203.0.113.7"})
        assert engine.status()["epoch"] == epoch and "the one before is used" in engine.log() and store.with_suffix(".json.bad").exists()
        engine.kill()
        for copy in (store, store.with_suffix(".json.1")):
            copy.write_text("{}", encoding="utf-8")
        kube.fail("list", list_of(kube, ["n1"]))        # the first list of the new epoch is short
        engine.process.start()
        engine.process.wait(lambda: engine.status().get("state") == "synced" and engine.status()["generation"] > 0, SOON, "a new epoch")
        assert published(engine) == ALL | {"203.0.113.7"}, "its first set is not of one list alone"
        assert engine.status()["epoch"] != epoch and engine.status()["generation"] == 1 and "a new one is begun" in engine.log()


def test_filters_in_their_order(kube, tmp_path):
    """Refused classes, then within, then plus extra, then minus except."""
    kube.set_addresses("n1", ["127.0.0.1", "203.0.113.1", "192.0.2.1"])
    with engine_for(kube, tmp_path, within=["203.0.113.0/24", "127.0.0.0/8"], extra=["192.0.2.99", "192.0.2.1", "203.0.113.200/30"],
                    **{"except": ["203.0.113.2", "192.0.2.1", "203.0.113.201"]}) as engine:
        has(engine, ALL - {"203.0.113.2"} | {"192.0.2.99", "203.0.113.200", "203.0.113.202/31"})
