# SPDX-License-Identifier: Apache-2.0
"""`nodewall who`: whose an address is and who lets it in; and what is not let in is said, on the bus, in figures and to whoever asks."""
import json
import shutil
import socket
import tempfile
import time

import pytest
from faults.bed import Engine
from faults.test_release import published, run
from harness.fake_kube import FakeKube
from harness.process import wait_until
from harness.relay import Relay

SOON = 15           # seconds; refused addresses are looked at each 5


@pytest.fixture(name="world")
def _world(tmp_path):
    """(engine, {cluster: its server}, bus) of the clusters prod and test; an address is in both."""
    sockets = tempfile.mkdtemp(prefix="nwr")        # a short name: sockets lie in it
    try:
        with FakeKube() as prod, FakeKube() as test, Relay(sockets) as relay:
            prod.create_node("a", ["203.0.113.1", "2001:db8::1"])
            prod.create_node("b", ["203.0.113.2"])
            test.create_node("c", ["203.0.113.2"])
            clusters = {"prod": {"server": prod.url, "removal_grace": "1h", "within": ["203.0.113.0/24", "2001:db8::/32"], "extra": ["198.51.100.0/24"]},
                        "test": {"server": test.url, "max_addresses_per_node": 2, "max_addresses": 2}}
            with socket.create_server(("127.0.0.1", 0)) as free:
                metrics = f"127.0.0.1:{free.getsockname()[1]}"
            with Engine(tmp_path, clusters, bus={"sock_dir": sockets}, metrics=metrics) as engine:
                engine.listens = metrics
                engine.process.wait(lambda: published(engine) and published(engine, "test"), SOON, "the sets")
                yield engine, {"prod": prod, "test": test}, relay.bus
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def who(engine, address):
    return json.loads(run(engine, "who", address, "-o", "json").stdout)["clusters"]


def test_whose_an_address_is(world):
    engine, kubes, _ = world
    index = engine.state / "minions" / "test"
    index.mkdir(mode=0o750)
    (index / "db1").touch()
    first, second = who(engine, "203.0.113.2")
    assert (first["cluster"], first["addresses"][0]["node"]) == ("prod", "b") and (second["cluster"], second["addresses"][0]["node"]) == ("test", "c")
    assert first["addresses"][0]["state"] == "in" and first["addresses"][0]["since"].startswith("20")
    assert first["minions"] == [] and wait_until(lambda: [one["id"] for one in who(engine, "203.0.113.2")[1]["minions"]] == ["db1"], SOON, "the index")
    table = run(engine, "who", "203.0.113.2").stdout
    assert [line.split()[:3] for line in table.splitlines()[1:3]] == [["prod", "203.0.113.2", "b"], ["test", "203.0.113.2", "c"]]
    assert "db1" in table and "MINION" in table
    assert [one["address"] for one in who(engine, "198.51.100.77")[0]["addresses"]] == ["198.51.100.0/24"], "a network around it"
    assert {one["address"] for one in who(engine, "203.0.113.0/24")[0]["addresses"]} == {"203.0.113.1", "203.0.113.2"}, "what lies in a network"
    assert who(engine, "2001:DB8:0::1")[0]["addresses"][0]["address"] == "2001:db8::1"
    kubes["prod"].delete_node("b")
    wait_until(lambda: who(engine, "203.0.113.2")[0]["addresses"][0]["state"] == "grace", SOON, "the grace to be told")


def test_nobody_has_it(world):
    engine, _, _ = world
    done = run(engine, "who", "192.0.2.1")
    assert done.returncode == 1 and "no cluster has it" in done.stderr and done.stdout == ""
    done = run(engine, "who", "192.0.2.1", "-o", "json")
    assert done.returncode == 1 and json.loads(done.stdout)["clusters"] == []
    assert "no address" in run(engine, "who", "db1").stderr
    engine.process.stop()
    assert "no engine is running" in run(engine, "who", "192.0.2.1").stderr


def test_since_survives_a_restart(world):
    engine, _, _ = world
    since = who(engine, "203.0.113.1")[0]["addresses"][0]["since"]
    engine.kill()
    engine.process.start()
    engine.process.wait(lambda: run(engine, "who", "203.0.113.1").returncode == 0, SOON, "the engine to answer again")
    assert who(engine, "203.0.113.1")[0]["addresses"][0]["since"] == since


def test_what_is_not_let_in_is_said(world):
    """Whatever a node writes into its own status: an event, a figure, a line for whoever asks; and no more than one event a minute."""
    engine, kubes, bus = world
    wrong = ["127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.1.1", "10.0.0.1", "fe80::1", "::1"]
    kubes["prod"].set_addresses("a", ["203.0.113.1", *wrong])
    event = bus.wait("nodewall/prod/health", SOON, where=lambda event: event.data["state"] == "refused")
    assert event.data["detail"].startswith("7 not let in: node a: 127.0.0.1 is ")
    assert published(engine) == {"203.0.113.1", "2001:db8::1", "203.0.113.2", "198.51.100.0/24"}, "2001:db8::1 is in grace"
    assert engine.metrics(engine.listens)['nodewall_addresses_refused{cluster="prod"}'] == 7
    assert "not let in on prod: node a: 127.0.0.1" in run(engine, "status").stdout
    nodes = run(engine, "nodes", "prod")
    assert "127.0.0.1" in nodes.stderr and "203.0.113.1" in nodes.stdout
    assert "0.0.0.0" in engine.log() or "refused" in engine.log()
    begun = time.monotonic()
    for number in range(2, 200):
        kubes["prod"].set_addresses("a", ["203.0.113.1", f"127.0.0.{number}"])
    # Over the bound of addresses is another word for another cluster, whose event does not wait for prod's minute.
    kubes["test"].set_addresses("c", ["203.0.113.2", "203.0.113.3", "203.0.113.4"])
    event = bus.wait("nodewall/test/health", SOON, where=lambda event: event.data["state"] == "refused")
    assert "203.0.113.4 is over max_addresses_per_node" in event.data["detail"]
    # Over the bound of the whole set: what has a place keeps it, and status says how many have none.
    kubes["test"].create_node("d", ["203.0.113.9"])
    wait_until(lambda: "1 addresses are over max_addresses" in run(engine, "status").stdout, SOON, "the address without a place to be told")
    assert engine.metrics(engine.listens)['nodewall_addresses_over_limit{cluster="test"}'] == 1
    assert published(engine, "test") == {"203.0.113.2", "203.0.113.3"}
    told = bus.events("nodewall/prod/health", where=lambda event: event.data["state"] == "refused")
    assert len(told) == 1 and time.monotonic() - begun < 60
