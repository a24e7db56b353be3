# SPDX-License-Identifier: Apache-2.0
"""Guard mode as connections see it: real sockets from real addresses, through the kernel's whole path."""
import contextlib
import socket
import time

import pytest
from box import PORT, Cluster, prod, rule
from harness.prober import Prober

NODE, NODE6, OTHER, OTHER6, FIXED = "203.0.113.1", "2001:db8::1", "203.0.113.66", "2001:db8::66", "192.0.2.9"
ELSE = 7000         # a port that no rule names


@pytest.fixture(scope="module")
def wire_up(machine, clients):
    """Services on the machine; clients with the addresses above."""
    clients.add_address(NODE, NODE6, OTHER, OTHER6, FIXED)
    with contextlib.ExitStack() as stack:
        for port in (PORT, ELSE, 8080):
            stack.callback(machine.listen(port).close)
        yield


@pytest.fixture
def cluster(box, wire_up):
    cluster = Cluster(addresses=[NODE, NODE6])
    box.publish(cluster)
    box.pillar({"postgres": rule({"kubernetes": "prod"}, FIXED)})
    assert box.apply()["result"] == "applied"
    return cluster


@pytest.fixture
def dial(machine, clients):
    def dial(source, port=PORT):
        return clients.connect(machine.address6 if ":" in source else machine.address, port, source, timeout=0.2)
    return dial


def test_who_gets_in(cluster, dial, machine):
    assert [dial(one) for one in (NODE, NODE6, FIXED)] == ["accepted"] * 3
    assert [dial(one) for one in (OTHER, OTHER6)] == ["dropped"] * 2, "in both families"
    assert [dial(one, ELSE) for one in (OTHER, OTHER6, NODE)] == ["accepted"] * 3, "nothing is decided about other ports"
    assert machine.connect("127.0.0.1", PORT) == machine.connect("::1", PORT) == machine.connect(machine.address, PORT) == "accepted", "itself"


def test_addresses_come_and_go(box, cluster, dial):
    box.update(cluster.change(add=[OTHER, OTHER6]))
    assert [dial(one) for one in (OTHER, OTHER6, NODE)] == ["accepted"] * 3
    box.update(cluster.change(remove=[OTHER, NODE6]))
    assert [dial(one) for one in (OTHER, OTHER6, NODE, NODE6)] == ["dropped", "accepted", "accepted", "dropped"]
    box.call("nodewall.clean")
    assert dial(OTHER) == "accepted"


def test_networks_and_interfaces(box, cluster, dial):
    box.publish(Cluster(addresses=["203.0.113.64/26", "2001:db8::/125"]))
    box.pillar(prod())
    box.call("nodewall.clean")
    box.apply()
    assert [dial(one) for one in (OTHER, NODE6, NODE, OTHER6)] == ["accepted", "accepted", "dropped", "dropped"]
    box.pillar({"postgres": rule({"interface": "eth*"})})
    box.apply()
    assert dial(NODE) == "accepted"
    box.pillar({"postgres": rule({"interface": "docker0"})})
    box.apply()
    assert dial(NODE) == "dropped"
    box.pillar({"postgres": rule("0.0.0.0/0")})
    box.apply()
    assert [dial(one) for one in (NODE, NODE6)] == ["accepted", "dropped"], "everybody, of one family"


def test_two_rules_of_one_port_are_their_union(box, cluster, dial):
    box.pillar({**prod(), "range": rule(OTHER, port=f"{PORT - 2}-{PORT + 2}"), "else": rule(NODE, port=ELSE)})
    box.apply()
    assert [dial(one) for one in (NODE, OTHER, FIXED)] == ["accepted", "accepted", "dropped"]
    assert [dial(one, ELSE) for one in (NODE, OTHER)] == ["accepted", "dropped"]


def test_an_empty_set_lets_nobody_in(box, cluster, dial):
    box.publish(Cluster(addresses=[], epoch=cluster.epoch, rv=1).change(rv=200))
    box.pillar(prod())
    box.apply()
    assert [dial(one) for one in (NODE, NODE6)] == ["dropped"] * 2


@contextlib.contextmanager
def connection(machine, clients, source, port):
    """An established connection: (the client's end, the server's end)."""
    with machine.socket() as listening, clients.socket() as client:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((machine.address, port))
        listening.listen(1)
        client.bind((source, 0))
        client.settimeout(1)
        client.connect((machine.address, port))
        server, _ = listening.accept()
        server.settimeout(0.4)
        with server:
            yield client, server


def flows(client, server):
    client.send(b"x")
    try:
        return server.recv(1) == b"x"
    except TimeoutError:
        return False


@pytest.mark.parametrize("kept", [False, True])
def test_established_flows_of_a_removed_address(box, cluster, machine, clients, kept):
    """Cut at the next packet, unless the rule says `flows: keep`."""
    box.pillar(prod(port=5433, **({"flows": "keep"} if kept else {})))
    box.apply()
    with connection(machine, clients, NODE, 5433) as (client, server):
        assert flows(client, server)
        box.update(cluster.change(add=[OTHER]))
        assert flows(client, server), "others' changes don't disturb it"
        box.update(cluster.change(remove=[NODE]))
        assert flows(client, server) == kept


def test_rebuilding_the_table_disturbs_no_flow(box, cluster, machine, clients):
    box.pillar(prod(port=5433))
    box.apply()
    with connection(machine, clients, NODE, 5433) as (client, server):
        box.pillar({**prod(port=[5433, 5434]), "more": rule(FIXED, port=99)})
        assert box.apply()["result"] == "applied"
        assert flows(client, server)


def test_what_the_machine_dials_itself_comes_back(cluster, machine, clients):
    """Rules name the port as dialled here; a service elsewhere on the same port is no business of theirs."""
    listener = clients.listen(PORT)
    try:
        assert machine.connect(clients.address, PORT) == "accepted"
        with machine.socket() as sock:                     # even from the very port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.settimeout(0.5)
            sock.bind((machine.address, 5999))
            sock.connect((OTHER, PORT))
    finally:
        listener.close()


def test_udp(box, cluster, machine, clients):
    box.pillar({"dns": rule({"kubernetes": "prod"}, port=5353, proto="udp")})
    box.apply()
    with machine.socket(kind=socket.SOCK_DGRAM) as service:
        service.bind((machine.address, 5353))
        service.settimeout(0.3)
        for source, expected in ((NODE, True), (OTHER, False)):
            with clients.socket(kind=socket.SOCK_DGRAM) as client:
                client.bind((source, 0))
                client.settimeout(0.5)
                client.sendto(b"q", (machine.address, 5353))
                if not expected:
                    with pytest.raises(TimeoutError):
                        service.recv(10)
                    continue
                _, peer = service.recvfrom(10)
                service.sendto(b"a", peer)
                assert client.recv(10) == b"a"


def test_an_established_udp_flow_is_cut(box, cluster, machine, clients):
    """Answered, so conntrack knows it; its next packet is judged all the same."""
    box.pillar({"dns": rule({"kubernetes": "prod"}, port=5354, proto="udp")})
    box.apply()
    with machine.socket(kind=socket.SOCK_DGRAM) as service, clients.socket(kind=socket.SOCK_DGRAM) as client:
        service.bind((machine.address, 5354))
        service.settimeout(0.3)
        client.bind((NODE, 0))
        client.settimeout(0.5)
        for _ in range(2):
            client.sendto(b"q", (machine.address, 5354))
            service.sendto(b"a", service.recvfrom(10)[1])
            assert client.recv(10) == b"a"
        box.update(cluster.change(remove=[NODE]))
        client.sendto(b"q", (machine.address, 5354))
        with pytest.raises(TimeoutError):
            service.recv(10)


def test_dnat_is_no_way_round(box, cluster, machine, wire, clients, dial):
    """A published port, as docker does it: the packet is forwarded and never sees `input`; it is judged as it was dialled."""
    inner = wire.attach("container")
    listener = inner.listen(9000)
    try:
        machine.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        machine.nft("add table ip fakedocker; add chain ip fakedocker pre { type nat hook prerouting priority dstnat; }; "
                    "add chain ip fakedocker post { type nat hook postrouting priority srcnat; }; "
                    f"add rule ip fakedocker pre ip daddr {machine.address} tcp dport 8080 dnat to {inner.address}:9000; "
                    f"add rule ip fakedocker post ip daddr {inner.address} masquerade")
        assert [dial(one, 8080) for one in (NODE, OTHER)] == ["accepted"] * 2, "the published port works, and no rule names it"
        assert listener.accepted == 2
        box.pillar(prod(port=8080))
        box.apply()
        assert [dial(one, 8080) for one in (NODE, OTHER)] == ["accepted", "dropped"]
        box.pillar({**prod(port=8080), "inner": rule(FIXED, port=9000)})
        box.apply()
        assert dial(NODE, 8080) == "accepted", "the port behind it is not the one that was dialled"
    finally:
        listener.close()
        machine.nft("delete table ip fakedocker", check=False)
        machine.run("sysctl", "-qw", "net.ipv4.ip_forward=0")


def test_what_is_routed_through_is_not_judged(box, cluster, machine, wire, clients):
    """The machine as a router between two others."""
    behind = wire.attach("behind")
    behind.add_address("10.99.0.1")
    listener = behind.listen(PORT, "10.99.0.1")
    try:
        machine.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        clients.run("ip", "route", "add", "10.99.0.1", "via", machine.address)
        machine.run("ip", "route", "add", "10.99.0.1", "via", behind.address)
        assert clients.connect("10.99.0.1", PORT, OTHER, timeout=0.5) == "accepted"
        assert clients.connect(machine.address, PORT, OTHER, timeout=0.2) == "dropped"
    finally:
        clients.run("ip", "route", "del", "10.99.0.1", check=False)
        machine.run("ip", "route", "del", "10.99.0.1", check=False)
        machine.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        listener.close()


def test_beside_other_tables(box, cluster, machine, dial):
    """A drop is final, whoever says it; an accept elsewhere opens nothing that we close."""
    machine.nft("add table inet theirs; add chain inet theirs in { type filter hook input priority filter; policy accept; }; "
                f"add rule inet theirs in tcp dport {PORT} accept")
    assert [dial(one) for one in (NODE, OTHER)] == ["accepted", "dropped"]
    machine.nft(f"insert rule inet theirs in ip saddr {NODE} drop")
    assert dial(NODE) == "dropped", "we don't open what they close"


def test_a_living_node_is_never_refused(box, cluster, machine, clients):
    """While everything changes around it: 60 sets by delta, whole sets, rules made anew, an older file, a conflict."""
    prober = Prober(clients, [(machine.address, PORT), (machine.address6, PORT)], [NODE, NODE6], every=0.004).start()
    begun = time.monotonic()
    try:
        for number in range(60):
            cluster.change(add=[f"198.51.100.{number}", f"2001:db8:1::{number + 1:x}"], remove=[f"198.51.100.{number - 1}"] if number else [])
            if number % 10 == 9:
                box.publish(cluster)
                box.pillar({"postgres": rule({"kubernetes": "prod"}, FIXED), f"more{number}": rule(FIXED, port=9000 + number)})
                assert box.apply()["result"] == "applied"
            elif number % 10 == 5:
                box.publish(Cluster(addresses=["198.51.100.250"], rv=1))
                assert box.update(cluster, last=0)["result"] == "conflict"
            else:
                box.publish(cluster)
                assert box.update(cluster)["result"] in ("applied", "fetched")
        box.has(cluster)
    finally:
        attempts = prober.stop()
    wrong = [item for item in attempts if item.outcome != "accepted"]
    assert not wrong, wrong[:3]
    assert len(attempts) > 100 * (time.monotonic() - begun), "it knocked all the time"
