# SPDX-License-Identifier: Apache-2.0
"""The engine's shim: Salt's own code forks it, it becomes a stand-in for the program (standin.c), which tells what it found itself with."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from box import NEWEST, VERSIONS
from harness import bus, nodewall, process, venvs

HERE = pathlib.Path(__file__).resolve().parent
ALL_SEALS = 1 | 2 | 4 | 8       # SEAL, SHRINK, GROW, WRITE


@pytest.fixture(scope="session")
def standin(tmp_path_factory):
    program = tmp_path_factory.mktemp("standin") / "nodewall"
    subprocess.run(["cc", "-Wall", "-Werror", "-o", str(program), str(HERE / "standin.c")], check=True)
    return program


class Host:
    def __init__(self, version, directory, standin, role="master", **engine):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.config, self.log = self.directory / "nodewall.yaml", self.directory / "log"
        self.program = self.directory / "nodewall"
        if standin:
            shutil.copy(standin, self.program)
        # A second between tries instead of ten.
        shim = (nodewall.STATES / "_engines" / "nodewall.py").read_text(encoding="utf-8").replace("RETRY_SECONDS = 10\n", "RETRY_SECONDS = 0.2\n")
        (self.directory / "states" / "_engines").mkdir(parents=True)
        (self.directory / "states" / "_engines" / "nodewall.py").write_text(shim, encoding="utf-8")
        (self.directory / "master").write_text(yaml.safe_dump({
            "cachedir": str(self.directory / "cache"), "pki_dir": str(self.directory / "pki"), "id": "m_master", "module_dirs": [str(self.directory / "states")], "log_file": str(self.log), "log_level_logfile": "info",
            "sock_dir": "/run/elsewhere", "engines": [{"nodewall": {"config": str(self.config), "binary": str(self.program), **engine}}]}), encoding="utf-8")
        venv = venvs.salt(version)
        with open(self.directory / "err", "ab") as errors:
            self.child = subprocess.Popen([venv / "bin" / "python", HERE / "shim_host.py", self.directory / "master", role], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
                                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "USER": "root"})
        self.said = self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        assert line, (self.directory / "err").read_text()[-3000:]
        return json.loads(line)

    def ask(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return self.answer()

    def reports(self, count=1, stopped=False):
        """The lines of the stand-in, once there are so many."""
        path = pathlib.Path(f"{self.config}.report")

        def found():
            lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
            lines = [line for line in lines if ("stopped" in line) == stopped]
            return lines if len(lines) >= count else None
        return process.wait_until(found, 10, f"{count} reports\n{self.log.read_text() if self.log.exists() else ''}")

    def close(self):
        for pid in process.session_pids(self.child.pid):
            process.signal_pid(pid, signal.SIGKILL)
        self.child.wait(10)


@pytest.fixture
def host(tmp_path, standin):
    started = []

    def start(version=NEWEST, program=True, **words):
        started.append(Host(version, tmp_path / f"h{len(started)}", standin if program else None, **words))
        return started[-1]
    yield start
    for one in started:
        one.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_program_finds_and_who_watches_over_it(host, version):
    it = host(version)
    report, = it.reports()
    assert report["pid"] in map(int, it.said["children"]), "in place: the very process that the master supervises"
    assert report["ppid"] == it.said["pid"]
    assert report["seals"] & ALL_SEALS == ALL_SEALS and report["pdeathsig"] == signal.SIGTERM
    assert int(report["SigBlk"], 16) == 0 and int(report["SigIgn"], 16) == 0

    payload = report["payload"]
    assert (payload["v"], payload["config"], payload["sock_dir"], payload["id"], payload["role"]) == (1, str(it.config), "/run/elsewhere", "m_master", "master")
    assert (payload["ipc_mode"], payload["pub_port"], payload["pull_port"], payload["ipv6"]) == ("ipc", 4512, 4513, False)
    assert (payload["log_file"], payload["log_level"], payload["salt_version"], payload["parent_pid"]) == (str(it.log), "info", version, it.said["pid"])
    assert (payload["write_framing"], payload["read_framing"]) == bus.framing_of(version)

    names = {entry.partition("=")[0] for entry in report["env"]}
    assert names == {"PATH", "HOME", "LANG", "USER", "LC_TIME", "HTTPS_PROXY"} | (names & {"LC_CTYPE"})
    kinds = sorted(link.partition(":")[0] for number, link in report["fds"].items() if int(number) > 2)
    assert kinds == ["/memfd", "pipe"], "the handoff and the sentinel, nothing else: " + json.dumps(report["fds"])
    assert report["fds"]["0"] == "/dev/null" and {"1", "2"} < set(report["fds"])

    joined = it.ask("join")
    assert joined["alive"] == [True] and 0.25 < joined["took"] < 2, "the master's timed join waits its time and no longer"
    os.kill(report["pid"], signal.SIGKILL)
    process.wait_until(lambda: it.ask("check") and len(it.reports()) == 2, 10, "the master to start it again", every=0.2)
    second = it.reports(2)[1]
    assert second["pid"] != report["pid"]
    assert it.ask("terminate")["alive"] == [False]
    assert it.reports(1, stopped=True) == [{"pid": second["pid"], "stopped": signal.SIGTERM}], "SIGTERM comes to it directly"


def test_it_dies_with_its_master(host):
    it = host()
    report, = it.reports()
    os.kill(it.said["pid"], signal.SIGKILL)
    assert it.reports(1, stopped=True) == [{"pid": report["pid"], "stopped": signal.SIGTERM}]


@pytest.mark.parametrize("version", sorted(set(venvs.SALT_VERSIONS) - set(VERSIONS)))
def test_framing_of_other_patch_levels(version):
    """It changed within patch releases, so Salt is asked and not its version number."""
    code = (f"import importlib.util as u; s = u.spec_from_file_location('shim', {str(nodewall.STATES / '_engines' / 'nodewall.py')!r});"
            "m = u.module_from_spec(s); s.loader.exec_module(m); print(*m._framing())")
    done = subprocess.run([venvs.salt(version) / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    assert tuple(done.stdout.split()) == bus.framing_of(version)


def lines(it):
    return [line for line in it.log.read_text(encoding="utf-8").splitlines() if "nodewall: " in line]


@pytest.mark.parametrize("trouble", ["missing", "no program", "unknown option", "not a master"])
def test_what_is_wrong_is_one_sentence(host, standin, trouble):
    """And no traceback every ten seconds; where it can be mended it goes on by itself."""
    it = host(program=trouble not in ("missing", "no program"), **({"colour": "red"} if trouble == "unknown option" else {}),
              **({"role": "minion"} if trouble == "not a master" else {}))
    if trouble == "no program":
        it.program.write_bytes(b"\x7fELF and so on")
        it.program.chmod(0o755)
    sentence = {"missing": "there is no program", "no program": "Exec format error", "unknown option": "the options config and binary, not colour",
                "not a master": "belongs on a salt-master"}[trouble]
    process.wait_until(lambda: it.log.exists() and sentence in it.log.read_text(), 10, "the sentence")
    time.sleep(1.0)
    assert len([line for line in lines(it) if sentence in line]) == 1, lines(it)
    assert "Traceback" not in it.log.read_text() and it.ask("join")["alive"] == [True], "it waits"
    if trouble in ("missing", "no program"):
        shutil.copy(standin, f"{it.program}.new")
        os.rename(f"{it.program}.new", it.program)
        report, = it.reports()
        assert report["pid"] in map(int, it.said["children"])
        kinds = sorted(link.partition(":")[0] for number, link in report["fds"].items() if int(number) > 2)
        assert kinds == ["/memfd", "pipe"], "tries that failed leave nothing behind"
