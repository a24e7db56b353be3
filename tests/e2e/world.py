# SPDX-License-Identifier: Apache-2.0
"""The world of an end-to-end test: one real cluster, one Salt release with its master, engine and minions, and who may reach whom.

    wire ──┬── kube     kube-apiserver and etcd            ──┬── web   a service and rules; its rules name no cluster that changes
           ├── master   salt-master and the engine           ├── db    a service and rules that name the cluster prod
           └── nodes    every node's address lives here; a prober knocks at db from each of them, all the time

The oracle: what db's kernel lets in is what a consistent list of the cluster says, and no address was refused while a node had it.
The second half needs no test's help: `join`, `move` and `leave` note from when to when an address belonged, `judge` looks at every
attempt within. Invariant: `judge` and `reset` run after each test (conftest), so that no test leaves a doubt to the next.
Not here: what is done to the world (test_*.py), how its parts are started (harness).
"""
import contextlib
import ipaddress
import json
import os
import pathlib
import signal
import time

from harness.process import Timeout, wait_until
from harness.prober import Prober

PORT = 5432
GRACE = 1.0             # removal_grace in these tests
EVERY = 0.05            # between two attempts from the same address
SOON = 10.0             # for what takes a tenth of a second on a machine that isn't busy
CLUSTER = "prod"
PILLAR = {"nodewall": {"rules": {"postgres": {"port": PORT, "from": [{"kubernetes": CLUSTER}]}}}}
ANCHOR = "192.0.2.200"  # of the node that is always there: a witness, and a cluster is never empty
FIXED = "192.0.2.250"   # whom web lets in, by address
WEB_PILLAR = {"nodewall": {"rules": {"website": {"port": PORT, "from": [FIXED]}}}}


class Belonging:
    """From when to when an address belonged to a node: `since` is when it was first let in, `until` just before it was taken away."""

    def __init__(self, address, since, until=float("inf")):
        self.address, self.since, self.until = address, since, until


class World:
    def __init__(self, cluster, net, setup, master, version):
        self.cluster, self.net, self.setup, self.master, self.version = cluster, net, setup, master, version
        self.undo = contextlib.ExitStack()
        self.db = self.web = self.nodes = self.prober = self.web_rules = None
        self.reactors = [pathlib.Path(path) for entry in master.options["reactor"] for paths in entry.values() for path in paths]
        self.belongings, self.has = [], {}          # has: node -> its addresses
        self.mark = 0

    # --- building ---
    def build(self):
        """Minions up, rules applied, the prober knocking."""
        self.nodes = self.net.attach("nodes")
        self.db, self.web = self.machine("db"), self.machine("web")
        self.pillar("db", PILLAR)
        self.pillar("web", WEB_PILLAR)
        published = self.setup.state / "files" / "nodewall" / f"{CLUSTER}.json"
        wait_until(published.exists, 30, f"the engine to have read the cluster\n{self.story()}")
        for machine in (self.db, self.web):
            machine.salt = self.master.minion(machine.label, machine)
            self.apply(machine)
        self.web_rules = self.rules(self.web)
        self.prober = Prober(self.nodes, [(self.db.address, PORT), (self.db.address6, PORT)], every=EVERY).start()
        self.undo.callback(self.prober.stop)
        self.nodes.add_address(ANCHOR)
        self.prober.add(ANCHOR)
        self.let_in(ANCHOR, since=0.0)
        self.mark = self.master.bus.mark()
        return self

    def machine(self, label):
        machine = self.net.attach(label)
        self.undo.callback(machine.listen(PORT).close)
        return machine

    def pillar(self, minion, data):
        """Gives the minion this pillar; the master reads it at the next compile."""
        root = self.master.pillar_root
        (root / f"{minion}.sls").write_text("#!json\n" + json.dumps(data), encoding="utf-8")
        known = sorted(path.stem for path in root.glob("*.sls") if path.stem != "top")
        (root / "top.sls").write_text(json.dumps({"base": {name: [name] for name in known}}), encoding="utf-8")

    def try_apply(self, machine):
        """(exit code, what it said) of the state, as an operator applies it."""
        answer = self.master.cmd(machine.label, "state.apply", "nodewall", full=True, timeout=60)
        assert machine.label in answer, f"{machine.label} did not answer:\n{machine.salt.tail()}"
        return answer[machine.label]["retcode"], json.dumps(answer[machine.label]["ret"])

    def apply(self, machine):
        code, said = self.try_apply(machine)
        assert code == 0, said[:3000]

    def close(self):
        self.undo.close()

    # --- the cluster ---
    def join(self, name, *addresses, wait=True):
        """A node joins; with `wait` it has been let in by db when this returns. Seconds from the API's call to the first connection."""
        self.nodes.add_address(*addresses)
        self.prober.add(*addresses)
        begun = time.monotonic()
        self.cluster.create_node(name, list(addresses))
        self.has[name] = list(addresses)
        return self.let_in(*addresses, since=begun) - begun if wait else None

    def let_in(self, *addresses, since, timeout=SOON):
        """Waits until all of them were let in after `since`; from there on each belongs. The time of the last one's connection."""
        last = 0.0
        for address in addresses:
            found = wait_until(lambda address=address: self.prober.first(address, "accepted", since), timeout,
                               f"{address} to be let in by db; its kernel has {sorted(self.kernel())}")
            self.belongings.append(Belonging(address, found.start))
            last = max(last, found.start + found.took)
        return last

    def leave(self, name):
        """A node is deleted; what it had belongs no longer. The time just before."""
        begun = self.release(*self.has.pop(name))
        self.cluster.delete_node(name)
        return begun

    def release(self, *addresses):
        now = time.monotonic()
        for belonging in self.belongings:
            if belonging.address in addresses:
                belonging.until = min(belonging.until, now)
        return now

    def move(self, name, *addresses):
        """A node's addresses change; what stays goes on belonging. The time just before."""
        begun = self.release(*(set(self.has[name]) - set(addresses)))
        self.nodes.add_address(*addresses)
        self.prober.add(*addresses)
        self.has[name] = list(addresses)
        self.cluster.set_addresses(name, list(addresses))
        return begun

    def shut_out(self, address, since, timeout=SOON):
        """Waits until it was refused after `since`; the time of that attempt."""
        found = wait_until(lambda: next(iter(self.prober.refusals(address, since)), None), timeout, f"{address} to be refused by db")
        return found.start

    # --- looking ---
    def kernel(self, machine=None, cluster=CLUSTER):
        """The addresses of the cluster in the kernel of db (or of that machine), canonical, but ANCHOR."""
        machine = machine or self.db
        text = machine.nft("-j", "list", "table", "inet", "nodewall", check=False)
        found = set()
        for item in json.loads(text)["nftables"] if text else []:
            one = item.get("set", {})
            if one.get("name") in {f"cluster-{cluster}-{kind}" for kind in ("v4", "v6", "net4", "net6")}:
                for element in one.get("elem", []):
                    value = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
                    if isinstance(value, dict):
                        value = f"{value['prefix']['addr']}/{value['prefix']['len']}"
                    found.add(str(ipaddress.ip_network(value)) if "/" in value else str(ipaddress.ip_address(value)))
        return found - {ANCHOR}

    def rules(self, machine):
        """Our table as the kernel has it, without counters."""
        return machine.nft("-s", "list", "table", "inet", "nodewall", check=False)

    def version_published(self, cluster=CLUSTER):
        """The generation of the set on the master's file server."""
        return json.loads((self.setup.state / "files" / "nodewall" / f"{cluster}.json").read_text(encoding="utf-8"))["generation"]

    def wanted(self):
        return {str(ipaddress.ip_address(address)) for address in self.cluster.addresses()} - {ANCHOR}

    def settled(self, timeout=SOON):
        """Waits until db's kernel has exactly the cluster's addresses, by a consistent list."""
        try:
            wait_until(lambda: self.kernel() == self.wanted(), timeout, "db's kernel to have the cluster's addresses", every=0.1)
        except Timeout:
            missing, surplus = self.wanted() - self.kernel(), self.kernel() - self.wanted()
            raise Timeout(f"after {timeout:g} s db's kernel lacks {sorted(missing)} and has {sorted(surplus)} too many\n{self.story()}") from None

    def judge(self):
        """The oracle. Raises AssertionError with every refusal of an address that belonged."""
        self.settled()
        wrong = [(one.address, item) for one in self.belongings
                 for item in self.prober.refusals(one.address, one.since, one.until)]
        assert not wrong, f"{len(wrong)} connections of living nodes were refused, the first: {wrong[:5]}\n{self.story()}"
        looked = sum(len(self.prober.of(one.address, since=one.since, until=one.until)) for one in self.belongings)
        assert looked or not self.belongings, "nobody knocked: this proves nothing"
        assert self.rules(self.web) == self.web_rules, "web's firewall changed, and none of its rules names the cluster"
        return looked

    def reset(self):
        """No nodes but the anchor, nobody knocking but it: the state in which every test begins."""
        for name in self.cluster.nodes():
            if name != "anchor":
                self.cluster.delete_node(name)
        gone = {address for addresses in self.has.values() for address in addresses} | {one.address for one in self.belongings}
        gone.discard(ANCHOR)
        self.prober.discard(*gone)
        wait_until(lambda: not self.kernel(), SOON + GRACE, f"the kernel's set to be empty again: {sorted(self.kernel())}\n{self.story()}", every=0.1)
        self.belongings, self.has = [Belonging(ANCHOR, time.monotonic())], {}
        self.prober.attempts.clear()
        self.mark = self.master.bus.mark()

    def events(self, what="addresses", since=None):
        return self.master.bus.events(f"nodewall/{CLUSTER}/{what}", self.mark if since is None else since)

    def jobs(self, since=None, minion=None):
        """The jobs of nodewall.update so far, or those for one minion."""
        return [event for event in self.master.bus.events("salt/job/*/new", self.mark if since is None else since)
                if event.data.get("fun") == "nodewall.update" and (minion is None or minion in event.data.get("minions", []))]

    def story(self, lines=25):
        """What the bus and the engine said last, for a failed test."""
        told = []
        for at, tag, data in self.master.bus.events("*", self.mark):
            if tag.startswith("nodewall/") or data.get("fun", "").startswith("nodewall."):
                told.append(f"  {at:.3f} {tag} {json.dumps({key: value for key, value in data.items() if key not in ('token', '_stamp')}, default=repr)[:260]}")
        said = [line for line in self.master.log_text().split("\n") if "nodewall" in line and "Published command" not in line][-lines:]
        return "\n".join(["the bus:", *told[-lines:], "the master's log:", *said])

    # --- the engine ---
    def engine_pid(self):
        return self.master.engine_pid(self.setup.binary)

    def kill_engine(self):
        """SIGKILL; returns its id. salt-master starts another within ten seconds."""
        pid = wait_until(self.engine_pid, SOON, "the engine to run")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.engine_pid() != pid, SOON, "the killed engine to be gone")
        return pid

    def reload(self, text):
        """Gives the engine another nodewall.yaml, as an operator does: the file, then SIGHUP."""
        self.setup.write(text)
        os.kill(self.engine_pid(), signal.SIGHUP)

    @contextlib.contextmanager
    def reactor_away(self):
        """What is announced meanwhile becomes no job: the event is lost, as on a bus without acknowledgement."""
        for reactor in self.reactors:
            reactor.rename(reactor.with_suffix(".away"))
        try:
            yield
        finally:
            for reactor in self.reactors:
                reactor.with_suffix(".away").rename(reactor)

    @contextlib.contextmanager
    def engine_down(self):
        """Kills the engine and keeps it from coming back (its program is not where the shim looks) until the block ends."""
        program = self.setup.program
        away = program.with_suffix(".away")
        program.rename(away)
        try:
            self.kill_engine()
            yield
        finally:
            away.rename(program)
