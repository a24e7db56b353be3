# SPDX-License-Identifier: Apache-2.0
"""Where the latencies are measured: a real kube-apiserver with etcd, a salt-master with the engine through its shim, a minion with nftables.

    wire ──┬── kube    kube-apiserver, etcd          ──┬── db      salt-minion, a service, rules that name all lanes
           └── master  salt-master, engine, informer   └── nodes   the nodes' addresses; a prober that knocks at db

A lane is a cluster of nodewall.yaml that selects its nodes by a label. Debounce counts for each cluster, so that going round LANES of
them a lane is calm again by its next turn, while the bench need not wait that long. The informer watches all nodes.

Owns every process, namespace and file; `close` undoes all. Not here: what is done on it (latency.py).
"""
import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import time

from bench.informer import Informer
from harness import cache, kube, netns, nodewall, saltbed
from harness.process import wait_until
from harness.prober import Prober

LANES = 5
CALM = 5.0                  # seconds between two changes of a lane: more than enough for each to be a first one
PORT = 5432
PER_NODE = 16               # addresses of a node that the engine takes unless told otherwise (max_addresses_per_node)
EVERY = 0.005               # between two knocks: what an acceptance is known to
PATIENCE = 0.25             # after which a knock counts as dropped
PING = "bench/ping"
# As ours: Python, no Jinja, local, a list of minions. It does nothing but name the job, and the module does nothing but look at the clock.
REACTOR = '''#!py
def run():
    return {"ping": {"local.nwbench.nothing": [{"tgt": ["db"]}, {"tgt_type": "list"}, {"args": [{"number": data["number"]}]}]}}
'''
MODULE = '''import time
def nothing(number):
    return {"number": number, "at": time.monotonic()}
'''


def lane(number):
    return f"lane{number % LANES}"


class Stage:
    """See the head of this file. A context manager."""

    def __init__(self, version, big=()):
        """`big`: the addresses of one more cluster of this name, which no rule names until `only_big`."""
        self.version, self.big = version, list(big)
        self.undo = contextlib.ExitStack()
        self.nodes = self.db = self.prober = self.informer = None
        self.made = []

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.undo.close()

    def _build(self):
        cache.say(f"the stage: kube-apiserver, salt-master {self.version} with the engine, a minion")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nwb"))
        self.undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
        net = self.undo.enter_context(netns.Net("bench"))
        self.cluster = kube.Cluster(net.attach("kube"))
        self.undo.callback(self.cluster.stop)
        self.cluster.start()
        kubeconfig = self.cluster.kubeconfig(self.directory / "prod.kubeconfig")
        for number in range(LANES):
            self.cluster.create_node(f"anchor{number}", [f"192.0.2.{200 + number}"], {"lane": lane(number)})
        self.setup = nodewall.Setup(self.directory / "nw", {"clusters": {**{lane(number): {
            "kubeconfig": str(kubeconfig), "node_selector": f"lane={lane(number)}", "removal_grace": "1s", "max_removal": "100%"}
            for number in range(LANES)}, **self._big(kubeconfig)}})
        self._master(net.attach("master"))
        self.nodes, self.db = net.attach("nodes"), net.attach("db")
        self.undo.callback(self.db.listen(PORT).close)
        for number in range(LANES):
            wait_until((self.setup.state / "files" / "nodewall" / f"{lane(number)}.json").exists, 30, f"the engine to have read {lane(number)}")
        self.db.salt = self.master.minion("db", self.db)
        answer = self.master.cmd("db", "state.apply", "nodewall", full=True, timeout=60)["db"]
        if answer["retcode"]:
            raise AssertionError(f"state.apply on the minion: {json.dumps(answer['ret'])[:2000]}")
        self.prober = Prober(self.nodes, [(self.db.address, PORT)], every=EVERY, patience=PATIENCE).start()
        self.undo.callback(self.prober.stop)
        self.informer = Informer(kubeconfig, self.master.namespace)
        self.undo.callback(self.informer.stop)

    def _big(self, kubeconfig):
        if not self.big:
            return {}
        for number in range(0, len(self.big), PER_NODE):
            self.cluster.create_node(f"big{number}", self.big[number:number + PER_NODE], {"lane": "big"})
        return {"big": {"kubeconfig": str(kubeconfig), "node_selector": "lane=big"}}

    def _pillar(self, clusters):
        rules = {"postgres": {"port": PORT, "from": [{"kubernetes": name} for name in clusters]}}
        (self.master.pillar_root / "db.sls").write_text("#!json\n" + json.dumps({"nodewall": {"rules": rules}}), encoding="ascii")

    def only_big(self):
        """From its next compile on the minion's pillar names the cluster "big" alone."""
        self._pillar(["big"])
        wait_until((self.setup.state / "files" / "nodewall" / "big.json").exists, 30, "the engine to have published big")

    def _master(self, where):
        options = self.setup.master_options()
        reactor = self.directory / "ping.sls"
        reactor.write_text(REACTOR, encoding="ascii")
        options["reactor"].append({PING: [str(reactor)]})
        self.master = saltbed.Master(self.version, self.directory, where, config=options)
        self.undo.callback(self.master.stop)
        modules = self.master.file_root / "_modules"
        modules.mkdir()
        (modules / "nwbench.py").write_text(MODULE, encoding="ascii")
        (self.master.pillar_root / "top.sls").write_text("base: {db: [db]}\n", encoding="ascii")
        self._pillar(lane(number) for number in range(LANES))
        self.master.start()

    # --- what is done ---
    def create(self, name, address, number):
        """Creates the node; when the API server's answer had come."""
        self.nodes.add_address(address)
        self.cluster.create_node(name, [address], {"lane": lane(number)})
        at = time.monotonic()
        self.made.append(name)
        return at

    def event(self, address, number, since, timeout=10):
        """When the announcement that has this address came to the subscriber."""
        return self.master.bus.wait(f"nodewall/{lane(number)}/addresses", timeout, since, lambda event: address in event.data.get("added", [])).at

    def fsync(self):
        """Seconds that one fsync of a small file takes on the file system of the engine's state."""
        with open(self.setup.state / "bench-fsync", "wb") as handle:
            handle.write(os.urandom(4096))
            handle.flush()
            begun = time.monotonic()
            os.fsync(handle.fileno())
            return time.monotonic() - begun

    def tidy(self):
        """Removes the nodes that were made."""
        while self.made:
            self.cluster.delete_node(self.made.pop())
