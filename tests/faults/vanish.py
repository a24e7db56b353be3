# SPDX-License-Identifier: Apache-2.0
"""A peer that is gone without a word: from one moment on its network drops every packet. See test_peers.py, which judges."""
import time

from faults.bed import bed
from harness import netns, tls
from harness.fake_kube import FakeKube

PATIENCE = 75       # 30 s of silence, then keepalive probes every 10 s; TCP_USER_TIMEOUT ends it after 30 s without an answer


def run(directory):
    """Seconds until the engine gave the connection up, then until the set was right; and the requests after it."""
    with netns.Net("faults") as net:
        there, here = net.attach("kube"), net.attach("engine")
        authority = tls.Authority(directory)
        certificate, key = authority.server("kube", [there.address])
        kube = FakeKube(host=there.address, cert=certificate, key=key)
        there.inside(kube.start)
        try:
            options = {"kubeconfig": str(kube.kubeconfig(directory / "kubeconfig", ca=authority.certificate))}
            with bed(directory / "bed", kube, options, namespace=here) as lane:
                return _vanish(lane, there)
        finally:
            kube.stop()


def _vanish(lane, there):
    there.nft("add table inet gone")
    for hook in ("input", "output"):
        there.nft(f"add chain inet gone {hook} {{ type filter hook {hook} priority 0; policy drop; }}")
    begun = time.monotonic()
    lane.ledger.leave("n4")
    lane.ledger.join("n9", "203.0.113.9")
    lane.wait(lambda: lane.status()["failures"] > 0, "the dead connection to be found", PATIENCE)
    found = time.monotonic()
    there.nft("delete table inet gone")
    took = lane.settled(30)
    return found - begun, took, lane.kube.asked(None, begun)
