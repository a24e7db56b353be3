# SPDX-License-Identifier: Apache-2.0
"""Requests that are answered wrongly: each fault has a cluster of its own, all in one engine, and all at the same time.

While the fault lasts a node leaves the cluster and another joins. What must hold for each: the set stays as it is as long as the server
answers wrongly, no living node is taken out for a moment, and then the set is right. What differs is in the tables: whether a list
follows or the same watch, and how long the engine waits.
"""
import contextlib
import email.utils
import json
import time

import pytest
from faults.bed import lanes
from harness.fake_kube import FakeKube
from harness.misbehave import answer, close, cut, gone, html, status, status_object, stream
from harness.process import wait_until


def node_list(items="[]", rv="1500"):
    return f'{{"kind":"NodeList","apiVersion":"v1","metadata":{{"resourceVersion":"{rv}"}},"items":{items}}}'


def long_list(count=200):
    """A list as it should be, of nodes that nobody has: no part of it may be believed."""
    return node_list(json.dumps([{"metadata": {"name": f"x{n}", "uid": f"u{n}", "resourceVersion": "7"},
                                  "status": {"addresses": [{"type": "InternalIP", "address": f"198.51.100.{n}"}]}} for n in range(count)]))


SHORT = len(long_list()) // 2
NOBODY = "no-nodes-once"         # a list without nodes, as it should be, and a lie; once
LISTS = {                       # a list gets this, twice
    "cut": cut(300),
    "reset": cut(300, reset=True),
    "no-answer": close(),
    "gzip-cut": answer(long_list(), packed=True, sent=600),
    "gzip-ends-early": answer(long_list(), packed=True, sent=600, length=600),
    "length-too-small": answer(long_list(), length=SHORT, sent=SHORT),
    "length-too-large": answer(long_list(), length=len(long_list()) + 100),
    "html": html(),
    "html-said-to-be-json": answer("<html></html>"),
    "empty-object": answer("{}"),
    "empty-body": answer(""),
    "status-in-a-200": answer(json.dumps(status_object(200, "", "all is well"))),
    "items-null": answer(node_list("null")),
    "no-items": answer('{"kind":"NodeList","metadata":{"resourceVersion":"9"}}'),
    "list-410": gone(),
    "list-400": status(400, "BadRequest", "continue key is not valid"),
    "list-503": status(503, "ServiceUnavailable", "shutting down", retry_after=1),
}


def event(kind, thing):
    return json.dumps({"type": kind, "object": thing}) + "\n"


def in_seconds(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


GHOST = {"kind": "Node", "metadata": {"name": "ghost", "uid": "g", "resourceVersion": "1400"}, "status": {"addresses": []}}
# A watch gets this once: whether a list follows, and the least wait before the next request. A callable is called when the fault is laid.
WATCHES = {
    "watch-410": (status(410, "Expired", "too old resource version"), True, 0),
    "watch-410-in-200": (gone(), True, 0),
    "error-500-in-200": (stream(event("ERROR", status_object(500, "InternalError", "etcd"))), True, 0.8),
    "error-without-code": (stream(event("ERROR", {"kind": "Status", "message": "?", "metadata": {"resourceVersion": "99999"}})), True, 0.8),
    "error-504-too-large": (status(504, "Timeout", "Too large resource version: 99, current: 7", retry_after=1), None, 1),
    "429-seconds": (status(429, "TooManyRequests", "later", retry_after=3), False, 3),
    "429-date": (lambda: status(429, body="Too many requests, please try again later.", retry_after=in_seconds(4)), False, 2.9),
    "429-no-header": (status(429, body="Too many requests"), False, 0.8),
    "503": (status(503, "ServiceUnavailable", "apiserver is shutting down.", retry_after=2), False, 2),
    "401": (status(401, "Unauthorized", "Unauthorized"), False, 0),
    "403": (status(403, "Forbidden", "nodes is forbidden"), False, 0.8),
    "watch-html": (html(), True, 0.8),
    "watch-no-answer": (close(), False, 0),
    "fin-in-a-line": (cut(30), False, 0),
    "reset-in-a-line": (cut(30, reset=True), False, 0),
    "no-json": (stream('{"type":"ADDED","object":{"kind":"Node",\n'), True, 0.8),
    "unknown-type": (stream(event("PATCHED", GHOST)), True, 0.8),
    "node-without-name": (stream(event("MODIFIED", {"kind": "Node", "metadata": {"resourceVersion": "1400"}})), True, 0.8),
    "not-utf8-then-cut": (stream('{"type":"ADDED","object":{"metadata":{"name":"é', end="fin"), False, 0),
}


def change(lane):
    lane.ledger.leave("n4")
    lane.ledger.join("n9", "203.0.113.9")


def lay(lane, name):
    """Lays the fault, then ends the watch. What the lane was like before, for the judgement."""
    was = {"begun": time.monotonic(), "generation": lane.witness.generation()}
    if name in WATCHES:
        fault = WATCHES[name][0]
        lane.kube.fail("watch", fault() if callable(fault) else fault)
    elif name == NOBODY:
        lane.kube.compact()
        lane.kube.fail("list", answer(node_list(rv=lane.kube.nodes_store.rv)))
    else:
        lane.kube.fail("list", LISTS[name], 2)
        lane.kube.compact()
    lane.kube.end_watches()
    change(lane)
    return was


@pytest.fixture(name="stories", scope="module")
def _stories(tmp_path_factory):
    names = [*LISTS, *WATCHES, NOBODY]
    with contextlib.ExitStack() as undo:
        kubes = {name: undo.enter_context(FakeKube()) for name in names}
        found = undo.enter_context(lanes(tmp_path_factory.mktemp("requests"), kubes))
        yield {name: (lane, lay(lane, name)) for name, lane in found.items()}


def first_change(lane, was):
    return next(seen for seen in lane.witness.seen if seen[2] > was["generation"])


@pytest.mark.parametrize("name", LISTS)
def test_a_wrong_list(stories, name):
    """Cases 1 to 4 of FAULTS.md, by sockets: the wrong list counts for nothing, the next right one does."""
    lane, was = stories[name]
    lane.settled(20)
    lists = lane.kube.asked("list", was["begun"])
    assert 3 <= len(lists) <= 5, lists                    # two that are wrong, one that is right; 4: its pages, 5: confirmed
    assert first_change(lane, was)[1] > lists[2][0], "a set was published from a wrong list"
    assert lists[2][0] - lists[1][0] > 0.79, "two failures in a row, and no pause"
    lane.witness.judge()


@pytest.mark.parametrize("name", WATCHES)
def test_a_wrong_watch(stories, name):
    """Cases 5, 6, 8, 9, 11, 16, 24, 26: what follows the answer that a watch gets."""
    lane, was = stories[name]
    _, listed, pause = WATCHES[name]
    lane.settled(20)
    asked = lane.kube.asked(None, was["begun"])
    assert asked[0][1] == "watch", asked
    assert asked[1][1] == ("list" if listed else "watch") or listed is None, asked
    assert asked[1][0] - asked[0][0] >= pause, asked
    if listed is False:
        assert asked[1][2].split("resourceVersion=")[1].split("&")[0] == asked[0][2].split("resourceVersion=")[1].split("&")[0], asked
    lane.witness.judge()


def test_a_list_without_nodes_has_to_be_said_twice(stories):
    """Case 4: 200, a NodeList, no items, and max_removal is 100 %. A second list is asked for, says otherwise, and nothing was taken out."""
    lane, was = stories[NOBODY]
    lane.settled(20)
    assert len(lane.kube.asked("list", was["begun"])) >= 2
    assert min(len(addresses) for _, _, _, addresses in lane.witness.seen) >= 4
    lane.witness.judge()


def test_the_others_heard_nothing_of_it(stories):
    """One engine, all of that at once: each cluster is synced again, and says so."""
    for name, (lane, _) in stories.items():
        lane.settled(20)
        wait_until(lambda lane=lane: lane.status().get("state") == "synced", 20, f"{name} to be synced")
