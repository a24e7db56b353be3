# SPDX-License-Identifier: Apache-2.0
"""A machine to do what the README says on, word for word and as root: absolute paths, and nothing of this machine changes.

This system's /usr by bind mounts, read-only, below a root of its own with its own /etc, /var, /run, /srv and /usr/share, in namespaces
of its own (mounts, processes, a Namespace's network). Salt lies in /opt/saltstack/salt and the user `salt` exists, as Salt's packages
have it. Played, in /opt/bin: `systemctl restart salt-master`, and kubectl (kubectl.py). Owns its processes; they end with it.
"""
import os
import pathlib
import select
import shutil
import subprocess
import tempfile

from harness import nodewall, process

ETC = ("group", "passwd", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "os-release", "debian_version", "ssl/openssl.cnf")
# As the package's unit does: back when the master is ready. Salt's own grains ask for the version.
SYSTEMCTL = """#!/bin/sh
case "$*" in
--version) echo "systemd 252 (252)"; echo "+PAM"; exit ;;
"restart salt-master") ;;
*) echo "this systemctl is the test's" >&2; exit 1 ;;
esac
if pid=$(cat /run/salt-master.pid 2>/dev/null); then
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
fi
rm -rf /run/salt/master
salt-master -d
until [ -S /run/salt/master/master_event_pull.ipc ]; do sleep 0.1; done
"""
MOUNTS = """
set -e
mount --make-rprivate /
for d in $BINDS; do mount --rbind "/$d" "$ROOT/$d"; mount -o remount,bind,ro "$ROOT/$d" 2>/dev/null || :; done
mount --rbind /dev "$ROOT/dev"
mount --bind "$VENV" "$ROOT/opt/saltstack/salt"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs tmpfs "$ROOT/run"
exec chroot "$ROOT" sh -c "echo ready; while :; do sleep 3600 & wait; done"     # its process 1, which buries daemons
"""


class Machine:
    def __init__(self, root, namespace, venv):
        self.root, self.namespace, self.venv = pathlib.Path(root), namespace, venv
        self.holder = self.pid = None

    def path(self, name):
        return self.root / name.lstrip("/")

    def write(self, name, text, mode=0o644):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text, encoding="utf-8")
        self.path(name).chmod(mode)

    # --- building ---
    def _directories(self):
        for name in ("dev", "proc", "run", "root", "srv/salt", "srv/pillar", "tmp", "var/lib", "var/log", "var/cache", "opt/saltstack/salt", "usr/share",
                     "opt/bin", "etc/salt"):
            self.path(name).mkdir(parents=True, exist_ok=True)
        self.path("tmp").chmod(0o1777)
        self.path("var/run").symlink_to("/run")
        binds = [f"usr/{name}" for name in sorted(os.listdir("/usr")) if name != "share" and os.path.isdir(f"/usr/{name}")]
        for name in ("bin", "sbin", "lib", "lib32", "lib64"):
            if os.path.islink(f"/{name}"):
                self.path(name).symlink_to(os.readlink(f"/{name}"))
            elif os.path.isdir(f"/{name}"):
                binds.append(name)
        base = subprocess.run([self.venv / "bin" / "python", "-c", "import sys; print(sys.base_prefix)"], check=True, capture_output=True, text=True).stdout.strip()
        if not base.startswith("/usr"):
            binds.append(base.lstrip("/"))      # whose Python the environment borrows
        for name in binds:
            self.path(name).mkdir(parents=True, exist_ok=True)
        return binds

    def _etc(self):
        for name in ETC:
            source, target = pathlib.Path("/etc") / name, self.path("etc") / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy)(source, target, **({"symlinks": True} if source.is_dir() else {}))
        for name, line in (("passwd", "salt:x:64001:64001:Salt:/opt/saltstack/salt:/usr/sbin/nologin"), ("group", "salt:x:64001:")):
            text = self.path(f"etc/{name}").read_text(encoding="utf-8")
            self.write(f"etc/{name}", "".join(each + "\n" for each in text.splitlines() if not each.startswith("salt:")) + line + "\n")

    def install(self):
        """What `meson install` installs; the engine goes to /opt/bin, for /usr/bin is this system's."""
        place = self.root / "installed"
        subprocess.run(["meson", "install", "-C", str(nodewall.ROOT / "build" / "release"), "--no-rebuild", "--destdir", str(place)], check=True,
                       capture_output=True)
        prefix, = {path.parents[1] for path in place.glob("**/bin/nodewall")}
        shutil.copytree(prefix / "share", self.path("usr/share"), dirs_exist_ok=True)
        shutil.copy(prefix / "bin" / "nodewall", self.path("opt/bin"))
        shutil.rmtree(place)

    def start(self, kubectl):
        binds = self._directories()
        self._etc()
        self.write("opt/bin/systemctl", SYSTEMCTL, 0o755)
        self.write("opt/bin/kubectl", kubectl, 0o755)
        for name in ("salt", "salt-call", "salt-master", "salt-minion"):
            self.path(f"opt/bin/{name}").symlink_to(f"/opt/saltstack/salt/bin/{name}")
        self.holder = subprocess.Popen(
            ["nsenter", f"--net={self.namespace.path}", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", MOUNTS],
            env=dict(os.environ, ROOT=str(self.root), VENV=str(self.venv), BINDS=" ".join(binds)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        said = self.holder.stdout.readline() if select.select([self.holder.stdout], [], [], 20)[0] else "nothing"
        if said != "ready\n":
            raise OSError(f"the machine can't be made: {said}{self.holder.stdout.read() if said else ''}")
        # By the directory and not its path, which another namespace's process has none of where this one runs in a chroot itself.
        self.pid = next(pid for pid in process.descendants(self.holder.pid) if os.path.samefile(f"/proc/{pid}/root", self.root))
        return self

    def stop(self):
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()
            self.holder.stdout.close()

    # --- using it ---
    def sh(self, script, check=True, timeout=120):
        """A shell of root in /root/nodewall: (exit code, what it said)."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out:       # no pipe: a daemon may keep it
            code = subprocess.run(
                ["nsenter", "-t", str(self.pid), "--mount", "--pid", "--net", "--root", "--wd", "--", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
                 "PYTHONWARNINGS=ignore", "PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "timeout", str(timeout),
                 "sh", "-euc", f"cd /root/nodewall\n{script}"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
            out.seek(0)
            said = out.read()
        if check and code:
            raise AssertionError(f"{script}\nended with {code}:\n{said[-4000:]}\n{self.logs()}")
        return code, said

    def until(self, line, seconds=60):
        """A command that comes true: a minion that connects, a return that is on its way."""
        last = [""]

        def true():
            code, last[0] = self.sh(line, check=False)
            return last[0] if code == 0 else None
        try:
            return process.wait_until(true, seconds, f"`{line}` to succeed", every=0.5)
        except process.Timeout as error:
            raise process.Timeout(f"{error}: {last[0][-1500:]}\n{self.logs()}") from None

    def logs(self):
        return "\n".join(process.tail(self.path(f"var/log/salt/{name}"), 15) for name in ("master", "minion"))
