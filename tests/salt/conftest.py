# SPDX-License-Identifier: Apache-2.0
"""One wire with two machines for the whole run; a Salt loader per release, started when it is first needed."""
import pytest
from box import NEWEST, Box, Worker
from harness import netns, saltbed


@pytest.fixture(scope="session")
def wire():
    netns.remove_leftovers()
    with netns.Net("salt") as net:
        yield net


@pytest.fixture(scope="session")
def machine(wire):
    """The minion's machine."""
    return wire.attach("db")


@pytest.fixture(scope="session")
def clients(wire):
    """Where connections come from."""
    return wire.attach("nodes")


@pytest.fixture(scope="session")
def workers(machine, tmp_path_factory):
    """worker(version)"""
    started, logs = {}, tmp_path_factory.mktemp("loader")

    def worker(version):
        if version not in started:
            started[version] = Worker(version, machine, logs / f"{version}.log")
        return started[version]
    yield worker
    for one in started.values():
        one.close()


@pytest.fixture
def box(workers, tmp_path):
    """A minion with the newest Salt, nothing applied."""
    return Box(workers(NEWEST), tmp_path / "box")


@pytest.fixture(params=["3006.30", "3008.5"], scope="session")
def bus_master(request, salt_at):
    """A master without minions, of one release for each framing of what subscribers get: with the length in front, and bare."""
    salt_at(request.param)
    with saltbed.Master(request.param) as one:
        yield one
