# SPDX-License-Identifier: Apache-2.0
"""The peer itself: away, gone without a word, elsewhere, with another certificate or another token; and ourselves, killed.

Case numbers are those of ../FAULTS.md.
"""
import random
import shutil
import socket
import threading
import time

import pytest
import yaml
from faults.bed import bed
from harness import bus, tls
from harness.fake_kube import FakeKube
from harness.process import wait_until


def rv_of(request):
    return request[2].split("resourceVersion=")[1].split("&")[0]


def test_nobody_listens(tmp_path):
    """Case 10, shorter than the minute of replay/refused-for-a-minute: few tries, the same rv, no list, nothing lost."""
    with FakeKube() as kube, bed(tmp_path, kube) as lane:
        rv = str(kube.nodes_store.rv)
        kube.stop()
        lane.ledger.leave("n1")
        lane.ledger.join("a", "203.0.113.50")
        untouched = lane.untouched()
        lane.wait(lambda: lane.status()["failures"] >= 3, "three tries")
        assert untouched() and lane.status()["state"] == "unreachable"
        failures, begun = lane.status()["failures"], time.monotonic()
        kube.start()
        lane.settled()
        assert failures <= 4
        assert [(one[1], rv_of(one)) for one in kube.asked(None, begun)][:1] == [("watch", rv)]
        assert not kube.asked("list", begun)


@pytest.mark.timeout(180)
def test_a_peer_that_vanishes(request, namespaces):
    """Case 12, packets dropped: the kernel's keepalive and TCP_USER_TIMEOUT find it long before the idle limit of three minutes."""
    found, took, asked = request.session.vanished.result(150)
    print(f"found after {found:.1f} s, right {took:.1f} s later")
    assert 20 < found < 75
    assert {one[1] for one in asked} == {"watch"}


def trust(path, authority):
    """Replaces a CA file as certificate rotation does: another file under its name."""
    fresh = path.with_suffix(".new")
    shutil.copy(authority.certificate, fresh)
    fresh.rename(path)


def test_the_servers_certificate_and_its_authority_change(tmp_path):
    """Case 33: until the new CA stands in the kubeconfig's file the set stays; then it goes on, without a restart."""
    first, second = (tls.Authority(where) for where in (tmp_path / "a", tmp_path / "b") if not where.mkdir())
    with FakeKube(cert=(pair := first.server("one", ["127.0.0.1"]))[0], key=pair[1], token="t") as kube:
        trusted = tmp_path / "ca.crt"
        trust(trusted, first)
        options = {"kubeconfig": str(kube.kubeconfig(tmp_path / "kubeconfig", ca=trusted))}
        with bed(tmp_path / "bed", kube, options) as lane:
            kube.stop()
            kube.tls.load_cert_chain(*second.server("two", ["127.0.0.1"]))
            kube.start()
            lane.ledger.leave("n1")
            lane.ledger.join("a", "203.0.113.50")
            untouched = lane.untouched()
            lane.wait(lambda: "certificate" in lane.status()["detail"], "the certificate to be refused")
            assert untouched()
            trust(trusted, second)
            lane.settled(20)


def test_the_servers_name_leads_elsewhere(tmp_path, namespaces):
    """Case 33: the name is looked up again for each connection. Its own /etc/hosts, in a mount namespace of its own."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 kube.example\n", encoding="ascii")
    authority = tls.Authority(tmp_path)
    certificate, key = authority.server("kube", ["kube.example"])
    with FakeKube(cert=certificate, key=key) as kube, FakeKube(host="127.0.0.2", port=kube.port, cert=certificate, key=key) as other:
        other.nodes_store = kube.nodes_store
        prefix = ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", hosts]
        with bed(tmp_path / "bed", kube, {"server": f"https://kube.example:{kube.port}", "ca": str(authority.certificate)}, prefix=prefix) as lane:
            assert not other.asked()
            hosts.write_text("127.0.0.2 kube.example\n", encoding="ascii")
            kube.stop()
            lane.ledger.leave("n1")
            lane.ledger.join("a", "203.0.113.50")
            lane.settled(15)
            assert [one[1] for one in other.asked()] == ["watch"]


def test_the_token_is_another_one(tmp_path):
    """Case 24: a file's new token is read after a 401, at once; while the file is empty or away the old one is used on."""
    word = tmp_path / "token"
    word.write_text("first\n", encoding="ascii")
    with FakeKube(token="first") as kube:
        path = kube.kubeconfig(tmp_path / "kubeconfig")
        login = yaml.safe_load(path.read_text(encoding="utf-8"))
        login["users"][0]["user"] = {"tokenFile": str(word)}
        path.write_text(yaml.safe_dump(login), encoding="utf-8")
        with bed(tmp_path / "bed", kube, {"kubeconfig": str(path)}) as lane:
            word.write_text("second\n", encoding="ascii")
            kube.token = "second"
            lane.kube.end_watches()
            lane.ledger.join("a", "203.0.113.50")
            lane.settled(5)
            assert kube.counts["unauthorized"] == 1, "once with the old one, then with the new one"
            for spoil in (lambda: word.write_text("", encoding="ascii"), word.unlink):
                spoil()
                failures = lane.status()["failures"]
                kube.token = "third"            # 401, and nothing new to be had
                untouched = lane.untouched()
                lane.kube.end_watches()
                lane.wait(lambda before=failures: lane.status()["failures"] > before + 1, "401 to be the answer twice")
                assert untouched() and lane.status()["state"] == "unauthorized"
                kube.token = "second"           # the old one is good again
                lane.ledger.join(f"b{failures}", f"203.0.113.{60 + failures}")
                lane.settled(20)


def test_killed_at_any_point(tmp_path):
    """Case 29: SIGKILL between and within its writes; nodes leave and join meanwhile. The set is never empty, and right in the end."""
    chance = random.Random(29)
    with FakeKube() as kube, bed(tmp_path, kube) as lane:
        for number in range(1, 13):
            lane.ledger.join(f"k{number}", f"198.51.100.{number}")
            time.sleep(chance.uniform(0, 0.3))      # the point that it is killed at
            lane.engine.kill()
            if number > 2:
                lane.ledger.leave(f"k{number - 2}")
            lane.ledger.join(f"m{number}", f"198.51.100.{100 + number}")
            lane.engine.process.start()
        lane.settled(20)
        assert min(len(addresses) for _, _, _, addresses in lane.witness.seen) >= 4


class DeafBus:
    """A salt-master's sockets whose master has stopped: it accepts, says one event so that it counts as there, and reads nothing."""

    def __init__(self, directory):
        directory.mkdir()
        self.directory, self.listeners, self.held = directory, {}, []
        for name in ("pub", "pull"):
            listener = socket.socket(socket.AF_UNIX)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind(str(directory / f"master_event_{name}.ipc"))
            listener.listen(8)
            self.listeners[name] = listener
            threading.Thread(target=self._accept, args=(name,), daemon=True).start()

    def _accept(self, name):
        while True:
            try:
                connection = self.listeners[name].accept()[0]
            except OSError:
                return
            self.held.append(connection)
            if name == "pub":
                connection.sendall(bus.encode("salt/deaf", {}, "bare"))

    def close(self):
        for one in [*self.listeners.values(), *self.held]:
            one.close()


def test_a_consumer_that_does_not_read(tmp_path):
    """Case 30: Salt stands still, and the cluster writes 1,000 events a second. All are read, few sets are published, memory is bounded."""
    deaf = DeafBus(tmp_path / "sock")
    try:
        with FakeKube() as kube, bed(tmp_path / "bed", kube, bus={"sock_dir": str(deaf.directory), "framing": "bare"}) as lane:
            before, events, begun, published = lane.engine.rss(), lane.status()["events"], time.monotonic(), lane.status()["publications"]
            number = 0
            while time.monotonic() < begun + 8:
                number += 1
                lane.ledger.move("n1", "203.0.113.1", f"2001:db8::{number:x}") if number % 10 == 0 else kube.heartbeat("n2")
                time.sleep(max(0.0, begun + number / 1000 - time.monotonic()))
            lane.settled()
            assert lane.status()["events"] - events == number and number > 3000, number
            wait_until(lambda: len(deaf.held) >= 2, 5, "the engine to have found the bus")
            assert not kube.asked(None, begun), "the server closed the watch, or we did"
            assert lane.status()["publications"] - published <= 20, "eight sets may follow each other, then one a second"
            assert lane.engine.rss() - before < 4096
            print(f"{number / 8:.0f} events a second, memory {lane.engine.rss() - before:+} KiB, {lane.status()['publications'] - published} sets")
    finally:
        deaf.close()
