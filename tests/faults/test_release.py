# SPDX-License-Identifier: Apache-2.0
"""`nodewall release`: what is held is shown, and with consent exactly that goes; anything else that asks is not followed."""
import contextlib
import json
import os
import pty
import shutil
import subprocess
import tempfile
import time

import pytest
from faults.bed import Engine
from harness import nodewall
from harness.fake_kube import FakeKube
from harness.process import wait_until
from harness.relay import Relay

SOON = 10
NODES = {f"n{number}": f"203.0.113.{number}" for number in range(1, 6)}
GONE = ("n2", "n3", "n4", "n5")


def published(engine, cluster="prod"):
    path = engine.state / "files" / "nodewall" / f"{cluster}.json"
    return {address for address, _ in json.loads(path.read_text(encoding="utf-8"))["addresses"]} if path.exists() else None


def run(engine, *words):
    return nodewall.run(words[0], "-c", engine.config, *words[1:], check=False)


def held(engine):
    return json.loads(run(engine, "release", "prod", "-o", "json").stdout)


@pytest.fixture(name="world")
def _world(tmp_path):
    """(engine, cluster, bus): four of five nodes are gone, and their addresses are held."""
    sockets = tempfile.mkdtemp(prefix="nwr")        # a short name: sockets lie in it
    try:
        with FakeKube() as kube, Relay(sockets) as relay:
            for name, address in NODES.items():
                kube.create_node(name, [address])
            with Engine(tmp_path, {"prod": {"server": kube.url, "max_removal": "50%"}}, bus={"sock_dir": sockets}) as engine:
                engine.process.wait(lambda: published(engine) == set(NODES.values()), SOON, "the set")
                for name in GONE:
                    kube.delete_node(name)
                engine.process.wait(lambda: engine.status().get("held") == 4, SOON, "the loss to be held")
                yield engine, kube, relay.bus
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def ask(engine, digest, name="prod.release", mode=0o640, age=0, text=None):
    """A request as the command writes it, or not quite."""
    path = engine.state / "requests" / name
    beside = path.with_suffix(".new")
    beside.write_text(text or json.dumps({"v": 1, "id": "0123456789abcdef", "digest": digest}), encoding="utf-8")
    beside.chmod(mode)
    os.utime(beside, (time.time() - age,) * 2)
    beside.rename(path)
    wait_until(lambda: not path.exists(), SOON, "the request to be taken away")


def test_without_consent_it_shows_and_nothing_goes(world):
    engine, _, bus = world
    done = run(engine, "release", "prod")
    assert done.returncode == 1 and "--yes" in done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0][:2] == ["ADDRESS", "NODE"] and [tuple(row[:2]) for row in rows[1:]] == [(NODES[name], name) for name in GONE]
    assert all("max_removal" in line for line in done.stdout.splitlines()[1:])
    assert published(engine) == set(NODES.values())
    assert run(engine, "status").returncode == 1 and "nodewall release" in run(engine, "status").stdout
    event = bus.wait("nodewall/prod/health", SOON, where=lambda event: event.data["state"] == "held")
    assert "nodewall release" in event.data["detail"]


def test_with_consent_exactly_that_goes(world):
    engine, _, bus = world
    done = run(engine, "release", "prod", "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert {one["address"] for one in shown["held"]} == {NODES[name] for name in GONE} and shown["count"] == 4
    assert all(one["node"] in GONE and one["since"].endswith("Z") for one in shown["held"])
    wait_until(lambda: published(engine) == {NODES["n1"]}, SOON, "the released addresses to go")
    event = bus.wait("nodewall/prod/health", SOON, where=lambda event: event.data["state"] == "released")
    assert event.data["detail"] == "an operator let 4 addresses go"
    assert bus.wait("nodewall/prod/addresses", SOON, where=lambda event: event.data["reason"] == "operator").data["count"] == 1
    wait_until(lambda: engine.status()["state"] == "synced", SOON, "the cluster to be well again")
    again = run(engine, "release", "prod", "--yes")
    assert again.returncode == 0 and "nothing is held" in again.stderr and again.stdout == ""
    assert list((engine.state / "requests").iterdir()) == []


def at_the_prompt(engine, *, between, word):
    """Runs the command on a terminal, does `between` when it asks, types `word`: (exit code, all that it said)."""
    main, end = pty.openpty()
    with subprocess.Popen([nodewall.binary(), "release", "-c", str(engine.config), "prod"], stdin=end, stdout=end, stderr=end) as child:
        os.close(end)
        said = ""
        while "[y/N]" not in said:
            said += os.read(main, 4096).decode()
        between()
        os.write(main, word)
        with contextlib.suppress(OSError):      # a terminal without a program gives EIO
            while piece := os.read(main, 4096).decode():
                said += piece
        code = child.wait(SOON)
    os.close(main)
    return code, said


def test_on_a_terminal_it_asks(world):
    engine, _, _ = world
    code, said = at_the_prompt(engine, between=lambda: None, word=b"\n")
    assert code == 1 and "nothing was released" in said and published(engine) == set(NODES.values())
    code, said = at_the_prompt(engine, between=lambda: None, word=b"y\n")
    assert code == 0, said
    wait_until(lambda: published(engine) == {NODES["n1"]}, SOON, "the released addresses to go")


def test_what_changed_since_it_was_shown_is_shown_again(world):
    """A node comes back while the operator reads: he consented to something else."""
    engine, kube, _ = world

    def come_back():
        kube.create_node("n5", [NODES["n5"]])
        wait_until(lambda: engine.status()["held"] == 3, SOON, "the node to be back")
    code, said = at_the_prompt(engine, between=come_back, word=b"y\n")
    assert code == 1 and "changed" in said
    assert NODES["n5"] not in said.split("Now it is:")[1] and NODES["n4"] in said.split("Now it is:")[1]
    assert published(engine) == set(NODES.values())


def test_a_request_that_is_none_is_not_followed(world):
    engine, _, _ = world
    digest = held(engine)["digest"]
    ask(engine, digest, mode=0o666)             # anybody may have written it
    ask(engine, digest, age=120)                # whoever asked waits no more
    ask(engine, digest, age=-3600)
    ask(engine, "0" * 64)                       # not what is held
    ask(engine, digest, text="{")
    ask(engine, digest, text=json.dumps({"v": 1, "id": "../../../etc", "digest": digest}))
    ask(engine, digest, text=" " * 5000)
    ask(engine, digest, name="other.release")
    (engine.state / "requests" / "link").symlink_to(engine.config)
    (engine.state / "requests" / "link").rename(engine.state / "requests" / "prod.release")
    wait_until(lambda: not os.path.lexists(engine.state / "requests" / "prod.release"), SOON, "the link to be taken away")
    assert published(engine) == set(NODES.values()) and engine.status()["held"] == 4
    assert engine.config.exists()
    ask(engine, digest)                         # and this is one
    wait_until(lambda: published(engine) == {NODES["n1"]}, SOON, "the released addresses to go")


def test_a_hold_and_its_release_after_a_crash(world):
    """Held before kill -9, held after it, and released then; a request from the time between is followed once the list is there."""
    engine, _, _ = world
    digest = held(engine)["digest"]
    engine.kill()
    (engine.state / "requests" / "prod.release").write_text(json.dumps({"v": 1, "id": "0123456789abcdef", "digest": digest}), encoding="utf-8")
    engine.process.start()
    wait_until(lambda: published(engine) == {NODES["n1"]}, SOON, "the released addresses to go")


def test_the_command_says_what_is_wrong(world):
    engine, _, _ = world
    assert "no cluster 'lost'" in run(engine, "release", "lost", "--yes").stderr
    assert run(engine, "release", "../prod", "--yes").returncode == 1
    assert run(engine, "release").returncode == 2
    engine.process.stop()
    done = run(engine, "release", "prod", "--yes")
    assert done.returncode == 1 and "no engine is running" in done.stderr
