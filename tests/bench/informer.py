# SPDX-License-Identifier: Apache-2.0
"""The reference: a client-go informer of Nodes (informer/main.go), built once and kept outside the tree like the servers.

`Informer` is one that runs: the times of its callbacks, on the clock of time.monotonic(). Owns its process.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

from harness import cache, servers
from harness.process import Timeout

SOURCE = pathlib.Path(__file__).resolve().parent / "informer"
FILES = ("main.go", "go.mod", "go.sum")


def version():
    """The client-go that go.mod asks for."""
    return next(line.split()[1] for line in (SOURCE / "go.mod").read_text(encoding="utf-8").splitlines() if line.strip().startswith("k8s.io/client-go "))


def _build(directory):
    go, own = servers.find_go()
    env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-buildvcs=false -mod=readonly", GOTOOLCHAIN="local")
    if not own:
        env.update(GOMODCACHE=str(directory / ".gomod"), GOCACHE=str(directory / ".gocache"), GOFLAGS=env["GOFLAGS"] + " -modcacherw")
    source = directory / ".source"
    source.mkdir()
    for name in FILES:
        shutil.copy(SOURCE / name, source)
    command = ["nice", "-n", "10", go, "build", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o", str(directory / "informer"), "."]
    cache.say("+ " + " ".join(command))
    subprocess.run(command, cwd=source, env=env, check=True, stdout=sys.stderr)
    for name in (".source", ".gomod", ".gocache"):
        shutil.rmtree(directory / name, ignore_errors=True)


def path():
    """The built program; a minute the first time."""
    key = f"informer-{version()}-{cache.recipe(*((SOURCE / name).read_text(encoding='utf-8') for name in FILES))}"
    return str(cache.ensure(key, f"a client-go {version()} informer", _build) / "informer")


class Informer:
    """A running one, in a namespace if given; its cache is synced when this returns. `quiet`: updates are not told."""

    def __init__(self, kubeconfig, namespace=None, quiet=False, timeout=60):
        prefix = ["nsenter", f"--net={namespace.path}", "--"] if namespace is not None else []
        self._added, self._condition, self.synced = {}, threading.Condition(), None
        self.child = subprocess.Popen([*prefix, path(), str(kubeconfig), *(["quiet"] if quiet else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=sys.stderr, text=True)
        self._thread = threading.Thread(target=self._read, name="informer", daemon=True)
        self._thread.start()
        with self._condition:
            if not self._condition.wait_for(lambda: self.synced is not None, timeout):
                self.stop()
                raise Timeout(f"the informer's cache did not sync within {timeout} s")

    @property
    def pid(self):
        """nsenter is replaced by the program, so this is the program's own."""
        return self.child.pid

    def _read(self):
        for line in self.child.stdout:
            told = json.loads(line)
            with self._condition:
                if told["what"] == "synced":
                    self.synced = told["at"] / 1e9
                elif told["what"] == "add":
                    self._added[told["name"]] = told["at"] / 1e9
                self._condition.notify_all()

    def added(self, name, timeout=10.0):
        """When its callback was told of this node."""
        with self._condition:
            if not self._condition.wait_for(lambda: name in self._added, timeout):
                raise Timeout(f"the informer did not tell of node {name} within {timeout:g} s")
            return self._added[name]

    def stop(self):
        self.child.stdin.close()
        end = time.monotonic() + 5
        while self.child.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self._thread.join(2)
