# SPDX-License-Identifier: Apache-2.0
"""Virtual environments: one for the harness, one per Salt release, one for Go when the system's is too old.

uv installs a Salt in 5 to 8 seconds where pip takes 40; it comes from PyPI into the harness's own environment. It doesn't read pip's
configuration, so index and certificates are handed over. Where there is no uv, pip does it.

Environments are renamed into place, so nothing may rely on absolute shebangs: call `<venv>/bin/python <venv>/bin/tool`.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

from . import cache

HARNESS = ["pytest>=8,<10", "pytest-timeout>=2.3,<3", "pyyaml>=6,<7", "msgpack>=1,<2", "cryptography>=42", "psutil>=5.9"]
# One patch release on each side of the change of framing on the bus, in each line.
SALT_VERSIONS = ["3006.24", "3006.30", "3007.14", "3007.17", "3008.1", "3008.5"]
# The Tornado inside 3006 hangs at a minion's first sign-in with a Python from 3.13 on (tried: Debian 13).
PYTHON_BELOW = {"3006": (3, 13)}
SALT_DEMO = "3006.30" if sys.version_info < PYTHON_BELOW["3006"] else "3008.5"
# Salt asks for versions of certifi that not every mirror has yet; any current one serves.
OVERRIDES = ["certifi>=2024.2.2"]
# The sdist of 3007.14 names no requirements when its wheel is built by a current setuptools; this is what it imports.
SALT_NEEDS = ["distro", "jinja2", "jmespath", "looseversion", "msgpack", "pyyaml", "markupsafe", "requests", "certifi", "packaging", "psutil",
              "pyzmq", "tornado>=6.3", "cryptography", "pycryptodomex", "aiohttp", "croniter", "setproctitle", "python-gnupg", "immutables",
              "contextvars", "python-dateutil"]


def chosen(option):
    """The releases that `--salt` names, or None."""
    return (SALT_VERSIONS if option == "all" else option.split(",")) if option else None


def _environment():
    """The environment for uv: what pip would use as index and certificates, its cache beside ours (so that venvs share files)."""
    env = dict(os.environ)
    env.setdefault("UV_CACHE_DIR", str(cache.root() / "uv"))
    env.setdefault("UV_HTTP_TIMEOUT", "120")
    for uv_name, pip_name, key in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "global.index-url"), ("SSL_CERT_FILE", "PIP_CERT", "global.cert")):
        if uv_name not in env:
            value = os.environ.get(pip_name) or subprocess.run(
                [sys.executable, "-m", "pip", "config", "get", key], capture_output=True, text=True, check=False).stdout.strip()
            if value:
                env[uv_name] = value
    return env


def _run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout[-4000:]}")


def _make_harness(directory):
    """With pip alone: there is nothing else yet."""
    cache.say(f"+ python3 -m venv; pip install uv {' '.join(HARNESS)}")
    _run([sys.executable, "-m", "venv", str(directory)])
    python = str(directory / "bin" / "python")
    _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--prefer-binary", *HARNESS])
    try:
        _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", "uv"])
    except RuntimeError:
        cache.say("no uv for this machine: pip will do, more slowly")


def _key(name, packages):
    return f"venv-{name}-py{sys.version_info[0]}.{sys.version_info[1]}-{cache.recipe(*packages)}"


def harness():
    """The harness's own environment; its Python."""
    return cache.ensure(_key("harness", HARNESS), "the harness's Python packages", _make_harness) / "bin" / "python"


def make(name, what, packages):
    """An environment with these packages; its directory."""
    uv = harness().parent / "uv"

    def fill(directory):
        cache.say(f"+ {'uv' if uv.exists() else 'pip'} install {' '.join(packages[:3])}{' …' if len(packages) > 3 else ''}")
        python = str(directory / "bin" / "python")
        overrides = directory / "overrides.txt"
        if uv.exists():
            _run([str(uv), "venv", "-q", "--allow-existing", "--relocatable", "--python", sys.executable, str(directory)], env=_environment())
            overrides.write_text("\n".join(OVERRIDES) + "\n", encoding="ascii")
            _run([str(uv), "pip", "install", "-q", "--python", python, "--override", str(overrides), *packages], env=_environment())
        else:
            _run([sys.executable, "-m", "venv", str(directory)])
            _run([python, "-m", "pip", "install", "-q", "--prefer-binary", *packages])
    return cache.ensure(_key(name, packages + OVERRIDES), what, fill)


class Unusable(Exception):
    """A Salt release that this machine can't run, with the reason."""


def salt(version):
    """The directory of the environment that has this Salt release.

    Raises Unusable if it doesn't run with this Python: a reason to skip. One that can't be downloaded is a RuntimeError, and a failure.
    """
    below = PYTHON_BELOW.get(version.partition(".")[0])
    if below and sys.version_info >= below:
        raise Unusable(f"Salt {version} needs a Python below {below[0]}.{below[1]}, and this is {sys.version.split()[0]}")
    where = make(f"salt-{version}", f"Salt {version}", [f"salt=={version}"] + SALT_NEEDS)
    stamp = where / ".usable"
    if not stamp.exists():
        probe = subprocess.run([str(where / "bin" / "python"), "-c", "import salt.master, salt.minion, salt.client"], capture_output=True, text=True, check=False)
        if probe.returncode:
            raise Unusable(f"Salt {version} doesn't run with Python {sys.version.split()[0]}: {probe.stderr.strip().splitlines()[-1]}")
        stamp.touch()
    return pathlib.Path(where)


def salts(versions=None):
    """Makes several, two at a time (downloads and unpacking overlap). {version: directory or the reason why not}."""
    def one(version):
        try:
            return salt(version)
        except Unusable as error:
            return str(error)
    versions = list(versions or SALT_VERSIONS)
    harness()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(versions, pool.map(one, versions)))
