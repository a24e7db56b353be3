# SPDX-License-Identifier: Apache-2.0
"""kill -9 at each step of a change: the kernel has all of it or nothing, a boot has one of the two, and the next run ends as if nothing had been."""
import subprocess

import pytest
from box import Cluster, prod, rule

START = ["203.0.113.1", "203.0.113.2", "2001:db8::1", "198.51.100.0/24"]
STAY = {"203.0.113.2", "2001:db8::1", "198.51.100.0/24"}


def begin(box):
    """A box with a first set of a new cluster applied."""
    box.namespace.nft("flush", "ruleset")
    box.call("nodewall.clean")
    cluster = Cluster(addresses=START)
    box.publish(cluster)
    box.pillar(prod())
    assert box.apply()["result"] == "applied"
    before = box.table()
    cluster.change(add=["203.0.113.9"], remove=["203.0.113.1"])
    return cluster, before


def boot(box):
    box.namespace.nft("flush", "ruleset")
    subprocess.run(["nsenter", f"--net={box.namespace.path}", "--", "/bin/sh", str(box.cache / "restore")], check=True, capture_output=True)
    return box.kernel()


def words(table):
    return sorted(table.replace(",", " ").split())


@pytest.mark.parametrize("how, fewest", [("delta", 4), ("whole", 6), ("rules", 8)])
def test_each_step_of_a_change(box, how, fewest):
    step = 0
    while True:
        step += 2 if how == "rules" else 1                  # half of its steps are those of `whole`
        cluster, before = begin(box)
        if how != "delta":
            box.publish(cluster)
        if how == "rules":
            box.pillar({**prod(port=5433), "more": rule("192.0.2.1", port=99)})
        fun, words_ = ("nodewall.apply", {}) if how == "rules" else ("nodewall.update", cluster.job(last=1 if how == "delta" else 0))
        died = box.worker.ask("killed", minion=str(box.config), fun=fun, arg=[], kwarg=words_, step=step)
        after = box.table()
        if box.kernel() == set(START):
            assert words(after) == words(before), f"step {step}: nothing"
        else:
            box.has(cluster)
        assert STAY <= boot(box) <= set(START) | set(cluster.members), f"step {step}: who stays is never shut out at a boot"
        assert ("dport 5433" in box.table()) != ("dport 5432" in box.table()), f"step {step}: one set of rules"
        box.publish(cluster)
        box.apply()
        box.has(cluster)
        assert "dport 5433" in box.table() if how == "rules" else "dport 5432" in box.table()
        assert boot(box) == set(cluster.members)
        if not died:
            break
    assert step > fewest, f"it was killed {step - 1} times only"


def test_nft_is_missing(box):
    cluster, _ = begin(box)
    folder = box.directory / "empty"
    folder.mkdir()
    path = box.call("environ.get", "PATH")
    try:
        box.call("environ.setval", "PATH", str(folder))
        for run in (box.apply, lambda **words: box.update(cluster, **words)):
            assert "nft isn't installed" in run(fails=True, **({"patch": {"SBIN": str(folder)}}))["comment"]
    finally:
        box.call("environ.setval", "PATH", path)
        box.call("nodewall.status", patch={"SBIN": "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"})


def test_a_read_only_disk_costs_a_warning(box):
    """New addresses come all the same; rules that shall be confirmed don't, for they couldn't be taken back."""
    cluster, _ = begin(box)
    subprocess.run(["mount", "--bind", str(box.cache), str(box.cache)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(box.cache)], check=True)
        box.publish(cluster)
        done = box.apply()
        assert done["result"] == "applied" and "can't be kept for the next boot" in " ".join(done["warnings"])
        box.has(cluster)
        box.configure(master_uri="tcp://127.0.0.1:9")
        box.pillar(prod(port=5433), confirm=5)
        assert "Read-only" in box.apply(fails=True)["comment"] and "dport 5432" in box.table()
    finally:
        subprocess.run(["umount", str(box.cache)], check=True)
    box.pillar(prod())
    assert not box.apply().get("warnings")
    assert boot(box) == set(cluster.members), "kept as soon as it can be"
