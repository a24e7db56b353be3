# SPDX-License-Identifier: Apache-2.0
"""Row sync: the first list of five thousand nodes after a start, from a real kube-apiserver to a set on disk.

The engine runs as it ships, alone. It has a set of before, to which one node is new at each start: so its first list is published at once,
and the moment is to be seen. (Without a stored set the first one waits for a second list that agrees, by design.) Beside it: curl, which
fetches the same bytes in one piece and throws them away, and the client-go informer. CPU is user and system time of the whole process.

Invariant: a sample ends when all addresses are published, so a fast failure is none.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from bench.informer import Informer
from bench.report import Figure
from harness import cache, kube, nodewall
from harness.process import Timeout

MANY = 5000
PROTOBUF = "application/vnd.kubernetes.protobuf"


def node(number):
    """A Node as large as real ones: fifty images of its own choice, twenty labels, two addresses and a name; 15 kB of JSON."""
    made = kube.node_object(f"node-{number:05d}", [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", f"fd00::{number + 1:x}",
                                                  ("Hostname", f"node-{number:05d}")], {f"example.com/label-{key}": f"value-{number % (key + 2)}" for key in range(20)})
    made["status"]["images"] = [{"names": [f"registry.example.com/team/service-{number * 7 + image:x}@sha256:{(number * 50 + image) * 0x9e3779b97f4a7c15f39cc0605cedc835 % (1 << 256):064x}",
                                           f"registry.example.com/team/service-{number * 7 + image:x}:v1.{image}"], "sizeBytes": 10_000_000 + image} for image in range(50)]
    return made


def _status(pid, key):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in text.splitlines() if line.startswith(key + ":")).split()[1]) / 1024


def _cpu(pid):
    """Milliseconds of user and system time, of all its threads, those that have ended too."""
    words = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) * 1000 / os.sysconf("SC_CLK_TCK")


class Samples:
    """Of one program: CPU ms, time ms, VmHWM MiB, and the largest RssAnon seen, MiB."""

    def __init__(self):
        self.cpu, self.time, self.peak, self.own = [], [], [], []

    def add(self, begun, pid, own):
        self.time.append((time.monotonic() - begun) * 1e3)
        self.cpu.append(_cpu(pid))
        self.peak.append(_status(pid, "VmHWM"))
        self.own.append(max(own, _status(pid, "RssAnon")))


def _run_engine(setup, count, samples):
    """One start, until the set of so many addresses is published."""
    path = setup.state / "files" / "nodewall" / "prod.json"
    begun, own, seen = time.monotonic(), 0.0, 0
    with subprocess.Popen([setup.binary, "run", "-c", str(setup.config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            while True:
                if child.poll() is not None or time.monotonic() > begun + 60:
                    raise Timeout(f"the engine did not publish {count} addresses (exit code {child.returncode})")
                own = max(own, _status(child.pid, "RssAnon"))
                changed = path.stat().st_mtime_ns if path.exists() else 0
                if changed != seen and json.loads(path.read_text(encoding="utf-8"))["count"] == count:
                    break
                seen = changed
                time.sleep(0.005)
            if samples is not None:
                samples.add(begun, child.pid, own)
        finally:
            child.terminate()


def _run_curl(cluster, samples, accept):
    """One download of all nodes, by a curl that says what it took."""
    begun = time.monotonic()
    child = subprocess.Popen(["curl", "-sS", "--cacert", str(cluster.authority.certificate), "-o", "/dev/null", "-A", "nodewall-bench", "-H", f"Accept: {accept}",
                              "-H", f"Authorization: Bearer {kube.TOKENS['nodewall']}", cluster.url + "/api/v1/nodes"])
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise AssertionError(f"curl ended with {child.returncode}")
    samples.time.append((time.monotonic() - begun) * 1e3)
    samples.cpu.append((used.ru_utime + used.ru_stime) * 1e3)


def _run_informer(kubeconfig, samples):
    begun = time.monotonic()
    informer = Informer(kubeconfig, quiet=True)
    try:
        samples.add(begun, informer.pid, 0.0)
    finally:
        informer.stop()


def measure(count=MANY, rounds=7):
    """The figures of this row."""
    ours, protobuf, plain, informer = Samples(), Samples(), Samples(), Samples()
    with contextlib.ExitStack() as undo:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="nwb"))
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = undo.enter_context(kube.Cluster())
        cache.say(f"sync: {count} nodes are made")
        for number in range(count):
            cluster.request("POST", "/api/v1/nodes", node(number))
        kubeconfig = directory / "prod.kubeconfig"
        cluster.kubeconfig(kubeconfig)
        setup = nodewall.Setup(directory / "nw", {"clusters": {"prod": {"kubeconfig": str(kubeconfig)}}, "bus": {"sock_dir": str(directory)}})
        _run_engine(setup, 2 * count, None)
        for turn in range(rounds):
            cache.say(f"sync: {turn + 1} of {rounds}")
            cluster.request("POST", "/api/v1/nodes", node(count + turn))
            _run_engine(setup, 2 * (count + turn + 1), ours)
            _run_curl(cluster, protobuf, PROTOBUF)
            _run_curl(cluster, plain, "application/json")
            _run_informer(kubeconfig, informer)
    said = f"{count} nodes"
    return [
        Figure("sync", f"{said}: CPU", "ms", ours.cpu, "curl, the same bytes", protobuf.cpu, "ratio",
               note=f"curl of the JSON: {sorted(plain.cpu)[len(plain.cpu) // 2]:.0f} ms of CPU, {sorted(plain.time)[len(plain.time) // 2]:.0f} ms."),
        Figure("sync", f"{said}: CPU", "ms", ours.cpu, "the informer (JSON)", informer.cpu, "ratio"),
        Figure("sync", f"{said}: time, set on disk", "ms", ours.time, "curl, the same bytes", protobuf.time, "ratio", goal=1.2),
        Figure("sync", f"{said}: memory of its own, at the peak", "MiB", ours.own, "the informer (JSON)", informer.own, "value", goal=3.7),
        Figure("sync", f"{said}: VmHWM", "MiB", ours.peak, "the informer (JSON)", informer.peak, "ratio"),
    ]
