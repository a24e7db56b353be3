# SPDX-License-Identifier: Apache-2.0
"""Many clusters in one engine: clusters_dir without a restart, reloads that touch only what they change, and trouble that stays where it is."""
import os
import signal
import time

import pytest
import yaml
from faults.bed import Engine
from faults.test_release import published, run
from harness.fake_kube import FakeKube
from harness.misbehave import html, status

SOON = 10


class Site:
    """An engine with its clusters: those named here in nodewall.yaml, others as files in clusters_dir."""

    def __init__(self, directory, named, **top):
        self.kubes, self.undo = {}, []
        self.engine = Engine(directory, {name: {"server": self.kube(name).url} for name in named}, **top)
        self.folder = self.engine.directory / "clusters.d"

    def kube(self, name, address=None):
        """A cluster with one node; 203.0.113.x, another x for each."""
        kube = FakeKube().start()
        self.undo.append(kube.stop)
        kube.create_node(f"{name}-1", [address or f"203.0.113.{len(self.undo)}"])
        self.kubes[name] = kube
        return kube

    def file(self, name, text=None):
        """Puts NAME.kubeconfig there, as a careful person does: whole, by a rename."""
        path = self.folder / f"{name}.kubeconfig"
        beside = self.folder / f".{name}"
        if text is None:
            self.kubes[name].kubeconfig(beside)
        else:
            beside.write_text(text, encoding="utf-8")
        beside.rename(path)
        return path

    def wait(self, condition, what):
        return self.engine.process.wait(condition, SOON, what)

    def has(self, name, *more):
        """Waits until the cluster's set is that of its server."""
        self.wait(lambda: published(self.engine, name) == self.kubes[name].addresses() | set(more), f"the set of {name}")

    def state(self, name):
        return self.engine.status(name).get("state")

    def reload(self, change):
        """Changes the configuration's tree, then SIGHUP; waits until it has been judged."""
        tree = yaml.safe_load(self.engine.config.read_text(encoding="utf-8"))
        change(tree)
        self.reload_text(yaml.safe_dump(tree))

    def reload_text(self, text):
        mark = len(self.engine.log())
        self.engine.config.write_text(text, encoding="utf-8")
        os.kill(self.engine.process.pid, signal.SIGHUP)
        self.wait(lambda: "nodewall.yaml again" in self.engine.log()[mark:] or "is refused" in self.engine.log()[mark:], "the reload")

    def requests(self):
        return {name: len(kube.asked()) for name, kube in self.kubes.items()}


@pytest.fixture(name="site")
def _site(tmp_path):
    site = Site(tmp_path, ["prod", "test"])
    try:
        with site.engine:
            site.has("prod")
            site.has("test")
            yield site
            assert site.engine.process.alive(), site.engine.process.tail()
    finally:
        for undo in site.undo:
            undo()


def test_a_kubeconfig_comes_is_replaced_and_goes(site):
    edge = site.kube("edge")
    path = site.file("edge")
    site.has("edge")
    # Replaced: another server. Its addresses come at once, the other's go by the ordinary way (half a minute of grace, guard).
    other = site.kube("edge", "203.0.113.77")
    site.file("edge")
    both = {"203.0.113.77", *edge.addresses()}
    site.has("edge", *edge.addresses())
    before = site.requests()
    # Dropped: nothing goes until an operator says so.
    path.unlink()
    site.wait(lambda: site.state("edge") == "dropped", "the cluster to be dropped")
    asked = len(other.asked())
    other.create_node("edge-2", ["203.0.113.78"])
    shown = run(site.engine, "release", "edge")
    assert shown.returncode == 1 and "203.0.113.77" in shown.stdout and "not configured" in shown.stdout
    assert published(site.engine, "edge") == both and len(other.asked()) == asked
    assert run(site.engine, "release", "edge", "--yes").returncode == 0
    site.wait(lambda: published(site.engine, "edge") == set(), "the dropped addresses to go")
    assert site.engine.status("edge")["held"] == 0
    # And back again.
    site.file("edge")
    site.has("edge")
    site.wait(lambda: site.state("edge") == "synced", "the cluster to be watched again")
    assert edge is not other and site.requests()["prod"] == before["prod"], "the others were left alone"


def test_it_begins_with_nothing_but_a_directory(tmp_path):
    """No cluster at all yet: the engine waits for the first kubeconfig, and commands say so."""
    site = Site(tmp_path, [])
    try:
        with site.engine:
            site.wait(lambda: run(site.engine, "status").returncode == 1, "the engine to answer")
            assert "no cluster yet" in run(site.engine, "nodes").stderr
            site.kube("edge")
            site.file("edge")
            site.has("edge")
            site.file("Bad_Name", "x")
            assert "Bad_Name" in run(site.engine, "check", tmp_path / "no-salt").stdout
            site.folder.rename(site.folder.with_suffix(".away"))    # unmounted, perhaps: nothing is dropped for that
            site.wait(lambda: "cannot be read" in run(site.engine, "status").stdout, "the missing directory to be told")
            site.kubes["edge"].create_node("edge-2", ["203.0.113.99"])
            site.has("edge")
    finally:
        for undo in site.undo:
            undo()


def test_a_dropped_cluster_survives_a_restart(site):
    site.kube("edge")
    path = site.file("edge")
    site.has("edge")
    path.unlink()
    site.wait(lambda: site.state("edge") == "dropped", "the cluster to be dropped")
    site.engine.kill()
    site.engine.process.start()
    site.wait(lambda: site.state("edge") == "dropped", "the dropped cluster to be remembered")
    assert published(site.engine, "edge") == site.kubes["edge"].addresses()
    assert site.engine.status("edge")["held"] == 1 and run(site.engine, "status").returncode == 1
    assert run(site.engine, "release", "edge", "--yes").returncode == 0
    site.wait(lambda: published(site.engine, "edge") == set(), "the dropped addresses to go")


def test_a_dropped_cluster_that_comes_back_has_lost_nothing(site):
    site.kube("edge")
    path = site.file("edge")
    site.has("edge")
    generation = site.engine.status("edge")["generation"]
    path.unlink()
    site.wait(lambda: site.state("edge") == "dropped", "the cluster to be dropped")
    site.file("edge")
    site.wait(lambda: site.state("edge") == "synced", "the cluster to be watched again")
    assert site.engine.status("edge")["generation"] == generation and site.engine.status("edge")["held"] == 0


def test_files_that_are_no_cluster(site):
    """A name that is none, a name that is taken, a kubeconfig that is none: a sentence each, and nobody else hears of it."""
    site.kube("edge")
    site.file("edge")
    site.has("edge")
    before = site.requests()
    site.file("Bad_Name", "x")
    site.file("prod", "x")
    site.file("nonsense", "clusters: [")
    site.wait(lambda: "Bad_Name" in site.engine.log() and "prod.kubeconfig" in site.engine.log() and site.state("nonsense") == "misconfigured",
              "the three to be told")
    assert "nonsense.kubeconfig" in site.engine.status("nonsense")["detail"]
    # The old version of a file that was replaced by a bad one goes on, and says so.
    site.file("edge", "apiVersion: v1\nkind: Config\nclusters: {}\n")
    site.wait(lambda: "edge.kubeconfig" in site.engine.status("edge")["detail"], "the bad file to be told")
    site.kubes["edge"].create_node("edge-2", ["203.0.113.66"])
    site.has("edge")
    assert site.state("edge") == "synced" and site.requests() == before
    site.file("edge")                           # good again: a new connection, and the complaint is over
    site.wait(lambda: site.engine.status("edge")["detail"] == "", "the good file to be taken")
    site.has("edge")
    for name in ("Bad_Name", "prod"):
        (site.folder / f"{name}.kubeconfig").unlink()
    site.wait(lambda: "Bad_Name" not in site.engine.say("status"), "the complaints to end")


def test_a_file_that_is_written_slowly(site):
    """Half a kubeconfig is not read: it has to rest first."""
    site.kube("edge")
    text = site.kubes["edge"].kubeconfig(site.engine.directory / "whole").read_text(encoding="utf-8")
    with open(site.folder / "edge.kubeconfig", "w", encoding="utf-8") as handle:
        for start in range(0, len(text), len(text) // 8 + 1):
            handle.write(text[start:start + len(text) // 8 + 1])
            handle.flush()
            time.sleep(0.1)                     # slower than the settling is quick, and all of it quicker than the patience of 5 s
    site.has("edge")
    assert " ERROR " not in site.engine.log(), "half of it was read"


def test_a_reload_touches_only_what_it_changes(site):
    watching = site.requests()
    site.reload(lambda tree: tree["clusters"]["prod"].update({"extra": ["198.51.100.7"]}))
    site.has("prod", "198.51.100.7")
    site.reload(lambda tree: tree["clusters"]["prod"].update({"except": ["198.51.100.7"], "removal_grace": "1h", "max_removal": "10%"}))
    site.has("prod")
    assert site.requests() == watching, "words need no request"
    site.reload(lambda tree: tree["clusters"]["prod"].update({"within": ["203.0.112.0/23"]}))
    site.wait(lambda: site.requests()["prod"] > watching["prod"], "one list, for what was outside before")
    site.kubes["prod"].create_node("prod-2", ["192.0.2.1", "203.0.113.99"])
    site.wait(lambda: "203.0.113.99" in published(site.engine), "the new node")
    assert "192.0.2.1" not in published(site.engine)
    site.reload(lambda tree: tree["clusters"]["prod"].update({"within": []}))
    site.wait(lambda: "192.0.2.1" in published(site.engine), "what is within now")
    assert site.requests()["test"] == watching["test"]
    site.reload(lambda tree: tree["clusters"]["prod"].update({"within": ["203.0.113.99/32"]}))
    site.wait(lambda: published(site.engine) == {"203.0.113.99"}, "what an operator takes out to go at once, without grace or guard")


def test_a_bad_configuration_is_refused_whole(site):
    good = site.engine.config.read_text(encoding="utf-8")
    before = site.requests()
    mine = f"state_dir: {site.engine.state}\n"
    for text, words in ((good.replace("max_removal", "max_removel"), ["max_removel"]), (mine + "clusters: [", ["not YAML"]),
                        (good + "\nclusters_dir: /nonexistent\n", ["twice"]), (mine + "clusters: all\n", ["must be a mapping"])):
        site.reload_text(text)
        assert all(word in site.engine.log() for word in [*words, "nodewall.yaml:", "is refused"])
        assert [site.state(name) for name in ("prod", "test")] == ["synced", "synced"]
    site.engine.config.write_text(good, encoding="utf-8")
    assert "must be a mapping" in run(site.engine, "status").stdout
    site.kubes["prod"].create_node("prod-2", ["203.0.113.99"])
    site.has("prod")
    assert site.requests() == before


def test_a_cluster_taken_out_of_the_configuration_is_dropped_too(site):
    site.reload(lambda tree: tree["clusters"].pop("test"))
    assert site.state("test") == "dropped" and published(site.engine, "test") == site.kubes["test"].addresses()
    assert run(site.engine, "release", "test", "--yes").returncode == 0
    site.wait(lambda: published(site.engine, "test") == set(), "the dropped addresses to go")
    site.has("prod")


def test_a_store_that_cannot_be_opened_is_tried_again(site):
    store = site.engine.state / "store"
    site.engine.process.stop()
    for copy in ("test.json", "test.json.1"):
        (store / copy).unlink(missing_ok=True)
    (store / "test.json").mkdir()               # not damaged, but out of reach
    site.engine.process.start()
    site.wait(lambda: site.state("test") == "misconfigured", "the store to be missed")
    assert "its store" in site.engine.status("test")["detail"] and "tried again" in site.engine.log()
    site.kubes["prod"].create_node("prod-2", ["203.0.113.99"])
    site.has("prod")
    (store / "test.json").rmdir()
    site.kubes["test"].create_node("test-2", ["203.0.113.98"])
    site.wait(lambda: site.state("test") == "synced", "the store to be opened")
    site.has("test")


def test_broken_clusters_disturb_none(tmp_path):
    """Twenty clusters, three of them broken in different ways: the others have each change soon, and each broken one says what it has."""
    names = [f"c{number:02}" for number in range(20)]
    site = Site(tmp_path, names[:17])
    tree = yaml.safe_load(site.engine.config.read_text(encoding="utf-8"))
    web, nobody = site.kube("web"), site.kube("nobody")
    web.fail("any", html(), 1000)
    nobody.fail("any", status(401, "Unauthorized", "Unauthorized"), 1000)
    tree["clusters"].update({"web": {"server": web.url}, "nobody": {"server": nobody.url}, "away": {"server": "http://127.0.0.1:9"}})
    site.engine.config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    try:
        with site.engine:
            for name in names[:17]:
                site.has(name)
            for round_ in range(3):
                for name in names[:17]:
                    site.kubes[name].create_node(f"{name}-{round_ + 2}", [f"198.51.{100 + round_}.{names.index(name) + 1}"])
                for name in names[:17]:
                    site.has(name)
            assert site.state("nobody") == "unauthorized" and site.state("web") == site.state("away") == "unreachable"
            assert all(site.state(name) == "synced" for name in names[:17])
            assert not any(published(site.engine, name) for name in ("web", "nobody", "away"))
            assert run(site.engine, "status").returncode == 1
    finally:
        for undo in site.undo:
            undo()
