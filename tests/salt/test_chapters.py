# SPDX-License-Identifier: Apache-2.0
"""What the chapters show to be copied works as it stands there."""
import json
import re

import pytest
import yaml
from box import VERSIONS, Cluster
from harness import nodewall
from masterdir import MasterDir

EVENTS = (nodewall.ROOT / "reactor" / "README.md").read_text(encoding="utf-8")
EVIL = "x\"}\ninjected:\n  runner.event.send:\n    - tag: gotcha\n{{ 7 * 7 }}"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", EVENTS, re.MULTILINE | re.DOTALL)


@pytest.fixture(params=VERSIONS)
def react(request, workers, tmp_path):
    """The chapter's map and files on a master; `react(tag, data)` gives the jobs."""
    files = {re.search(r"# (/srv/reactor/\S+)", text).group(1): text for text in blocks("yaml") + blocks("python") if "# /srv/reactor/" in text}
    reactors = next(yaml.safe_load(text) for text in blocks("yaml") if text.startswith("reactor:"))
    moved = json.loads(json.dumps(reactors).replace("/srv/reactor", str(tmp_path)))
    assert sorted(files) == sorted(path for item in reactors["reactor"] for paths in item.values() for path in paths)
    for path, text in files.items():
        (tmp_path / path.rpartition("/")[2]).write_text(text, encoding="utf-8")
    master = MasterDir(tmp_path / "m", more={"mine.conf": moved})

    def react(tag, data):
        found = workers(request.param).ask("react", master=str(master.path), tag=tag, data=data)
        assert not any(line.startswith(("ERROR", "CRITICAL")) for line in found["said"]), found["said"]
        return found["jobs"]
    return react


def test_the_mail(react):
    job, = react("nodewall/prod/health", {"state": "held", "detail": "12 of 20 would go"})
    assert (job["tgt"], job["fun"]) == ("mail1", "smtp.send_msg")
    assert job["kwarg"] == {"recipient": "ops@example.org", "subject": "nodewall: held", "message": "nodewall/prod/health: 12 of 20 would go", "profile": "ops-smtp"}
    assert react("nodewall/prod/health", {"state": "synced"}) == []
    job, = react("nodewall/prod/health", {"state": "held", "detail": EVIL})
    assert job["kwarg"]["message"] == f"nodewall/prod/health: {EVIL}", "data stays data"
    job, = react(f"nodewall/{EVIL}/health", {"state": "held", "detail": {"a": [EVIL]}})
    assert job["fun"] == "smtp.send_msg"


def test_the_new_node(react):
    tag = "nodewall/prod/node/a/added"
    job, = react(tag, {"node": "a", "addresses": ["203.0.113.7"]})
    assert job["tgt"] == "monitor1" and job["fun"] == "state.apply"
    assert job["kwarg"] == {"mods": "monitoring.node", "pillar": {"new_node": {"name": "a", "addresses": ["203.0.113.7"]}}, "queue": True}
    for wrong in ({}, {"addresses": None}, {"addresses": [EVIL]}, {"addresses": 7}):
        assert react(tag, wrong) == []


def test_the_sample_event():
    """The keys that the table says, and JSON."""
    sample = json.loads(blocks("json")[0])
    for key in sample:
        assert f"`{key}`" in EVENTS, key


def test_the_guide(box):
    """Its pillar applies; the keys, sources and results that its tables name are those that there are."""
    guide = (nodewall.STATES / "README.md").read_text(encoding="utf-8")
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(**yaml.safe_load(re.search(r"```yaml\n(.*?)```", guide, re.DOTALL).group(1))["nodewall"])
    assert box.apply()["result"] == "applied"
    box.has(cluster)
    said = box.call("nodewall.apply", pillar={"rules": {"a": {"x": 1}, "b": {"port": 1, "from": [{"x": "y"}]}}}, fails=True)["comment"]
    keys = re.search(r"there are ([a-z, ]+);", said).group(1).split(", ")
    assert len(keys) == 6 and all(f"| `{key}` |" in guide for key in keys if key != "from") and "| `from` |" in guide
    for kind in re.findall(r"`([a-z]+): NAME`", said):
        assert f"| `{kind}: " in guide, kind
