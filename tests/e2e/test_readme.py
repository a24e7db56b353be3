# SPDX-License-Identifier: Apache-2.0
"""The README's installation, word for word: each block is run by sh on a machine where salt-master runs as `salt`.

Not run: step 1's apt-get and meson (looked at below), and what is Salt's and meson's own in the last block.
"""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess

import chroot
import pytest
from conftest import short_directory
from harness import kube, netns, nodewall, servers, venvs
from harness.process import wait_until

HERE = pathlib.Path(__file__).resolve().parent
README = (nodewall.ROOT / "README.md").read_text(encoding="utf-8")
PORT = 5432


def blocks(kind, text=README):
    return [re.sub(f"^{indent}", "", block, flags=re.M) for indent, block in re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", text, re.M | re.S)]


BUILD, IN_CLUSTER, ON_MASTER, TELL_SALT, APPLY, REMOVE = blocks("sh", re.search(r"^## Install.*?(?=^## )", README, re.M | re.S).group())


@pytest.fixture(name="stage")
def _stage(namespaces, salt_at):
    with contextlib.ExitStack() as undo:
        for name in ("etcd", "kube-apiserver"):
            servers.path(name)
        venv = salt_at(venvs.SALT_DEMO)
        net = undo.enter_context(netns.Net("readme"))
        cluster = kube.Cluster(net.attach("kube"))
        undo.callback(cluster.stop)
        cluster.start_etcd()
        cluster.start_apiserver()
        machine = chroot.Machine(undo.enter_context(short_directory()), net.attach("db1"), venv)
        machine.root.chmod(0o755)
        undo.callback(machine.stop)
        shutil.copytree(nodewall.ROOT / "packaging", machine.path("root/nodewall/packaging"))
        shutil.copy(cluster.authority.certificate, machine.path("root/ca.crt"))
        names = {"SERVER": cluster.url, "CA": "/root/ca.crt", "TOKEN": kube.TOKENS["admin"]}
        machine.start("#!/opt/saltstack/salt/bin/python\n" + "".join(f"{name} = {value!r}\n" for name, value in names.items())
                      + (HERE / "kubectl.py").read_text(encoding="utf-8"))
        undo.callback(machine.namespace.listen(PORT).close)
        yield machine, cluster, net.attach("nodes", ["203.0.113.21", "203.0.113.22", "198.51.100.66"])


def salt_as_packaged(machine):
    """What the package's scripts leave behind: the master runs as `salt`; its configuration is comments otherwise."""
    quiet = "enable_fqdns_grains: False\nenable_gpu_grains: False\n"
    machine.write("etc/salt/master", f"user: salt\nauto_accept: True\ntimeout: 60\ngather_job_timeout: 30\n{quiet}")
    machine.write("etc/salt/minion", f"master: 127.0.0.1\nid: db1\nacceptance_wait_time: 1\nrecon_default: 100\nrecon_max: 500\n{quiet}")
    machine.sh("install -d -o salt -g salt /etc/salt/master.d /etc/salt/pki/master /var/cache/salt/master; install -d /var/log/salt\n"
               "install -o salt -g salt -m 0640 /dev/null /var/log/salt/master")


def pillar(machine, text):
    machine.write("srv/pillar/top.sls", "base:\n  db1:\n    - db1\n")
    machine.write("srv/pillar/db1.sls", text)


@pytest.mark.timeout(240)
def test_the_installation(stage):
    machine, cluster, nodes = stage

    def reaches(source):
        return nodes.connect(machine.namespace.address, PORT, source) == "accepted"

    machine.install()
    salt_as_packaged(machine)
    cluster.create_node("node-a", ["203.0.113.21"])
    machine.sh(IN_CLUSTER)
    assert machine.path("root/nodewall/prod.kubeconfig").stat().st_mode & 0o777 == 0o600
    assert "203.0.113.21" in machine.sh(ON_MASTER)[1]
    assert "\n0 failed, 0 warnings" in machine.sh(TELL_SALT)[1]

    machine.sh("salt-minion -d")
    machine.until("timeout 8 salt -t 5 db1 test.ping", 90)
    pillar(machine, blocks("yaml")[0])          # now, so that the schedule waits for refresh_pillar and test=True is the first word
    assert reaches("198.51.100.66"), "without a rule anybody gets in"
    *steps, status = APPLY.strip().splitlines()
    assert "postgres" in machine.sh(steps[0])[1] and reaches("198.51.100.66"), "test=True"
    machine.sh("\n".join(steps[1:]))
    assert reaches("203.0.113.21") and not reaches("203.0.113.22") and not reaches("198.51.100.66")
    assert "1 of 1" in machine.until(status)

    # The example's own comment, taken out of the comment; SIGHUP as the README says.
    machine.sh("sed -i 's/# removal_grace: 30s /removal_grace: 1s /' /etc/nodewall/nodewall.yaml; kill -HUP $(pgrep -x nodewall)")
    cluster.create_node("node-b", ["203.0.113.22"])
    wait_until(lambda: reaches("203.0.113.22"), 15, f"node-b to be let in\n{machine.logs()}")
    cluster.delete_node("node-b")
    wait_until(lambda: not reaches("203.0.113.22"), 15, f"node-b to be refused\n{machine.logs()}")
    assert reaches("203.0.113.21") and "drift" not in machine.sh("salt db1 nodewall.apply test=True")[1]
    remove(machine)
    assert reaches("198.51.100.66") and cluster_is_clean(cluster)


def remove(machine):
    """The last block, but for what is Salt's and meson's own."""
    pillar(machine, "{}\n")
    for line in REMOVE.strip().splitlines():
        if not line.startswith(("systemctl ", "ninja ", "salt 'db1' saltutil.sync_all ")):
            machine.sh(line)
    assert "nodewall" not in machine.sh("nft list ruleset")[1]
    assert not [path for path in ("etc/nodewall", "var/lib/nodewall", "usr/share/nodewall") if machine.path(path).exists()]


def cluster_is_clean(cluster):
    roles = cluster.request("GET", f"{kube.RBAC}/clusterroles")["items"] + cluster.request("GET", f"{kube.RBAC}/clusterrolebindings")["items"]
    return not [item for item in roles if item["metadata"]["name"] == "nodewall"]


def test_the_build():
    """The packages that ./dev takes, but those for tests; options that meson knows; the place where uninstall finds them."""
    wanted = re.search(r"^BUILD='(.*?)'$", (nodewall.ROOT / "dev").read_text(encoding="utf-8"), re.M | re.S).group(1).split()
    apt = re.search(r"apt-get install -y (.*)", BUILD).group(1).split()
    for choice in wanted:
        if choice not in ("libc6-dev", "libcmocka-dev"):        # gcc brings the one, the other is for tests
            assert set(choice.split("|")) & set(apt), f"{choice} is not in the README's list"
    known = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", str(nodewall.ROOT / "build" / "release")], check=True,
                                      capture_output=True, text=True).stdout)
    for option in re.findall(r"-D(\w+)=", BUILD):
        assert option in {item["name"] for item in known}
    places = re.findall(r"(?:meson setup|-C) (\S+)", BUILD + REMOVE)
    assert set(places) == {"build/install"}


def test_what_the_chapters_point_to():
    """Links between the chapters, and the commands and verbs that the README names, exist."""
    for chapter in ("README.md", "states/README.md", "reactor/README.md", "engine/README.md"):
        path = nodewall.ROOT / chapter
        words = re.sub(r"^```.*?^```$|`[^`\n]+`", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)#:]+)\)", words):
            assert (path.parent / link).exists(), f"{chapter}: {link}"
    commands = nodewall.run("--help").stdout
    for command in re.findall(r"^ *nodewall (\w+)", "\n".join(blocks("sh")), re.M):
        assert re.search(rf"^  {command} ", commands, re.M), command
    verbs = subprocess.run([nodewall.ROOT / "dev", "--help"], check=True, capture_output=True, text=True).stdout
    for verb, option in re.findall(r"\./dev (\w+)(?: (--\w+))?", README):
        assert re.search(rf"^  {verb} .*{option}", verbs, re.M), f"{verb} {option}"
