# SPDX-License-Identifier: Apache-2.0
"""Writes signs.json: what a real master's bus carries when minions start, answer and go. Usage: signs.py > signs.json

Needs root (a network namespace with nft in it). Run it with the harness's Python from tests/: python -m vectors.signs
"""
import hashlib
import json
import pathlib
import sys
import tempfile

import yaml
from harness import netns, nodewall, saltbed, venvs

EPOCH = "0123456789abcdef"
FIELDS = ("id", "cmd", "fun", "fun_args", "arg", "minions", "tgt_type", "act", "result", "retcode", "success", "return", "data")


def publish(directory, generation, addresses):
    """A set of cluster prod as the engine publishes it; its header."""
    records = b"".join(sorted(bytes([4, *map(int, address.split(".")), 32]) for address in addresses))
    header = {"epoch": EPOCH, "generation": generation, "rv": str(100 + generation), "as_of": "2026-11-25T07:00:00.000Z",
              "digest": hashlib.sha256(records).hexdigest(), "count": len(addresses)}
    path = pathlib.Path(directory) / "nodewall" / "prod.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"v": 1, "cluster": "prod", **header, "addresses": [[address, "a"] for address in addresses]}), encoding="utf-8")
    return header


def scene(version, net):
    """Events of one release: [{"tag", "data"}]."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="nwv"))
    master = saltbed.Master(version, directory=base, namespace=net.attach("master"),
                            config={"file_roots": {"base": [str(base / "sets"), str(nodewall.STATES)]}, "module_dirs": []})
    (base / "sets").mkdir()
    rules = {"nodewall": {"rules": {"postgres": {"port": 5432, "from": [{"kubernetes": "prod"}]}}}}
    (master.pillar_root / "top.sls").write_text(yaml.safe_dump({"base": {"*": ["rules"]}}), encoding="utf-8")
    (master.pillar_root / "rules.sls").write_text(yaml.safe_dump(rules), encoding="utf-8")
    with master:
        minion = master.minion("db", net.attach("db"))
        master.cmd("db", "nodewall.update", cluster="prod")             # the module is not there yet
        minion.cmd("saltutil.sync_all")
        have = publish(base / "sets", 1, ["203.0.113.1"])
        kwarg = {"cluster": "prod", "have": have, "deltas": [], "splay": 0}
        minion.cmd("nodewall.update", **kwarg)                          # not-mine
        minion.cmd("nodewall.apply", "test=True")
        minion.cmd("state.apply", "nodewall")
        minion.cmd("nodewall.update", **kwarg)                          # have
        kwarg["have"] = publish(base / "sets", 2, ["203.0.113.1", "203.0.113.2"])
        minion.cmd("nodewall.update", **kwarg)                          # fetched
        minion.cmd("nodewall.apply")
        minion.cmd("nodewall.status")
        minion.cmd("nodewall.clean")
        master.wheel("key.delete", "db")
        events = [event for event in master.bus.events("salt/*") if not event.tag.startswith("salt/wheel/") and not event.tag.endswith("/publish")
                  and not str(event.data.get("fun")).startswith("saltutil.")]
        return [{"tag": event.tag, "data": {key: event.data[key] for key in FIELDS if key in event.data}} for event in events]


def main():
    found = []
    for version in venvs.SALT_VERSIONS[1::2]:
        with netns.Net() as net:
            found.append({"salt": version, "events": scene(version, net)})
    lines = [",\n  ".join(json.dumps(event, default=repr) for event in one["events"]) for one in found]
    print("[" + ",\n".join('{"salt": "%s", "events": [\n  %s]}' % (one["salt"], text) for one, text in zip(found, lines)) + "]")


if __name__ == "__main__":
    main()
