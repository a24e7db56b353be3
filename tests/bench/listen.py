# SPDX-License-Identifier: Apache-2.0
"""Row monitor: the CPU that a reader of Salt's bus takes for a flood of events, `nodewall monitor` beside others on the very same flood.

Three read at once: `nodewall monitor -o json`, `salt-run state.event`, and a bare Python subscriber (harness/bus.py: msgpack's C unpacker, and
nothing printed). The first two write to a file. A reader's CPU is that of all its processes from before the flood until it has all of it.

Invariant: a round counts only if all three have every event, in whatever order the master sent them.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from bench.report import Figure
from harness import cache, nodewall, process, saltbed

EVENTS, ROUNDS = 20000, 3
BEHIND = 5000               # 3008.5 closes a connection with 10,000 events waiting, and salt-run has that many: there the flood waits for it
ROOT = pathlib.Path(__file__).resolve().parents[1]
BARE = """
import sys, time
from harness import bus
heard = bus.Subscriber(sys.argv[1])
while True:
    time.sleep(0.05)
    print(heard.mark(), flush=True)
"""
# What a job's return looks like, in size and shape.
DATA = {"cmd": "_return", "id": "web17.example.org", "success": True, "retcode": 0, "fun": "nodewall.update", "fun_args": [{"cluster": "prod", "generation": 4711}],
        "jid": "20261125101112131415", "return": {"result": "applied", "epoch": "0123456789abcdef", "generation": 4711, "took": 0.0123}, "user": "root"}


def _cpu(pids):
    """Seconds of CPU of these processes, and of their children that have ended."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _rss(pid, key="VmRSS"):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1]) / 1024


class Reader:
    """A process that reads the bus, in a session of its own; what it printed lies in a file."""

    def __init__(self, name, command, directory, env=None):
        self.name, self.out = name, directory / f"{name}.out"
        with open(self.out, "wb") as out, open(directory / f"{name}.err", "wb") as errors:
            self.child = subprocess.Popen([str(word) for word in command], stdout=out, stderr=errors, stdin=subprocess.DEVNULL, env=env,
                                          start_new_session=True)
        self._position, self._seen, self.before, self.done, self.cpu = 0, 0, 0.0, None, None

    def pids(self):
        return process.session_pids(self.child.pid)

    def events(self):
        """How many it has so far."""
        with open(self.out, "rb") as handle:
            handle.seek(self._position)
            piece = handle.read()
        self._position += len(piece)
        if self.name == "bare":
            self._seen = int(piece.split()[-2]) if len(piece.split()) > 1 else self._seen
        else:
            self._seen += piece.count(b"\n")
        return self._seen

    def stop(self):
        for pid in self.pids():
            process.signal_pid(pid, 9)
        self.child.wait(10)


def _readers(master, directory, undo):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    salt = [master.venv / "bin" / "python", master.venv / "bin" / "salt-run", "-c", master.confdir, "--log-level", "error", "state.event"]
    readers = [Reader("monitor", [nodewall.binary(), "monitor", "-o", "json", "-s", master.sock_dir], directory),
               Reader("salt-run", salt, directory, env), Reader("bare", [sys.executable, "-c", BARE, master.pub_address], directory, env)]
    for reader in readers:
        undo.callback(reader.stop)
    return readers


def _wait_for(readers, first, least):
    process.wait_until(lambda: all(reader.events() - before >= least for reader, before in zip(readers, first)), 60, f"all readers to have {least} events",
                       every=0.05)


def _round(readers, publisher, number, paced):
    """One flood; seconds of CPU and until it was read, of each reader."""
    first = [reader.events() for reader in readers]
    for reader in readers:
        reader.before, reader.done = _cpu(reader.pids()), None
    begun = time.monotonic()
    for index in range(EVENTS):
        if paced and index > BEHIND and index % 500 == 0:
            _wait_for(readers, first, index - BEHIND)
        publisher.fire(f"salt/job/20261125101112131415/ret/web{index}", {**DATA, "seq": index})

    def all_read():
        for reader, before in zip(readers, first):
            if reader.done is None and reader.events() - before >= EVENTS:
                reader.done, reader.cpu = time.monotonic() - begun, _cpu(reader.pids()) - reader.before
        return all(reader.done is not None for reader in readers)
    process.wait_until(all_read, 120, f"all readers to have {EVENTS} events (round {number})", every=0.05)
    return {reader.name: (reader.cpu, reader.done) for reader in readers}


def measure(version, rounds=ROUNDS):
    """The figures of this row."""
    cache.say(f"monitor: {rounds} floods of {EVENTS} events")
    with contextlib.ExitStack() as undo:
        directory = pathlib.Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="nwb")))
        master = saltbed.Master(version)
        undo.callback(master.stop)
        master.start()
        master.bus.close()                      # the harness's own ear would be a fourth
        readers = _readers(master, directory, undo)
        publisher = master.publisher()
        undo.callback(publisher.close)

        def heard():
            publisher.fire("bench/ready", {})
            return all(reader.events() for reader in readers)
        process.wait_until(heard, 60, "all readers to hear the bus", every=0.25)
        time.sleep(1.0)                         # what was fired to find out
        small = _rss(readers[0].child.pid)
        found = [_round(readers, publisher, number, version.startswith("3008")) for number in range(rounds)]
        large, lines = _rss(readers[0].child.pid, "VmHWM"), readers[0].out.read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    dropped = rounds * EVENTS - sum("seq" in event["data"] for event in events if "data" in event)
    return _figures(found, small, large, dropped, rounds)


def _figures(found, small, large, dropped, rounds):
    def column(name, which):
        return [one[name][which] for one in found]
    what = f"{EVENTS} events: CPU"
    figures = [Figure("monitor", what, "s", column("monitor", 0), "salt-run state.event", column("salt-run", 0), "ratio", goal=0.2),
               Figure("monitor", what, "s", column("monitor", 0), "a bare Python subscriber", column("bare", 0), "ratio", goal=1.0),
               Figure("monitor", f"{EVENTS} events: until all are read", "s", column("monitor", 1), "salt-run state.event", column("salt-run", 1), "ratio", goal=1.0),
               Figure("monitor", f"{rounds * EVENTS} events: dropped", "events", [dropped], compare="value", goal=0),
               Figure("monitor", f"{rounds * EVENTS} events: RSS at its peak", "MiB", [large], "before the floods", [small], "ratio")]
    return figures
