# SPDX-License-Identifier: Apache-2.0
"""Nobody is locked out: reserved ports, rules that come back unless they are confirmed, nft's opinion before anything is written."""
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading

import pytest
from box import VERSIONS, Box, Cluster, Worker, prod, rule
from harness import process

SOON = 10


class Answering:
    """A master's port: greets who connects, as libzmq does, or accepts and is silent."""

    def __init__(self, namespace, greets=True):
        self.sock, self.greets, self.connected = namespace.socket(), greets, threading.Event()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((namespace.address, 0))
        self.sock.listen(16)
        self.uri = f"tcp://{namespace.address}:{self.sock.getsockname()[1]}"
        self.peers = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.sock.accept()
                self.peers.append(peer)
                if self.greets:
                    peer.sendall(b"\xff")
                self.connected.set()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        for one in (self.sock, *self.peers):
            one.close()


@pytest.fixture
def master(clients):
    with contextlib.ExitStack() as stack:
        def master(**words):
            found = Answering(clients, **words)
            stack.callback(found.close)
            return found
        yield master


@pytest.fixture
def cluster(box):
    """Applied, and the next rules are due."""
    cluster = Cluster(addresses=["203.0.113.1"])
    box.publish(cluster)
    box.pillar(prod())
    assert box.apply()["result"] == "applied"
    box.pillar(prod(port=5433), confirm=60)
    return cluster


def test_new_rules_stay_when_the_master_answers(box, cluster, master):
    box.configure(master_uri=master().uri)
    assert box.apply()["result"] == "applied" and "dport 5433" in box.table() and not (box.cache / "revert.nft").exists()
    assert box.apply()["result"] == "have"
    box.namespace.nft("flush", "ruleset")
    box.unpublish()
    box.call("nodewall.restore")
    assert "dport 5433" in box.table()


@pytest.mark.parametrize("greets", [False, None], ids=["silent", "refused"])
def test_they_go_when_it_does_not(box, cluster, master, greets):
    """Accepted and silent, or no connection at all: both the former table, for this apply and for the next boot."""
    found = master(greets=bool(greets))
    if greets is None:
        found.close()
    box.configure(master_uri=found.uri)
    before = box.table()
    done = box.apply(fails=True, confirm=1)
    assert done["result"] == "failed" and "the former ones are back" in done["comment"] and done["changes"] == {}
    assert box.table() == before and not (box.cache / "revert.nft").exists()
    box.pillar(prod(port=5433), confirm=1)
    state = box.state()
    assert state["result"] is False and box.table() == before
    box.namespace.nft("flush", "ruleset")
    box.unpublish()
    box.call("nodewall.restore")
    assert "dport 5432" in box.table() and "dport 5433" not in box.table()


def test_a_first_apply_goes_back_to_nothing(box, master):
    box.configure(master_uri=master(greets=False).uri)
    box.publish(Cluster(addresses=["203.0.113.1"]))
    box.pillar(prod(), confirm=1)
    assert box.apply(fails=True)["result"] == "failed" and box.table() == ""
    assert box.call("nodewall.status")["rules"] == []


def test_a_comment_of_somebody_elses_is_no_command(box, cluster, master, tmp_path):
    """Whoever has CAP_NET_ADMIN in this network writes comments of any bytes; what comes back must not be made of them."""
    secret = tmp_path / "secret"
    secret.write_text("topsecret is no nft\n", encoding="ascii")
    evil = f'x" }}\n}}\ninclude "{secret}"\ntable inet nodewall {{ set y {{ type ipv4_addr; elements = {{ 192.0.2.1 comment "z'
    element = {"family": "inet", "table": "nodewall", "name": "cluster-prod-v4", "elem": [{"elem": {"val": "203.0.113.66", "comment": evil}}]}
    box.namespace.run("nft", "-j", "-f", "-", stdin=json.dumps({"nftables": [{"add": {"element": element}}]}))
    box.configure(master_uri=master(greets=False).uri)
    done = box.apply(fails=True, confirm=1)
    assert "the former ones are back" in done["comment"] and "topsecret" not in json.dumps(done) + "".join(box.said)
    assert "dport 5432" in box.table() and "dport 5433" not in box.table()
    box.pillar(prod())
    assert box.apply()["result"] in ("applied", "have") and "203.0.113.66" not in box.table()


@pytest.mark.parametrize("who", ["timer", "next run"])
def test_a_minion_that_is_killed_meanwhile(box, cluster, master, machine, tmp_path, who):
    """kill -9 after the new rules, before the master answered: what is left alive, or comes next, takes them back."""
    silent, before = master(greets=False), box.table()
    box.configure(master_uri=silent.uri)
    victim = Worker(VERSIONS[-1], machine, tmp_path / "victim.log")
    seconds = 3 if who == "timer" else 60
    asked = threading.Thread(target=_swallow, args=(victim, box, seconds))
    asked.start()
    assert silent.connected.wait(60), "it asks the master, so the new rules are there"
    assert "dport 5433" in box.table()
    process.signal_pid(victim.child.pid, signal.SIGKILL)
    asked.join(10)
    if who == "timer":
        process.wait_until(lambda: box.table() == before, SOON, "the shell to take the rules back")
        process.wait_until(lambda: not (box.cache / "reverting.nft").exists(), SOON, "it to clean up")
    else:
        assert box.update(cluster.change(add=["203.0.113.2"]))["result"] == "applied"
        assert "dport 5432" in box.table() and "dport 5433" not in box.table() and "the former rules are back" in "".join(box.said)
        box.has(cluster)
    end_timers(box)


def _swallow(victim, box, seconds):
    try:
        victim.ask("call", minion=str(box.config), fun="nodewall.apply", arg=[], kwarg={"confirm": seconds})
    except (AssertionError, ValueError):
        pass                                                # it was killed


def end_timers(box):
    """The shell that still waits for this box; it would find nothing to do."""
    for line in box.namespace.run("ps", "-eo", "pgid,args").splitlines():
        pgid, _, command = line.strip().partition(" ")
        if "nodewall-confirm" in command and str(box.cache) in command:
            subprocess.run(["kill", "--", f"-{pgid}"], check=False)


def test_what_another_boot_left_is_nothing(box, cluster):
    (box.cache / "revert.nft").write_text("# boot 0\ntable inet nodewall\ndelete table inet nodewall\n", encoding="ascii")
    table = box.table()
    assert box.call("nodewall.restore")["result"] == "have" and box.table() == table and not (box.cache / "revert.nft").exists()


def test_only_new_rules_are_confirmed(box, cluster, master):
    """Addresses, and repair, are no reason to ask."""
    box.pillar(prod(), confirm=1)
    box.configure(master_uri=master(greets=False).uri)
    box.publish(cluster.change(add=["203.0.113.2"]))
    assert box.apply()["result"] == "applied"
    box.namespace.nft("flush", "ruleset")
    assert box.apply()["result"] == "applied"
    box.has(cluster)


def test_a_rule_that_waited_is_not_asked_again(box, cluster, master):
    """Its cluster's first set brings it, by an announcement: the rules are those that were confirmed."""
    box.configure(master_uri=master().uri)
    box.pillar({**prod(), "later": rule({"kubernetes": "later"}, port=99)}, confirm=30)
    assert box.apply(fails=True)["result"] == "incomplete"
    later = Cluster("later", ["203.0.113.9"])
    box.publish(later)
    assert box.update(later)["result"] == "fetched" and "dport 99" in box.table() and not (box.cache / "revert.nft").exists()


def test_a_transaction_that_fails_leaves_no_timer(box, cluster, master):
    box.configure(master_uri=master().uri)
    table = box.table()
    with box.nft_as('case "$*" in "-f -") exit 1 ;; *) exec /usr/sbin/nft "$@" ;; esac'):
        assert box.apply(fails=True, confirm=30)["result"] == "failed"
    assert box.table() == table and not (box.cache / "revert.nft").exists()


@pytest.mark.parametrize("wrong", [-1, 3601, "60", True, 1.5])
def test_confirm_is_a_number_of_seconds(box, cluster, wrong):
    box.pillar(prod(), confirm=wrong)
    assert "confirm" in box.apply(fails=True)["comment"]


def test_confirm_without_a_master_is_refused(box, cluster):
    table = box.table()
    assert "confirm needs a master" in box.apply(fails=True)["comment"] and box.table() == table


# --- nft's opinion ---

def test_nft_is_asked_before_anything_is_written(box, cluster):
    """An nft that can't do what the rules need (an old one, a kernel without a module): nothing on disk, nothing in the kernel, also in a test."""
    box.pillar({**prod(), "stream": rule("192.0.2.7", port=3868, proto="sctp")})
    kept, table = {path.name: path.read_bytes() for path in box.cache.iterdir()}, box.table()
    old = 'if [ "$1" = -c ]; then cat >/dev/null; echo "Error: syntax error, unexpected sctp" >&2; exit 1; fi; exec /usr/sbin/nft "$@"'
    with box.nft_as(old):
        for run in (box.apply, lambda **words: box.apply(test=True, **words)):
            done = run(fails=True)
            assert done["result"] == "failed" and "unexpected sctp" in done["comment"] and "nothing was changed" in done["comment"]
            assert box.table() == table and {path.name: path.read_bytes() for path in box.cache.iterdir()} == kept
    assert box.apply()["result"] == "applied"


# --- ports ---

SSHD = """
import ctypes, os, socket, sys
ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)
listening = socket.create_server((sys.argv[2], 0)); client = socket.create_connection(listening.getsockname()); session, _ = listening.accept()
port = listening.getsockname()[1]; listening.close() if sys.argv[3] == "session" else session.close()
os.setuid(int(sys.argv[4])); print(port, flush=True); sys.stdin.read()
"""


@pytest.mark.parametrize(
    "name, held, user", [("sshd", "listening", 0), ("sshd-session", "session", 0), ("other", "listening", 0), ("sshd", "listening", 65534)]
)
def test_ports_of_sshd_are_refused(box, cluster, name, held, user):
    """Wherever it listens, and where a session came in; not another program's, nor what a user forwards or only calls sshd."""
    with subprocess.Popen(["nsenter", f"--net={box.namespace.path}", "--", sys.executable, "-c", SSHD, name, box.namespace.address, held, str(user)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        port = int(program.stdout.readline())
        box.pillar({"admin": rule("192.0.2.1", port=f"{port - 1}-{port + 1}")})
        if name == "other" or user:
            assert box.apply()["result"] == "applied"
        else:
            said = box.apply(fails=True)["comment"]
            assert f"port {port} is sshd's" in said and "force: true" in said and f"dport {port - 1}" not in box.table()
            box.pillar({"admin": rule("192.0.2.1", port=port, force=True)})
            assert box.apply()["result"] == "applied"
            box.namespace.nft("flush", "ruleset")
            assert box.call("nodewall.restore")["result"] == "applied", "what was accepted isn't asked again"
        program.stdin.close()


def test_the_port_of_this_ssh_session_is_refused(box, cluster):
    """salt-call by a person at the other end."""
    box.call("environ.setval", "SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 5433")
    try:
        assert "port 5433 is this ssh session's" in box.apply(fails=True)["comment"]
    finally:
        box.call("environ.setval", "SSH_CONNECTION", False, false_unsets=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_in_each_salt(workers, tmp_path, version, master):
    box = Box(workers(version), tmp_path / "box")
    box.publish(Cluster(addresses=["203.0.113.1"]))
    box.configure(master_uri=master().uri)
    box.pillar(prod(), confirm=30)
    assert box.apply()["result"] == "applied"
    box.configure(master_uri=master(greets=False).uri)
    box.pillar(prod(port=99), confirm=1)
    assert "the former ones are back" in box.apply(fails=True)["comment"] and "dport 5432" in box.table()
