# SPDX-License-Identifier: Apache-2.0
"""A salt-master's configuration directory with the shipped snippet, and the engine's state directory, filled as the engine fills it."""
import json
import pathlib

import yaml
from harness import nodewall


class MasterDir:
    """`own`: the master's own file; `more`: {name: options} of further files in master.d."""

    def __init__(self, directory, own=None, more=None):
        self.directory = pathlib.Path(directory)
        self.state, self.config, self.path = self.directory / "state", self.directory / "nodewall.yaml", self.directory / "master"
        self.pillar_root = self.directory / "pillar"
        for path in (self.directory / "master.d", self.pillar_root, self.state):
            path.mkdir(parents=True)
        self.write_own(**(own or {}))
        self.snippet = self.moved(nodewall.SNIPPET.read_text(encoding="utf-8"))
        (self.directory / "master.d" / "zz-nodewall.conf").write_text(self.snippet, encoding="utf-8")
        for name, options in (more or {}).items():
            (self.directory / "master.d" / name).write_text(yaml.safe_dump(options), encoding="utf-8")
        self.configure({})

    def write_own(self, **own):
        """The master's own file."""
        self.path.write_text(yaml.safe_dump({"root_dir": str(self.directory), "id": "m", "log_level": "warning",
                                             "pillar_roots": {"base": [str(self.pillar_root)]}, **own}), encoding="utf-8")

    def moved(self, text):
        """The snippet with its paths moved; `nodewall_config` tells the reactor where the configuration is."""
        for name, place in (("states", nodewall.STATES), ("reactor", nodewall.REACTOR.parent), ("state", self.state), ("config", self.config)):
            text = text.replace(nodewall.SHIPPED[name], str(place))
        return text + f"\nnodewall_config: {self.config}\n"

    def configure(self, clusters, **more):
        self.config.write_text(yaml.safe_dump({"state_dir": str(self.state), "clusters": clusters, **more}), encoding="utf-8")

    def pillar(self, data):
        (self.pillar_root / "top.sls").write_text("base: {'*': [all]}\n", encoding="utf-8")
        (self.pillar_root / "all.sls").write_text("#!json\n" + json.dumps(data), encoding="utf-8")

    def publish(self, cluster):
        path = self.state / "files" / "nodewall" / f"{cluster.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cluster.document()), encoding="utf-8")

    def announce(self, cluster, tokens):
        """`tokens`: {token: minions or None}"""
        path = self.state / "announce" / f"{cluster.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"v": 1, "cluster": cluster.name, **cluster.header(), "deltas": cluster.deltas,
                                    "tokens": [{"token": token, "minions": minions} for token, minions in tokens.items()]}), encoding="utf-8")

    def index(self, cluster="prod"):
        path = self.state / "minions" / cluster
        return sorted(entry.name for entry in path.iterdir()) if path.exists() else []

    def note(self, *names, cluster="prod"):
        (self.state / "minions" / cluster).mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.state / "minions" / cluster / name).touch()
