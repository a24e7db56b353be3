# SPDX-License-Identifier: Apache-2.0
"""The same kubeconfigs (kubeconfigs.py), read by kubectl and by nodewall, against the same kube-apiserver: what one takes the other takes,
with the same nodes; what one refuses the other refuses, and we in one sentence without a secret.
"""
import concurrent.futures
import contextlib
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
from faults.kubeconfigs import BROKEN, GOOD, STRICTER, Place
from harness import kube, nodewall, servers

NODES = {"a": ["203.0.113.1"], "b": ["203.0.113.2", "2001:db8::2"]}
SECRETS = ("nodewall-token", "admin-token", "stranger-token")


class Proxy:
    """CONNECT over plain TCP or TLS, or SOCKS5; loopback only, whatever the name. `count`: connections that it has made."""

    def __init__(self, kind, certificate=None):
        self.kind, self.count, self.context = kind, 0, None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"{kind}://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=self.listener.accept()[:1], daemon=True).start()

    def _serve(self, near):
        with contextlib.suppress(OSError, struct.error, IndexError), contextlib.ExitStack() as undo:
            if self.context:
                near = self.context.wrap_socket(near, server_side=True)
            undo.callback(near.close)
            port = self._socks(near) if self.kind == "socks5" else self._connect(near)
            far = undo.enter_context(socket.create_connection(("127.0.0.1", port)))
            near.sendall(b"\5\0\0\1\0\0\0\0\0\0" if self.kind == "socks5" else b"HTTP/1.1 200 OK\r\n\r\n")
            self.count += 1
            self._copy(near, far)

    @staticmethod
    def _connect(near):
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(4096) or b"\r\n\r\n"
        return int(head.split()[1].rpartition(b":")[2])

    @staticmethod
    def _socks(near):
        near.recv(near.recv(2)[1])
        near.sendall(b"\5\0")
        kind = near.recv(4)[3]
        near.recv(near.recv(1)[0] if kind == 3 else 4 if kind == 1 else 16)
        return struct.unpack("!H", near.recv(2))[0]

    def _copy(self, near, far):
        while True:
            for one in [near] if self.context and near.pending() else select.select([near, far], [], [])[0]:
                data = one.recv(65536)
                if not data:
                    return
                (far if one is near else near).sendall(data)


def run(at, words, environment):
    return subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=at.directory, timeout=60,
                          env={"PATH": os.environ["PATH"], "HOME": str(at.directory / "home"), **environment})


def by_kubectl(at, path):
    """({node: addresses} or None, what it said)."""
    done = run(at, [servers.path("kubectl"), "get", "nodes", "-o", "json", "--request-timeout=20s"], {"KUBECONFIG": path, "NAME": "kubectl"})
    if done.returncode:
        return None, done.stderr
    return {item["metadata"]["name"]: [one["address"] for one in item["status"]["addresses"]] for item in json.loads(done.stdout)["items"]}, done.stderr


def by_nodewall(at, path):
    (at.directory / "clusters.d").mkdir()
    config = at.file("nodewall.yaml", json.dumps({"state_dir": str(at.directory / "state"), "clusters_dir": str(at.directory / "clusters.d"),
                                                  "clusters": {"prod": {"kubeconfig": path}}}))
    done = run(at, [nodewall.binary(), "nodes", "-c", config, "-o", "json", "-t", "20"], {"NAME": "nodewall"})
    if done.returncode:
        assert done.returncode == 1, f"exit code {done.returncode}: {done.stderr}"
        return None, done.stderr
    return {node["name"]: node["addresses"] for node in json.loads(done.stdout)["prod"]["nodes"]}, done.stderr


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """{case: (directory, kubectl's answer, nodewall's answer, seconds that the latter took)} of every case; four at a time."""
    root = tmp_path_factory.mktemp("kubectl")
    servers.path("kubectl")
    with kube.Cluster() as cluster:
        for name, addresses in NODES.items():
            cluster.create_node(name, addresses)
        proxies = {kind: Proxy(kind, cluster.authority.server("proxy", ["127.0.0.1"]) if kind == "https" else None) for kind in ("http", "https", "socks5")}

        def compare(name, function):
            at = Place(root / name, cluster, proxies)
            path = function(at)
            theirs = by_kubectl(at, path)
            begun = time.monotonic()
            return at.directory, theirs, by_nodewall(at, path), time.monotonic() - begun

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            running = {name: pool.submit(compare, name, entry[0]) for table in (GOOD, BROKEN, STRICTER) for name, entry in table.items()}
            found = {name: one.result() for name, one in running.items()}
        for proxy in proxies.values():
            proxy.listener.close()
        assert all(proxy.count >= 2 for proxy in proxies.values()), "a proxy was gone round"
        yield found


@pytest.mark.parametrize("name", GOOD)
def test_both_take_it(answers, name):
    _, (theirs, said), (ours, we_said), _ = answers[name]
    assert theirs == NODES, said
    assert ours == NODES, we_said


@pytest.mark.parametrize("name", BROKEN)
def test_both_refuse_it(answers, name):
    _, (theirs, said), (ours, we_said), seconds = answers[name]
    assert theirs is None, said
    assert ours is None, we_said
    assert we_said.count("\n") == 1, f"not one sentence: {we_said}"
    assert not any(secret in we_said for secret in SECRETS), we_said
    assert seconds < 15, f"took {seconds:.1f} s to say so"


@pytest.mark.parametrize("name", STRICTER)
def test_only_kubectl_takes_it(answers, name):
    _, (theirs, said), (ours, _), _ = answers[name]
    assert theirs == NODES, said
    assert ours is None, STRICTER[name][1]


def test_a_plugin_is_told_the_same(answers):
    """And nodewall's plugin does not get what stands in our environment."""
    directory = answers["exec_is_told_about_the_cluster"][0]
    theirs, ours = (json.loads((directory / f"info.{who}").read_text()) for who in ("kubectl", ""))
    assert ours == theirs
