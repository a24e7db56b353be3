# SPDX-License-Identifier: Apache-2.0
"""Real salt-master and salt-minion processes in a temporary directory, without a package or a service.

All paths lie below one short directory (a unix socket's path may have 107 bytes). Keys are made and accepted beforehand, so a minion
is connected as soon as it is up. What takes time at the start without being looked at by tests is switched off (GPU and DNS grains).
Readiness is seen, not slept for: the master's sockets, and the event `salt/minion/<id>/start` on a raw subscriber.

Owns its processes and directory; ends whoever is left in the master's and minions' sessions.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import bus, process, venvs

_HERE = pathlib.Path(__file__).resolve().parent


class SaltError(AssertionError):
    """A Salt command that failed, with what it said."""


def make_keys(directory, name):
    """`<name>.pem` and `<name>.pub`, as salt-key makes them."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(65537, 2048)
    private, public = directory / f"{name}.pem", directory / f"{name}.pub"
    private.touch(mode=0o400)
    os.chmod(private, 0o600)
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
    os.chmod(private, 0o400)
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).strip())
    return public


def _environment(venv):
    """A clean one; /usr/sbin for nft and ip."""
    return {"PATH": f"{venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}


class _Daemon:
    """What master and minion have in common: a configuration directory, a process, a log."""

    def __init__(self, role, version, directory, namespace):
        self.role, self.version, self.namespace = role, version, namespace
        self.venv = venvs.salt(version)
        self.directory = pathlib.Path(directory)
        for name in ("c", "s", "k", "p"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self.confdir, self.sock_dir = self.directory / "c", self.directory / "s"
        self.log = self.directory / "log"
        self.process = process.Process([self.venv / "bin" / "python", self.venv / "bin" / f"salt-{role}", "-c", self.confdir],
                                       self.directory / "out", namespace, _environment(self.venv), cwd=self.directory)

    def _common(self):
        return {"user": "root", "pki_dir": str(self.directory / "p"), "cachedir": str(self.directory / "k"), "sock_dir": str(self.sock_dir),
                "pidfile": str(self.directory / "pid"), "log_file": str(self.log), "log_level": "error", "log_level_logfile": "info",
                "extension_modules": str(self.directory / "k" / "extmods"), "enable_fqdns_grains": False, "enable_gpu_grains": False,
                "ipv6": False, "verify_env": True, "open_mode": False}

    def write_config(self, name, values):
        """Writes `<confdir>/<role>.d/<name>.conf`; read at the next start."""
        directory = self.confdir / f"{self.role}.d"
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.conf").write_text(values if isinstance(values, str) else yaml.safe_dump(values), encoding="utf-8")

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def tail(self, lines=30):
        return process.tail(self.log, lines) + process.tail(self.directory / "out", 10)

    def kill(self):
        """SIGKILL to all of its processes at once, as when a machine loses power; again, to those that were forked meanwhile."""
        def killed():
            left = process.session_pids(self.process.pid)
            for pid in left:
                process.signal_pid(pid, signal.SIGKILL)
            return not left
        process.wait_until(killed, 10, f"the processes of salt-{self.role} to be gone")
        self.process.child.wait(10)

    def forget_pid(self):
        """What was killed left its pidfile, and Salt takes a zombie that nobody has collected yet for an instance that runs."""
        for name in ("pid", "process_responsibility_pid"):
            (self.directory / name).unlink(missing_ok=True)

    def stop(self):
        self.process.stop()


class Master(_Daemon):
    """A salt-master. `config`: further options; `namespace`: where it runs, with `address` (its address there).

    `options` may hold engines, reactor, ext_pillar, module_dirs …; see nodewall.Setup for ours. The directory is short and removed by
    stop() unless given.
    """

    def __init__(self, version, directory=None, namespace=None, address=None, ipc_mode="ipc", config=None):
        self._own = directory is None
        directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="nws"))
        super().__init__("master", version, directory / "m", namespace)
        self.base, self.ipc_mode = directory, ipc_mode
        self.address = address or (namespace.address if namespace is not None and namespace.address else "127.0.0.1")
        self.publish_port, self.ret_port = self._port(), self._port()
        self.file_root, self.pillar_root = self.directory / "f", self.directory / "pillar"
        for path in (self.file_root, self.pillar_root):
            path.mkdir(exist_ok=True)
        self.pull_address, self.pub_address = str(self.sock_dir / "master_event_pull.ipc"), str(self.sock_dir / "master_event_pub.ipc")
        options = {**self._common(), "interface": self.address, "publish_port": self.publish_port, "ret_port": self.ret_port, "ipc_mode": ipc_mode,
                   "worker_threads": 3, "loop_interval": 5, "timeout": 15, "gather_job_timeout": 5, "file_roots": {"base": [str(self.file_root)]},
                   "pillar_roots": {"base": [str(self.pillar_root)]}, "fileserver_backend": ["roots"], "token_dir": str(self.directory / "k" / "tokens"),
                   "syndic_dir": str(self.directory / "k" / "syndics"), "sqlite_queue_dir": str(self.directory / "k" / "queues"),
                   "autoreload": False, "presence_events": False, "key_logfile": str(self.directory / "keylog"), "id": "nwmaster_master"}
        if ipc_mode == "tcp":
            ports = {name: self._port() for name in ("tcp_master_pub_port", "tcp_master_pull_port", "tcp_master_publish_pull", "tcp_master_workers")}
            options.update(ports)
            self.pub_address, self.pull_address = ("127.0.0.1", ports["tcp_master_pub_port"]), ("127.0.0.1", ports["tcp_master_pull_port"])
        options.update(config or {})
        roots = options["file_roots"]["base"]
        options["file_roots"] = {"base": roots if str(self.file_root) in roots else [str(self.file_root), *roots]}
        self.options = options
        (self.confdir / "master").write_text(yaml.safe_dump(options), encoding="utf-8")
        make_keys(self.directory / "p", "master")
        self.minions, self._client, self._client_lock = {}, None, threading.Lock()
        self.bus = bus.Subscriber(self.pub_address, namespace)

    def _port(self):
        if self.namespace is not None:
            return self.namespace.free_port(self.address)
        with socket.socket() as sock:
            sock.bind((self.address, 0))
            return sock.getsockname()[1]

    def accept(self, minion_id, public):
        """Accepts a minion's public key."""
        directory = self.directory / "p" / "minions"
        directory.mkdir(exist_ok=True)
        shutil.copy(public, directory / minion_id)

    def start(self, timeout=40):
        """Starts it; returns when the bus lets us in and the request port answers."""
        before = self.bus.connections
        self.forget_pid()
        self.process.start()
        self.process.wait(lambda: self.bus.connections > before, timeout, f"salt-master {self.version} to open its bus")
        self.process.wait(lambda: self._answers(self.ret_port) and self._answers(self.publish_port), timeout, "salt-master to listen")
        return self

    def _answers(self, port):
        try:
            with bus.connect((self.address, port), self.namespace):
                return True
        except OSError:
            return False

    def restart(self, kill=False):
        """Stops (or kills) and starts it; the minions come back by themselves."""
        self._drop_client()
        if kill:
            self.kill()
        else:
            self.process.stop()
        self.start()

    def stop(self):
        """Stops the minions, then the master; removes the directory if it made it."""
        self._drop_client()
        for minion in list(self.minions.values()):
            minion.stop()
        self.process.stop()
        self.bus.close()
        if self._own:
            shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def minion(self, minion_id, namespace=None, config=None, start=True):
        """Makes (and starts) a minion of this master."""
        minion = Minion(self, minion_id, namespace, config)
        return minion.start() if start else minion

    # -- asking it ----------------------------------------------------------------------------------------------------

    def _drop_client(self):
        with self._client_lock:
            if self._client is not None:
                self._client.stdin.close()
                try:
                    self._client.wait(1)
                except subprocess.TimeoutExpired:      # still waiting for answers that nobody will hear
                    self._client.kill()
                    self._client.wait()
                self._client = None

    def _ask(self, **request):
        with self._client_lock:
            if self._client is None or self._client.poll() is not None:
                prefix = ["nsenter", f"--net={self.namespace.path}", "--"] if self.namespace is not None else []
                with open(self.directory / "client.log", "ab") as errors:
                    self._client = subprocess.Popen([*prefix, self.venv / "bin" / "python", _HERE / "salt_client.py", self.confdir / "master"],
                                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(self.venv))
            self._client.stdin.write(json.dumps(request) + "\n")
            self._client.stdin.flush()
            line = self._client.stdout.readline()
        if not line:
            raise SaltError(f"the Salt client ended:\n{process.tail(self.directory / 'client.log')}")
        answer = json.loads(line)
        if "error" in answer:
            raise SaltError(answer["error"])
        return answer["value"]

    def cmd(self, tgt, fun, *arg, tgt_type="glob", timeout=30, full=False, **kwarg):
        """Runs a function on minions; {minion: return} (or with `full`: {minion: {"ret", "retcode", "jid"}})."""
        found = self._ask(client="local", tgt=tgt, fun=fun, arg=list(arg), kwarg=kwarg, tgt_type=tgt_type, timeout=timeout)
        return found if full else {minion: answer["ret"] for minion, answer in found.items()}

    def cmd_async(self, tgt, fun, *arg, tgt_type="glob", **kwarg):
        """Publishes a job and returns its id."""
        return self._ask(client="local", tgt=tgt, fun=fun, arg=list(arg), kwarg=kwarg, tgt_type=tgt_type, timeout=0, **{"async": True})

    def runner(self, fun, *arg, **kwarg):
        return self._ask(client="runner", fun=fun, arg=list(arg), kwarg=kwarg)

    def wheel(self, fun, *arg, **kwarg):
        return self._ask(client="wheel", fun=fun, arg=list(arg), kwarg=kwarg)

    def publisher(self):
        """A raw publisher on the bus, with this release's framing."""
        return bus.Publisher(self.pull_address, bus.framing_of(self.version)[0], self.namespace)

    def engine_pid(self, executable):
        """The id of the engine that the master started: the process below it that runs this executable. None if it doesn't run."""
        wanted = os.path.realpath(executable)
        for pid in process.descendants(self.process.pid):
            try:
                if os.path.realpath(f"/proc/{pid}/exe") == wanted:
                    return pid
            except OSError:
                continue
        return None


class Minion(_Daemon):
    """A salt-minion of a Master, in a namespace of its own if given (`netns.Net.attach`)."""

    def __init__(self, master, minion_id, namespace=None, config=None):
        super().__init__("minion", master.version, master.base / f"n{len(master.minions)}", namespace)
        self.process.patience = 0.3        # it takes 9 s to end by itself, for nothing that a test looks at
        self.id, self.master = minion_id, master
        options = {**self._common(), "id": minion_id, "master": master.address, "master_port": master.ret_port, "publish_port": master.publish_port,
                   "acceptance_wait_time": 1, "random_reauth_delay": 0, "auth_timeout": 5, "auth_tries": 100, "master_tries": -1, "retry_dns": 0,
                   "recon_default": 100, "recon_max": 500, "recon_randomize": False, "mine_enabled": False, "hash_type": "sha256",
                   "tcp_keepalive_idle": 5, "start_event_grains": [], "grains_cache": False, "random_startup_delay": 0, "request_channel_timeout": 10,
                   "nodewall_dir": str(self.directory / "nodewall"),
                   # Never the host's own systemd.
                   "nodewall_unit_dir": str(self.directory / "units")}
        options.update(config or {})
        self.options = options
        (self.confdir / "minion").write_text(yaml.safe_dump(options), encoding="utf-8")
        master.accept(minion_id, make_keys(self.directory / "p", "minion"))
        master.minions[minion_id] = self

    def start(self, timeout=60, wait=True):
        """Starts it; returns when the master's bus says that it is there (and it answers from then on)."""
        mark = self.master.bus.mark()
        self.forget_pid()
        self.process.start()
        if wait:
            try:
                self.process.wait(lambda: self.master.bus.events(f"salt/minion/{self.id}/start", mark), timeout, f"minion {self.id} to come up")
            except process.Timeout as error:
                raise process.Timeout(f"{error}\n--- {self.log}\n{process.tail(self.log, 15)}") from None
        return self

    def restart(self, kill=False):
        if kill:
            self.kill()
        else:
            self.process.stop()
        return self.start()

    def cmd(self, fun, *arg, timeout=30, **kwarg):
        """Runs a function through the master; its return. Raises SaltError if the minion doesn't answer."""
        found = self.master.cmd(self.id, fun, *arg, timeout=timeout, **kwarg)
        if self.id not in found:
            raise SaltError(f"minion {self.id} didn't answer {fun} within {timeout} s:\n{self.tail()}")
        return found[self.id]

    def call(self, fun, *arg, local=False, check=True, timeout=90, **kwarg):
        """salt-call on the minion: a fresh process (1.5 to 3 s), its pillar compiled by the master unless `local`."""
        words = [*map(str, arg), *(f"{key}={json.dumps(value)}" for key, value in kwarg.items())]
        command = [self.venv / "bin" / "python", self.venv / "bin" / "salt-call", "-c", self.confdir, "--out", "json", "--log-level", "error",
                   "--retcode-passthrough", *(["--local"] if local else []), fun, *words]
        prefix = ["nsenter", f"--net={self.namespace.path}", "--"] if self.namespace is not None else []
        done = subprocess.run([*prefix, *map(str, command)], capture_output=True, text=True, check=False, timeout=timeout, env=_environment(self.venv),
                              stdin=subprocess.DEVNULL)
        try:
            value = json.loads(done.stdout[done.stdout.index("{"):])["local"]
        except (ValueError, KeyError):
            raise SaltError(f"salt-call {fun} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}") from None
        if check and done.returncode:
            raise SaltError(f"salt-call {fun} ended with {done.returncode}: {json.dumps(value)[:1500]}")
        return value
