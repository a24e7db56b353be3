# SPDX-License-Identifier: Apache-2.0
"""Credentials that somebody renews while the engine uses them, well or badly (case 24): what is in use until there is better, what is said,
and how often it is tried; and that nobody gets them out of the engine's memory. Servers that change are in test_peers.py.
"""
import contextlib
import os
import pathlib
import shutil
import ssl
import time

import pytest
from faults.bed import lanes
from harness import nodewall, tls
from harness.fake_kube import FakeKube
from harness.misbehave import status
from harness.process import Process, wait_until

OLD_IN_USE = "an older one is in use"
REFUSED = "does not take the token in"


def put(path, text):
    """As the kubelet and cert-manager do it: by rename."""
    path = pathlib.Path(path)
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.replace(new, path)


def restart(kube, context):
    kube.stop()
    kube.tls = context
    kube.start()


# --- tokens: one engine, a cluster for each, all at the same time ---
def gone(path, kube):
    path.unlink()
    kube.fail("any", status(401, "Unauthorized", "Unauthorized"))


def empty(path, kube):
    path.write_text("")
    kube.fail("any", status(401, "Unauthorized", "Unauthorized"))


def half(path, kube):
    path.write_bytes(b"first\0\xff")
    kube.fail("any", status(401, "Unauthorized", "Unauthorized"))


def rotated(path, kube):
    put(path, "  second-token\n\n")
    kube.token = "second-token"


def refused(_, kube):
    kube.token = "second-token"


FAULTS = {"rotated": rotated, "gone": gone, "empty": empty, "half": half, "refused": refused}


def test_tokens(tmp_path):
    authority = tls.Authority(tmp_path)
    server = authority.server("server", ["127.0.0.1"])
    files = {name: tmp_path / f"{name}.token" for name in FAULTS}
    with contextlib.ExitStack() as undo:
        kubes = {name: undo.enter_context(FakeKube(token="first-token", cert=server[0], key=server[1])) for name in FAULTS}
        for path in files.values():
            put(path, "first-token\n")
        options = {name: {"server": kubes[name].url, "ca": str(authority.certificate), "token_file": str(files[name])} for name in FAULTS}
        with lanes(tmp_path / "nw", kubes, options=options) as found:
            engine, refused_lane = found["rotated"].engine, found["refused"]
            untouched = refused_lane.untouched()
            begun = time.monotonic()
            for name, fault in FAULTS.items():
                fault(files[name], kubes[name])
                kubes[name].cut_connections()
                found[name].ledger.join("late", "198.51.100.1")
            for name in set(FAULTS) - {"refused"}:
                found[name].settled()           # one 401, then the new token, or the old one again
            assert kubes["rotated"].counts["unauthorized"] == 1
            wait_until(lambda: kubes["refused"].counts.get("unauthorized", 0) >= 4, 20, "it to try again")
            assert untouched(), "the set changed while the server refused us"
            tries, seconds = kubes["refused"].counts["unauthorized"], time.monotonic() - begun
            assert tries <= 5, f"{tries} requests in {seconds:.0f} s"
            log = engine.log()
            assert log.count(OLD_IN_USE) == 3 and len([line for line in log.splitlines() if REFUSED in line and line.endswith("stay as they are")]) == 1, log
            assert refused_lane.status()["state"] == "unauthorized"

            put(files["refused"], "second-token")
            for name in ("gone", "empty", "half"):
                put(files[name], "second-token")
                kubes[name].token = "second-token"
                kubes[name].cut_connections()
                found[name].ledger.join("later", "198.51.100.2")
            for lane in found.values():
                lane.settled(30)
            engine.process.wait(lambda: engine.log().count("the credentials are renewed again") == 3, 10, "it to be said")
            assert "first-token" not in engine.log() and "second-token" not in engine.log()


# --- certificates ---
def mutual(server, clients):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    context.load_verify_locations(str(clients.certificate))
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def kubeconfig(path, server, ca, user):
    put(path, f"current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n"
              f"clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: {ca}}}}}]\nusers: [{{name: u, user: {user}}}]\n")
    return str(path)


def test_client_certificate(tmp_path):
    """The server takes those of a new CA from now on. The certificate is renewed first, the key a moment later."""
    for name in ("own", "old", "new"):
        (tmp_path / name).mkdir()
    own, old, new = (tls.Authority(tmp_path / name) for name in ("own", "old", "new"))
    server = own.server("server", ["127.0.0.1"])
    pairs = [authority.client("client", "nodewall") for authority in (old, new)]
    with FakeKube() as kube:
        restart(kube, mutual(server, old))
        for source, name in zip(pairs[0], ("c.crt", "c.key")):
            put(tmp_path / name, source.read_bytes())
        config = kubeconfig(tmp_path / "k", kube.url, own.certificate, "{client-certificate: c.crt, client-key: c.key}")
        with lanes(tmp_path / "nw", {"prod": kube}, options={"prod": {"kubeconfig": config}}) as found:
            lane = found["prod"]
            untouched = lane.untouched()
            put(tmp_path / "c.crt", pairs[1][0].read_bytes())
            restart(kube, mutual(server, new))
            lane.ledger.join("late", "198.51.100.1")
            lane.wait(lambda: "does not belong to the client certificate" in lane.engine.log(), "the half that is missing to be said", 20)
            assert untouched()
            put(tmp_path / "c.key", pairs[1][1].read_bytes())
            lane.settled(30)
            assert "PRIVATE" not in lane.engine.log()


# --- memory ---
def test_nobody_may_look_into_it(tmp_path):
    """No core of a process that has credentials in its memory, whatever the limits say; and no look into it by another of the same user."""
    if os.geteuid():
        pytest.skip("starting it as another user needs root")
    with FakeKube(token="secret-token") as kube:
        config = kube.kubeconfig(tmp_path / "k")
        text = f"state_dir: {tmp_path}/state\nclusters_dir: {tmp_path}/none\nclusters: {{prod: {{kubeconfig: {config}}}}}\nbus: {{sock_dir: {tmp_path}/no}}\n"
        (tmp_path / "nodewall.yaml").write_text(text.replace(f"clusters_dir: {tmp_path}/none\n", ""), encoding="ascii")
        program = shutil.copy(nodewall.binary(), tmp_path / "program")     # the checkout may be where nobody else may go
        for path in (tmp_path, config):
            os.chown(path, 65534, 65534)
        for parent in list(tmp_path.parents)[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
        process = Process(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "ulimit -c unlimited; cd \"$0\"; exec \"$@\"", tmp_path,
                           program, "run", "-c", tmp_path / "nodewall.yaml"], tmp_path / "log")
        process.start()
        try:
            process.wait(lambda: kube.counts.get("watch"), 20, "it to watch")
            proc = pathlib.Path(f"/proc/{process.pid}")
            assert proc.joinpath("status").stat().st_uid == 0, "the process may be looked into by its user"
            assert "Max core file size        0                    0" in proc.joinpath("limits").read_text(encoding="ascii")
        finally:
            process.kill()
