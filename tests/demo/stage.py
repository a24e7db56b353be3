# SPDX-License-Identifier: Apache-2.0
"""What the demo plays on: namespaces as machines, a salt-master with the engine, two minions with nftables, and two clusters.

    wire ──┬── master   salt-master, the engine, the API servers of prod and staging
           ├── db1      salt-minion, nftables, a service
           ├── web1     the same; its rules name staging
           └── node-a, node-b … stage-1, stranger     machines with an address of their own; they knock

Owns every process, namespace, prober and file; `close` undoes all, in any state, and is called on every way out. Addresses are from
the ranges for documentation and exist only inside the namespaces. Not here: what happens on it (scenes.py).
"""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import tempfile
import time

from demo.echo import Echo
from harness import netns, nodewall, saltbed, tls
from harness.fake_kube import FakeKube
from harness.process import Timeout, wait_until
from harness.prober import Prober

TOKEN = "a-token-for-the-demo"
CONFIG = """# made by the demo
state_dir: {state}
clusters:
  prod:
    kubeconfig: {prod}
    removal_grace: {grace:g}s
  staging:
    kubeconfig: {staging}
"""
RULE = "nodewall:\n  rules:\n    {name}:\n      port: {port}\n      from:\n        - kubernetes: {cluster}\n"


class Session:
    """A connection that stays open: does it (still) carry anything? One that was never accepted doesn't."""

    def __init__(self, machine, target):
        self.socket = machine.socket()
        self.socket.settimeout(1.0)
        self.socket.bind((machine.outside, 0))
        with contextlib.suppress(OSError):
            self.socket.connect(target)

    def talks(self):
        try:
            self.socket.sendall(b"x")
            return bool(self.socket.recv(16))
        except OSError:
            return False

    def close(self):
        self.socket.close()


class Stage:
    """See the head of this file. A context manager: `with Stage(tell, …) as stage`."""

    def __init__(self, tell, version, real=False, grace=2.0):
        self.tell, self.version, self.real, self.grace = tell, version, real, grace
        self.undo = contextlib.ExitStack()
        self.machines, self.probers = {}, {}
        self.web_rules = self.witness = self.staging_witness = None

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # Tidying up takes two seconds, and an impatient second Ctrl-C would leave things behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.undo.close()

    # --- building ---
    def _build(self):
        tell = self.tell
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nwd"))
        self.undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
        netns.remove_leftovers()
        self.net = self.undo.enter_context(netns.Net("demo"))
        where = self.net.attach("master")
        self._clusters(where)
        self.setup = nodewall.Setup(self.directory / "nw", CONFIG.format(
            state=self.directory / "nw" / "state", prod=self.prod_kubeconfig, staging=self.staging_kubeconfig, grace=self.grace))
        self.master = saltbed.Master(self.version, self.directory, where, config=self.setup.master_options())
        self.undo.callback(self.master.stop)
        self._pillar()
        tell.say(f"salt-master {self.version} starts, and with it the engine")
        self.master.start()
        self.db, self.web = self._minion("db1", 5432), self._minion("web1", 8080)
        tell.say("two minions start: db1 and web1")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda minion: minion.salt.start(), (self.db, self.web)))
        self.node_a, self.stranger = self.machine("node-a", "203.0.113.21"), self.machine("stranger", "192.0.2.66")
        self.stage_1 = self.machine("stage-1", "198.51.100.31")
        for cluster in ("prod", "staging"):
            published = self.setup.state / "files" / "nodewall" / f"{cluster}.json"
            try:
                wait_until(published.exists, 30, f"the engine to have read {cluster}")
            except Timeout as error:
                raise Timeout(f"{error}; it said:\n{self.last_words()}") from None

    def _clusters(self, where):
        """prod and staging with a node each. The stand-in's certificate is from an authority of its own, and checked."""
        authority = tls.Authority(self.directory)
        certificate, key = authority.server("stand-in", ["127.0.0.1"])
        self.staging = FakeKube(token=TOKEN, cert=certificate, key=key)
        where.inside(self.staging.start)
        self.undo.callback(self.staging.stop)
        self.staging_kubeconfig = self.staging.kubeconfig(self.directory / "staging.kubeconfig", authority.certificate)
        if self.real:
            from harness import kube, servers
            self.tell.say(f"prod is a kube-apiserver {servers.KUBE} with etcd {servers.ETCD}; it starts")
            self.prod = kube.Cluster(where, "127.0.0.1")
            self.undo.callback(self.prod.stop)
            self.prod.start()
            self.prod_kubeconfig = self.prod.kubeconfig(self.directory / "prod.kubeconfig")
            self.stop_prod, self.start_prod = lambda: self.prod.stop_apiserver(kill=True), self.prod.start_apiserver
        else:
            self.prod = FakeKube(token=TOKEN, cert=certificate, key=key)
            where.inside(self.prod.start)
            self.undo.callback(self.prod.stop)
            self.prod_kubeconfig = self.prod.kubeconfig(self.directory / "prod.kubeconfig", authority.certificate)
            self.stop_prod, self.start_prod = self.prod.stop, lambda: where.inside(self.prod.start)
        self.prod.create_node("node-a", ["203.0.113.21"])
        self.staging.create_node("stage-1", ["198.51.100.31"])

    def _pillar(self):
        root = self.master.pillar_root
        (root / "top.sls").write_text("base:\n  db1: [db1]\n  web1: [web1]\n", encoding="ascii")
        (root / "db1.sls").write_text(RULE.format(name="postgres", port=5432, cluster="prod"), encoding="ascii")
        (root / "web1.sls").write_text(RULE.format(name="website", port=8080, cluster="staging"), encoding="ascii")

    def _minion(self, label, port):
        machine = self.net.attach(label)
        machine.port, machine.salt = port, self.master.minion(label, machine, start=False)
        service = Echo(machine, port)
        self.undo.callback(service.stop)
        return machine

    def machine(self, label, address):
        """A machine that has booted: on the wire, with an address of its own, in no cluster yet."""
        machine = self.net.attach(label, [address])
        machine.outside = address
        self.machines[label] = machine
        return machine

    # --- what Salt does ---
    def apply_rules(self):
        """`state.apply nodewall` on both minions; "" or what went wrong. From here on web1 is not to be touched."""
        answers = self.master.cmd("*", "state.apply", "nodewall", full=True, timeout=60)
        wrong = [f"{minion}: {json.dumps(answer['ret'])[:300]}" for minion, answer in answers.items() if answer["retcode"] != 0]
        wrong += [f"{label} did not answer" for label in ("db1", "web1") if label not in answers]
        self.web_rules, self.applied = self.rules_of(self.web), self.master.bus.mark()
        return "; ".join(wrong)

    def rules_of(self, minion):
        """Our table as it stands in the minion's kernel, without the counters."""
        return minion.nft("-s", "list", "table", "inet", "nodewall", check=False)

    def kernel_set(self):
        """The addresses that db1's kernel lets in for prod."""
        found = set()
        for family in ("v4", "v6"):
            text = self.db.nft("-j", "list", "set", "inet", "nodewall", f"cluster-prod-{family}", check=False)
            for item in json.loads(text or '{"nftables": []}')["nftables"]:
                for element in item.get("set", {}).get("elem", []):
                    found.add(element["elem"]["val"] if isinstance(element, dict) else element)
        return found

    def engine_pid(self):
        return self.master.engine_pid(nodewall.binary())

    def kill_engine(self):
        os.kill(self.engine_pid(), signal.SIGKILL)

    def last_words(self, lines=15):
        """What the engine and Salt's parts of nodewall said last, for a failure."""
        found = [line for line in self.master.log_text().split("\n") if "nodewall" in line and "Published command" not in line]
        return "\n".join(found[-lines:]) or self.master.tail(lines)

    # --- who gets through ---
    def knock(self, machine, minion):
        return machine.connect(minion.address, minion.port, machine.outside)

    def open_session(self, machine, minion):
        return Session(machine, (minion.address, minion.port))

    def prober(self, machine, minion):
        """One that knocks at the minion's service from the machine's address every 20 ms, until it is stopped."""
        prober = Prober(machine, [(minion.address, minion.port)], [machine.outside]).start()
        self.probers[machine.label] = prober
        self.undo.callback(prober.stop)
        return prober

    def begin_witness(self):
        self.witness, self.staging_witness = self.prober(self.node_a, self.db), self.prober(self.stage_1, self.web)

    def witness_count(self, since=0.0):
        return len(self.witness.of(self.node_a.outside, since=since))

    def witness_refusals(self, since=0.0):
        return self.witness.refusals(self.node_a.outside, since)

    def staging_count(self):
        return len(self.staging_witness.of(self.stage_1.outside))

    def staging_refusals(self):
        return self.staging_witness.refusals(self.stage_1.outside)

    # --- what the bus says ---
    def bus_since(self, begun):
        return [event for event in self.master.bus.events("*") if event.at >= begun]

    def settle(self):
        """Gives the last job return that is under way a moment to come in."""
        time.sleep(0.3)

    def jobs_for(self, minion, cluster="prod"):
        """How many jobs of nodewall.update about this cluster the minion was sent since the rules were applied."""
        def about(data):
            return any(isinstance(item, dict) and item.get("cluster") == cluster for item in data.get("arg", []))
        events = self.master.bus.events("salt/job/*/new", self.applied)
        return sum(1 for _, _, data in events if data.get("fun") == "nodewall.update" and minion in data.get("minions", []) and about(data))

    def heard(self, begun):
        """The way of a change over the bus, as rows for Narrator.timeline."""
        rows = []
        for at, tag, data in self.bus_since(begun):
            part = tag.split("/")
            if part[0] == "nodewall" and part[2] == "node":
                rows.append((at, "bus", f"{tag}   {' '.join(data['addresses'] or data['previous'])}"))
            elif part[0] == "nodewall" and part[2] == "addresses":
                change = " ".join([f"+{item}" for item in data.get("added", [])] + [f"-{item}" for item in data.get("removed", [])])
                rows.append((at, "bus", f"{tag}   generation {data['generation']}: {change}"))
            elif tag.startswith("salt/job/") and data.get("fun") == "nodewall.update" and part[3] == "new":
                rows.append((at, "reactor", f"nodewall.update, for {', '.join(data['minions'])} alone"))
            elif tag.startswith("salt/job/") and data.get("fun") == "nodewall.update" and part[3] == "ret":
                answer = data["return"] if isinstance(data["return"], dict) else {}
                rows.append((at, part[4], f"{answer.get('result', data['return'])}: generation {answer.get('generation')}, {answer.get('count')} addresses"))
        return rows
