# SPDX-License-Identifier: Apache-2.0
"""Mode set-only: our sets in our table, the operator's own chains beside them. The guide's file is loaded as it stands there."""
import contextlib
import re

import pytest
from box import PORT, Cluster, prod, rule
from harness import nodewall

NODE, NODE6, OTHER, OTHER6 = "203.0.113.1", "2001:db8::1", "203.0.113.66", "2001:db8::66"
GUIDE = (nodewall.STATES / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wire_up(machine, clients):
    clients.add_address(NODE, NODE6, OTHER, OTHER6)
    with contextlib.ExitStack() as stack:
        stack.callback(machine.listen(PORT).close)
        yield


@pytest.fixture
def mine(box):
    """Loads the operator's file, as nftables.service or a hand does."""
    text = next(block for block in re.findall(r"^```\w*\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL) if "/etc/nftables.d/" in block.splitlines()[0])
    path = box.directory / "mine.nft"
    path.write_text(text, encoding="ascii")
    return lambda: box.namespace.nft("-f", str(path))


@pytest.fixture
def cluster(box, wire_up):
    cluster = Cluster(addresses=[NODE, NODE6])
    box.publish(cluster)
    box.pillar({"postgres": {"from": [{"kubernetes": "prod"}]}}, mode="set-only")
    return cluster


@pytest.fixture
def gets_in(machine, clients):
    return lambda *sources: [clients.connect(machine.address6 if ":" in one else machine.address, PORT, one, timeout=0.2) == "accepted" for one in sources]


def chain(box):
    return box.namespace.nft("-s", "list", "chain", "inet", "nodewall", "mine")


def test_it_judges_nothing_itself(box, cluster, gets_in):
    assert box.apply()["result"] == "applied"
    assert "hook" not in box.table() and gets_in(NODE, OTHER, NODE6, OTHER6) == [True] * 4
    assert "judges nothing" in box.call("nodewall.explain", NODE)["comment"]


@pytest.mark.parametrize("first", ["nodewall", "file"])
def test_own_rules_name_the_sets(box, cluster, mine, gets_in, first):
    """Whichever is there first, and loaded again at any time; deltas, whole sets and repair leave the chain alone."""
    for step in (box.apply, mine) if first == "nodewall" else (mine, box.apply):
        step()
    assert gets_in(NODE, NODE6, OTHER, OTHER6) == [True, True, False, False]
    before = chain(box)
    mine()
    assert chain(box) == before and box.apply()["result"] == "have", "others' chains are no drift"
    assert box.call("nodewall.status")["drift"] is False
    assert box.update(cluster.change(add=[OTHER], remove=[NODE6]))["result"] == "applied"
    assert gets_in(NODE, NODE6, OTHER, OTHER6) == [True, False, True, False]
    box.publish(cluster.change(add=["198.51.100.0/24"], remove=[OTHER]))
    assert box.update(cluster, last=0)["result"] == "fetched"
    box.has(cluster)
    box.namespace.nft("add element inet nodewall cluster-prod-v4 { 203.0.113.66 }")
    box.namespace.nft("delete element inet nodewall cluster-prod-v4 { 203.0.113.1 }")
    done = box.apply()
    assert "members of prod were changed" in done["changes"]["drift"] and gets_in(NODE, OTHER) == [True, False]
    assert chain(box) == before


def test_a_flush_and_the_file_again(box, cluster, mine, gets_in):
    """`systemctl reload nftables`: the file declares the sets, so it loads; they are filled again by restore, with no set made anew."""
    box.apply()
    mine()
    box.namespace.nft("flush", "ruleset")
    mine()
    assert gets_in(NODE, OTHER) == [False, False], "closed in between"
    box.unpublish()
    done = box.call("nodewall.restore")
    assert done["result"] == "applied" and gets_in(NODE, NODE6, OTHER) == [True, True, False] and "tcp dport 5432 drop" in chain(box)
    assert box.call("nodewall.restore")["result"] == "have"


def test_rules_that_come_and_go(box, cluster, mine, gets_in):
    """A set that others' rules name can't be taken away: it is emptied. One that nobody names goes."""
    box.apply()
    mine()
    lab = Cluster("lab", ["198.51.100.1"])
    box.publish(lab)
    box.pillar({"more": {"from": [{"kubernetes": "lab"}]}}, mode="set-only")
    assert set(box.apply()["changes"]["rules"]) == {"more", "postgres"}
    assert box.kernel("lab") == set(lab.members) and box.kernel() == set() and gets_in(NODE) == [False]
    assert box.apply()["result"] == "have"
    box.pillar({"postgres": {"from": [{"kubernetes": "prod"}]}}, mode="set-only")
    box.apply()
    assert gets_in(NODE, OTHER) == [True, False] and "cluster-lab" not in box.table()
    assert box.apply()["result"] == "have"


def test_clean_takes_only_what_is_ours(box, cluster, mine):
    box.apply()
    mine()
    done = box.call("nodewall.clean", fails=True)
    assert "your chains in table inet nodewall still name the sets (mine)" in done["comment"] and NODE in box.table()
    box.namespace.nft("flush", "chain", "inet", "nodewall", "mine")
    assert box.call("nodewall.clean")["result"] == "applied" and "chain mine" in box.table() and "set " not in box.table()


def test_from_guard_and_back(box, cluster, mine, gets_in):
    box.pillar(prod())
    box.apply()
    assert gets_in(NODE, OTHER) == [True, False]
    box.pillar({**prod(), "other": rule("192.0.2.1", port=99)}, mode="set-only")
    box.apply()
    assert "hook" not in box.table() and "chain" not in box.table() and gets_in(OTHER) == [True]
    mine()
    assert gets_in(NODE, OTHER) == [True, False]
    box.pillar(prod())
    assert box.apply()["result"] == "applied" and "chain mine" not in box.table() and gets_in(NODE, OTHER) == [True, False]
    assert box.apply()["result"] == "have"
