# SPDX-License-Identifier: Apache-2.0
"""What all other tests stand on: each Salt release starts in namespaces, its bus can be read and written from outside, and it comes
back. Whatever fails here would fail everywhere, less legibly."""
import contextlib

import pytest

from harness import bus, netns, process, saltbed, venvs


@pytest.fixture(params=venvs.SALT_VERSIONS, name="bed", scope="module")
def _bed(request, salt_at):
    salt_at(request.param)
    with contextlib.ExitStack() as undo:
        net = undo.enter_context(netns.Net("bed"))
        master = saltbed.Master(request.param, None, net.attach("master"))
        undo.callback(master.stop)
        master.start()
        master.minion("m", net.attach("m"))
        yield master


def test_a_minion_answers_and_runs_states(bed):
    assert bed.cmd("m", "test.version") == {"m": bed.version}
    (bed.file_root / "good.sls").write_text("a:\n  test.succeed_with_changes: []\n", encoding="ascii")
    (bed.file_root / "bad.sls").write_text("a:\n  test.fail_without_changes: []\n", encoding="ascii")
    assert bed.cmd("m", "state.apply", "good", full=True)["m"]["retcode"] == 0
    assert bed.cmd("m", "state.apply", "bad", full=True)["m"]["retcode"] != 0


def test_each_is_in_a_namespace_of_its_own(bed):
    minion = bed.minions["m"]
    assert bed.address != minion.namespace.address
    assert minion.cmd("network.ip_addrs") == [minion.namespace.address]


def test_the_bus_is_read_and_written_from_outside(bed):
    mark = bed.bus.mark()
    publisher = bed.publisher()
    try:
        for number in range(3):                 # a frame that was not understood would show in the next ones
            publisher.fire("nodewall/test/said", {"number": number, "text": "größer"})
    finally:
        publisher.close()
    for number in range(3):
        event = bed.bus.wait("nodewall/test/said", 5, mark, count=number + 1)
        assert (event.data["number"], event.data["text"]) == (number, "größer")
    assert bed.bus.framing == bus.framing_of(bed.version)[1] and bed.bus.problem is None


@pytest.mark.parametrize("kill", [False, True], ids=["in good order", "killed"])
def test_the_master_comes_back_with_its_minion(bed, kill):
    before = set(process.session_pids(bed.process.pid))
    bed.restart(kill=kill)
    assert before and not before & set(process.session_pids(bed.process.pid))
    process.wait_until(lambda: bed.cmd("m", "test.ping", timeout=5).get("m"), 40, "the minion to find its master again")
