# SPDX-License-Identifier: Apache-2.0
"""Exec plugins that end, fail, hang, flood and lie (case 25): one engine, a cluster for each, all at the same time.

Every plugin is good at first; what it gives lives for a few seconds. Then it turns bad, the connections are cut, and a node joins: the
engine must go on with what it has, run the plugin no more often than it says, say so once, and take up what is new when it is good again.
"""
import contextlib
import json
import os
import pathlib
import ssl
import time

from faults.bed import lanes
from harness import tls
from harness.fake_kube import FakeKube
from harness.process import wait_until

V1 = "client.authentication.k8s.io/v1"
LIFE = 12               # seconds; the engine renews it in the last quarter
MOODS = {               # what the plugin does before it answers, and what the engine says of it
    "ends": ("", None),
    "fails": ("echo 'cannot log in: token=abcdefgh12345678' >&2; exit 3", "exit code 3: cannot log in: [...]"),
    "floods": ("head -c 1000000 /dev/zero | tr '\\0' a", "printed more than 256 KiB"),
    "lies": (f"sed 's#{V1}#{V1}beta1#' answer; exit 0", f"does not answer in {V1}"),
    "cut": ("head -c 70 answer; exit 0", "neither JSON nor YAML"),
    "hangs": ("echo $$ >pid; sleep 1000 & echo $! >child; trap '' TERM; while :; do sleep 1000; done", None),
}


class Plugin:
    """A plugin's directory: what it does first, what it answers, how often it ran."""

    def __init__(self, directory, kube, ca):
        self.directory, self.kube, self.ca = directory, kube, ca
        directory.mkdir()
        (directory / "plugin").write_text(f"#!/bin/sh\ncd {directory} || exit 99\necho >>runs\n. ./mood\ncat answer\n", encoding="utf-8")
        (directory / "plugin").chmod(0o755)
        self.mood("")
        self.config = directory / "kubeconfig"
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": kube.url, "certificate-authority": str(ca)}}],
            "users": [{"name": "u", "user": {"exec": {"apiVersion": V1, "command": "./plugin", "interactiveMode": "Never"}}}]}), encoding="utf-8")

    def _write(self, name, text):
        (self.directory / "new").write_text(text, encoding="utf-8")
        os.replace(self.directory / "new", self.directory / name)

    def mood(self, script):
        self._write("mood", script + "\n")

    def answer(self, seconds=None, **status):
        if seconds:
            status["expirationTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        self._write("answer", json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}))

    def runs(self):
        return len((self.directory / "runs").read_text(encoding="utf-8"))

    def alive(self, name):
        stat = pathlib.Path(f"/proc/{(self.directory / name).read_text().strip()}/stat")
        with contextlib.suppress(OSError):
            return stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
        return False


def cut_and_join(lane, number):
    """A new request, with whatever credentials there are, and something that only it can bring."""
    lane.kube.cut_connections()
    lane.ledger.join(f"late{number}", f"198.51.100.{number}")


def test_plugins_that_turn_bad(tmp_path):
    authority = tls.Authority(tmp_path)
    certificate, key = authority.server("server", ["127.0.0.1"])
    with contextlib.ExitStack() as undo:
        kubes = {name: undo.enter_context(FakeKube(token=f"first-{name}", cert=certificate, key=key)) for name in MOODS}
        plugins = {name: Plugin(tmp_path / name, kube, authority.certificate) for name, kube in kubes.items()}
        begun = time.time()
        for name, plugin in plugins.items():
            plugin.answer(LIFE, token=f"first-{name}")
        with lanes(tmp_path / "nw", kubes, options={name: {"kubeconfig": str(plugin.config)} for name, plugin in plugins.items()}) as found:
            engine = next(iter(found.values())).engine
            assert all(plugin.runs() == 1 for plugin in plugins.values())
            for name, plugin in plugins.items():
                plugin.mood(MOODS[name][0])
            plugins["ends"].answer(token="second-ends")

            wait_until(lambda: time.time() > begun + LIFE * 0.85, LIFE, "the last quarter")
            for lane in found.values():
                cut_and_join(lane, 1)
            for lane in found.values():
                lane.settled()          # with the old, while the plugin runs
            for name, (_, words) in MOODS.items():
                engine.process.wait(lambda plugin=plugins[name]: plugin.runs() == 2, 10, f"{name}: the plugin to be run")
                if words:
                    engine.process.wait(lambda words=words: words in engine.log(), 10, f"{name}: its failure to be said")

            wait_until(lambda: time.time() > begun + LIFE + 1, LIFE, "the end")
            kubes["ends"].token = "second-ends"
            bad = [name for name in MOODS if MOODS[name][1]]
            for name in bad + ["ends"]:
                cut_and_join(found[name], 2)
            for name in bad + ["ends"]:
                found[name].settled()   # what has ended is what there is; whether it is good the server says
            assert plugins["ends"].runs() == 2 and not kubes["ends"].counts.get("unauthorized")
            assert plugins["hangs"].alive("pid") and plugins["hangs"].alive("child")
            log = engine.log()
            assert all(log.count(MOODS[name][1]) == 1 for name in bad), log
            assert log.count("what it gave before is in use") == len(bad), log

            for name in bad:            # and good again
                plugins[name].answer(token=f"second-{name}")
                plugins[name].mood("")
                kubes[name].token = f"second-{name}"
                cut_and_join(found[name], 3)
            for name in bad:
                found[name].settled(30)
                assert plugins[name].runs() <= 5, name
            engine.process.wait(lambda: engine.log().count("the credentials are renewed again") == len(bad), 10, "it to be said")
            for name in MOODS:          # no secret anywhere
                for text in (engine.log(), engine.say("status"), engine.say("status", "-o", "json")):
                    assert f"first-{name}" not in text and f"second-{name}" not in text
        wait_until(lambda: not plugins["hangs"].alive("pid") and not plugins["hangs"].alive("child"), 5, "the plugin to end with the engine")


def require(server, authority):
    """What a server uses that takes clients of this authority only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    context.load_verify_locations(str(authority.certificate))
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2        # later ones say no when the client has sent its request: a reset may be faster
    return context


def give(plugin, authority):
    certificate, key = authority.client("client", "nodewall")
    plugin.answer(clientCertificateData=certificate.read_text(), clientKeyData=key.read_text())


def test_a_certificate_from_a_plugin_rotates(tmp_path):
    """The server restarts and trusts another authority; the old certificate is refused by TLS, where there is no 401."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    authority, old, new = (tls.Authority(directory) for directory in (tmp_path, tmp_path / "old", tmp_path / "new"))
    server = authority.server("server", ["127.0.0.1"])
    with FakeKube(cert=server[0], key=server[1]) as kube:
        kube.stop()
        kube.tls = require(server, old)
        kube.start()
        plugin = Plugin(tmp_path / "plugin", kube, authority.certificate)
        give(plugin, old)
        with lanes(tmp_path / "nw", {"prod": kube}, options={"prod": {"kubeconfig": str(plugin.config)}}) as found:
            lane = found["prod"]
            give(plugin, new)
            kube.stop()
            kube.tls = require(server, new)
            lane.ledger.join("late", "198.51.100.1")
            kube.start()
            lane.settled(30)
            assert plugin.runs() == 2
            assert "PRIVATE KEY" not in lane.engine.log()
