# SPDX-License-Identifier: Apache-2.0
"""What the demo plays: each scene does something to the cluster, looks from outside who gets through, and says what came of it.

Every claim is measured from where it matters: a connection attempt from the node's own address, begun every 20 ms. A scene owns the
nodes that it makes; node-a is there from first to last, and is the witness that nobody who belongs was ever refused.
"""
import time

from harness.process import Timeout, wait_until

A_SECOND = 1.0          # what the promise is: allowed within a second of joining
RULES = """nodewall:
  rules:
    {name}:
      port: {port}
      from:
        - kubernetes: {cluster}"""


def first_accepted(prober, source, since, timeout):
    """The first accepted attempt from this source that began after `since`, or None."""
    try:
        return wait_until(lambda: prober.first(source, "accepted", since), timeout, "a connection", every=0.01)
    except Timeout:
        return None


def first_refused(prober, source, since, timeout):
    try:
        return wait_until(lambda: next(iter(prober.refusals(source, since)), None), timeout, "a refusal", every=0.01)
    except Timeout:
        return None


def all_refused(prober, *nodes, seconds=0.6):
    """Whether, watched for a while, each of them tried, and none got through."""
    time.sleep(seconds)
    return all(prober.refusals(node.outside) and not prober.first(node.outside, "accepted") for node in nodes)


def the_rules(stage, tell):
    tell.scene("The rules: a cluster is one line, as easy as one address")
    tell.say("db1's pillar:                               web1's names another cluster:")
    left = RULES.format(name="postgres", port=stage.db.port, cluster="prod").split("\n")
    right = RULES.format(name="website", port=stage.web.port, cluster="staging").split("\n")
    tell.quote("\n".join(f"{a:<44}{b}" for a, b in zip(left, right)))
    tell.expect(stage.knock(stage.stranger, stage.db) == "accepted", "before them, anybody reaches db1's database")
    begun = time.monotonic()
    problems = stage.apply_rules()
    tell.expect(not problems, "salt '*' state.apply nodewall", problems or f"{time.monotonic() - begun:.1f} s, most of it Salt's own")
    tell.expect(stage.knock(stage.stranger, stage.db) != "accepted", f"a stranger, {stage.stranger.outside}, is refused now")
    tell.expect(stage.knock(stage.node_a, stage.db) == "accepted", f"node-a, {stage.node_a.outside}, is let in: it is in the cluster")
    tell.expect(stage.knock(stage.node_a, stage.web) != "accepted", "and refused by web1, which serves another cluster")
    stage.begin_witness()


def a_node_joins(stage, tell):
    tell.scene("A node joins")
    node = stage.machine("node-b", "203.0.113.22")
    prober = stage.prober(node, stage.db)
    tell.expect(all_refused(prober, node), f"node-b is up, {node.outside}, not in the cluster: refused by db1")
    joined = time.monotonic()
    stage.prod.create_node(node.label, [node.outside])
    let_in = first_accepted(prober, node.outside, joined, 10.0)
    took = let_in.start + let_in.took - joined if let_in else None
    stage.settle()
    rows = [(joined, "API", "POST /api/v1/nodes: node-b joins the cluster")] + stage.heard(joined)
    if let_in:
        rows.append((let_in.start + let_in.took, node.label, f"its connection to db1:{stage.db.port} is accepted"))
    tell.timeline(joined, rows)
    tell.expect(took is not None and took <= A_SECOND, "allowed within a second of joining", "never" if took is None else f"{took:.2f} s")
    if took is not None:
        tell.figure("node-b: joined the cluster -> let in by db1", f"{took:.2f} s")


def many_at_once(stage, tell, count=8):
    tell.scene(f"{count} join at once")
    nodes = [stage.machine(f"pool-{number}", f"203.0.113.{40 + number}") for number in range(1, count + 1)]
    probers = [stage.prober(node, stage.db) for node in nodes]
    time.sleep(0.6)
    tell.expect(all(all_refused(prober, node, seconds=0) for prober, node in zip(probers, nodes)), f"all {count} are refused before")
    joined = time.monotonic()
    for node in nodes:
        stage.prod.create_node(node.label, [node.outside])
    found = [first_accepted(prober, node.outside, joined, max(0.1, 10.0 - (time.monotonic() - joined))) for prober, node in zip(probers, nodes)]
    took = max((item.start + item.took - joined for item in found if item), default=0.0)
    stage.settle()
    events = [tag for at, tag, _ in stage.bus_since(joined) if tag == "nodewall/prod/addresses"]
    tell.expect(all(found), f"all {count} are let in", f"the last after {took:.2f} s")
    tell.expect(0 < len(events) <= 3, "a burst is a few announcements, not one per node", f"{len(events)} on the bus")
    for prober in probers:
        prober.stop()
    tell.figure(f"{count} nodes at once: all let in, by {len(events)} announcements", f"{took:.2f} s")


def a_node_leaves(stage, tell):
    tell.scene("A node leaves")
    node, grace = stage.machines["node-b"], stage.grace
    prober = stage.probers["node-b"]
    session = stage.open_session(node, stage.db)
    tell.expect(session.talks(), "node-b has a session open with db1")
    left = time.monotonic()
    stage.prod.delete_node(node.label)
    tell.say(f"node-b is deleted; its address stays for removal_grace, {grace:g} s in this demo (30 s unless you say otherwise)")
    refused = first_refused(prober, node.outside, left, grace + 10.0)
    took = refused.start - left if refused else None
    stage.settle()
    rows = [(left, "API", "DELETE node-b")] + stage.heard(left)
    if refused:
        rows.append((refused.start, node.label, f"its connection to db1:{stage.db.port} gets no answer"))
    tell.timeline(left, rows)
    tell.expect(took is not None and grace - 0.1 <= took <= grace + A_SECOND, "refused after the grace, not before", "never" if took is None else f"{took:.2f} s")
    tell.expect(not session.talks(), "and its open session is cut at the next packet")
    session.close()
    prober.stop()
    if took is not None:
        tell.figure(f"node-b: left the cluster -> refused (of which {grace:g} s are grace)", f"{took:.2f} s")


def trouble(stage, tell):
    tell.scene("Trouble: the engine is killed, and the cluster goes on changing")
    old = stage.engine_pid()
    stage.kill_engine()
    killed = time.monotonic()
    tell.say(f"kill -9 {old} (the engine, a child of salt-master); meanwhile node-c joins and pool-1 leaves")
    node, gone = stage.machine("node-c", "203.0.113.23"), stage.machines["pool-1"]
    prober, leaver = stage.prober(node, stage.db), stage.prober(gone, stage.db)
    stage.prod.create_node(node.label, [node.outside])
    stage.prod.delete_node(gone.label)
    let_in = first_accepted(prober, node.outside, killed, 40.0)
    took = let_in.start + let_in.took - killed if let_in else None
    tell.expect(took is not None, "salt-master starts it again; it finds what it missed, and node-c is let in", "never" if took is None else f"{took:.1f} s after the kill")
    refused = first_refused(leaver, gone.outside, killed, stage.grace + 15.0)
    tell.expect(refused is not None, "pool-1, which left while nobody watched, is refused", "never" if refused is None else f"{refused.start - killed:.1f} s")
    if took is not None:
        tell.figure("engine killed -9: restarted, caught up, and node-c let in", f"{took:.1f} s")


def outage(stage, tell):
    tell.scene("Trouble: nobody can reach the cluster")
    begun = time.monotonic()
    stage.stop_prod()
    tell.say("its API server is down; what was applied stays")
    time.sleep(1.5)
    alone = len(stage.witness_refusals(since=begun))
    tell.expect(not alone, "node-a is let in all the same", f"{stage.witness_count(since=begun)} connections in {time.monotonic() - begun:.1f} s")
    stage.start_prod()
    node = stage.machine("node-d", "203.0.113.24")
    prober = stage.prober(node, stage.db)
    joined = time.monotonic()
    stage.prod.create_node(node.label, [node.outside])
    let_in = first_accepted(prober, node.outside, joined, 40.0)
    took = let_in.start + let_in.took - joined if let_in else None
    tell.expect(took is not None, "it is back, node-d joins and is let in", "never" if took is None else f"{took:.1f} s")


def the_rest(stage, tell):
    tell.scene("And everybody else")
    refusals, count = stage.witness_refusals(), stage.witness_count()
    tell.expect(count > 0 and not refusals, "node-a, in the cluster all the time, was never refused", f"{count} connections to db1, {len(refusals)} refused")
    refusals, count = stage.staging_refusals(), stage.staging_count()
    tell.expect(count > 0 and not refusals, "nor was stage-1 by web1", f"{count} connections, {len(refusals)} refused")
    jobs = stage.jobs_for("db1"), stage.jobs_for("web1")
    tell.expect(jobs[0] > 0 and jobs[1] == 0, "web1, whose rules name another cluster, was never asked about prod",
                f"jobs for db1: {jobs[0]}, for web1: {jobs[1]}")
    tell.expect(stage.web_rules == stage.rules_of(stage.web), "and its firewall is the same as at the start")
    tell.expect(stage.kernel_set() == stage.prod.addresses(), "db1's kernel has exactly the cluster's addresses", f"{len(stage.kernel_set())} of them")
    tell.figure("connections of nodes that belonged, refused", f"{len(stage.witness_refusals()) + len(stage.staging_refusals())} of "
                f"{stage.witness_count() + stage.staging_count()}")


ALL = (the_rules, a_node_joins, many_at_once, a_node_leaves, trouble, outage, the_rest)
