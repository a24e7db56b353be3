# SPDX-License-Identifier: Apache-2.0
"""nodewall.apply and the state: from rules to a table, and what wrong rules must not do."""
import importlib.util

import pytest
import yaml
from box import PORT, VERSIONS, Box, Cluster, prod, rule
from harness import nodewall


@pytest.mark.parametrize("version", VERSIONS)
def test_each_salt_from_nothing_to_rules_to_nothing(workers, tmp_path, version):
    """Loader, state, update and clean in every line of Salt."""
    box = Box(workers(version), tmp_path / "box")
    cluster = Cluster(addresses=["203.0.113.1", "2001:db8::1"])
    box.publish(cluster)
    box.pillar(prod())
    before = box.ruleset()
    told = box.state(test=True)
    assert told["result"] is None and set(told["changes"]["rules"]["postgres"]["added"]) == set(cluster.members)
    assert box.ruleset() == before and not box.cache.exists(), "test=True only says it"
    done = box.state()
    assert done["result"] is True and done["changes"] == told["changes"]
    box.has(cluster)
    again = box.state()
    assert again["result"] is True and again["changes"] == {}
    assert box.state(test=True)["result"] is True
    assert box.update(cluster.change(add=["203.0.113.2"]))["result"] == "applied"
    box.has(cluster)
    assert box.call("nodewall.status")["clusters"]["prod"]["generation"] == 2
    assert box.state("nodewall.cleaned", test=True)["result"] is None and box.marker()
    assert box.state("nodewall.cleaned")["result"] is True
    assert box.ruleset() == before
    assert box.update(cluster)["result"] == "not-mine"


def test_rules_compile_to_disjoint_ports(box):
    """Overlapping ranges, both protocols, several sources: the kernel takes it, and each port has one verdict."""
    box.publish(Cluster(addresses=["203.0.113.1"]), Cluster("b.lab-2", ["198.51.100.0/24", "198.51.100.7", "2001:db8:1::/48"]))
    box.pillar({
        "web": rule({"kubernetes": "prod"}, "192.0.2.0/25", "192.0.2.128/25", "0.0.0.0/0", port="8000-8100"),
        "one of them": rule({"kubernetes": "b.lab-2"}, "2001:db8::/32", "::/0", port=[8050, "8090-9000"], proto=["tcp", "udp"]),
        "dns": rule({"interface": "docker*"}, "kubernetes:prod", port=53, proto="udp"),
        "kept": rule("192.0.2.7", port=9100, flows="keep"),
        "stream": rule("192.0.2.7", port=3868, proto="sctp"),
    })
    assert box.apply()["result"] == "applied"
    table = box.table()
    for chain in ("port-tcp-8000-8049", "port-tcp-8050", "port-tcp-8051-8089", "port-tcp-8090-8100", "port-tcp-8101-9000", "port-udp-8050",
                  "port-udp-8090-9000", "port-udp-53", "port-tcp-9100", "port-sctp-3868"):
        assert table.count(f"chain {chain} {{") == 1 and table.count(f"jump {chain}\n") == 1, chain
    assert table.count("chain port-") == 10
    assert box.kernel("b.lab-2") == {"198.51.100.0/24", "198.51.100.7", "2001:db8:1::/48"}
    assert box.apply()["result"] == "have", "what nft prints is what was meant"


def test_networks_within_networks(box):
    """An interval set takes no overlaps; the digest is over all of them, the kernel gets the widest, also through changes."""
    cluster = Cluster(addresses=["198.51.100.0/24", "198.51.100.64/26", "198.51.100.7", "2001:db8::/32", "2001:db8:1::/48"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    assert box.kernel() == {"198.51.100.0/24", "198.51.100.7", "2001:db8::/32"}
    assert box.apply()["result"] == "have"
    box.publish(cluster.change(remove=["198.51.100.0/24", "2001:db8::/32"], add=["203.0.112.0/23"]))
    assert box.update(cluster)["result"] == "fetched", "a network's change takes the whole set"
    box.has(cluster)
    box.publish(cluster.change(add=["198.51.100.0/25"]))
    assert box.update(cluster)["result"] == "fetched"
    assert box.kernel() == {"198.51.100.0/25", "198.51.100.7", "2001:db8:1::/48", "203.0.112.0/23"}
    box.publish(cluster.change(add=["0.0.0.0/0", "::/0"]))
    assert box.update(cluster)["result"] == "fetched"
    assert box.kernel() >= {"198.51.100.7"} and box.marker()[1] == cluster.generation
    assert box.apply()["result"] == "have"


def test_test_changes_nothing(box):
    """Not the kernel, not the disk, whatever is due: a first installation, new rules, new addresses, drift."""
    cluster = Cluster(addresses=["203.0.113.1", "203.0.113.2"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()

    def disk():
        return {path.name: path.read_bytes() for path in box.cache.iterdir()}
    kept, table = disk(), box.table()
    box.publish(cluster.change(add=["203.0.113.3"], remove=["203.0.113.1"]))
    box.pillar({**prod(port=5433), "more": rule("192.0.2.1", port=1)})
    done = box.apply(test=True)
    assert done["changes"] == box.call("nodewall.diff") == {"rules": {
        "more": {"added": {"192.0.2.1": "pillar"}, "ports": {"added": ["tcp 1"]}},
        "postgres": {"added": {"203.0.113.3": "prod/node"}, "removed": {"203.0.113.1": "prod/node"}, "ports": {"added": ["tcp 5433"], "removed": ["tcp 5432"]}}}}
    assert (disk(), box.table()) == (kept, table)
    assert box.state(test=True)["result"] is None
    box.namespace.nft("flush", "ruleset")
    assert "drift" in box.apply(test=True)["changes"]
    assert not box.table() and disk() == kept


WRONG = [
    (rule("203.0.113.300"), "neither an address nor a network"),
    (rule("203.0.113.7/24"), "bits are set behind the prefix, the network is 203.0.113.0/24"),
    (rule(1234567890123456789), "quote it"),
    (rule("**********"), "neither an address nor a network"),
    (rule("203.0.113.7; flush ruleset"), "neither an address nor a network"),
    (rule({"interface": "eth0\" accept\n"}), "can't be an interface's name"),
    (rule({"kubernetes": "../../etc"}), "can't be a cluster's name"),
    (rule({"kubernete": "prod"}), "there is no source `kubernete`"),
    (rule({"minions": "*"}), "minions needs `within`"),
    (rule({"minions": "*", "within": ["10.0.0.1/8"]}), "bits are set behind the prefix"),
    (rule({"minions": "web* and G@role:db", "within": ["10.0.0.0/8"]}), "say `trust_grains: true`"),
    (rule({"minions": "G@role:db", "within": "10.0.0.0/8", "trust_grains": "yes"}), "trust_grains is true or false"),
    (rule({"minions": "", "within": "10.0.0.0/8"}), "is no target"),
    (rule({"kubernetes": "prod", "within": "10.0.0.0/8"}), "the source `kubernetes` has no within"),
    (rule({"kubernetes": "prod", "minions": "*"}), "one key that says what it is"),
    (rule({"consul": "web"}), "there is no source `consul`"),
    (rule("192.0.2.1", port=0), "port 0"),
    (rule("192.0.2.1", port=65536), "port 65536"),
    (rule("192.0.2.1", port="10-5"), "port '10-5'"),
    (rule("192.0.2.1", port="1; accept"), "port '1; accept'"),
    (rule("192.0.2.1", port=True), "port True"),
    (rule("192.0.2.1", port="20-25"), "locks you out"),
    (rule("192.0.2.1", port=4506), "locks you out"),
    (rule("192.0.2.1", proto="icmp"), "proto 'icmp'"),
    (rule("192.0.2.1", form="x"), "there is no key form"),
    (rule(), "`from` is missing"),
    (["port"], "not a mapping"),
]


def test_each_bad_rule_is_one_sentence(box):
    """All or nothing: the good rules of a pillar that has a bad one aren't taken either."""
    box.publish(Cluster(addresses=["203.0.113.1"]))
    box.pillar(prod())
    box.apply()
    table = box.table()
    for wrong, sentence in WRONG:
        done = box.call("nodewall.apply", pillar={"rules": {"bad": wrong, "good": rule("192.0.2.9", port=99)}}, fails=True)
        assert done["result"] == "failed" and sentence in done["comment"], done
        assert "rule bad: " in done["comment"] and "\n" not in done["comment"] and "Traceback" not in "".join(box.said)
        assert box.table() == table


@pytest.mark.parametrize("wrong, errors, sentence", [
    (rule({"kubernetes": "nowhere"}), ["rule bad: there is no cluster 'nowhere'; this master has: prod"], "rule bad: there is no cluster 'nowhere'"),
    (rule("203.0.113.300"), [], "neither an address nor a network")])
def test_a_bad_rule_costs_nothing(box, wrong, errors, sentence):
    """What is applied stays and goes on: new addresses, repair."""
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    table = box.table()
    box.pillar({"bad": wrong, "good": rule("192.0.2.9", port=99)}, **({"errors": errors} if errors else {}))
    assert sentence in box.apply(fails=True)["comment"]
    state = box.state()
    assert state["result"] is False and sentence in state["comment"] and state["changes"] == {}
    assert box.table() == table
    assert box.update(cluster.change(add=["203.0.113.2"]))["result"] == "applied", "addresses still come"
    box.namespace.nft("flush", "ruleset")
    box.publish(cluster)
    assert box.apply(fails=True)["result"] == "failed"
    box.has(cluster)
    assert "port-tcp-99 " not in box.table() and "chain port-tcp-5432 " in box.table(), "repaired by the rules that were applied"


@pytest.mark.parametrize("ours", [["rules"], "rules", 7, {"rules": ["a"]}, {"rules": "a"}, {"rules": prod(), "mode": "open"}, {"rules": prod(), "mode": "iptables"}])
def test_a_pillar_of_another_shape(box, ours):
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    table = box.table()
    done = box.call("nodewall.apply", pillar=ours, fails=True)
    assert done["result"] == "failed" and done["comment"] and box.table() == table


def test_no_rules_is_no_order_to_remove(box):
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    table = box.table()
    box.pillar({})
    done = box.apply()
    assert done["result"] == "have" and "nodewall.clean" in done["warnings"][0]
    assert box.table() == table
    box.publish(cluster.change(add=["203.0.113.2"]))
    assert box.apply()["result"] == "applied"
    box.has(cluster)


def test_a_pillar_that_the_master_could_not_make(box):
    """_errors in pillar: some SLS didn't render, so rules may be missing."""
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    table = box.table()
    (box.pillars / "top.sls").write_text("base: {'*': [rules, missing]}\n", encoding="utf-8")
    done = box.apply(fails=True)
    assert "the pillar has errors" in done["comment"] and box.table() == table


def test_a_cluster_never_synced_waits(box):
    """Its rule isn't installed, the port stays as open as it is, also at the second and third apply and beside another rule of that port."""
    known = Cluster("known", ["203.0.113.1"])
    box.publish(known)
    box.pillar({**prod(), "other": rule("192.0.2.1"), "more": rule({"kubernetes": "known"}, port=99)})
    for _ in range(3):
        done = box.apply(fails=True)
        assert done["result"] == "incomplete" and "cluster prod was never synced" in done["comment"]
        assert f"dport {PORT}" not in box.table() and "dport 99" in box.table()
    assert box.call("nodewall.status")["waiting"] == ["postgres"]
    assert box.state()["result"] is False
    cluster = Cluster(addresses=["203.0.113.5"])
    box.publish(cluster)
    assert box.update(cluster)["result"] == "fetched", "the first set brings the rule"
    box.has(cluster)
    assert f"dport {PORT}" in box.table()


def test_closed_is_installed_without_a_set(box):
    box.pillar(prod(closed=True))
    assert box.apply()["result"] == "applied"
    assert f"dport {PORT}" in box.table() and box.kernel() == set()


def test_a_rule_that_waits_goes_on_in_its_former_version(box):
    """With the addresses of the cluster that only the former one names, newest ones, and after a flush too."""
    old = Cluster("old", ["203.0.113.1"])
    box.publish(old)
    box.pillar({"postgres": rule({"kubernetes": "old"})})
    box.apply()
    box.pillar({"postgres": rule({"kubernetes": "new"})})
    assert box.apply(fails=True)["result"] == "incomplete"
    box.has(old)
    assert box.update(old.change(add=["203.0.113.2"]))["result"] == "applied"
    box.publish(old.change(add=["203.0.113.3"]))
    assert box.update(old, last=0)["result"] == "fetched"
    box.has(old)
    box.namespace.nft("flush", "ruleset")
    box.unpublish("old")
    assert box.apply(fails=True)["result"] == "incomplete"
    box.has(old)
    box.publish(Cluster("new", ["203.0.113.9"]))
    assert box.apply()["result"] == "applied"
    assert box.kernel("new") == {"203.0.113.9"} and box.marker("old") is None


def test_set_only_keeps_sets_and_judges_nothing(box):
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar({"mine": {"from": [{"kubernetes": "prod"}]}}, mode="set-only")
    assert box.apply()["result"] == "applied"
    box.has(cluster)
    assert "hook" not in box.table()
    box.pillar({**prod(), "more": rule({"kubernetes": "later"})})
    assert box.apply(fails=True)["result"] == "incomplete"
    assert "dport" not in box.table(), "nothing was judged before, so the port that waits isn't now"


def test_other_tables_are_left_alone(box):
    """iptables', docker's, somebody's: the same before and after everything."""
    box.namespace.nft("add table ip nat; add chain ip nat DOCKER; add table inet mine; add set inet mine s { type ipv4_addr; }; "
                      "add element inet mine s { 192.0.2.1 }")
    before = box.ruleset()
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    box.update(cluster.change(add=["203.0.113.2"]))
    box.namespace.nft("add element inet nodewall cluster-prod-v4 { 192.0.2.66 }")
    box.publish(cluster)
    box.apply()
    assert before in box.ruleset()
    box.call("nodewall.clean")
    assert box.ruleset() == before


def test_nothing_to_do_writes_nothing(box):
    box.publish(Cluster(addresses=["203.0.113.1"]))
    box.pillar(prod())
    box.apply()

    def stamps():
        return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in box.cache.iterdir()}
    before, handles = stamps(), box.namespace.nft("-a", "list", "ruleset")
    assert box.apply()["result"] == "have" and box.state()["changes"] == {}
    assert stamps() == before and box.namespace.nft("-a", "list", "ruleset") == handles


def test_a_folder_that_others_can_write_to_is_refused(box):
    box.cache.mkdir(mode=0o777)
    box.cache.chmod(0o777)
    box.publish(Cluster(addresses=["203.0.113.1"]))
    box.pillar(prod())
    done = box.apply(fails=True)
    assert "chmod go-w" in done["comment"] and not box.table()


def test_a_disk_that_is_full_costs_a_warning(box):
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    # A directory in the way of a file stands for every reason why it can't be written.
    (box.cache / "cluster-prod.json.new").mkdir()
    box.publish(cluster.change(add=["203.0.113.2"]))
    done = box.apply()
    assert done["result"] == "applied" and "can't be kept for the next boot" in done["warnings"][-1]
    box.has(cluster)


def test_what_nft_refuses_is_a_sentence(box):
    """Salt reloads a package's parts: an exception caught by a class that was bound before would be a traceback."""
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    (box.cache / "rules.json").unlink()
    box.namespace.nft("add chain inet nodewall foreign")
    box.namespace.nft("add element inet nodewall cluster-prod-net4 { 192.0.2.1-192.0.2.6 }")
    done = box.update(cluster.change(add=["203.0.113.2"]), last=0, fails=True)
    assert done["result"] == "failed" and "run nodewall.apply" in done["comment"]
    assert "Traceback" not in "".join(box.said)
    box.publish(cluster)
    assert box.apply()["result"] == "applied"
    box.has(cluster)
    assert "foreign" not in box.table()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_failure_is_no_traceback_in_any_salt(workers, tmp_path, version):
    box = Box(workers(version), tmp_path / "box")
    box.pillar({"bad": rule("nonsense")})
    assert "neither an address nor a network" in box.apply(fails=True)["comment"]
    box.cache.chmod(0o777)
    assert "chmod go-w" in box.apply(fails=True)["comment"]
    assert "can't be a cluster's name" in box.call("nodewall.update", "../x", fails=True)["comment"]


def test_restore_from_disk_without_a_master(box):
    """The boot: no table, no master; rules and sets as they were last, deltas included."""
    cluster = Cluster(addresses=["203.0.113.1", "2001:db8::1"])
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    box.update(cluster.change(add=["203.0.113.2"], remove=["203.0.113.1"]))
    table = box.table()
    box.namespace.nft("flush", "ruleset")
    box.unpublish()
    assert box.call("nodewall.restore")["result"] == "applied"
    box.has(cluster)
    assert sorted(box.table().split()) == sorted(table.split())
    with open(box.cache / "cluster-prod.deltas", "a", encoding="utf-8") as stream:
        stream.write('{"generation": 3, "ba')
    box.namespace.nft("flush", "ruleset")
    assert box.call("nodewall.restore")["result"] == "applied", "a line that was cut off"
    box.has(cluster)


def test_addresses_for_other_firewalls(box):
    cluster = Cluster(addresses=["203.0.113.10", "203.0.113.9", "2001:db8::1"])
    box.publish(cluster)
    assert box.call("nodewall.addresses", "kubernetes:prod") == ["203.0.113.9", "203.0.113.10", "2001:db8::1"]
    assert box.call("nodewall.addresses", "2001:DB8::2") == ["2001:db8::2"]
    with pytest.raises(AssertionError, match="CommandExecutionError"):
        box.call("nodewall.addresses", "kubernetes:../x")
    with pytest.raises(AssertionError, match="has no set of it"):
        box.call("nodewall.addresses", "kubernetes:unknown")


def test_a_test_on_a_minion_without_nft():
    """The first `state.apply nodewall test=True` of a new minion: nft comes by the state before, so this is no failure. Without `test` it is."""
    spec = importlib.util.spec_from_file_location("state", nodewall.STATES / "_states" / "nodewall.py")
    state = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(state)
    failed = {"result": "failed", "comment": "nft isn't installed here"}
    state.__pillar__, state.__salt__ = {}, {"cmd.which": lambda name: None, "nodewall.apply": lambda **_: failed}
    for test, result in ((True, None), (False, False)):
        state.__opts__ = {"test": test}
        told = state.applied("nodewall")
        assert told["result"] is result and "nft" in told["comment"] and told["changes"] == {}


def test_the_example_is_pillar_that_works(box):
    """Every key of pillar.example, as it stands there."""
    example = yaml.safe_load((nodewall.STATES / "pillar.example").read_text(encoding="utf-8"))["nodewall"]
    box.publish(Cluster(addresses=["203.0.113.1"]), Cluster("staging", ["203.0.113.2"]))
    box.pillar(**example)
    assert box.apply()["result"] == "applied"
    table = box.table()
    for port in ("tcp dport 5432", "tcp dport 9180-9187", "udp dport 53", "tcp dport 53", "tcp dport 22", 'iifname "docker0"', "ct state established accept"):
        assert port in table, port
    assert box.apply()["result"] == "have"
