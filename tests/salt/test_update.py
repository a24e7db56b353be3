# SPDX-License-Identifier: Apache-2.0
"""nodewall.update and the order of sets: what is late, repeated, out of order, of another store, or forged takes nothing away."""
import fcntl
import itertools
import json
import subprocess
import threading
import time

import pytest
from box import VERSIONS, Box, Cluster, Worker, prod, rule

START = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8::1"]


@pytest.fixture
def cluster(box):
    """Applied on the box."""
    cluster = Cluster(addresses=START)
    box.publish(cluster)
    box.pillar(prod())
    assert box.apply()["result"] == "applied"
    return cluster


def refused(box, script):
    """Runs it as nft would; asserts that it fails and changes nothing."""
    before = box.table()
    done = subprocess.run(["nsenter", f"--net={box.namespace.path}", "--", "/usr/sbin/nft", "-f", "-"], input=script, capture_output=True, text=True,
                          check=False)
    assert done.returncode != 0 and box.table() == before


def test_deltas_apply_without_a_fetch(box, cluster):
    box.unpublish()
    assert box.update(cluster.change(add=["203.0.113.9", "2001:db8::9"], remove=["203.0.113.1"]))["result"] == "applied"
    box.has(cluster)
    cluster.change(add=["203.0.113.10"]).change(remove=["203.0.113.10"]).change(add=["203.0.113.1"], remove=["2001:db8::9"])
    done = box.update(cluster)
    assert (done["result"], done["generation"], done["digest"], done["count"]) == ("applied", 5, cluster.digest, len(cluster.members))
    box.has(cluster)


def test_repeated_and_older_deltas_do_nothing(box, cluster):
    first = cluster.change(add=["203.0.113.9"]).copy()
    second = cluster.change(remove=["203.0.113.9"])
    box.unpublish()
    assert box.update(second)["result"] == "applied"
    table = box.table()
    for job in (first, second, first, second):
        assert box.update(job)["result"] == "have"
        assert box.table() == table
    box.has(second)


def test_a_gap_or_a_wrong_base_fetches_the_whole_set(box, cluster):
    box.publish(cluster.change(add=["203.0.113.9"]).change(add=["203.0.113.10"]))
    assert box.update(cluster, last=1)["result"] == "fetched", "a delta is missing"
    box.has(cluster)
    lying = cluster.change(add=["203.0.113.11"]).copy()
    lying.deltas[-1] = {**lying.deltas[-1], "base": "0" * 64}
    box.publish(cluster)
    assert box.update(lying)["result"] == "fetched", "another base"
    box.has(cluster)
    assert box.update(cluster.change(add=["203.0.113.12"]), deltas=[])["result"] == "have", "the master's file is still the old one"
    box.publish(cluster)
    assert box.update(cluster, last=0)["result"] == "fetched"
    box.has(cluster)


@pytest.mark.parametrize("wrong", [None, 7, "x", {"a": 1}, [7], [{}], [{"generation": 2, "base": "x", "digest": "y", "added": [], "removed": []}],
                                   [{"generation": 2, "base": "0" * 64, "digest": "0" * 64, "added": [["203.0.113.300", "n"]], "removed": []}],
                                   [{"generation": 2, "base": "0" * 64, "digest": "0" * 64, "added": [["1.1.1.1", "n"], ["1.1.1.1", "n"]], "removed": []}]])
def test_malformed_jobs_fetch(box, cluster, wrong):
    """What doesn't make sense is not believed; the set on the file server is."""
    cluster.change(add=["203.0.113.9"])
    box.publish(cluster)
    assert box.call("nodewall.update", cluster="prod", have=cluster.header(), deltas=wrong, splay="soon")["result"] == "fetched"
    box.has(cluster)
    assert box.call("nodewall.update", cluster="prod", have={"generation": -1}, deltas=wrong)["result"] == "have"
    assert box.call("nodewall.update", cluster="prod", have=[1])["result"] == "have"


def test_labels_are_no_way_into_nft(box, cluster):
    """A node's name comes from the cluster; in the kernel it is a comment and nothing else."""
    cluster.change(add=["203.0.113.9"])
    cluster.deltas[-1]["added"] = [["203.0.113.9", 'x" }; flush ruleset; #' + "n" * 300]]
    assert box.update(cluster)["result"] == "applied"
    box.has(cluster)


def test_the_kernel_compares_and_swaps(box, cluster):
    """Each transaction names the version that it starts from: it runs once, and never from another one."""
    taken = box.directory / "taken"
    with box.nft_as(f'case "$*" in "-f -") tee -a {taken} | /usr/sbin/nft -f - ;; *) exec /usr/sbin/nft "$@" ;; esac'):
        box.update(cluster.change(add=["203.0.113.9"], remove=["203.0.113.1"]))
    script = taken.read_text(encoding="ascii")
    box.has(cluster)
    refused(box, script)                                       # once more
    box.update(cluster.change(add=["203.0.113.1"], remove=["203.0.113.9"]))
    assert cluster.digest == cluster.deltas[0]["base"], "the same members as the script began with: A, B, A"
    refused(box, script)                                       # the same addresses, another generation
    box.namespace.nft("delete element inet nodewall cluster-prod-v4 { 203.0.113.2 }")
    table = box.table()
    box.publish(cluster.change(remove=["203.0.113.2"]))
    assert box.update(cluster)["result"] == "fetched", "a delta that doesn't fit what is there aborts as a whole; the set comes instead"
    box.has(cluster)
    assert table != box.table()


def test_any_order_of_delivery_ends_at_the_newest(box, cluster):
    """Every order of three announcements, each with its deltas, some twice."""
    versions = []
    for change in ({"add": ["203.0.113.9"]}, {"remove": ["203.0.113.9", "203.0.113.1"]}, {"add": ["203.0.113.1"]}):
        versions.append(cluster.change(**change).copy())
    box.publish(cluster)
    start = Cluster(addresses=START, epoch=cluster.epoch, rv=100)
    for order in itertools.permutations(versions):
        box.call("nodewall.clean")
        box.publish(start)
        box.apply()
        box.has(start)
        box.publish(cluster)
        reached = 1
        for version in (*order, order[0]):
            box.update(version)
            now = box.marker()[1]
            assert now >= max(reached, version.generation), "never back"
            reached = now
        box.has(cluster)


def test_an_older_file_takes_nothing_back(box, cluster):
    """Whatever brings it: update, apply, the state, restore."""
    old = cluster.copy()
    box.update(cluster.change(add=["203.0.113.9"], remove=["203.0.113.1"]))
    box.publish(old)
    for run in (box.apply, box.state, lambda: box.update(old, last=0), lambda: box.call("nodewall.restore")):
        run()
        box.has(cluster)


# --- other stores ---

def test_a_newer_store_takes_over(box, cluster):
    other = Cluster(addresses=[*START[1:], "203.0.113.9"], rv=101)
    box.publish(other)
    assert box.update(other)["result"] == "fetched"
    box.has(other)
    box.publish(cluster)
    assert box.update(cluster)["result"] == "conflict", "the first store's set is the older one now"


def test_an_older_store_only_adds(box, cluster):
    """Nothing tells which is newer: nobody is shut out, and the minion says so, each time."""
    other = Cluster(addresses=["203.0.113.9"], rv=100)
    box.publish(other)
    for _ in range(2):
        done = box.update(other)
        assert done["result"] == "conflict" and "accept=True" in done["comment"]
        assert box.kernel() == set(cluster.members) | {"203.0.113.9"} and box.marker() == (cluster.epoch, 1)
    assert box.apply()["result"] == "conflict"
    assert box.state()["result"] is True
    assert box.call("nodewall.status")["clusters"]["prod"]["conflict"] is True
    box.namespace.nft("flush", "ruleset")
    box.unpublish()
    box.call("nodewall.restore")
    assert box.kernel() == set(cluster.members) | {"203.0.113.9"}, "kept over a boot as well"
    box.publish(other)
    assert box.apply(accept=True)["result"] == "applied"
    box.has(other)
    assert box.apply()["result"] == "have"


def test_a_conflict_ends_with_a_newer_set(box, cluster):
    other = Cluster(addresses=["203.0.113.9"], rv=100)
    box.publish(other)
    box.update(other)
    box.publish(cluster.change(add=["203.0.113.10"], rv=150))
    assert box.update(cluster)["result"] == "fetched", "with what another store added, deltas aren't enough"
    box.has(cluster)


def test_a_new_store_that_lost_most_is_held(box, cluster):
    """The store was lost, and the cluster was read while it was half there: additions come, nobody goes."""
    other = Cluster(addresses=["203.0.113.1", "203.0.113.9"], rv=200)
    box.publish(other)
    done = box.update(other)
    assert done["result"] == "conflict" and "take away 3 of 4" in done["comment"]
    assert box.kernel() == set(cluster.members) | {"203.0.113.9"}
    box.publish(other.change(add=["203.0.113.2"]))
    assert box.update(other)["result"] == "fetched", "half is believed"
    box.has(other)


def test_a_generation_that_came_twice(box, cluster):
    """The store was set back to a copy: the same generation with other members. Additions only."""
    twin = cluster.copy()
    box.update(cluster.change(add=["203.0.113.9"]))
    twin.change(add=["203.0.113.10"], remove=["203.0.113.1"])
    box.publish(twin)
    assert box.update(twin)["result"] == "conflict"
    assert box.kernel() == set(cluster.members) | set(twin.members)
    box.publish(twin.change(add=["203.0.113.11"]))
    box.update(twin)
    box.has(twin)


# --- drift ---

@pytest.mark.parametrize("by_hand", ["flush ruleset", "delete table inet nodewall", "flush set inet nodewall cluster-prod-v4", "flush set inet nodewall applied",
                                     "flush chain inet nodewall guard", "delete element inet nodewall cluster-prod-v6 { 2001:db8::1 }",
                                     "add element inet nodewall cluster-prod-v4 { 192.0.2.66 }", "add element inet nodewall cluster-prod-net4 { 192.0.2.0/29 }",
                                     "add element inet nodewall cluster-prod-net4 { 192.0.2.1-192.0.2.6 }", "insert rule inet nodewall guard accept",
                                     "add set inet nodewall extra { type ipv4_addr; }", "add chain inet nodewall x"])
def test_what_somebody_changed_by_hand_is_seen_and_repaired(box, cluster, by_hand):
    table = box.table()
    box.namespace.nft(by_hand)
    assert "drift" in box.apply(test=True)["changes"], "seen"
    done = box.state()
    assert done["result"] is True and "drift" in done["changes"] and "drift" in done["comment"]
    assert sorted(box.table().split()) == sorted(table.split()), "repaired"
    assert box.apply()["result"] == "have"


def test_a_flush_shows_at_the_next_update(box, cluster):
    """The marker is gone with the rules, so an announcement alone rebuilds everything, the other clusters too."""
    lab = Cluster("lab", ["198.51.100.1"])
    box.publish(lab)
    box.pillar({**prod(), "more": rule({"kubernetes": "lab"}, port=99)})
    box.apply()
    table = box.table()
    box.namespace.nft("flush", "ruleset")
    assert box.update(cluster)["result"] == "fetched"
    assert sorted(box.table().split()) == sorted(table.split())


def test_an_old_dump_loaded_at_boot(box, cluster):
    """/etc/nftables.conf may hold our table as it was when somebody saved it: older than what the disk has."""
    dump = box.namespace.nft("list", "ruleset")
    box.update(cluster.change(add=["203.0.113.9"], remove=["203.0.113.1"]))
    box.namespace.nft("flush", "ruleset")
    box.namespace.run("/usr/sbin/nft", "-f", "-", stdin=dump)
    assert box.marker()[1] == 1
    box.unpublish()
    box.call("nodewall.restore")
    box.has(cluster)


NO_CHANGE = 'case "$*" in "-f -") echo "Error: cut off" >&2; exit 1 ;; *) exec /usr/sbin/nft "$@" ;; esac'


@pytest.mark.parametrize("how", ["deltas", "whole", "rules"])
def test_the_disk_is_first(box, cluster, how):
    """A crash between disk and kernel (here: nft that does nothing) boots with the newer set: whoever was let in would be let in again."""
    cluster.change(add=["203.0.113.9"], remove=["203.0.113.1"])
    box.publish(cluster)
    table = box.table()
    with box.nft_as(NO_CHANGE):
        if how == "rules":
            box.pillar(prod(port=5433))
            done = box.apply(fails=True)
        else:
            done = box.update(cluster, last=0 if how == "whole" else None, fails=True)
        assert done["result"] == "failed" and "nothing was changed" in done["comment"]
    assert box.table() == table
    box.namespace.nft("flush", "ruleset")
    box.unpublish()
    box.call("nodewall.restore")
    box.has(cluster)


def test_after_such_a_crash_it_goes_on(box, cluster):
    """The same delta comes again, with the next one; then a boot."""
    box.publish(cluster.change(add=["203.0.113.9"]))
    with box.nft_as(NO_CHANGE):
        box.update(cluster, fails=True)
    box.unpublish()
    assert box.update(cluster.change(add=["203.0.113.10"]))["result"] == "applied", "by deltas: the kernel says where it stands"
    box.has(cluster)
    box.namespace.nft("flush", "ruleset")
    box.call("nodewall.restore")
    box.has(cluster)


def test_the_masters_file_is_checked(box, cluster):
    """Cut, of another cluster, with a wrong digest or count, empty, no JSON: refused, and what is applied stays."""
    path = box.files / "nodewall" / "prod.json"
    good = cluster.change(add=["203.0.113.9"]).document()
    table = box.table()
    wrongs = ["", "{}", "null", json.dumps(good)[:-30], json.dumps({**good, "cluster": "other"}), json.dumps({**good, "v": 2}), json.dumps({**good, "digest": "0" * 64}),
              json.dumps({**good, "count": 1}), json.dumps({**good, "addresses": good["addresses"][1:]}), json.dumps({**good, "generation": "9"}),
              json.dumps({**good, "epoch": "x"}), json.dumps({**good, "addresses": [["0.0.0.0/0", "n"]], "count": 1}), json.dumps({**good, "rv": "1 x"})]
    for wrong in wrongs:
        path.write_text(wrong, encoding="utf-8")
        done = box.update(cluster, last=0, fails=True, patch={"FETCH_TRIES": 3 if wrong is wrongs[-1] else 1})
        assert done["result"] == "failed" and "refused" in done["comment"], wrong
        assert box.table() == table, wrong
    assert "refused" in box.apply()["warnings"][0] and box.table() == table
    box.unpublish()
    assert "has no set of it" in box.update(cluster, last=0, fails=True)["comment"]
    assert box.table() == table


def test_not_mine(box, cluster):
    table = box.table()
    lab = Cluster("lab", ["198.51.100.1"])
    box.publish(lab)
    assert box.update(lab)["result"] == "not-mine" and box.table() == table


def test_locked_says_so(box, cluster):
    """Somebody holds the lock for longer than a job waits."""
    cluster.change(add=["203.0.113.9"])
    with open(box.cache / "lock", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = box.call("nodewall.update", fails=True, patch={"LOCK_WAIT": 0.1}, **cluster.job())
        assert done["result"] == "locked" and "holds" in done["comment"]
        begun = time.monotonic()
        threading.Timer(0.5, fcntl.flock, (held, fcntl.LOCK_UN)).start()
        assert box.call("nodewall.update", patch={"LOCK_WAIT": 15}, **cluster.job())["result"] == "applied", "it waits its turn"
        assert 0.3 < time.monotonic() - begun < 3


@pytest.mark.parametrize("version", VERSIONS)
def test_jobs_side_by_side(workers, tmp_path, version, machine):
    """Two minion processes of one machine (a job and a highstate) on one cache: whoever is last has the newest, nothing is half."""
    box = Box(workers(version), tmp_path / "box")
    cluster = Cluster(addresses=START)
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    second = Worker(version, machine, tmp_path / "second.log")
    try:
        def applying():
            for _ in range(8):
                second.ask("call", minion=str(box.config), fun="nodewall.apply", arg=[], kwarg={})
        other = threading.Thread(target=applying)
        other.start()
        for number in range(20):
            old = cluster.copy()
            cluster.change(add=[f"198.51.100.{number}"], remove=[f"198.51.100.{number - 1}"] if number else [])
            if number % 3 == 0:
                box.publish(cluster)
            box.update(cluster)
            assert box.kernel() >= set(START) and box.marker()[1] >= old.generation
        other.join(60)
        box.publish(cluster)
        box.update(cluster)
        box.has(cluster)
    finally:
        second.close()
