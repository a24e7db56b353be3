# SPDX-License-Identifier: Apache-2.0
"""Liveness as an operator sees it: how long ago the server said a byte, a list, an event; and when that is too long ago."""
import contextlib
import socket
import time

from faults.bed import bed, lanes
from harness.fake_kube import FakeKube
from harness.misbehave import html, status

KEY = '{cluster="prod"}'


def free_address():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def test_ages(tmp_path):
    """Each age begins anew with what it counts, and with nothing else; JSON, table and metrics agree."""
    address = free_address()
    with FakeKube(bookmark_every=600) as kube, bed(tmp_path, kube, metrics=address) as lane:
        lane.ledger.join("a", "203.0.113.50")
        lane.settled()
        time.sleep(1.2)                     # age, which is what this is about
        ages = lane.status()["ages"]
        assert ages["list"] > ages["event"] > 1 and ages["byte"] == ages["event"], ages
        table = lane.engine.say("status").splitlines()
        row = dict(zip([word.strip() for word in table[0].split("  ") if word.strip()], [word.strip() for word in table[1].split("  ") if word.strip()], strict=False))
        assert all(row[column].endswith(" s") for column in ("HEARD", "LAST LIST", "LAST EVENT")), table
        found = lane.engine.metrics(address)
        for name in ("byte", "list", "event"):
            assert 1 < found[f"nodewall_last_{name}_age_seconds{KEY}"] < 30
        watches, lists = found[f"nodewall_watches_total{KEY}"], found[f"nodewall_lists_total{KEY}"]
        lane.kube.heartbeat("n1")
        lane.wait(lambda: lane.status()["ages"]["event"] < 1, "an event to be heard")
        assert lane.status()["ages"]["list"] > 1
        kube.compact()
        kube.end_watches()
        lane.wait(lambda: lane.status()["ages"]["list"] < 1, "a list")
        lane.wait(lambda: lane.status()["state"] == "synced", "all to be well")
        found = lane.engine.metrics(address)
        assert found[f"nodewall_lists_total{KEY}"] == lists + 1 and found[f"nodewall_watches_total{KEY}"] > watches
        assert found[f"nodewall_watch_gone_total{KEY}"] == 1
        assert found[f"nodewall_synced{KEY}"] == 1


def test_stale_is_said(tmp_path):
    """A server that answers each request with an error has not been heard of either; the set stays, and it is over when it is over."""
    faults = {"error": status(503, "ServiceUnavailable", "later"), "web-page": html(), "silent": None}
    with contextlib.ExitStack() as undo:
        kubes = {name: undo.enter_context(FakeKube(bookmark_every=600)) for name in faults}
        options = {name: {"server": kube.url, "stale_after": "3s"} for name, kube in kubes.items()}
        found = undo.enter_context(lanes(tmp_path, kubes, options=options))
        for name, fault in faults.items():
            if fault:
                kubes[name].fail("any", fault, 1000)
                kubes[name].end_watches()
        for name, lane in found.items():
            untouched = lane.untouched()
            lane.wait(lambda lane=lane: lane.status()["state"] == "stale", f"{name} to be called stale", 20)
            assert untouched() and lane.status()["detail"], lane.status()
            kubes[name].faults.clear()
            lane.ledger.join("a", "203.0.113.50")
        for name, lane in found.items():
            lane.settled(40)
            # Three seconds of silence are stale again, so somebody has to say something.
            lane.wait(lambda lane=lane: lane.kube.heartbeat("n1") or lane.status()["state"] == "synced", f"{name} to be synced again")
