# SPDX-License-Identifier: Apache-2.0
"""Where our own parts are, and a Setup: what an operator puts on a master, in a directory of a test.

`Setup.master_options()` is the shipped snippet `reactor/zz-nodewall.conf` with its paths moved, so that tests run what is documented.
The engine's program is a link in the Setup's directory: renaming it takes the engine away from one master alone.
"""
import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATES, REACTOR, SNIPPET = ROOT / "states", ROOT / "reactor" / "nodewall.sls", ROOT / "reactor" / "zz-nodewall.conf"
SHIPPED = {"states": "/usr/share/nodewall/states", "reactor": "/usr/share/nodewall/reactor", "state": "/var/lib/nodewall", "config": "/etc/nodewall/nodewall.yaml"}


def binary(build=None):
    """The built engine: of $NODEWALL_BUILD or `build/release` (what `./dev build` makes). Raises FileNotFoundError with the way out."""
    build = ROOT / (build or os.environ.get("NODEWALL_BUILD") or "build/release")
    for place in (build / "engine" / "nodewall", build / "nodewall"):
        if place.exists():
            return str(place)
    raise FileNotFoundError(f"no engine in {build}: run ./dev build (or set NODEWALL_BUILD)")


def run(*words, check=True, namespace=None, timeout=30):
    """Runs the program once: the CompletedProcess. With `check` an exit code other than 0 raises what it said."""
    prefix = ["nsenter", f"--net={namespace.path}", "--"] if namespace is not None else []
    done = subprocess.run([*prefix, binary(), *map(str, words)], capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL)
    if check and done.returncode:
        raise AssertionError(f"nodewall {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done


class Setup:
    """nodewall.yaml with its state directory (`config`, `state`) and what the master must know.

    `text`: the whole nodewall.yaml (with its state_dir) or a dict of it without state_dir. `reload(text)` writes another.
    """

    def __init__(self, directory, text):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state, self.config, self.program = self.directory / "state", self.directory / "nodewall.yaml", self.directory / "nodewall"
        self.state.mkdir(mode=0o750, exist_ok=True)
        self.binary = binary()
        if not self.program.is_symlink():
            self.program.symlink_to(self.binary)
        self.write(text)

    def write(self, text):
        """Writes nodewall.yaml; the engine reads it at its start or at SIGHUP."""
        if isinstance(text, dict):
            text = yaml.safe_dump({"state_dir": str(self.state), **text})
        self.config.touch(mode=0o640)
        self.config.write_text(text, encoding="utf-8")

    def _moved(self, value):
        if isinstance(value, dict):
            return {self._moved(key): self._moved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._moved(item) for item in value]
        if isinstance(value, str):
            for name, there in (("states", STATES), ("reactor", REACTOR.parent), ("state", self.state), ("config", self.config)):
                value = value.replace(SHIPPED[name], str(there))
        return value

    def master_options(self):
        """Options for saltbed.Master: engine, external pillar, reactor, file and module roots."""
        options = self._moved(yaml.safe_load(SNIPPET.read_text(encoding="utf-8")))
        if options.get("engines") != ["nodewall"]:
            raise AssertionError(f"{SNIPPET}: engines is {options.get('engines')}, tests expect [nodewall]")
        options["engines"] = [{"nodewall": {"config": str(self.config), "binary": str(self.program)}}]
        options["nodewall_config"] = str(self.config)
        options["file_roots"]["base"] = [root for root in options["file_roots"]["base"] if not root.startswith("/srv/")]
        return options
