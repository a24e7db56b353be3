# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Salt side play with: a Box (a machine with Salt's loader and a kernel's nft) and a Cluster (sets as the engine publishes them).

Digests are computed here from their definition, by tests/vectors/digest.py, which shares no code with the modules under test.
"""
import contextlib
import importlib.util
import ipaddress
import itertools
import json
import pathlib
import secrets
import subprocess

import yaml
from harness import nodewall, venvs

HERE = pathlib.Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("vectors_digest", HERE.parent / "vectors" / "digest.py")
vectors = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(vectors)

VERSIONS = ["3006.30", "3007.17", "3008.5"]
NEWEST = VERSIONS[-1]
PORT = 5432


class Worker:
    """loader.py of one Salt release in one namespace."""

    def __init__(self, version, namespace, log):
        self.version, self.namespace, self.log = version, namespace, pathlib.Path(log)
        self.venv = venvs.salt(version)
        with open(self.log, "ab") as errors:
            self.child = subprocess.Popen(
                ["nsenter", f"--net={namespace.path}", "--", str(self.venv / "bin" / "python"), str(HERE / "loader.py")], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, text=True, cwd="/",
                env={"PATH": f"{self.venv}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore"})

    def ask(self, do, **words):
        self.child.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        answer = json.loads(line) if line else {"error": "the loader ended"}
        if "error" in answer:
            raise AssertionError(f"{answer['error']}\n{self.log.read_text(errors='replace')[-3000:]}")
        return answer["value"]

    def close(self):
        self.child.stdin.close()
        self.child.wait(10)


class Cluster:
    """One store's view of a cluster: each `change` is the next generation. `deltas` as in the announce file."""

    def __init__(self, name="prod", addresses=(), rv=100, epoch=None):
        self.name, self.epoch, self.generation, self.rv = name, epoch or secrets.token_hex(8), 1, rv
        self.members = {str(ipaddress.ip_network(address) if "/" in address else ipaddress.ip_address(address)): "node" for address in addresses}
        self.deltas = []

    @property
    def digest(self):
        return vectors.digest(self.members)

    def change(self, add=(), remove=(), rv=None):
        base = self.digest
        for address in remove:
            del self.members[address]
        self.members.update({address: "node" for address in add})
        self.generation += 1
        self.rv = rv or self.rv + 1
        self.deltas.append({"generation": self.generation, "base": base, "digest": self.digest, "rv": str(self.rv),
                            "added": [[address, "node"] for address in add], "removed": list(remove)})
        return self

    def header(self):
        return {"epoch": self.epoch, "generation": self.generation, "rv": str(self.rv), "as_of": "2026-01-02T03:04:05Z", "digest": self.digest,
                "count": len(self.members)}

    def document(self):
        return {"v": 1, "cluster": self.name, **self.header(), "addresses": [[address, label] for address, label in self.members.items()]}

    def job(self, last=None, **more):
        """The arguments of nodewall.update as the reactor gives them; `last`: how many deltas."""
        deltas = self.deltas if last is None else self.deltas[len(self.deltas) - last:]
        return {"cluster": self.name, "have": self.header(), "deltas": deltas, **more}

    def copy(self):
        other = Cluster(self.name, self.members, self.rv, self.epoch)
        other.generation, other.deltas = self.generation, list(self.deltas)
        return other


class Box:
    """A minion in a namespace: its cache directory, the master's published sets, its pillar."""
    _numbers = itertools.count()

    def __init__(self, worker, directory):
        self.worker, self.namespace, self.directory = worker, worker.namespace, pathlib.Path(directory)
        self.cache, self.files, self.pillars = (self.directory / name for name in ("cache", "files", "pillar"))
        for path in (self.files / "nodewall", self.pillars, self.directory / "state"):
            path.mkdir(parents=True)
        self.config = self.directory / "minion"
        self.state_dir = self.directory / "state"
        (self.directory / "nodewall.yaml").write_text(yaml.safe_dump({"state_dir": str(self.state_dir), "clusters": {}}), encoding="utf-8")
        self.configure()
        (self.pillars / "top.sls").write_text("base: {'*': [rules]}\n", encoding="utf-8")
        self.pillar({})
        self.namespace.nft("flush", "ruleset")

    def configure(self, module_dirs=(), **more):
        """The minion's options."""
        self.config.write_text(yaml.safe_dump({
            "id": "box", "file_client": "local", "root_dir": str(self.directory), "file_roots": {"base": [str(self.files), str(nodewall.STATES)]},
            "pillar_roots": {"base": [str(self.pillars)]}, "module_dirs": [str(nodewall.STATES), *module_dirs], "nodewall_dir": str(self.cache),
            "extension_modules": str(self.directory / "extmods"), "enable_fqdns_grains": False, "enable_gpu_grains": False, "grains_cache": False,
            "log_level": "warning", **more}), encoding="utf-8")

    # --- the master's side ---
    def publish(self, *clusters):
        for cluster in clusters:
            path = self.files / "nodewall" / f"{cluster.name}.json"
            path.with_suffix(".new").write_text(json.dumps(cluster.document()), encoding="utf-8")
            path.with_suffix(".new").rename(path)

    def unpublish(self, name="prod"):
        (self.files / "nodewall" / f"{name}.json").unlink()

    def pillar(self, rules=None, **more):
        """nodewall:rules for the next compile."""
        ours = {**({"rules": rules} if rules else {}), **more}
        (self.pillars / "rules.sls").write_text("#!json\n" + json.dumps({"nodewall": ours} if ours else {}), encoding="utf-8")

    # --- the minion's ---
    def call(self, fun, *arg, fails=False, patch=None, **kwarg):
        """A job; `fails`: whether it must; `patch`: constants of the module, from now on."""
        found = self.worker.ask("call", minion=str(self.config), fun=fun, arg=list(arg), kwarg=kwarg, patch=patch)
        assert (found["retcode"] != 0) == fails, json.dumps(found, indent=1)
        self.said = found["said"]
        return found["value"]

    def apply(self, fails=False, **kwarg):
        return self.call("nodewall.apply", fails=fails, **kwarg)

    def update(self, cluster, last=None, fails=False, **more):
        return self.call("nodewall.update", fails=fails, **cluster.job(last, **more))

    def state(self, function="nodewall.applied", test=False, **words):
        """One state, alone in a run: its return."""
        module, _, name = function.partition(".")
        high = {"rules": {module: [name, *({key: value} for key, value in words.items())], "__sls__": "x", "__env__": "base"}}
        found = self.worker.ask("state", minion=str(self.config), high=high, test=test)
        assert isinstance(found, dict) and len(found) == 1, found
        return next(iter(found.values()))

    @contextlib.contextmanager
    def nft_as(self, script):
        """Within, the module's nft is this shell script; /usr/sbin/nft is the real one."""
        folder = self.directory / f"bin{next(self._numbers)}"
        folder.mkdir()
        (folder / "nft").write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        (folder / "nft").chmod(0o755)
        path = self.call("environ.get", "PATH")
        self.call("environ.setval", "PATH", f"{folder}:{path}")
        try:
            yield
        finally:
            self.call("environ.setval", "PATH", path)

    # --- the kernel ---
    def ruleset(self):
        """All tables, without counters and handles."""
        return self.namespace.nft("-s", "list", "ruleset")

    def table(self):
        return self.namespace.nft("-s", "list", "table", "inet", "nodewall", check=False)

    def kernel(self, cluster="prod"):
        """The addresses that the kernel has for a cluster."""
        text = self.namespace.nft("-j", "list", "table", "inet", "nodewall", check=False)
        found = set()
        for item in json.loads(text)["nftables"] if text else []:
            one = item.get("set", {})
            if one.get("name") in {f"cluster-{cluster}-{kind}" for kind in ("v4", "v6", "net4", "net6")}:
                for element in one.get("elem", []):
                    value = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
                    found.add("{addr}/{len}".format(**value["prefix"]) if isinstance(value, dict) else value)
        return found

    def marker(self, cluster="prod"):
        """(epoch, generation) in the marker's comment, or None."""
        text = self.namespace.nft("-j", "list", "set", "inet", "nodewall", "applied", check=False)
        for item in json.loads(text)["nftables"] if text else []:
            for element in item.get("set", {}).get("elem", []):
                words = element["elem"]["comment"].split()
                if words[0] == cluster:
                    return words[1], int(words[2])
        return None

    def has(self, cluster):
        """Asserts that the kernel holds exactly this version of the cluster."""
        assert self.kernel(cluster.name) == set(cluster.members)
        assert self.marker(cluster.name) == (cluster.epoch, cluster.generation)


def rule(*sources, port=PORT, **more):
    return {"port": port, "from": list(sources), **more}


def prod(**more):
    return {"postgres": rule({"kubernetes": "prod"}, **more)}
