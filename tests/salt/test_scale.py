# SPDX-License-Identifier: Apache-2.0
"""Five thousand addresses: one transaction, and no call of nft that isn't needed. What it takes is the bench's: `./dev bench --only apply`."""
import contextlib

from box import Cluster, prod

COUNT = 5000


def addresses(count):
    """Half of them IPv6."""
    return [f"10.{number >> 8}.{number & 255}.7" if number % 2 else f"2001:db8:{number:x}::7" for number in range(count)]


@contextlib.contextmanager
def written_down(box):
    """Within, the calls of nft and its last input are written to these two files."""
    calls, script = box.directory / "calls", box.directory / "script"
    with box.nft_as(f'echo "$*" >>{calls}\ncase "$*" in "-f -") cat >{script}; exec /usr/sbin/nft -f {script} ;; *) exec /usr/sbin/nft "$@" ;; esac'):
        yield calls, script


def test_five_thousand_from_nothing(box):
    cluster = Cluster(addresses=addresses(COUNT))
    box.publish(cluster)
    box.pillar(prod())
    with written_down(box) as (calls, script):
        assert box.apply()["result"] == "applied"
    box.has(cluster)
    made = calls.read_text(encoding="ascii").splitlines()
    assert made.count("-f -") == 1 and len(made) <= 4, f"a look, what nft thinks of the bare rules, one transaction, a look: {made}"


def test_one_of_five_thousand(box):
    """A delta costs the same whatever the size: no listing of members, two calls of nft."""
    cluster = Cluster(addresses=addresses(COUNT))
    box.publish(cluster)
    box.pillar(prod())
    box.apply()
    with written_down(box) as (calls, script):
        assert box.update(cluster.change(add=["192.0.2.1"], remove=[addresses(2)[1]]))["result"] == "applied"
    assert calls.read_text(encoding="ascii").splitlines() == ["-j list set inet nodewall applied", "-f -"]
    assert len(script.read_text(encoding="ascii")) < 1000
    box.has(cluster)
