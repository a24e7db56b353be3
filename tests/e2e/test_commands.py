# SPDX-License-Identifier: Apache-2.0
"""The subcommands as a person calls them: exit codes, one sentence for what is wrong, tables and JSON. No Salt is needed for these."""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import threading
import time

import pytest
from harness import nodewall
from harness.fake_kube import FakeKube


@pytest.fixture(name="kube")
def _kube():
    with FakeKube() as kube:
        yield kube


@pytest.fixture(name="config")
def _config(kube, tmp_path):
    path = tmp_path / "nodewall.yaml"
    path.write_text(f"clusters:\n  prod:\n    server: {kube.url}\n    within: [203.0.113.0/24]\n"
                    f"state_dir: {tmp_path}/state\nbus: {{sock_dir: {tmp_path}/none}}\n", encoding="utf-8")
    return path


def run(*words):
    return nodewall.run(*words, check=False)


@pytest.mark.parametrize("words", [["--frobnicate"], ["walk"], ["nodes", "--frobnicate"], ["nodes", "a", "b"], ["nodes", "-o", "xml"],
                                   ["watch", "-n", "many"], ["fire"], ["run", "-t", "3"]], ids=" ".join)
def test_wrong_usage_is_2(words):
    done = run(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("nodewall") and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "nodes", "watch", "status", "check", "fire", "monitor", "release", "who"])
def test_help_is_in_the_man_page_too(command):
    done = run(command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: nodewall {command}") and done.stderr == ""
    page = (nodewall.ROOT / "packaging" / "nodewall.8").read_text(encoding="utf-8")
    section = page.split(".It Cm " + command)[1]
    assert section
    for letter in re.findall(r"^  -(\w),", done.stdout, re.M):
        assert f".It Fl {letter} ," in page, f"-{letter} is not in the man page"


def test_version_and_the_list_of_commands():
    assert re.fullmatch(r"nodewall \d+\.\d+\.\d+\n", run("--version").stdout)
    assert all(word in run("--help").stdout for word in ("run", "nodes", "watch", "status", "check", "fire", "monitor"))


def test_nodes_shows_who_is_let_in_and_who_is_not(kube, config):
    kube.create_node("a", ["203.0.113.1", "2001:db8::1"])
    kube.create_node("b", ["203.0.113.2"])
    done = run("nodes", "-c", config, "-o", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert {node["name"]: node["addresses"] for node in found["prod"]["nodes"]} == {"a": ["203.0.113.1"], "b": ["203.0.113.2"]}
    assert "2001:db8::1" in done.stderr, "what is outside `within` is said"
    table = run("nodes", "-c", config, "prod").stdout.splitlines()
    assert table[0].split()[:2] == ["CLUSTER", "NODE"] and [row.split()[1] for row in table[1:]] == ["a", "b"]


@pytest.mark.parametrize("change, words", [
    (("server: ", "sever: "), ["nodewall.yaml:3", "sever"]),
    (("  prod:", "  Prod!:"), ["nodewall.yaml:2", "Prod!"]),
    (("203.0.113.0/24", "203.0.113.0/99"), ["nodewall.yaml:4", "203.0.113.0/99"]),
    (("server: http", "kubeconfig: /nonexistent # "), ["/nonexistent"]),
], ids=["unknown key", "bad name", "no network", "missing kubeconfig"])
def test_what_is_wrong_is_one_sentence_with_its_place(config, change, words):
    config.write_text(config.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    done = run("nodes", "-c", config)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and all(word in done.stderr for word in words), done.stderr


def test_a_server_that_is_not_there(kube, config):
    config.write_text(config.read_text(encoding="utf-8").replace(kube.url, "http://127.0.0.1:9"), encoding="utf-8")
    done = run("nodes", "-c", config)
    assert done.returncode == 1 and "prod" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_cluster_that_is_not_configured(config):
    done = run("nodes", "-c", config, "staging")
    assert done.returncode == 1 and "no cluster 'staging' (there are: prod)" in done.stderr


def test_watch_prints_changes_and_ends(kube, config):
    kube.create_node("a", ["203.0.113.1"])
    child = subprocess.Popen([nodewall.binary(), "watch", "-c", str(config), "-o", "json", "-n", "2", "-t", "20"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "1 nodes" in child.stderr.readline()
        threading.Timer(0.2, kube.create_node, ("b", ["203.0.113.2"])).start()
        first = json.loads(child.stdout.readline())
        kube.delete_node("b")
        second = json.loads(child.stdout.readline())
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.communicate()
    assert (first["change"], first["node"], first["addresses"]) == ("added", "b", ["203.0.113.2"])
    assert (second["change"], second["previous"]) == ("removed", ["203.0.113.2"])


def test_watch_that_gets_too_few_is_a_failure(config):
    begun = time.monotonic()
    assert run("watch", "-c", config, "-n", "1", "-t", "1").returncode == 1
    assert time.monotonic() - begun < 10


def test_status_without_an_engine(config):
    done = run("status", "-c", config)
    assert done.returncode == 1 and "no engine is running" in done.stderr


@pytest.mark.parametrize("tag, data, words", [("salt/job/1/new", "{}", ["salt/"]), ("a/b", "[1]", ["map"]), ("a/b", "{", ["byte"])])
def test_fire_refuses_what_would_hurt(config, tag, data, words):
    done = run("fire", "-c", config, tag, data)
    assert done.returncode == 1 and all(word in done.stderr for word in words), done.stderr


def checks(*calls):
    """The exit code and {(what, verdict): text} of each `nodewall check` of (config, salt_dir); at once, for each waits 5 s for a bus."""
    def one(call):
        done = run("check", "-c", call[0], "-o", "json", call[1])
        return done.returncode, {(item["what"], item["verdict"]): f"{item['text']} ({item['hint']})" for item in json.loads(done.stdout)}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(one, calls))


def test_check_says_each_thing_and_the_way_out(kube, config, tmp_path):
    kube.create_node("a", ["203.0.113.1"])
    (tmp_path / "salt" / "master.d").mkdir(parents=True)
    (tmp_path / "salt" / "master").touch()
    (code, none), (_, empty), (_, file) = checks((config, tmp_path / "no-salt"), (config, tmp_path / "salt"), (config, tmp_path / "salt" / "master"))
    assert code == 1, "there is no bus here"
    assert {("configuration", "ok"), ("prod: list", "ok"), ("prod: watch", "ok"), ("Salt's bus", "failed"), ("engine", "warning")} <= set(none)
    assert "neither a token nor" in none["prod: credentials", "warning"]
    assert "no Salt configuration" in none["Salt's snippet", "failed"]
    assert f"cp {nodewall.SHIPPED['reactor']}/zz-nodewall.conf {tmp_path}/salt/master.d/" in empty["Salt's snippet", "failed"]
    assert "Not a directory" in file["Salt's snippet", "failed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="to become another user needs root")
def test_check_looks_as_the_user_of_salt_master(kube, tmp_path):
    """Salt's packages run the master as `salt`: what root can read is no answer. `user` of master.d wins over that of the file master."""
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)

    def place(name, user="nobody", owner="root", mode=0o600, state=True):
        here = tmp_path / name
        (here / "master.d").mkdir(parents=True)
        (here / "master").write_text("user: root\n", encoding="utf-8")
        (here / "master.d" / "user.conf").write_text(f"user: {user}\n", encoding="utf-8")
        (here / "kubeconfig").write_text(f"clusters: [{{name: a, cluster: {{server: '{kube.url}'}}}}]\nusers: [{{name: a, user: {{token: t}}}}]\n"
                                         "contexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\n", encoding="utf-8")
        (here / "kubeconfig").chmod(mode)
        shutil.chown(here / "kubeconfig", owner)
        if state:
            (here / "state").mkdir(mode=0o750)
            shutil.chown(here / "state", owner)
        (here / "nodewall.yaml").write_text(f"clusters: {{prod: {{kubeconfig: {here}/kubeconfig}}}}\nstate_dir: {here}/state\n"
                                            f"bus: {{sock_dir: {here}}}\n", encoding="utf-8")
        return here / "nodewall.yaml", here

    found = checks(place("none", state=False), place("roots"), place("good", owner="nobody"), place("open", owner="nobody", mode=0o646),
                   place("unknown", user="nobodyatall"))
    none, roots, good, everybodys, unknown = (each for _, each in found)
    assert "'nobody', as salt-master does" in none["user", "ok"]
    assert f"install -d -o nobody -m 0750 {tmp_path}/none/state" in none["state directory", "failed"]
    assert "Permission denied" in roots["prod: credentials", "failed"]
    assert f"chown -R nobody: {tmp_path}/roots/state" in roots["state directory", "failed"]
    assert {("user", "ok"), ("state directory", "ok"), ("prod: list", "ok")} <= set(good) and "without TLS" in good["prod: credentials", "warning"]
    assert "everybody on this machine can read" in everybodys["prod: credentials", "warning"]
    assert "everybody on this machine can write" in everybodys["prod: credentials", "failed"]
    assert "'nobodyatall', whom this machine does not know" in unknown["user", "failed"]
