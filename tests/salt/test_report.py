# SPDX-License-Identifier: Apache-2.0
"""nodewall.explain, status and diff: why an address gets in, what is here, what would change; none of them changes anything."""
import json

import pytest
from box import PORT, Cluster, prod, rule


class Named(Cluster):
    """Each address with a node of its own: "203.0.113.1" is of node-203.0.113.1. Its sets are of the hour of their generation."""

    def change(self, add=(), **more):
        super().change(add=add, **more)
        self.deltas[-1]["added"] = [[address, f"node-{address}"] for address in add]
        return self

    def header(self):
        return {**super().header(), "as_of": f"2026-01-02T{self.generation:02}:04:05Z"}

    def document(self):
        return {**super().document(), "addresses": [[address, f"node-{address}"] for address in self.members]}


@pytest.fixture
def cluster(box):
    cluster = Named(addresses=["203.0.113.1", "203.0.113.2", "2001:db8::1", "198.51.100.0/24"])
    box.publish(cluster)
    box.pillar({**prod(), "metrics": rule("192.0.2.0/28", {"interface": "docker0"}, port=[9100, "9180-9187"])})
    assert box.apply()["result"] == "applied"
    return cluster


def why(box, address):
    return {name: one["by"] for name, one in box.call("nodewall.explain", address)["rules"].items()}


INTERFACE = {"interface": "docker0", "if": "it comes in there"}


def test_explain_says_rule_cluster_node_and_since_when(box, cluster):
    told = box.call("nodewall.explain", "203.0.113.1")
    assert told["rules"]["postgres"] == {"ports": ["tcp 5432"], "lets_in": True, "by": [
        {"kubernetes": "prod", "node": "node-203.0.113.1", "since": "2026-01-02T01:04:05Z"}]}
    assert told["comment"] == ("metrics (tcp 9100, tcp 9180-9187): if it comes in by docker0; "
                               "postgres (tcp 5432): node-203.0.113.1 of prod since 2026-01-02T01:04:05Z")
    assert why(box, "192.0.2.5") == {"postgres": [], "metrics": [{"address": "192.0.2.0/28"}, INTERFACE]}
    assert why(box, "198.51.100.77")["postgres"][0]["network"] == "198.51.100.0/24"
    assert why(box, "::ffff:203.0.113.2")["postgres"][0]["node"] == "node-203.0.113.2", "the same address, written otherwise"
    told = box.call("nodewall.explain", "203.0.113.66")
    assert told["rules"]["postgres"]["lets_in"] is False and told["comment"].endswith("postgres (tcp 5432): not let in")


def test_since_when_outlives_changes_rebuilding_and_a_boot(box, cluster):
    first, second = "2026-01-02T01:04:05Z", "2026-01-02T02:04:05Z"

    def since():
        return [why(box, address)["postgres"][0]["since"] for address in ("203.0.113.1", "203.0.113.9")]
    box.update(cluster.change(add=["203.0.113.9"]))
    assert since() == [first, second], "by delta"
    cluster.change(add=["203.0.113.10"])
    box.publish(cluster)
    box.update(cluster, last=0)
    assert since() == [first, second], "by the whole set"
    box.pillar(prod(port=5433))
    box.apply()
    assert since() == [first, second], "the table was made anew"
    box.update(cluster.change(add=["203.0.113.11"]))
    box.namespace.nft("flush", "ruleset")
    box.unpublish()
    box.call("nodewall.restore")
    assert since() == [first, second], "from disk"
    assert why(box, "203.0.113.11")["postgres"][0]["since"] == "2026-01-02T04:04:05Z", "from a delta on disk"
    box.update(cluster.change(remove=["203.0.113.1"]).change(add=["203.0.113.1"]).change(remove=["203.0.113.9"]), last=3)
    assert why(box, "203.0.113.9")["postgres"] == []


def test_an_address_that_went_to_another_node(box, cluster):
    """Nothing comes or goes, but who it stands for is said rightly from then on, for hosts and networks."""
    other = cluster.change(add=["203.0.113.9"]).document()
    moved = {"203.0.113.1": "new", "198.51.100.0/24": "newer"}
    other["addresses"] = [[address, moved.get(address, label)] for address, label in other["addresses"]]
    (box.files / "nodewall" / "prod.json").write_text(json.dumps(other), encoding="utf-8")
    assert box.update(cluster, last=0)["result"] == "fetched"
    box.has(cluster)
    assert why(box, "203.0.113.1")["postgres"] == [{"kubernetes": "prod", "node": "new", "since": "2026-01-02T02:04:05Z"}]
    assert why(box, "198.51.100.1")["postgres"][0]["node"] == "newer"
    assert why(box, "203.0.113.2")["postgres"][0]["since"] == "2026-01-02T01:04:05Z"
    assert box.apply()["result"] == "have"


def test_explain_tells_the_truth_of_the_kernel(box, cluster):
    """What somebody added by hand gets in, so it is said; that somebody did is said too."""
    box.namespace.nft("add element inet nodewall cluster-prod-v4 { 192.0.2.66 }")
    assert why(box, "192.0.2.66")["postgres"] == [{"kubernetes": "prod", "node": "", "since": "not known"}]
    assert box.call("nodewall.status")["clusters"]["prod"]["drift"] == {"foreign": ["192.0.2.66"]}
    box.namespace.nft("insert rule inet nodewall guard accept")
    assert "changed by somebody else" in box.call("nodewall.explain", "203.0.113.1")["drift"]
    box.namespace.nft("delete table inet nodewall")
    told = box.call("nodewall.explain", "203.0.113.1")
    assert told["rules"] == {} and "refuses nobody" in told["comment"] and "is gone" in told["drift"]


@pytest.mark.parametrize("wrong, sentence", [("nonsense", "neither an address"), ("198.51.100.0/24", "is a network"), ("1.1.1.1; flush ruleset", "neither")])
def test_explain_refuses_what_is_no_address(box, cluster, wrong, sentence):
    assert sentence in box.call("nodewall.explain", wrong, fails=True)["comment"]


def test_nothing_applied_is_said(box):
    assert box.call("nodewall.explain", "203.0.113.1")["comment"] == "nothing is applied here, nodewall refuses nobody"
    assert box.call("nodewall.status") == {"table": False, "mode": None, "rules": [], "waiting": [], "drift": False, "clusters": {}}
    assert not box.cache.exists()


def test_status_per_cluster(box, cluster):
    found = box.call("nodewall.status")
    assert (found["rules"], found["mode"], found["waiting"], found["drift"]) == (["metrics", "postgres"], "guard", [], False)
    entry = found["clusters"]["prod"]
    assert (entry["epoch"], entry["generation"], entry["digest"], entry["count"], entry["in_kernel"]) == (cluster.epoch, 1, cluster.digest, 4, 4)
    assert entry["as_of"] == "2026-01-02T01:04:05Z" and entry["age"] > 86400 and entry["drift"] is False
    box.namespace.nft("delete element inet nodewall cluster-prod-v6 { 2001:db8::1 }")
    assert box.call("nodewall.status")["clusters"]["prod"]["drift"] == {"missing": ["2001:db8::1"]}
    box.pillar({**prod(), "later": rule({"kubernetes": "later"}, port=99)})
    box.apply(fails=True)
    found = box.call("nodewall.status")
    assert found["waiting"] == ["later"] and found["clusters"]["later"] == {"applied": False} and found["clusters"]["prod"]["drift"] is False


def test_the_age_of_a_set_that_could_not_be_renewed_is_a_warning(box, cluster):
    box.unpublish()
    warning, = box.apply()["warnings"]
    assert "has no set of it; the set that is applied stays, it is" in warning and warning.endswith("days old")


def test_diff_is_exact_and_changes_nothing(box, cluster):
    """Per rule and node, nothing left out; the rules that don't change show only what moves."""
    assert box.call("nodewall.diff") == {}
    kept = {path.name: path.read_bytes() for path in box.cache.iterdir()}
    table = box.table()
    more = [f"203.0.113.{number}" for number in range(10, 90)]
    box.publish(cluster.change(add=more, remove=["203.0.113.2"]))
    box.pillar({**prod(flows="keep"), "again": rule({"kubernetes": "prod"}, port=77)})
    found = box.call("nodewall.diff")["rules"]
    added = {address: f"prod/node-{address}" for address in more}
    assert found["postgres"] == {"added": added, "removed": {"203.0.113.2": "prod/node-203.0.113.2"}, "settings": {"flows": "keep"}}
    assert set(found["again"]["added"]) == set(cluster.members) and found["again"]["ports"] == {"added": ["tcp 77"]}
    assert found["metrics"] == {"removed": {"192.0.2.0/28": "pillar", "interface docker0": "pillar"}, "ports": {"removed": ["tcp 9100", "tcp 9180-9187"]}}
    assert box.table() == table and {path.name: path.read_bytes() for path in box.cache.iterdir()} == kept
    assert box.state(test=True)["changes"] == {"rules": found}
    done = box.apply()
    assert done["changes"]["rules"]["again"]["added"]["..."] == "83 in all" and "postgres: 80 added, 1 removed, settings changed" in done["comment"]
    assert box.call("nodewall.diff") == {}


def test_names_of_nodes_are_comments_and_nothing_else(box):
    """They come from the cluster. Long ones are cut so that cluster and since when stay; nothing gets out of the quotes."""
    evil = 'x" accept }; flush ruleset; #\n2020-01-01T00:00:00Z'
    cluster = Cluster("c" * 63, ["203.0.113.1", "203.0.113.2"])
    document = {**cluster.document(), "addresses": [["203.0.113.1", evil], ["203.0.113.2", "n" * 253]]}
    path = box.files / "nodewall" / f"{cluster.name}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    box.pillar({"postgres": rule({"kubernetes": cluster.name})})
    assert box.apply()["result"] == "applied"
    first, second = (why(box, address)["postgres"][0] for address in ("203.0.113.1", "203.0.113.2"))
    assert (first["node"], first["since"]) == ("x__accept____flush_ruleset____2020-01-01T0", "2026-01-02T03:04:05Z")
    assert second["node"] == "n" * 42 and second["kubernetes"] == cluster.name
    cluster.change(add=["203.0.113.3"])
    table = box.table()
    path.write_text(json.dumps({**document, **cluster.header(), "addresses": [*document["addresses"], ["203.0.113.3", "a"]]}), encoding="utf-8")
    with box.nft_as(f'case "$*" in "-f -") tee {box.directory}/script | /usr/sbin/nft -f - ;; *) exec /usr/sbin/nft "$@" ;; esac'):
        assert box.update(cluster, last=0)["result"] == "fetched"
    assert "203.0.113.2" not in (box.directory / "script").read_text(encoding="ascii"), "a name that was cut is no other name"
    assert f"tcp dport {PORT}" in table and box.apply()["result"] == "have"
