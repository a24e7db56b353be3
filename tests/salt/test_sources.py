# SPDX-License-Identifier: Apache-2.0
"""Sources that are no clusters: minions by the mine, a module of one's own; and nodewall.addresses, for who has a formula of his own."""
import re
import textwrap

import pytest
from box import PORT, VERSIONS, Box, Cluster, prod, rule
from harness import nodewall
from masterdir import MasterDir

WITHIN = ["10.0.0.0/8", "2001:db8::/32"]


def write(box, module, code):
    """An execution module of the operator's, as _modules/<module>.py on the file server."""
    (box.extra / "_modules" / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")


@pytest.fixture
def box(workers, tmp_path):
    box = Box(workers(VERSIONS[-1]), tmp_path / "box")
    return own(box)


def own(box):
    """Where operators' modules are, and a source `hosts` whose value names a file of addresses."""
    box.extra = box.directory / "own"
    (box.extra / "_modules").mkdir(parents=True)
    box.configure(module_dirs=[str(box.extra)])
    write(box, "nodewall_hosts", """
        import json
        def addresses(value):
            with open(value) as stream:
                return json.load(stream)
        """)
    return box


def elements(box, kind="hosts"):
    """{address: comment} of the sets of a source's kind."""
    found = {}
    for line in box.table().replace("{ ", "\n").replace(" }", "\n").replace(",", "\n").splitlines():
        words = line.split()
        if "comment" in words[1:2] and words[2].startswith(f'"{kind}_'):
            found[words[0]] = line.split('"')[1].split(" ", 1)[1]
    return found


@pytest.fixture
def hosts(box):
    path = box.directory / "hosts.json"

    def hosts(text, rules=None, apply=True, **source):
        path.write_text(text, encoding="utf-8")
        box.pillar(rules or {"postgres": rule({"hosts": str(path), **source})})
        return box.apply() if apply else None
    return hosts


def test_a_source_of_ones_own(box, hosts):
    """A list or names; both families; networks. It comes, goes, is told per rule and explained like a cluster."""
    done = hosts('{"203.0.113.1": "alpha", "2001:db8::1": "beta", "198.51.100.0/24": "office"}')
    assert done["changes"]["rules"]["postgres"]["added"] == {"198.51.100.0/24": "hosts/office", "203.0.113.1": "hosts/alpha", "2001:db8::1": "hosts/beta"}
    assert set(elements(box)) == {"203.0.113.1", "2001:db8::1", "198.51.100.0/24"} and f"dport {PORT}" in box.table()
    assert hosts('{"203.0.113.1": "alpha", "2001:db8::1": "beta", "198.51.100.0/24": "office"}')["result"] == "have"
    done = hosts('["203.0.113.1", "203.0.113.9", "198.51.100.0/24"]')
    assert set(elements(box)) == {"203.0.113.1", "203.0.113.9", "198.51.100.0/24"} and done["result"] == "applied"
    by, = box.call("nodewall.explain", "203.0.113.9")["rules"]["postgres"]["by"]
    assert by["hosts"].endswith("hosts.json") and by["node"] == "-" and by["since"].startswith("20")
    assert box.call("nodewall.addresses", {"hosts": by["hosts"]}) == ["198.51.100.0/24", "203.0.113.1", "203.0.113.9"]
    name, = box.call("nodewall.status")["clusters"]
    assert name.startswith("hosts_")


@pytest.mark.parametrize("said, sentence", [("[]", "it has no address"), ("{", "Expecting property name"), ('["nonsense"]', "neither an address"), ("7", "not iterable")])
def test_what_it_cannot_say_changes_nothing(box, hosts, said, sentence):
    hosts('["203.0.113.1", "203.0.113.2"]')
    table = box.table()
    warnings = hosts(said)["warnings"]
    assert any(sentence in warning for warning in warnings) and any("the set that is applied stays, it is 0 seconds old" in one or "seconds old" in one for one in warnings)
    assert box.table() == table


def test_without_a_first_answer_its_rule_waits(box, hosts):
    hosts("[]", apply=False)
    done = box.apply(fails=True)
    assert done["result"] == "incomplete" and "hosts.json was never synced" in done["comment"] and f"dport {PORT}" not in box.table()


def test_most_of_them_gone_at_once_is_held(box, hosts):
    hosts('["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]')
    done = hosts('["203.0.113.1", "203.0.113.9"]')
    assert done["result"] == "applied" and "take away 3 of 4" in done["warnings"][0] and "accept=True" in done["warnings"][0]
    assert set(elements(box)) == {"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.9"}
    assert box.apply(accept=True)["result"] == "applied" and set(elements(box)) == {"203.0.113.1", "203.0.113.9"}
    assert box.apply()["result"] == "have"


def test_a_source_is_rebuilt_without_being_asked(box, hosts):
    """After a flush, from disk, by an announcement of a cluster; and while pillar is wrong it goes on."""
    cluster = Cluster(addresses=["203.0.113.77"])
    box.publish(cluster)
    path = str(box.directory / "hosts.json")
    hosts('["203.0.113.1"]', rules={"postgres": rule({"hosts": path}, {"kubernetes": "prod"})})
    (box.directory / "hosts.json").unlink()
    box.namespace.nft("flush", "ruleset")
    box.call("nodewall.restore")
    assert set(elements(box)) == {"203.0.113.1"} and box.kernel() == {"203.0.113.77"}
    box.namespace.nft("flush", "ruleset")
    box.update(cluster)
    assert set(elements(box)) == {"203.0.113.1"} and box.kernel() == {"203.0.113.77"}
    box.namespace.nft("flush", "ruleset")
    box.pillar({"bad": rule("nonsense")})
    box.apply(fails=True)
    assert set(elements(box)) == {"203.0.113.1"} and box.kernel() == {"203.0.113.77"}


def test_within_and_names_bind_a_source_of_ones_own(box, hosts):
    done = hosts('{"10.1.2.3": "x\\" accept #", "192.0.2.1": "out", "10.0.0.0/7": "wider", "::ffff:10.1.2.4": "mapped"}', within=["10.0.0.0/8"])
    assert elements(box).keys() == {"10.1.2.3", "10.1.2.4"} and elements(box)["10.1.2.3"].startswith("x__accept__ 20")
    assert "192.0.2.1 of out, not within 10.0.0.0/8" in done["warnings"][0] and "10.0.0.0/7 of wider" in done["warnings"][0]


@pytest.mark.parametrize("version", VERSIONS)
def test_minions_by_the_mine(workers, tmp_path, version):
    """What a minion says of itself: single addresses, within the networks, and by grains only if that is said."""
    box = Box(workers(version), tmp_path / "box")
    (box.directory / "var" / "cache" / "salt" / "minion").mkdir(parents=True, exist_ok=True)
    box.call("data.update", "mine_cache", {"network.ip_addrs": ["10.1.2.3", "192.0.2.66", "10.0.0.0/8", "0.0.0.0/0", 7, "10.9.9.9\" accept"],
                                           "network.ip_addrs6": ["2001:db8::3", "fe80::1"]})
    box.pillar({"postgres": rule({"minions": "box", "within": WITHIN})})
    done = box.apply()
    assert elements(box, "minions").keys() == {"10.1.2.3", "2001:db8::3"}
    assert done["changes"]["rules"]["postgres"]["added"] == {"10.1.2.3": "minions/box", "2001:db8::3": "minions/box"}
    assert "192.0.2.66 of box, not within" in done["warnings"][0] and "10.0.0.0/8 of box, a network" in done["warnings"][0]
    assert box.call("nodewall.explain", "10.1.2.3")["rules"]["postgres"]["by"][0]["node"] == "box"
    assert box.call("nodewall.addresses", "minions:box", within=WITHIN) == ["10.1.2.3", "2001:db8::3"]
    box.pillar({"postgres": rule({"minions": "other*", "within": WITHIN})})
    assert "was never synced" in box.apply(fails=True)["comment"] and elements(box, "minions").keys() == {"10.1.2.3", "2001:db8::3"}, "the former version stays"
    box.pillar({"postgres": rule({"minions": "G@kernel:Linux", "within": WITHIN, "trust_grains": True, "function": "network.ip_addrs"})})
    assert box.apply()["result"] == "applied" and elements(box, "minions").keys() == {"10.1.2.3"}


def test_which_targets_go_by_grains(box):
    for target in ("G@a:b", "web* or G@a:b", "not G@a:b", "web* and (P@a:b)", "S@10.0.0.0/8", "N@group", "G|@a|b", "T@x", "web* or (P:@a:b)", "*  and\tG@a:b"):
        said = box.call("nodewall.apply", pillar={"rules": {"a": rule({"minions": target, "within": "10.0.0.0/8"})}}, fails=True)["comment"]
        assert "trust_grains" in said, target
    for target in ("L@a,b", "E@web.*", "I@role:db", "J|@role|db and not L@c", "web-G@x"):
        said = box.call("nodewall.apply", pillar={"rules": {"a": rule({"minions": target, "within": "10.0.0.0/8"})}}, test=True, fails=True)["comment"]
        assert "trust_grains" not in said and "never synced" in said, (target, said)


def test_addresses_of_what_has_none(box):
    box.pillar(prod())
    for source in ("interface:eth0", "nonsense:x", {"minions": "*"}):
        with pytest.raises(AssertionError, match="CommandExecutionError"):
            box.call("nodewall.addresses", source)


# --- for who has a formula of his own: the guide's examples, as they stand there ---

GUIDE = (nodewall.STATES / "README.md").read_text(encoding="utf-8")
NODES = ["203.0.113.1", "203.0.113.2", "2001:db8::1"]


def example(path):
    """The block of the guide whose first line names this path."""
    return next(block for block in re.findall(r"^```\w+\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL) if path in block.splitlines()[0])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_pillar_of_other_formulas(workers, tmp_path, version):
    """Rendered on the master, where file_roots are pillar's own: from the engine's directory."""
    master = MasterDir(tmp_path / "m")
    master.write_own(nodewall_state_dir=str(master.state))
    master.publish(Cluster(addresses=NODES))
    for name in ("iptables", "firewalld"):
        (master.pillar_root / f"{name}.sls").write_text(example(f"/srv/pillar/{name}.sls"), encoding="utf-8")
    (master.pillar_root / "top.sls").write_text("base: {'*': [iptables, firewalld]}\n", encoding="utf-8")
    found = workers(version).ask("pillar", master=str(master.path), minion_id="db1")
    assert "_errors" not in found["value"], found
    assert found["value"]["firewall"]["services"]["5432"] == {"block_nomatch": True, "ips_allow": NODES[:2]}
    assert found["value"]["firewall"]["services_ipv6"]["5432"]["ips_allow"] == NODES[2:]
    assert found["value"]["firewalld"]["ipsets"]["prod"]["entries"] == NODES[:2]
    assert found["value"]["firewalld"]["ipsets"]["prod6"]["entries"] == NODES[2:]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hand_written_nft_file(workers, tmp_path, version):
    box = Box(workers(version), tmp_path / "box")
    box.publish(Cluster(addresses=NODES))
    (box.files / "prod.nft").write_text(example("/srv/salt/mine/prod.nft"), encoding="utf-8")
    done = box.state("file.managed", name=str(box.directory / "prod.nft"), source="salt://prod.nft", template="jinja")
    assert done["result"] is True, done
    box.namespace.nft("-f", str(box.directory / "prod.nft"))
    listed = box.ruleset()
    assert all(address in listed for address in NODES) and "nodewall" not in listed
