# SPDX-License-Identifier: Apache-2.0
"""Builds the world (world.py) once per Salt release, and judges it after each test.

Everything runs with the release of the demo; THROUGHOUT, which goes once along the whole way, with one patch release on each side of
the change of framing in each line. `--salt 3007.17` or `--salt all` chooses otherwise.
A test that leaves the world broken costs the next one a new world, not its verdict.
"""
import contextlib
import pathlib
import shutil
import tempfile

import pytest
from harness import kube, netns, nodewall, saltbed, servers, venvs
from world import ANCHOR, CLUSTER, GRACE, World

THROUGHOUT = {"test_a_node_joins", "test_an_address_changes", "test_a_node_leaves", "test_fifty_at_once", "test_a_highstate_in_progress",
              "test_a_forged_event_does_nothing", "test_a_minion_cannot_speak_for_the_engine", "test_test_mode_changes_nothing",
              "test_the_master_restarts_in_the_middle", "test_the_engine_is_killed_in_the_middle"}


def pytest_generate_tests(metafunc):
    if "world" not in metafunc.fixturenames:
        return
    versions = venvs.chosen(metafunc.config.getoption("--salt")) or (
        venvs.SALT_VERSIONS if metafunc.definition.name in THROUGHOUT else [venvs.SALT_DEMO])
    metafunc.parametrize("salt_version", versions, scope="session", indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        item.has_failed = True
        if report.when == "call" and "world" in item.funcargs:
            report.sections.append(("the world", item.funcargs["world"].story()))


def build(version, undo):
    """The world of one Salt release; `undo` ends all that it is made of."""
    net = undo.enter_context(netns.Net("e2e"))
    cluster = kube.Cluster(net.attach("kube"))
    undo.callback(cluster.stop)
    cluster.start()
    cluster.create_node("anchor", [ANCHOR])
    where = net.attach("master")
    directory = undo.enter_context(short_directory())
    (directory / "clusters.d").mkdir()                      # not this machine's own
    setup = nodewall.Setup(directory / "nw", {"clusters_dir": str(directory / "clusters.d"), "clusters": {CLUSTER: {
        "kubeconfig": str(cluster.kubeconfig(directory / "prod.kubeconfig")), "removal_grace": f"{GRACE:g}s", "max_removal": "100%"}}})
    options = setup.master_options()
    reactor = shutil.copy(nodewall.REACTOR, directory / "reactor.sls")      # a copy, so that a test can take it away
    options["reactor"] = [{tag: [str(reactor)] for tag in entry} for entry in options["reactor"]]
    master = saltbed.Master(version, directory, where, config=options)
    undo.callback(master.stop)
    master.start()
    world = World(cluster, net, setup, master, version)
    undo.callback(world.close)
    return world.build()


@contextlib.contextmanager
def short_directory():
    """A temporary directory with a short name: sockets lie below it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="nwe"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Worlds:
    """The present world; one at a time, made anew when the release changes or the last test left it broken."""

    def __init__(self):
        self.world, self.undo, self.made = None, contextlib.ExitStack(), {}

    def of(self, version):
        if self.world is None or self.world.version != version:
            self.end()
            if self.made.get(version, 0) >= 5:
                pytest.fail(f"the world with Salt {version} was broken five times: no further tries")
            self.made[version] = self.made.get(version, 0) + 1
            with contextlib.ExitStack() as undo:
                self.world = build(version, undo)
                self.undo = undo.pop_all()
        return self.world

    def end(self):
        self.world = None
        self.undo.close()


@pytest.fixture(scope="session")
def worlds(namespaces):
    nodewall.binary()                           # without it there is nothing to build a world around
    for name in ("etcd", "kube-apiserver"):
        servers.path(name)
    found = Worlds()
    yield found
    found.end()


@pytest.fixture(scope="session")
def salt_version(request, salt_at):
    salt_at(request.param)
    return request.param


@pytest.fixture
def world(request, worlds, salt_version):
    present = worlds.of(salt_version)
    yield present
    try:
        assert not hasattr(request.node, "has_failed"), "the test has failed, its world is not judged"
        present.judge()
        present.reset()
    except BaseException:
        worlds.end()
        if not hasattr(request.node, "has_failed"):
            raise
