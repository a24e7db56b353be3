# SPDX-License-Identifier: Apache-2.0
"""The boot: boot.nft and its shell script alone, with neither Salt nor Python nor a master, whatever state a crash has left them in."""
import os
import shutil
import subprocess

import pytest
from box import HERE, VERSIONS, Box, Cluster, prod, rule
from harness import nodewall


@pytest.fixture
def cluster(box):
    cluster = Cluster(addresses=["203.0.113.1", "203.0.113.2", "2001:db8::1", "198.51.100.0/24"])
    box.publish(cluster)
    box.pillar(prod())
    assert box.apply()["result"] == "applied"
    return cluster


def boot(box):
    """A machine that starts: an empty kernel, and the unit's command; (exit code, what it said)."""
    box.namespace.nft("flush", "ruleset")
    return restore(box)


def restore(box):
    done = subprocess.run(["nsenter", f"--net={box.namespace.path}", "--", "/usr/bin/env", "-i", "/bin/sh", str(box.cache / "restore")],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def words(table):
    return sorted(table.replace(",", " ").split())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_boot_has_what_was_applied(workers, tmp_path, version):
    """After a first apply, deltas, a whole set, other rules: the same table to the word, and nothing for Salt to do afterwards."""
    box = Box(workers(version), tmp_path / "box")
    cluster, lab = Cluster(addresses=["203.0.113.1", "203.0.113.2", "2001:db8::1", "198.51.100.0/24"]), Cluster("lab", ["203.0.113.1", "192.0.2.7"])
    box.publish(cluster, lab)
    box.pillar({**prod(), "more": rule({"kubernetes": "lab"}, "192.0.2.0/28", {"interface": "docker*"}, port=["99", "100-200"], proto=["tcp", "udp"])})
    steps = [box.apply,
             lambda: box.update(cluster.change(add=["203.0.113.9", "2001:db8::9"], remove=["203.0.113.1"])),
             lambda: box.update(lab.change(remove=["192.0.2.7"]).change(add=["192.0.2.7"]), last=2),
             lambda: box.update(cluster.change(add=["203.0.113.1"], remove=["2001:db8::9"])),
             lambda: box.publish(cluster.change(add=["198.51.101.0/24"], remove=["198.51.100.0/24"])) or box.update(cluster, last=0),
             lambda: box.update(cluster.change(remove=["203.0.113.2"])),
             lambda: box.pillar(prod(port=5433)) or box.apply()]
    for step in steps:
        assert step()["result"] in ("applied", "fetched")
        table = box.table()
        assert boot(box) == (0, "") and words(box.table()) == words(table)
        box.has(cluster)
        assert box.call("nodewall.restore")["result"] == "have", "Salt comes, and all is as it should be"
    assert restore(box) == (0, "") and words(box.table()) == words(table), "over what is there, as at a reload"


def test_other_tables_stay(box, cluster):
    box.namespace.nft("flush", "ruleset")
    box.namespace.nft("add table inet theirs; add chain inet theirs in { type filter hook input priority filter; policy accept; }")
    assert restore(box)[0] == 0 and "table inet theirs" in box.ruleset()
    box.has(cluster)


def test_what_a_crash_has_cut_counts_for_nothing(box, cluster):
    """At each byte of the last addition: the set before it, or after it, never closed and never a mixture."""
    before = set(cluster.members)
    path = box.cache / "boot.nft"
    whole = path.read_bytes()
    box.update(cluster.change(add=["203.0.113.9"], remove=["203.0.113.1"]))
    longer = path.read_bytes()
    assert longer.startswith(whole)
    for cut in range(len(whole), len(longer) + 1, 19):
        path.write_bytes(longer[:cut])
        code, said = boot(box)
        generation = box.marker()
        assert code == 0 and said == "" and box.kernel() in (before, set(cluster.members)), (cut, said)
        assert generation is None or generation[0] == cluster.epoch
    path.write_bytes(longer)
    boot(box)
    box.has(cluster)


def test_a_change_that_never_reached_the_kernel_and_came_again(box, cluster):
    """Written, then nft failed; told again with the next one. The log repeats itself, and a boot ends at the newest."""
    cluster.change(add=["203.0.113.9"], remove=["203.0.113.1"])
    with box.nft_as('case "$*" in "-f -") exit 1 ;; *) exec /usr/sbin/nft "$@" ;; esac'):
        box.update(cluster, fails=True)
    assert box.update(cluster.change(add=["203.0.113.10"], remove=["203.0.113.2"]))["result"] == "applied"
    assert boot(box)[0] == 0
    box.has(cluster)


@pytest.mark.parametrize("damage", ["gone", "empty", "nonsense", "garbled"])
def test_a_set_that_cannot_be_read_is_closed_loudly(box, cluster, machine, clients, damage):
    """The ports of the rules are closed to every cluster; who is named by address still gets in; Salt mends it."""
    box.pillar(prod() | {"fixed": rule("192.0.2.9", port=99)})
    box.apply()
    path = box.cache / "boot.nft"
    text = path.read_text(encoding="ascii")
    if damage == "gone":
        path.unlink()
    else:
        path.write_text({"empty": "", "nonsense": "x" * 300 + "\n#end\n", "garbled": text.replace("203.0.113.1", "203.0.113.999", 1)}[damage], encoding="ascii")
    code, said = boot(box)
    assert code == 0 and "<2>nodewall: what was applied last cannot be read" in said
    assert box.kernel() == set() and "tcp dport 5432 jump" in box.table() and "192.0.2.9" in box.table()
    box.publish(cluster)
    assert box.apply()["result"] == "applied"
    box.has(cluster)
    assert boot(box) == (0, ""), "the file is whole again"


def test_nothing_readable_is_a_failed_unit(box, cluster):
    for name in ("boot.nft", "closed.nft"):
        (box.cache / name).unlink()
    code, said = boot(box)
    assert code == 1 and "OPEN" in said and box.table() == ""


def test_it_stays_short(box, cluster):
    """Whatever comes and goes: at some length all is written anew."""
    path = box.cache / "boot.nft"
    begun = path.stat().st_size
    box.call("nodewall.status", patch={"DELTAS_MAX": 8})
    for number in range(20):
        box.update(cluster.change(add=[f"192.0.2.{number}"], remove=[f"192.0.2.{number - 1}"] if number else []))
        assert path.stat().st_size < begun + 6000
        if number % 4 == 0:
            assert boot(box) == (0, "")
            box.has(cluster)
    box.call("nodewall.status", patch={"DELTAS_MAX": 512})


def test_rules_that_were_taken_back_are_in_no_boot(box, cluster, clients):
    """With the sets that came along, which are right whatever the rules."""
    silent = clients.listen(0, clients.address)
    try:
        box.configure(master_uri=f"tcp://{clients.address}:{silent.port}")
        box.publish(cluster.change(add=["203.0.113.9"]))
        box.pillar(prod(port=5433))
        box.apply(fails=True, confirm=1)
    finally:
        silent.close()
    assert boot(box) == (0, "") and "dport 5432 " in box.table() and "dport 5433" not in box.table()
    box.has(cluster)


def test_set_only_boots_beside_others_chains(box, cluster):
    """nftables.service has loaded a file with chains of one's own in our table; the unit fills the sets around them."""
    box.pillar(prod(), mode="set-only")
    box.apply()
    box.namespace.nft("flush", "ruleset")
    box.namespace.nft("add table inet nodewall; add set inet nodewall cluster-prod-v4 { type ipv4_addr; }; add chain inet nodewall mine; "
                      "add rule inet nodewall mine ip saddr @cluster-prod-v4 accept")
    assert restore(box) == (0, "")
    box.has(cluster)
    assert "saddr @cluster-prod-v4 accept" in box.table() and box.call("nodewall.restore")["result"] == "have"


def test_clean_leaves_nothing_to_boot(box, cluster):
    box.call("nodewall.clean")
    assert sorted(path.name for path in box.cache.iterdir()) == ["lock"]


def unit(folder, minion):
    text = (nodewall.STATES / "nodewall" / "nodewall-restore.service").read_text(encoding="ascii").replace("{{ folder }}", str(minion))
    (folder / "nodewall-restore.service").write_text(text, encoding="ascii")


PROBE = """
show() {
    for _ in $(seq 50); do systemctl list-jobs | grep -qE "nftables|nodewall" || break; sleep 0.05; done
    echo "$1: $(nft list tables | sed "s/table inet //" | tr "\\n" " ")$(nft list table inet nodewall 2>/dev/null | grep -o "203.0.113.1 ")"
}
show boot
for verb in reload restart stop start; do systemctl $verb nftables; show $verb; done
nft flush ruleset; systemctl restart nodewall-restore; show again
echo broken > MINION/boot.nft; systemctl restart nftables; show broken; echo $(nft list table inet nodewall | grep -o "5432 jump")
mv MINION MINION.away; systemctl restart nftables; show away; systemctl is-failed nodewall-restore
systemctl poweroff --force --force
"""


def test_a_real_systemd(box, cluster, tmp_path):
    """A boot, and all that flushes our table along with Debian's nftables.service. In namespaces; the host's systemd has no part in it."""
    inside = ["unshare", "-m", "-p", "-f", "-u", "-i", "-n", "-C", "--kill-child"]
    if not any(map(os.path.exists, ("/usr/lib/systemd/systemd", "/lib/systemd/systemd"))):
        pytest.skip("no systemd to boot; install it")
    if subprocess.run([*inside, "sh", "-c", "mount --make-rprivate / && mount -t cgroup2 none /mnt && mount -t tmpfs none /mnt"], check=False, capture_output=True).returncode:
        pytest.skip("systemd can't be booted here: it takes namespaces for mounts and control groups (root, CAP_SYS_ADMIN, cgroup v2)")
    shutil.copytree(box.cache, tmp_path / "minion")
    unit(tmp_path, tmp_path / "minion")
    (tmp_path / "probe").write_text(PROBE.replace("MINION", str(tmp_path / "minion")), encoding="ascii")
    done = subprocess.run([*inside, "sh", str(HERE / "systemd.sh"), str(tmp_path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    said = (tmp_path / "said").read_text(encoding="utf-8") if (tmp_path / "said").exists() else done.stderr
    there, lines = "theirs nodewall 203.0.113.1 ", [line for line in said.splitlines() if ":" in line or line in ("5432 jump", "failed")]
    assert lines == [f"boot: {there}", f"reload: {there}", f"restart: {there}", "stop: ", f"start: {there}", "again: nodewall 203.0.113.1 ",
                     "broken: theirs nodewall ", "5432 jump", "away: theirs ", "failed"], said


def test_the_unit_is_one(tmp_path):
    """systemd's own opinion of it."""
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is missing; install systemd")
    unit(tmp_path, tmp_path)
    done = subprocess.run([analyze, "verify", "--man=no", str(tmp_path / "nodewall-restore.service")], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "nodewall-restore" in line]
    assert not ours, ours
