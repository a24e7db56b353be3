# SPDX-License-Identifier: Apache-2.0
"""What only a real kube-apiserver shows: how it says that a watcher is too slow, that a token is worth nothing.

Without Salt; restarts, compacted histories and rights are in e2e/test_restarts.py. Case numbers are those of ../FAULTS.md.
"""
import re
import signal
import time

import pytest
import yaml
from faults.bed import Engine, bed
from faults.test_release import published
from harness import kube
from harness.process import wait_until
from harness.torn import Torn

BIG = 200 << 10         # bytes of an annotation: what a watcher that does not read fills its socket with
MOST = 400


@pytest.fixture(name="started", scope="module")
def _started():
    with kube.Cluster() as cluster:
        yield cluster


@pytest.fixture(name="cluster")
def _cluster(started):
    started.delete_all()
    wait_until(lambda: not started.nodes(), 10, "the nodes of the last test to be gone")
    return started


def metrics_of(cluster, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in cluster.request("GET", "/metrics", raw=True).splitlines() if re.match(name + r"\{", line))


def test_the_engine_is_too_slow_for_the_server(cluster, tmp_path):
    """Case 30, the server's side: a watcher that does not read is closed. It goes on from where it was, and misses nothing."""
    options = {"kubeconfig": str(cluster.kubeconfig(tmp_path / "kubeconfig"))}
    with bed(tmp_path / "bed", cluster, options) as lane:
        before = metrics_of(cluster, "apiserver_terminated_watchers_total")
        lane.engine.process.child.send_signal(signal.SIGSTOP)
        try:
            for number in range(MOST):
                cluster.patch_node("n2", {"metadata": {"annotations": {"big": f"{number:04}" + "x" * BIG}}})
                if number % 10 == 9 and metrics_of(cluster, "apiserver_terminated_watchers_total") > before:
                    break
            else:
                pytest.fail(f"the server put up with {MOST} events that nobody read")
            lane.ledger.leave("n1")
            lane.ledger.join("a", "203.0.113.50")
        finally:
            lane.engine.process.child.send_signal(signal.SIGCONT)
        lane.settled(30)
        assert lane.engine.rss() < 64 * 1024


def test_a_network_that_tears(cluster, tmp_path):
    """Case 11, in the server's own encoding: connections end within events, for 10 s of changes. Each is told, and told once."""
    with Torn((cluster.address, cluster.port), seed=11) as network:
        path = cluster.kubeconfig(tmp_path / "kubeconfig", server=f"https://127.0.0.1:{network.port}")
        with bed(tmp_path / "bed", cluster, {"kubeconfig": str(path)}) as lane:
            network.least, network.most = 3000, 30000
            number, end = 0, time.monotonic() + 10
            network.cut()
            while time.monotonic() < end:
                number += 1
                lane.ledger.join(f"t{number}", f"198.51.100.{number}")
                cluster.patch_node("n2", {"metadata": {"annotations": {"big": "x" * 2000 + str(number)}}})
                if number > 5:
                    lane.ledger.leave(f"t{number - 5}")
                time.sleep(0.15)            # a cluster's own pace
            torn, network.most = network.torn, None
            lane.settled(40)
            assert torn >= 2, "no connection was torn: this proves nothing"
            print(f"{torn} connections torn in {number} changes")


def test_the_token_of_a_service_account_is_rotated(cluster, tmp_path):
    """Case 24: the account is made anew, its old token is worth nothing, the new one is in the file a moment later."""
    path = cluster.kubeconfig(tmp_path / "kubeconfig", kind="token-file", token=cluster.service_account_token())
    word = tmp_path / "kubeconfig.token"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["users"][0]["user"] == {"tokenFile": str(word)}
    with bed(tmp_path / "bed", cluster, {"kubeconfig": str(path)}) as lane:
        cluster.delete_service_account()
        fresh = cluster.service_account_token()
        cluster.restart_apiserver()
        lane.ledger.leave("n1")
        lane.ledger.join("a", "203.0.113.50")
        untouched = lane.untouched()
        lane.wait(lambda: lane.status()["state"] == "unauthorized", "the old token to be refused", 30)
        assert untouched()
        word.write_text(fresh + "\n", encoding="ascii")
        lane.settled(40)


def test_entries_that_share_a_kubeconfig(cluster, tmp_path):
    """Each entry selects its own nodes of the same cluster, by labels and by fields, and its own types and families."""
    kubeconfig = str(cluster.kubeconfig(tmp_path / "kubeconfig"))
    cluster.create_node("a", [("ExternalIP", "203.0.113.1"), ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1")], {"pool": "web"})
    cluster.create_node("b", [("ExternalIP", "203.0.113.2"), ("InternalIP", "10.0.0.2")], {"pool": "web"})
    cluster.create_node("c", [("ExternalIP", "203.0.113.3"), ("InternalIP", "10.0.0.3")], {"pool": "db"})
    cluster.patch_node("b", {"spec": {"unschedulable": True}})
    entries = {"web": {"node_selector": "pool=web", "field_selector": "spec.unschedulable=false", "address_types": ["ExternalIP"]},
               "inside": {"address_types": ["InternalIP"], "within": ["10.0.0.0/8", "fd00::/8"]},
               "others": {"field_selector": "metadata.name!=a", "address_types": ["ExternalIP"]}}
    with Engine(tmp_path / "engine", {name: {"kubeconfig": kubeconfig, **options} for name, options in entries.items()}) as engine:
        def has(**wanted):
            engine.process.wait(lambda: all(published(engine, name) == addresses for name, addresses in wanted.items()), 15, f"the sets to be {wanted}")
        has(web={"203.0.113.1"}, inside={"10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3"}, others={"203.0.113.2", "203.0.113.3"})
        cluster.patch_node("b", {"spec": {"unschedulable": False}})
        cluster.patch_node("c", {"metadata": {"labels": {"pool": "web"}}})
        has(web={"203.0.113.1", "203.0.113.2", "203.0.113.3"})
        cluster.patch_node("a", {"metadata": {"labels": {"pool": "db"}}})     # it lives, and is not selected any more: gone, after the grace
        has(web={"203.0.113.2", "203.0.113.3"}, others={"203.0.113.2", "203.0.113.3"})
