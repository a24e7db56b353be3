# SPDX-License-Identifier: Apache-2.0
"""One engine without Salt, what it publishes, and the rule that it never takes a living node's address out.

    Ledger   what lives: every change of the cluster goes through it, with the moments between which an address belonged to a node
    Witness  what was published: each generation of the set, read from the state directory the moment that it is there
    Engine   the program, on a configuration of its own

The oracle (`Witness.judge`): no set that was ever published lacks an address that its predecessor had and that a node has had all the
time since; none has an address that never was a node's. `settled` adds the end: the published set is the one of a consistent list.
Invariant: an address that nobody has any more is not given to a node again, so that "all the time since" is one span of time.
Not here: what goes wrong (test_*.py, soak.py).
"""
import contextlib
import json
import os
import pathlib
import threading
import time
import urllib.request

import yaml
from harness import nodewall
from harness.process import Process, Timeout, wait_until

GRACE = 1               # seconds; removal_grace in these tests
SOON = 10.0


class Ledger:
    """Changes a cluster (fake_kube.FakeKube or kube.Cluster) and remembers who had which address when."""

    def __init__(self, cluster):
        self.cluster, self.has, self.until, self.guard = cluster, {}, {}, threading.Lock()

    def living(self):
        with self.guard:
            return {address for addresses in self.has.values() for address in addresses}

    def _free(self, name, kept=()):
        now = time.monotonic()
        with self.guard:
            others = {address for other, addresses in self.has.items() if other != name for address in addresses}
            for address in set(self.has.get(name, ())) - set(kept) - others:
                self.until[address] = now

    def join(self, name, *addresses):
        assert not set(addresses) & set(self.until), "an address comes back"
        self.cluster.create_node(name, list(addresses))
        with self.guard:
            self.has[name] = list(addresses)

    def move(self, name, *addresses):
        assert not set(addresses) & set(self.until), "an address comes back"
        self._free(name, addresses)
        with self.guard:
            self.has[name] = list(addresses)
        self.cluster.set_addresses(name, list(addresses))

    def leave(self, name):
        self._free(name)
        with self.guard:
            self.has.pop(name)
        self.cluster.delete_node(name)

    def lived_until(self, address):
        """When the address was given up: infinity if a node has it, None if nobody ever had it."""
        with self.guard:
            if any(address in addresses for addresses in self.has.values()):
                return float("inf")
            return self.until.get(address)


class Witness:
    """Reads the published set again and again. `seen`: (no earlier than, no later than, generation, addresses) of each set."""

    def __init__(self, state, ledger, cluster="prod", every=0.005):
        self.path, self.store = (pathlib.Path(state) / where / f"{cluster}.json" for where in ("files/nodewall", "store"))
        self.ledger, self.every, self.seen, self.wrong = ledger, every, [], []
        self._identity, self._looked, self._stop = None, time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                self.look()
            except (OSError, ValueError) as error:         # a rename never shows half a file
                self.wrong.append(f"the published set cannot be read: {error}")
            self._stop.wait(self.every)

    def look(self):
        before, self._looked = self._looked, time.monotonic()
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:
            return
        if (stat.st_ino, stat.st_mtime_ns) == self._identity:
            return
        self._identity = (stat.st_ino, stat.st_mtime_ns)
        published = json.loads(self.path.read_text(encoding="utf-8"))
        self._take(before, published["generation"], {address for address, _ in published["addresses"]})

    def _take(self, before, generation, addresses):
        now, last = time.monotonic(), self.seen[-1] if self.seen else None
        if last and generation == last[2]:
            return
        if last and generation < last[2]:
            self.wrong.append(f"generation {generation} after {last[2]}")
        elif last and generation > last[2] + 1:            # the ones between are in the ring of deltas
            self._check(before, last[3], last[3] - set(self._removed(last[2], generation)), generation)
        if last:
            self._check(before, last[3], addresses, generation)
        for address in addresses:
            if self.ledger.lived_until(address) is None and not self._joining(address):
                self.wrong.append(f"generation {generation} has {address}, which no node ever had")
        self.seen.append((before, now, generation, addresses))

    def _joining(self, address):
        """The ledger notes a node when the server has answered; the engine may be faster."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            if self.ledger.lived_until(address) is not None:
                return True
            time.sleep(0.01)
        return False

    def _removed(self, after, until):
        deltas = json.loads(self.store.read_text(encoding="utf-8"))["store"]["deltas"]
        between = [delta for delta in deltas if after < delta["generation"] <= until]
        if {delta["generation"] for delta in between} != set(range(after + 1, until + 1)):
            self.wrong.append(f"generations between {after} and {until} are not in the ring of deltas")
        return [entry[0] if isinstance(entry, list) else entry for delta in between for entry in delta["removed"]]

    def _check(self, before, was, addresses, generation):
        for address in was - addresses:
            until = self.ledger.lived_until(address)
            if until is not None and until > before:
                self.wrong.append(f"generation {generation} lacks {address}, which a living node has")

    def addresses(self):
        return self.seen[-1][3] if self.seen else None

    def generation(self):
        return self.seen[-1][2] if self.seen else 0

    def judge(self):
        assert self.seen, "nothing was published"
        assert not self.wrong, f"{len(self.wrong)} × wrong, the first: {self.wrong[:5]}"

    def stop(self):
        self._stop.set()
        self._thread.join(10)


class Engine:
    """`nodewall run` on a configuration below `directory`. `clusters`: {name: its options}; `prefix`: words before it;
    `top`: the configuration's other keys."""

    def __init__(self, directory, clusters, build=None, namespace=None, prefix=(), **top):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "clusters.d").mkdir(exist_ok=True)        # not this machine's own
        self.state, self.config = self.directory / "state", self.directory / "nodewall.yaml"
        self.program = nodewall.binary(build)
        common = {"removal_grace": f"{GRACE}s", "max_removal": "100%"}
        self.config.write_text(yaml.safe_dump({
            "state_dir": str(self.state), "clusters_dir": str(self.directory / "clusters.d"), "bus": {"sock_dir": str(self.directory / "none")},
            **top, "clusters": {name: {**common, **options} for name, options in clusters.items()}}), encoding="utf-8")
        self.process = Process([*prefix, self.program, "run", "-c", self.config], self.directory / "engine.log", namespace)
        self.namespace = namespace

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.stop()

    def say(self, *words):
        """The words' answer on standard output."""
        return nodewall.run(words[0], "-c", self.config, *words[1:], check=False).stdout

    def status(self, cluster="prod"):
        """What `nodewall status -o json` says of a cluster; {} while no engine answers."""
        text = self.say("status", "-o", "json")
        found = [one for one in json.loads(text)["clusters"] if one["cluster"] == cluster] if text else []
        return found[0] if found else {}

    def metrics(self, address):
        """{metric with its labels: value}"""
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))}

    def log(self):
        return self.process.log.read_text(encoding="utf-8", errors="replace")

    def rss(self):
        """KiB of memory, private and resident."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])

    def peak(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1])

    def kill(self):
        self.process.kill()


class Lane:
    """One cluster of an engine, with its ledger and its witness."""

    def __init__(self, engine, name, kube, ledger):
        self.engine, self.name, self.kube, self.ledger = engine, name, kube, ledger
        self.witness = Witness(engine.state, ledger, name)

    def status(self):
        return self.engine.status(self.name)

    def wait(self, condition, what, timeout=SOON):
        return self.engine.process.wait(condition, timeout, what)

    def settled(self, timeout=SOON):
        """Waits until the published set is what a consistent list says. Seconds that it took."""
        begun = time.monotonic()
        try:
            wait_until(lambda: self.witness.addresses() == self.kube.addresses(), timeout, f"the published set of {self.name} to be the cluster's")
        except Timeout as error:
            has, wants = self.witness.addresses() or set(), self.kube.addresses()
            raise Timeout(f"{error}: it lacks {sorted(wants - has)[:5]}, has {sorted(has - wants)[:5]} too many\n"
                          f"{self.engine.say('status')}\n{self.engine.process.tail()}") from None
        return time.monotonic() - begun

    def watched(self):
        """Waits until a change is heard by the watch that runs, and by no other that the server has not yet found dead."""
        for events in (1, 2):
            self.kube.heartbeat("n1")
            self.wait(lambda events=events: self.status().get("events", 0) >= events, f"{self.name} to be watched")

    def untouched(self):
        """A function that says whether the published set still is what it is now."""
        generation = self.witness.generation()
        return lambda: self.witness.generation() == generation


@contextlib.contextmanager
def lanes(directory, kubes, nodes=4, options=None, **engine):
    """{name: Lane} of one engine that watches all these clusters, settled. At the end each witness judges, and the engine must live."""
    ledgers = {}
    for name, kube in kubes.items():
        ledgers[name] = Ledger(kube)
        for number in range(1, nodes + 1):
            ledgers[name].join(f"n{number}", f"203.0.113.{number}")
    with contextlib.ExitStack() as undo:
        one = undo.enter_context(Engine(directory, {name: (options or {}).get(name, {"server": kube.url}) for name, kube in kubes.items()}, **engine))
        found = {name: Lane(one, name, kube, ledgers[name]) for name, kube in kubes.items()}
        for lane in found.values():
            undo.callback(lane.witness.stop)
        for lane in found.values():
            lane.settled(30)
        for lane in found.values():
            lane.watched()
        yield found
        assert one.process.alive(), f"the engine had ended:\n{one.process.tail()}"
        for lane in found.values():
            lane.witness.stop()
            lane.witness.judge()


@contextlib.contextmanager
def bed(directory, kube, options=None, **more):
    """The Lane of an engine with this one cluster, which is called prod."""
    with lanes(directory, {"prod": kube}, options=options and {"prod": options}, **more) as found:
        yield found["prod"]
