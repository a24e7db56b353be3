# SPDX-License-Identifier: Apache-2.0
"""Row memory: what the engine costs at idle and with five thousand nodes whose kubelets write, beside the informer under the same load.

Both watch the same stand-in (harness.fake_kube: TLS, 9 kB a node, pages, gzip), because five thousand kubelets would need etcd's and
kube-apiserver's memory too. Heartbeats come at the rate of real ones: a kubelet writes its node's status every five minutes.
The engine runs under a real salt-master, through its shim; only its own process is counted, as only the informer's is.

Invariant: each second's sample is of both, at the same time; nothing is sampled before both have all nodes and the engine has published.
"""
import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import threading
import time

from bench.informer import Informer
from bench.report import Figure
from harness import cache, netns, nodewall, saltbed, tls
from harness.fake_kube import FakeKube
from harness.process import wait_until

TOKEN = "a-token-for-the-bench"
MANY = 5000
STATUS_EVERY = 300.0        # seconds between two writes of a kubelet (nodeStatusReportFrequency)
QUIET = 5.0                 # before the first sample
SECONDS = 25


def _rollup(pid):
    """{"Rss", "Pss"} in MiB."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[0] in ("Rss:", "Pss:"):
            found[words[0][:-1]] = int(words[1]) / 1024
    return found


def _peak(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def _cpu(pid):
    """Milliseconds of CPU of all its threads, by the scheduler's own count (a thread that has ended is lost from it)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e6


class Heartbeats:
    """Writes the status of one node after the other at the rate that so many kubelets have."""

    def __init__(self, kube, count):
        self._kube, self._names, self._stop, self.written = kube, list(kube.nodes_store.by_name), threading.Event(), 0
        self._every = STATUS_EVERY / count
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
        self._thread.start()

    def _run(self):
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._kube.heartbeat(self._names[self.written % len(self._names)])
            self.written += 1
            due += self._every

    def stop(self):
        self._stop.set()
        self._thread.join(5)


def _published(setup, count):
    path = setup.state / "files" / "nodewall" / "prod.json"
    return path.exists() and json.loads(path.read_text(encoding="utf-8"))["count"] == count


def _sample(pids, seconds):
    """{name: {"Rss": [MiB a second], "Pss": […], "cpu": [ms a second]}}"""
    found = {name: {"Rss": [], "Pss": [], "cpu": []} for name in pids}
    before = {name: (time.monotonic(), _cpu(pid)) for name, pid in pids.items()}
    for _ in range(seconds):
        time.sleep(1.0)
        for name, pid in pids.items():
            at, cpu = time.monotonic(), _cpu(pid)
            found[name]["cpu"].append((cpu - before[name][1]) / (at - before[name][0]))
            before[name] = (at, cpu)
            for key, value in _rollup(pid).items():
                found[name][key].append(value)
    return found


def _load(version, count, seconds):
    """The samples of both with so many nodes, and {name: peak MiB}, and how many heartbeats there were."""
    cache.say(f"memory: {count} node{'s' if count > 1 else ''}, {seconds} s")
    with contextlib.ExitStack() as undo:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="nwb"))
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        where = undo.enter_context(netns.Net("bench")).attach("master")
        authority = tls.Authority(directory)
        certificate, key = authority.server("stand-in", ["127.0.0.1"])
        kube = FakeKube(token=TOKEN, cert=certificate, key=key)
        for number in range(count):
            kube.create_node(f"n{number}", [f"10.{number >> 8}.{number & 255}.7"])
        where.inside(kube.start)
        undo.callback(kube.stop)
        kubeconfig = kube.kubeconfig(directory / "prod.kubeconfig", authority.certificate)
        setup = nodewall.Setup(directory / "nw", {"clusters": {"prod": {"kubeconfig": str(kubeconfig)}}})
        master = saltbed.Master(version, directory, where, config=setup.master_options())
        undo.callback(master.stop)
        master.start()
        wait_until(lambda: _published(setup, count), 60, f"the engine to publish {count} addresses", every=0.2)
        informer = Informer(kubeconfig, where, quiet=True)
        undo.callback(informer.stop)
        pids = {"engine": wait_until(lambda: master.engine_pid(setup.binary), 10, "the engine to run"), "informer": informer.pid}
        heartbeats = Heartbeats(kube, count) if count > 1 else None
        time.sleep(QUIET)
        written = heartbeats.written if heartbeats else 0
        found = _sample(pids, seconds)
        if heartbeats:
            heartbeats.stop()
            written = heartbeats.written - written
            least = seconds * count / STATUS_EVERY * 0.9
            if written < least:
                raise AssertionError(f"only {written} heartbeats in {seconds} s, {least:.0f} were wanted: the load was not the load")
        return found, {name: _peak(pid) for name, pid in pids.items()}, written


def measure(version, seconds=SECONDS):
    """The figures of this row."""
    figures = []
    for count, said in ((1, "idle, 1 node"), (MANY, f"{MANY} nodes, heartbeats")):
        found, peak, written = _load(version, count, seconds)
        engine, informer = found["engine"], found["informer"]
        for key, unit, what in (("Rss", "MiB", "RSS"), ("Pss", "MiB", "PSS"), ("cpu", "ms/s", "CPU")):
            figures.append(Figure("memory", f"{said}: {what}", unit, engine[key], "the informer", informer[key], "ratio"))
        figures.append(Figure("memory", f"{said}: RSS at its peak", "MiB", [peak["engine"]], "the informer", [peak["informer"]], "ratio"))
        if written:
            mean = {name: sum(samples["cpu"]) * 1e3 / written for name, samples in found.items()}
            figures[-1].note = (f"{written} heartbeats in {seconds} s; CPU for each, on the mean: engine {mean['engine']:.0f} us, "
                                f"informer {mean['informer']:.0f} us.")
    return figures
