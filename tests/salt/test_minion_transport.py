# SPDX-License-Identifier: Apache-2.0
"""transport: minion against real masters: nothing of the engine's is on the master's machine but its public key.

One master per release, on loopback; by default one release of each line, with `--salt all` one on each side of every change.
"""
import contextlib
import json
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import tempfile

import pytest
import yaml
from box import NEWEST, VERSIONS
from harness import nodewall, process, saltbed, venvs
from harness.fake_kube import FakeKube

ID = "engine-prod"
SOON = 60           # a master that has just started has workers after some seconds


def pytest_generate_tests(metafunc):
    if "bed" in metafunc.fixturenames:
        chosen = venvs.chosen(metafunc.config.getoption("--salt"))
        everywhere = metafunc.definition.name in ("test_from_a_new_key_to_an_event", "test_only_the_pinned_master_will_do")
        metafunc.parametrize("bed", chosen or (VERSIONS if everywhere else [NEWEST]), indirect=True, scope="module")


class Remote:
    """An engine's machine: a configuration and a state directory, and nothing of Salt."""

    def __init__(self, directory, port, **bus):
        self.directory, self.state = pathlib.Path(directory), pathlib.Path(directory) / "state"
        self.state.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.pki, self.config = self.state / "pki", self.directory / "nodewall.yaml"
        self.kube = "http://127.0.0.1:9"
        self.bus = {"transport": "minion", "master": f"127.0.0.1:{port}", "id": ID, "trust_first_use": True, **bus}
        self.write()

    def write(self, **bus):
        """Writes nodewall.yaml with these changes of `bus`; None takes a key out."""
        self.bus = {key: value for key, value in {**self.bus, **bus}.items() if value is not None}
        self.config.write_text(yaml.safe_dump({"state_dir": str(self.state), "clusters_dir": str(self.directory), "bus": self.bus,
                                               "clusters": {"prod": {"server": self.kube}}}), encoding="utf-8")

    def fire(self, tag, data=None, seconds=5):
        return nodewall.run("fire", "-c", self.config, "-t", seconds, tag, json.dumps(data or {}), check=False, timeout=seconds + 10)

    def refused(self, *words):
        """Fires what must not get through, and is told why with these words; a slow machine gets more time."""
        for seconds in (1, 3, 9):
            done = self.fire("my/refused", seconds=seconds)
            if all(word in done.stderr for word in words):
                break
        assert done.returncode == 1 and all(word in done.stderr for word in words), done.stderr
        return done.stderr

    @contextlib.contextmanager
    def running(self, *words):
        """The program, until the block ends; its standard error is in the file `log`."""
        with open(self.directory / "log", "ab") as log:
            child = subprocess.Popen([nodewall.binary(), *map(str, words), "-c", str(self.config)], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield child
        finally:
            child.terminate()
            child.communicate(timeout=20)

    def log(self):
        return (self.directory / "log").read_text(encoding="utf-8")


class Bed:
    """A master, and who may publish there."""

    def __init__(self, version, directory):
        self.directory, self.version = pathlib.Path(directory), version
        self.master = saltbed.Master(version, config={"publish_session": 86400})
        self.n = 0

    def remote(self, accepted=True, **bus):
        """A new machine; with `accepted` it has the key that the master took from the first one."""
        self.n += 1
        remote = Remote(self.directory / f"r{self.n}", self.master.ret_port, **bus)
        if accepted:
            shutil.copytree(self.directory / "keys", remote.pki)
            self.master.accept(ID, remote.pki / "minion.pub")
        return remote

    def keys(self, kind):
        return self.master.directory / "p" / kind / ID

    def finger(self):
        """As `salt-key -F master` shows it."""
        done = subprocess.run([self.master.venv / "bin" / "python", self.master.venv / "bin" / "salt-key", "-c", self.master.confdir, "-F", "master"],
                              capture_output=True, text=True, check=True)
        return re.search(r"master\.pub:\s+([0-9a-f:]{95})", done.stdout)[1]


@pytest.fixture(scope="module")
def bed(request, tmp_path_factory):
    found = Bed(request.param, tmp_path_factory.mktemp("bed"))
    saltbed.make_keys(found.directory / "keys", "minion")
    with found.master:
        yield found


def test_from_a_new_key_to_an_event(bed):
    remote = bed.remote(accepted=False)
    mark = bed.master.bus.mark()
    with remote.running("fire", "-t", SOON, "my/tag", '{"a": [1, "\u20ac", null], "b": {"c": 0.5}}') as child:
        process.wait_until(lambda: bed.keys("minions_pre").exists() or child.poll() is not None, SOON, "the key to be there")
        assert child.poll() is None and not bed.master.bus.events("my/tag", mark), remote.log()
        bed.keys("minions_pre").rename(bed.keys("minions"))         # what salt-key -a does, without its seconds
        assert child.wait(SOON) == 0, remote.log()
    event = bed.master.bus.wait("my/tag", 5, mark)
    assert {key: event.data[key] for key in ("a", "b")} == {"a": [1, "\u20ac", None], "b": {"c": 0.5}}
    assert set(event.data) == {"a", "b", "_stamp", "event_id"}, "the same as an event that was fired on the master"
    assert stat.S_IMODE((remote.pki / "minion.pem").stat().st_mode) == 0o400
    assert remote.fire("my/tag", {"again": 1}).returncode == 0, "and now with the key that the first use pinned"
    bed.master.bus.wait("my/tag", 5, mark, lambda event: event.data.get("again") == 1)


def test_only_the_pinned_master_will_do(bed):
    mark = bed.master.bus.mark()
    for hash_name in ("sha1", "sha224"):
        remote = bed.remote(trust_first_use=None, master_finger=bed.finger(), hash=hash_name)
        assert remote.fire("my/finger", {"hash": hash_name}, SOON).returncode == 0
    remote.write(master_finger=None, master_key=str(bed.master.directory / "p" / "master.pub"))
    assert remote.fire("my/finger").returncode == 0
    bed.master.bus.wait("my/finger", 5, mark, count=3)      # the answer may come before the event does
    mark = bed.master.bus.mark()
    for wrong in ({"master_finger": ":".join(["aa"] * 32)}, {"master_key": str(remote.pki / "minion.pub")}):
        remote.write(**{"master_key": None, "master_finger": None, **wrong})
        remote.refused("not the master that is pinned", bed.finger())
    assert not bed.master.bus.events("my/refused", mark)


def test_first_use_is_the_only_one(bed):
    remote = bed.remote()
    assert remote.fire("my/first", seconds=SOON).returncode == 0
    [pinned] = (remote.pki / "masters").iterdir()
    shutil.copy(remote.pki / "minion.pub", pinned)          # as if that had been another master
    remote.refused("not the master that is pinned")


def test_a_key_that_is_rejected_or_deleted_or_not_ours_alone(bed):
    remote = bed.remote()
    assert remote.fire("my/key", seconds=SOON).returncode == 0
    bed.master.wheel("key.delete", match=ID)
    said = remote.refused("not accepted yet", f"salt-key -a {ID}")
    assert bed.master.wheel("key.finger", match=ID)["minions_pre"][ID] in said, "what salt-key -f shows"
    bed.master.wheel("key.reject", match=ID)
    remote.refused("rejected")
    bed.master.wheel("key.delete", match=ID)
    (remote.pki / "minion.pem").chmod(0o440)
    remote.refused("minion.pem", "0400")
    assert not bed.master.bus.events("my/refused")


def test_the_first_master_that_answers(bed):
    with socket.socket() as deaf, socket.socket() as closed:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        closed.bind(("127.0.0.1", 0))
        gone = f"127.0.0.1:{closed.getsockname()[1]}"
        remote = bed.remote(master=[gone, f"localhost:{deaf.getsockname()[1]}", f"localhost:{bed.master.ret_port}"])
        mark = bed.master.bus.mark()
        assert remote.fire("my/third", seconds=SOON).returncode == 0
        bed.master.bus.wait("my/third", 5, mark)
        remote.write(master=[gone])
        remote.refused(gone, "nobody takes the connection")


def test_check_goes_the_same_way(bed):
    with FakeKube() as kube:
        remote = bed.remote()
        remote.kube = kube.url
        remote.write()
        found = {item["what"]: item for item in json.loads(nodewall.run("check", "-c", remote.config, "-o", "json", check=False).stdout)}
        assert found["Salt's bus"]["verdict"] == "ok" and ID in found["Salt's bus"]["text"]
        assert "Salt's snippet" not in found, "it is on the master's machine"


def test_an_engine_through_a_restart_and_new_keys(bed):
    """What happens while the master is away, and after each of its keys was replaced, arrives, and once; killed -9 or not."""
    with FakeKube() as kube, contextlib.ExitStack() as undo:
        kube.create_node("a", ["203.0.113.1"])
        remote = bed.remote()
        remote.kube = kube.url
        remote.write()
        bus, mark = bed.master.bus, bed.master.bus.mark()
        child = undo.enter_context(remote.running("run"))
        first = bus.wait("nodewall/prod/addresses", SOON, mark).data
        assert (first["count"], first["generation"]) == (1, 1)
        bed.master._drop_client()
        bed.master.process.stop()
        kube.create_node("b", ["203.0.113.2"])
        status = process.wait_until(lambda: away(remote), 10, "the engine to see that the master is away")
        assert status["bus"]["transport"] == "minion" and "127.0.0.1" in status["bus"]["detail"]
        process.wait_until(lambda: "generation 2" in remote.log(), 10, "the change to be on disk")
        child.kill()                                        # what it had to say is said by the next one
        child.wait()
        child = undo.enter_context(remote.running("run"))
        for path in (bed.master.directory / "k" / "sessions").iterdir():
            path.unlink()                                   # a new session's key, besides the new aes of each start
        bed.master.start()
        second = bus.wait("nodewall/prod/addresses", SOON, mark, lambda event: event.data["count"] == 2).data
        assert (second["generation"], second["epoch"]) == (2, first["epoch"])
        bed.master.wheel("key.delete", match=ID)            # "bad load", sign in again, pending
        kube.create_node("c", ["203.0.113.3"])
        process.wait_until(lambda: "not accepted yet" in remote.log(), SOON, "the engine to say that it waits")
        bed.master.wheel("key.accept", match=ID)
        bus.wait("nodewall/prod/addresses", SOON, mark, lambda event: event.data["count"] == 3)
        bus.wait("nodewall/prod/node/c/added", SOON, mark)
        assert child.poll() is None
        kept = [event.data["event_id"] for event in bus.events("nodewall/prod/*", mark)]
        assert len(kept) == len(set(kept)), "nothing came twice"
        done = nodewall.run("status", "-c", remote.config, check=False)
        assert done.returncode == 0 and "connected" in done.stdout and "not to be seen from here" in done.stdout
        assert remote.log().count("not accepted yet") == 1, "waiting is said once"
        assert "libzmq" in pathlib.Path(f"/proc/{child.pid}/maps").read_text(encoding="ascii")
        assert not re.search(r"pickle|BEGIN", remote.log())


def away(remote):
    done = nodewall.run("status", "-c", remote.config, "-o", "json", check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else {"bus": {"state": ""}}
    return found if found["bus"]["state"] == "waiting" else None
