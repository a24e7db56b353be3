# SPDX-License-Identifier: Apache-2.0
"""`nodewall monitor` when things go wrong: masters that restart, readers that are slow or gone, terminals, users, and bytes that no master sends."""
import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import select
import socket
import struct
import subprocess
import termios
import time

import pytest
from harness import bus, nodewall, process, saltbed, venvs
from monitor import Monitor, body, pack


@pytest.fixture(name="master")
def _master(bus_master):
    return bus_master


@pytest.fixture(name="fire")
def _fire(master):
    publisher = master.publisher()
    yield publisher
    publisher.close()


@pytest.fixture(name="json_monitor")
def _json_monitor(master, fire):
    with Monitor(master, "-o", "json", "t/*") as monitor:
        yield monitor.read().hears(fire)


def connected(master):
    """A publisher; a master that has just begun opens the socket for it last."""
    def attempt():
        with contextlib.suppress(OSError):
            return master.publisher()
    return process.wait_until(attempt, 20, "the master to take events", every=0.1)


@pytest.mark.parametrize("version", ["3006.30", "3008.5"])
def test_a_restart_is_survived_and_said(salt_at, version):
    """On a master of its own: what a restart leaves behind is no other test's matter."""
    salt_at(version)
    with saltbed.Master(version) as master, Monitor(master, "-o", "json", "t/*") as monitor:
        with contextlib.closing(connected(master)) as fire:
            monitor.read().hears(fire)
        master.restart(kill=True)
        with contextlib.closing(connected(master)) as fire:
            process.wait_until(lambda: (fire.fire("t/again", {}), monitor.events("t/again"))[1], 20, "the monitor to be back", every=0.2)
        said = "".join(monitor.said)
        assert "the bus is away" in said and "the bus is back" in said
        gaps = monitor.events('"gap"')          # a master that begins may close the first connections once more
        assert gaps and all(gap["gap"] == {"events": None, "why": "the bus was away"} and set(gap) == {"time", "gap"} for gap in gaps)
        kinds = ["gap" if '"gap"' in line else line.split('"tag":"')[1].split('"')[0] for line in monitor.lines]
        assert kinds.index("t/ready") < kinds.index("gap") < kinds.index("t/again"), "the gap stands where it is"


def test_a_reader_that_goes_away_is_the_end(master, fire):
    with Monitor(master, "t/*") as monitor:
        process.wait_until(lambda: (fire.fire("t/ready", {}), select.select([monitor.child.stdout], [], [], 0)[0])[1], 10, "something to be printed", every=0.1)
        monitor.child.stdout.close()
        assert monitor.child.wait(5) == 0, "at once, without another event"
        assert monitor.child.stderr.read() == b""
        monitor.child.stdout = None


@pytest.mark.parametrize("words", [["t/*"], ["t/*", "-n", "1"]], ids=" ".join)
def test_a_full_disk_is_a_failure(master, fire, words):
    with open("/dev/full", "wb") as full, Monitor(master, *words, stdout=full) as monitor:
        process.wait_until(lambda: (fire.fire("t/ready", {}), monitor.child.poll())[1] is not None, 10, "the monitor to end", every=0.1)
        assert monitor.end() == 1 and "cannot write" in monitor.said[0] and len(monitor.said) == 1


def test_a_slow_reader_slows_nobody_and_loses_what_it_is_told(master, fire):
    """More than the queue holds, while nobody reads: the bus goes on, the oldest go, and each place where some are missing says how many."""
    with Monitor(master, "-v", "-o", "json", "t/flood", "t/ready") as monitor:
        monitor.listens()
        with Monitor(master, "t/*") as other:
            other.read().hears(fire)
            ready = len(other.lines)
            mark = master.bus.mark()
            for number in range(600):
                fire.fire("t/flood", {"n": number, "fill": "x" * 65536})
            master.bus.wait("t/flood", 30, mark, lambda event: event.data["n"] == 599)
            process.wait_until(lambda: any("dropped" in line for line in monitor.said), 10, "it to say so")
            monitor.read()
            monitor.wait('"n":599')
            assert ready
        events = [json.loads(line) for line in monitor.lines]
        shown = [event["data"]["n"] for event in events if event.get("tag") == "t/flood"]
        lost = sum(event["gap"]["events"] for event in events if "gap" in event)
        others = sum(event.get("tag") == "t/ready" for event in events)
        assert shown == sorted(shown) and lost >= 100
        assert len(shown) + lost <= 600 + 100 and len(shown) + lost + others >= 600
        place = next(index for index, event in enumerate(events) if "gap" in event)
        after = next(event["data"]["n"] for event in events[place + 1:] if "tag" in event)
        before = [event["data"]["n"] for event in events[:place] if event.get("tag") == "t/flood"]
        assert after > (before[-1] + 1 if before else 0), "the gap stands where it is"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_nobody_elses(tmp_path, closed):
    """A socket or a file must not get the number of stdout."""
    done = subprocess.run(["sh", "-c", f'exec "$0" monitor -s "$1" -t 1 {closed}', nodewall.binary(), tmp_path], check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1


def read_terminal(master_fd, until, timeout=10):
    """What a terminal gets until these bytes."""
    got, end = b"", time.monotonic() + timeout
    while until not in got and time.monotonic() < end:
        if select.select([master_fd], [], [], 0.1)[0]:
            got += os.read(master_fd, 65536)
    assert until in got, got[-500:]
    return got


def test_a_terminal_gets_colours_and_nothing_else_to_act_on(master, fire):
    ours, theirs = os.openpty()
    try:
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        flags = fcntl.fcntl(theirs, fcntl.F_GETFL)
        with Monitor(master, "-x", "tag=t/ready", stdout=theirs, env={**os.environ, "TERM": "xterm"}) as monitor, Monitor(master, "t/*") as last:
            last.read().hears(fire)
            evil = "\x1b[31mred\x07\x9b2J\u202e\r\n\x7f"
            for tag in (b"t/\x1b]0;owned\x07/\xc2\x9b", b"t/\xff\x9b\x1b[2J"):         # not every release lets the second onto the bus
                fire.send(body(tag, pack({evil: evil, "list": [evil], "bytes": b"\x1b[2J\xff"})))
            fire.fire("t/last", {"number": 1})
            got = read_terminal(ours, b'"number"')
            assert fcntl.fcntl(theirs, fcntl.F_GETFL) == flags, "the terminal is everybody's: O_NONBLOCK would be, too"
            monitor.child.terminate()
            assert monitor.child.wait(5) == 0
        rest = re.sub(rb"\x1b\[[0-9]{1,2}m", b"", got).replace(b"\r\n", b"\n").decode("utf-8")
        assert len(rest) < len(got), "there are colours"
        assert all(character == "\n" or 32 <= ord(character) < 127 for character in rest), rest
        assert "\\u001b]0;owned\\u0007" in rest
    finally:
        os.close(ours)
        os.close(theirs)


def test_no_colour_where_nobody_sees_it(master, fire):
    with Monitor(master, "-o", "pretty", "t/*", env={**os.environ, "TERM": "xterm"}) as monitor:
        monitor.read().hears(fire)
        assert not any("\x1b" in line for line in monitor.lines)


def test_as_whom_it_may_be_run(master):
    """Root or the master's user; from 3007 on the socket's group as well. Another user is told so, at once."""
    for directory in (master.base, master.directory, master.sock_dir):
        os.chmod(directory, 0o755)
    command = pathlib.Path(master.base) / "nodewall"
    command.write_bytes(pathlib.Path(nodewall.binary()).read_bytes())
    command.chmod(0o755)
    prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    done = subprocess.run([*prefix, command, "monitor", "-s", master.sock_dir, "-t", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "group" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    pub = pathlib.Path(master.pub_address)
    group = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--groups", str(pub.stat().st_gid), command, "monitor", "-s",
                            master.sock_dir, "-t", "1"], capture_output=True, text=True, check=False)
    assert group.returncode == (0 if pub.stat().st_mode & 0o060 == 0o060 else 1), group.stderr
    assert (pub.stat().st_mode & 0o060 == 0o060) == (not master.version.startswith("3006"))


def test_no_master_is_waited_for(tmp_path):
    done = nodewall.run("monitor", "-s", tmp_path, "-t", "1", check=False)
    assert done.returncode == 1 and "no such file" in done.stderr and "is salt-master running" in done.stderr


def worst_frames(rng):
    """Two hundred bodies and frames that no master sends, each with what it is."""
    good = pack({"head": {}, "body": body(b"t/x", pack({"a": [1, {"b": "c" * 20}], "f": 1.5}))})
    yield from (good[:size] for size in range(1, len(good)))
    yield from (good[:at] + bytes([good[at] ^ 0x80]) + good[at + 1:] for at in range(len(good)))
    yield from (bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200))) for _ in range(40))
    for value in (None, 1, [], "text", {}, {"body": None}, {"body": 7}, {"body": []}, {"body": b""}, {"body": b"\n\n"}, {"body": b"no end"}, {"head": {}, "other": b"x"},
                  {1: 2}, {"body": {"body": b"x"}}, {"body": "text\n\n\x80"}):
        yield pack(value)
    for packed in (b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\x91" * 100000, b"\x81" * 2000,
                   b"\x81\xc0\xc0" * 3, b"\x93\x01", b"\xa5ab", b"\xd9\xff", b"\xc7\x00\x4e", b"\xd4\x4e\xff", b"\xcb\x7f\xf0", b"\x80\x80", b"\xdd\x00\x10\x00\x00" + b"\xc0" * (1 << 20)):
        yield pack({"head": {}, "body": body(b"t/bad", packed)})
    for tag in (b"", b"\x00" * 100, b"\xff" * 3000, b"\x1b[2J" * 500, b"\n", b"t/" + b"x" * 300000):
        yield pack({"head": {}, "body": body(tag, b"\x80")})
    yield pack({"head": {}, "body": body(b"t/bomb", b"\xc6\x00\xa0\x00\x00" + b"\x01" * (10 << 20))})   # six bytes of each


def feed_one(directory, framing, frames):
    """A monitor that gets these frames, each on a connection of its own behind a good event: what it printed and said."""
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "master_event_pub.ipc"))
        listener.listen(8)
        listener.settimeout(20)
        child = subprocess.Popen([nodewall.binary(), "monitor", "-o", "json", "-n", str(len(frames)), "-s", directory, "t/good/*"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            for number, bad in enumerate(frames):
                connection, _ = listener.accept()
                with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(struct.pack(">I", len(bad)) + bad if framing == "len32" else bad)
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(bus.encode(f"t/good/{number}", {}, framing))
            out, said = child.communicate(timeout=30)
        finally:
            child.kill()
            child.wait()
    return child.returncode, out.decode(), said.decode()


@pytest.mark.parametrize("framing", ["bare", "len32"])
def test_the_worst_frames_cannot_hurt_it(tmp_path, framing):
    """Nothing ends it, what is no event is counted on stderr, and the next good event arrives. Sixteen at once, for each reconnection takes a moment."""
    frames = list(worst_frames(random.Random(5)))
    assert len(frames) >= 190
    parts = [frames[first::16] for first in range(16)]
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
        done = list(pool.map(feed_one, [tmp_path / str(index) for index in range(len(parts))], [framing] * len(parts), parts))
    for part, (code, out, said) in zip(parts, done):
        assert code == 0, said[-2000:]
        tags = [json.loads(line).get("tag") for line in out.splitlines()]
        assert [tag for tag in tags if tag] == [f"t/good/{number}" for number in range(len(part))]
    assert any("were no events" in said for _, _, said in done)


def test_where_the_bus_is_stands_in_the_configuration(salt_at, tmp_path):
    """Over TCP, by the configuration alone; a directory in it, and -s before it."""
    version = venvs.SALT_VERSIONS[-1]
    salt_at(version)
    config = tmp_path / "nodewall.yaml"
    clusters = "clusters: {prod: {server: 'http://127.0.0.1:9'}}\n"
    config.write_text(f"{clusters}bus: {{sock_dir: {tmp_path}/nowhere}}\n", encoding="utf-8")
    done = nodewall.run("monitor", "-c", config, "-t", "1", check=False)
    assert done.returncode == 1 and f"{tmp_path}/nowhere" in done.stderr
    with saltbed.Master(version, ipc_mode="tcp") as master, contextlib.closing(master.publisher()) as fire, Monitor(master, "-c", config, "-o", "json") as by_port:
        by_port.read().hears(fire)
        assert json.loads(by_port.lines[0])["tag"]
        config.write_text(f"{clusters}bus: {{ipc_mode: tcp, pub_port: {master.pub_address[1]}, pull_port: {master.pull_address[1]}}}\n", encoding="utf-8")
        again = subprocess.Popen([nodewall.binary(), "monitor", "-c", config, "-n", "1", "-q", "-t", "20"], stdin=subprocess.DEVNULL)
        process.wait_until(lambda: (fire.fire("t/ready", {}), again.poll())[1] is not None, 20, "the monitor to hear it", every=0.1)
        assert again.returncode == 0
