# SPDX-License-Identifier: Apache-2.0
"""`nodewall monitor` on the buses of real masters: what it shows beside what Salt's own tool shows, and what it does when things go wrong."""
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import select
import struct
import subprocess
import termios
import threading
import time

import msgpack
import pytest
from harness import nodewall, process, saltbed

# One release for each of the two framings of what subscribers get: with the length in front, and bare.
VERSIONS = ["3006.30", "3008.5"]


@pytest.fixture(params=VERSIONS, name="master", scope="module")
def _master(request, salt_at):
    salt_at(request.param)
    with saltbed.Master(request.param) as master:
        yield master


@pytest.fixture(name="fire")
def _fire(master):
    publisher = master.publisher()
    yield publisher
    publisher.close()


class Monitor:
    """A running one; its lines as they come. Ends it at the end."""

    def __init__(self, master, *words, stdout=subprocess.PIPE, prefix=(), env=None):
        where = master.sock_dir if master.ipc_mode == "ipc" else master.pub_address[1]
        self.lines, self.said = [], []
        self.child = subprocess.Popen([*prefix, nodewall.binary(), "monitor", "-s", str(where), *map(str, words)], stdin=subprocess.DEVNULL, stdout=stdout,
                                      stderr=subprocess.PIPE, env=env)
        self._threads = [self._reader(self.child.stderr, self.said)]

    def _reader(self, pipe, to):
        def read():
            for line in pipe:
                to.append(line.decode("utf-8"))
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def read(self):
        """Begins to read what it prints."""
        self._threads.append(self._reader(self.child.stdout, self.lines))
        return self

    def listens(self):
        """Returns when it says that it listens (with -v)."""
        process.wait_until(lambda: any("listening" in line for line in self.said), 10, "the monitor to listen")
        return self

    def hears(self, fire):
        """Returns when it shows what is fired."""
        def heard():
            fire.fire("t/ready", {})
            return self.lines
        process.wait_until(heard, 10, "the monitor to hear the bus", every=0.1)
        return self

    def wait(self, text, count=1):
        process.wait_until(lambda: sum(text in line for line in list(self.lines)) >= count, 15, f"{count} lines with {text}")
        return [line for line in self.lines if text in line]

    def events(self, text):
        return [json.loads(line) for line in self.lines if text in line]

    def end(self, timeout=10):
        """Its exit code, when it ends by itself."""
        code = self.child.wait(timeout)
        for thread in self._threads:
            thread.join(5)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdout, self.child.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture(name="json_monitor")
def _json_monitor(master, fire):
    with Monitor(master, "-o", "json", "t/*") as monitor:
        yield monitor.read().hears(fire)


def body(tag, packed):
    return tag + b"\n\n" + packed


def pack(data):
    return msgpack.packb(data, use_bin_type=True)


# --- what it shows ---

def anything(rng, depth=0):
    """Some value; all that Python's JSON can print without losing what it was."""
    kinds = ["int", "float", "text", "word", "bytes"] + (["list", "map"] if depth < 5 else [])
    kind = rng.choice(kinds)
    if kind == "int":
        return rng.choice([0, -1, 127, -33, 2**31, 2**63 - 1, -2**63, 2**64 - 1, rng.randrange(10**15)])
    if kind == "float":
        return rng.choice([0.0, -0.0, 1e16, 1e-5, 0.1, 1.7976931348623157e308, 5e-324, rng.random(), rng.uniform(-1e20, 1e20), float(rng.randrange(10**17))])
    if kind == "word":
        return rng.choice([None, True, False])
    if kind == "list":
        return [anything(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind == "map":
        return {rng.choice(["k", "größer", "a b", "é\t", ""]) + str(rng.randrange(9)): anything(rng, depth + 1) for _ in range(rng.randrange(5))}
    text = "".join(rng.choice('aZ 9"\\/\n\tü€🙂\x00\x1f') for _ in range(rng.randrange(40)))
    return text.encode() if kind == "bytes" else text


def test_text_is_what_state_event_prints(master, fire, tmp_path):
    """Byte by byte, for a hundred events of all that both can print."""
    out = tmp_path / "salt-run"
    with open(out, "wb") as handle:
        salt = subprocess.Popen([master.venv / "bin" / "python", master.venv / "bin" / "salt-run", "-c", master.confdir, "--log-level", "error", "state.event",
                                 "t/*"], stdout=handle, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONIOENCODING": "utf-8"}, start_new_session=True)
    try:
        with Monitor(master, "t/*") as monitor:
            monitor.read().hears(fire)

            def both():
                fire.fire("t/ready", {})
                return out.stat().st_size
            process.wait_until(both, 40, "salt-run to hear the bus", every=0.25)
            rng = random.Random(7)
            for number in range(100):
                fire.fire(f"t/same/{number}", {"value": anything(rng), "number": number, "bytes": rng.choice([b"plain", b"\xff\x00\xfe", "ü".encode("latin-1")])})
            fire.fire("t/last", {"größe": "ü" * 70000, "list": list(range(3000))})
            theirs = process.wait_until(lambda: b"t/last" in out.read_bytes() and out.read_bytes().endswith(b"\n") and out.read_bytes(), 30,
                                        "salt-run to print them all")
            monitor.wait("t/last")
    finally:
        for pid in process.session_pids(salt.pid):
            process.signal_pid(pid, 9)
        salt.wait(10)
    wanted = [line for line in theirs.decode("utf-8").split("\n") if re.match(r"t/(same|last)", line)]
    ours = [line.rstrip("\n") for line in monitor.lines if re.match(r"t/(same|last)", line)]
    assert len(wanted) == 101
    # 3007 may change the order, and DEL would be the one difference: what a terminal acts on is escaped here.
    assert sorted(ours) == sorted(wanted)


def test_json_is_what_a_reader_of_the_bus_gets(master, fire, json_monitor):
    rng = random.Random(11)
    mark = master.bus.mark()
    before = time.time()
    for number in range(200):
        fire.fire(f"t/json/{number}", {"value": anything(rng)})
    json_monitor.wait("t/json/199")
    json_monitor.wait("t/json/", 200)

    def plain(value):
        """Bytes as text, which JSON has no other form for."""
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return value.decode() if isinstance(value, bytes) else value
    wanted = {event.tag: plain(event.data) for event in master.bus.events("t/json/*", mark)}
    events = json_monitor.events("t/json/")
    assert {event["tag"]: event["data"] for event in events} == wanted
    for event in events:
        assert set(event) == {"time", "tag", "data"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
        arrived = time.mktime(time.strptime(event["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert before - 1 <= arrived <= time.time()


# What state.event ends with a traceback for, or no JSON has a form for; 3007 and later don't let all of it onto the bus.
STRANGE = {
    "time": (msgpack.ExtType(78, b"20261125T10:11:12.131415"), "20261125T10:11:12.131415"),
    "constant": (msgpack.ExtType(79, msgpack.packb(["WAIT", 7])), "WAIT"),
    "ext": (msgpack.ExtType(5, b"\x00\xff"), {"ext": 5, "hex": "00ff"}),
    "bytes": (b"\xff\x00", base64.b64encode(b"\xff\x00").decode()),
    "nan": (float("nan"), None),
    "infinite": (float("-inf"), None),
    "keys": ({1: "a", None: "b", 1.5: "d", b"k": "e"}, {"1": "a", "null": "b", "1.5": "d", "k": "e"}),
    "escape": ("\x1b]0;title\x07\x9b2J\x7f", "\x1b]0;title\x07\x9b2J\x7f"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_json_lacks_prints_too(fire, json_monitor, name):
    value, wanted = STRANGE[name]
    fire.send(body(b"t/strange", pack({"value": value})))
    line, = json_monitor.wait("t/strange")
    assert json.loads(line)["data"] == {"value": wanted}
    assert all(32 <= ord(character) < 127 or character == "\n" for character in line)


def test_deep_and_huge(fire, json_monitor):
    deep = 0
    for _ in range(300):
        deep = [deep]
    fire.fire("t/deep", {"value": deep})
    fire.fire("t/huge", {"value": "x" * (5 << 20), "list": [{"a": 1}] * 20000})
    fire.fire("t/after", {})
    json_monitor.wait("t/after")
    assert json_monitor.events("t/deep")[0]["data"]["value"] == deep
    huge, = json_monitor.events("t/huge")
    assert len(huge["data"]["value"]) == 5 << 20 and len(huge["data"]["list"]) == 20000


def test_what_is_no_event_is_passed_over(master, fire, json_monitor):
    """A line each where the bus lets it through, never the end; and the next good event arrives."""
    rng = random.Random(3)
    for number in range(60):
        packed = pack({"a": [1, {"b": "c" * 20}], "n": number})
        cut = packed[:rng.randrange(len(packed))] if number % 2 else bytes(rng.randrange(256) for _ in range(30))
        fire.send(body(b"t/bad", cut))
    fire.send(b"no separator")
    fire.send(body(b"t/bad", b"\xdf\xff\xff\xff\xff"))
    fire.send(body(b"t/bad", b"\x91" * 5000))
    with contextlib.closing(master.publisher()) as another:
        another.fire("t/good", {"n": 1})
        json_monitor.wait("t/good")
    for event in json_monitor.events("t/bad"):
        assert event["data"] is None and event["error"] or "error" not in event


def test_secrets_are_not_shown_unless_asked_for(master, fire, json_monitor):
    data = {"pub": "-----BEGIN", "fun": "pillar.items", "return": {"db": "pw"}, "arg": [{"pillar": {"a": 1}, "__kwarg__": True}], "id": "m"}
    with Monitor(master, "-o", "json", "--secrets", "t/*") as open_one:
        open_one.read().hears(fire)
        fire.fire("t/secret", data)
        assert json.loads(open_one.wait("t/secret")[0])["data"].items() >= data.items()
    shown = json.loads(json_monitor.wait("t/secret")[0])["data"]
    mark = "(redacted)"
    assert shown.items() >= {"pub": mark, "fun": "pillar.items", "return": mark, "arg": [{"pillar": mark, "__kwarg__": True}], "id": "m"}.items()


# --- which it shows, and when it ends ---

CASES = [
    (["t/even/*"], [0, 2, 4, 6, 8]), (["t/even/[0-4]", "t/odd/?"], [0, 1, 2, 3, 4, 5, 7, 9]), (["T/*"], []), (["t/[eo]*", "-x", "tag=*/odd/*"], [0, 2, 4, 6, 8]),
    (["t/[eo]*", "-i", "name=m[345]"], [3, 4, 5]), (["t/[eo]*", "-i", "n=3", "-i", "n=4"], [3, 4]), (["-i", "n=3", "-i", "name=m4"], []), (["-i", "list=7"], [7]),
    (["-i", "deep.a.b=true"], [7, 8, 9]), (["t/[eo]*", "-x", "deep.a.b=true", "-x", "n=0"], [1, 2, 3, 4, 5, 6]), (["t/odd/3", "-u", "t/even/6"], [3, 6]),
]


def test_globs_and_fields(master, fire):
    """All cases hear the same events; each ends with the number that it should have shown."""
    with contextlib.ExitStack() as undo:
        monitors = [undo.enter_context(Monitor(master, "-v", "-o", "json", "-n", len(wanted) or 1, *words)) for words, wanted in CASES]
        for monitor in monitors:
            monitor.listens().read()
        last = undo.enter_context(Monitor(master, "t/*")).read().hears(fire)
        for number in range(10):
            fire.fire(f"t/{'even' if number % 2 == 0 else 'odd'}/{number}", {"n": number, "name": f"m{number}", "list": ["x", number], "deep": {"a.b": number > 6}})
        last.wait("t/odd/9")
        for monitor, (words, wanted) in zip(monitors, CASES):
            if not wanted:
                monitor.child.terminate()
            assert monitor.end() == (0 if wanted else 1), (words, monitor.said)
            assert [event["data"]["n"] for event in monitor.events("n")] == wanted, words


def test_too_few_in_time_is_a_failure(master):
    with Monitor(master, "-u", "t/never", "-t", 1) as monitor:
        assert monitor.read().end() == 1
        assert len(monitor.said) == 1 and "did not come" in monitor.said[0]
    with Monitor(master, "-n", 5, "-t", 1, "t/never") as monitor:
        assert monitor.read().end() == 1
        assert len(monitor.said) == 1 and "0 of 5 events" in monitor.said[0]
    with Monitor(master, "-t", 1, "t/never") as monitor:
        assert monitor.read().end() == 0 and monitor.said == [], "so long was what was asked for"


def test_quiet_waits_and_says_nothing(master, fire):
    with Monitor(master, "-q", "-n", 1, "t/ready", "-t", 20) as monitor:
        monitor.read()
        process.wait_until(lambda: (fire.fire("t/ready", {}), monitor.child.poll())[1] is not None, 10, "the event to end it", every=0.1)
        assert monitor.end() == 0 and monitor.lines == []


@pytest.mark.parametrize("words", [["-o", "xml"], ["-i", "=x"], ["-x", ""], ["-s", "99999"], ["-n", "x"]], ids=" ".join)
def test_wrong_usage(words):
    done = nodewall.run("monitor", *words, check=False)
    assert done.returncode in (1, 2) and done.stdout == "" and len(done.stderr.strip().splitlines()) == 1, done.stderr


# --- its other views ---

def test_jobs_and_who_is_missing(master, fire):
    """A real job of a real minion, and one that nobody answers."""
    minion = master.minion("real")
    try:
        with Monitor(master, "-o", "json", "-j", "-n", 1, "-t", 60, "-i", "fun=test.ping") as monitor, Monitor(master, "t/*") as last:
            monitor.read()
            last.read().hears(fire)
            fire.fire("salt/job/20261125000000000001/new", {"fun": "test.ping", "tgt": "*", "minions": ["gone\x1b[2J", "away"]})
            fire.fire("salt/job/20261125000000000001/ret/away", {"fun": "test.ping", "retcode": 1, "success": False, "id": "away"})
            assert minion.cmd("test.ping") is True
            assert monitor.end(30) == 0
        job, = [json.loads(line) for line in monitor.lines]
        assert job["complete"] and job["expected"] == job["returned"] == 1 and job["missing"] == job["failed"] == [] and job["target"] == "real"
        assert 0 <= job["seconds"] < 20
        with Monitor(master, "-j") as monitor, Monitor(master, "t/*") as last:
            monitor.read()
            last.read().hears(fire)
            fire.fire("salt/job/20261125000000000002/new", {"fun": "test.ping", "tgt": "*", "minions": ["gone\x1b[2J", "away"]})
            fire.fire("salt/job/20261125000000000002/ret/away", {"fun": "test.ping", "retcode": 1, "success": False, "id": "away"})
            fire.fire("salt/job/20261125000000000003/new", {"fun": "test.ping", "tgt": "none", "minions": []})
            monitor.wait("none")
            monitor.child.terminate()
            assert monitor.end() == 0
        words = next(line for line in monitor.lines if "0002" in line)
        assert "1 of 2 returned" in words and "failed: away" in words and "missing: gone\\u001b[2J" in words
    finally:
        minion.stop()
        del master.minions["real"]


def test_rates_of_each_kind(master, fire):
    with Monitor(master, "-o", "json", "-R", 1, "-n", 2, "-t", 20, "t/*", "salt/job/*") as monitor, Monitor(master, "t/*") as last:
        monitor.read()
        last.read().hears(fire)
        for number in range(50):
            fire.fire(f"salt/job/2026112500000000{number:04}/ret/m", {})
            fire.fire("t/some", {})
        assert monitor.end(20) == 0
    kinds = [json.loads(line) for line in monitor.lines]
    assert len(kinds) == 2 and sum(one["kinds"].get("salt/job/*/ret", {"events": 0})["events"] for one in kinds) == 50
    assert all(0.9 < one["seconds"] < 10 for one in kinds)


def test_what_was_recorded_is_shown_again(master, fire, tmp_path):
    path = tmp_path / "events"
    with Monitor(master, "-o", "json", "-w", path, "-u", "t/end", "-t", 20, "t/*") as monitor:
        monitor.read().hears(fire)
        fire.fire("t/secret", {"token": "abc", "value": [1, b"\xff", None]})
        fire.fire("t/end", {})
        assert monitor.end() == 0
    assert path.stat().st_mode & 0o777 == 0o600 and b"abc" not in path.read_bytes()
    again = nodewall.run("monitor", "-o", "json", "-r", path)
    assert again.stdout == "".join(monitor.lines) and again.stderr == ""
    assert nodewall.run("monitor", "-o", "text", "-r", path, "t/secret").stdout.startswith("t/secret\t{")
    assert nodewall.run("monitor", "-n", "1", "-r", path, "t/none", check=False).returncode == 1
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[:-5])
    done = nodewall.run("monitor", "-o", "json", "-r", cut, check=False)
    assert done.returncode == 1 and "ends in the middle" in done.stderr and "t/secret" in done.stdout
    for words in (["-w", path], ["-r", "/etc/passwd"], ["-r", tmp_path / "none"], ["-w", tmp_path / "x", "-j"]):
        done = nodewall.run("monitor", "-s", master.sock_dir, *words, check=False)
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, words


# --- when things go wrong ---

def test_a_restart_is_survived_and_said(master, fire, json_monitor):
    fire.fire("t/before", {})
    json_monitor.wait("t/before")
    fire.close()
    master.restart(kill=True)
    again = master.publisher()
    try:
        process.wait_until(lambda: (again.fire("t/again", {}), json_monitor.events("t/again"))[1], 20, "the monitor to be back", every=0.2)
    finally:
        again.close()
    said = "".join(json_monitor.said)
    assert "the bus is away" in said and "the bus is back" in said
    gap, = json_monitor.events('"gap"')
    assert gap["gap"] == {"events": None, "why": "the bus was away"} and set(gap) == {"time", "gap"}


def test_a_reader_that_goes_away_is_the_end(master, fire):
    with Monitor(master, "t/*") as monitor:
        process.wait_until(lambda: (fire.fire("t/ready", {}), select.select([monitor.child.stdout], [], [], 0)[0])[1], 10, "something to be printed", every=0.1)
        monitor.child.stdout.close()
        assert monitor.child.wait(5) == 0, "at once, without another event"
        assert monitor.child.stderr.read() == b""
        monitor.child.stdout = None


def test_a_full_disk_is_a_failure(master, fire):
    with open("/dev/full", "wb") as full, Monitor(master, "t/*", stdout=full) as monitor:
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
    socket = pathlib.Path(master.pub_address)
    group = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--groups", str(socket.stat().st_gid), command, "monitor", "-s",
                            master.sock_dir, "-t", "1"], capture_output=True, text=True, check=False)
    assert group.returncode == (0 if socket.stat().st_mode & 0o060 == 0o060 else 1), group.stderr
    assert (socket.stat().st_mode & 0o060 == 0o060) == (not master.version.startswith("3006"))


def test_no_master_is_waited_for(tmp_path):
    done = nodewall.run("monitor", "-s", tmp_path, "-t", "1", check=False)
    assert done.returncode == 1 and "no such file" in done.stderr and "is salt-master running" in done.stderr


def test_over_tcp(salt_at):
    salt_at(VERSIONS[-1])
    with saltbed.Master(VERSIONS[-1], ipc_mode="tcp") as master, contextlib.closing(master.publisher()) as fire, Monitor(master, "-o", "json") as monitor:
        monitor.read().hears(fire)
        assert json.loads(monitor.lines[0])["tag"]
