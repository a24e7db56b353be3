# SPDX-License-Identifier: Apache-2.0
"""`nodewall monitor` on the buses of real masters: what it shows beside what Salt's own tool shows, and when it ends."""
import base64
import contextlib
import json
import os
import random
import re
import subprocess
import time

import msgpack
import pytest
from harness import nodewall, process
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
