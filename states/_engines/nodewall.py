# SPDX-License-Identifier: Apache-2.0
"""
Engine shim: salt-master starts this, and it becomes the C program.

What only Salt knows (where the bus is, how it frames, who the master is, where it logs) goes to the program as JSON on
a sealed memfd; then ``execve`` replaces this process with it, in place. So salt-master supervises the very process that
does the work: it starts it again when it dies, and its SIGTERM arrives without a middleman.

Invariants:
- Nothing of the master leaks: the environment is an allow-list (NOTIFY_SOCKET would let the program speak for
  salt-master, Salt's own SSL_CERT_* and LD_LIBRARY_PATH would bend its TLS), every descriptor closes on exec but
  stderr, stdout, the memfd and multiprocessing's sentinel, and no signal is left ignored or blocked.
- The program doesn't outlive its master: PR_SET_PDEATHSIG, then a look whether the parent is still there.
- An exec that fails changes nothing here (descriptors close *on* exec only): it is one line in the log, and another
  try later, not a traceback every ten seconds.

It deliberately reads no configuration of nodewall's and keeps no Python alive beside the program.

.. code-block:: yaml

    engines:
      - nodewall:
          config: /etc/nodewall/nodewall.yaml      # the default
          binary: /usr/bin/nodewall                # the default: looked up in PATH
"""

import ctypes
import fcntl
import json
import logging
import multiprocessing
import os
import shutil
import signal
import stat
import sys
import time

import salt.transport
import salt.transport.frame
import salt.utils.yaml
import salt.version

log = logging.getLogger(__name__)

__virtualname__ = "nodewall"

PAYLOAD_MAX = 64 * 1024
RETRY_SECONDS = 10
SAY_AGAIN_SECONDS = 3600
SNIPPET_KEYS = ("module_dirs", "file_roots", "engines", "ext_pillar", "reactor")
PR_SET_PDEATHSIG = 1
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What a program needs from its surroundings and nothing that would speak for, or act on, somebody else.
ENVIRONMENT = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
ENVIRONMENT |= {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}
ENVIRONMENT |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}


class Refused(Exception):
    """One sentence: why the program can't be started now."""


def __virtual__():
    if not sys.platform.startswith("linux"):
        return False, "nodewall runs on Linux only"
    return __virtualname__


def start(config="/etc/nodewall/nodewall.yaml", binary="nodewall", **unknown):
    """Becomes ``nodewall run``; returns only if the master that started it is gone."""
    said, said_at = None, 0.0
    for sentence in _displaced(__opts__):
        log.warning("nodewall: %s", sentence)
    while True:
        try:
            if unknown:
                raise Refused("the engine has the options config and binary, not {}".format(", ".join(sorted(unknown))))
            _become(config, binary)
            return
        except (Refused, OSError) as problem:
            now = time.monotonic()
            if str(problem) != said or now - said_at > SAY_AGAIN_SECONDS:
                said, said_at = str(problem), now
                log.error("nodewall: %s; trying again every %d seconds", said, RETRY_SECONDS)
        # SIGTERM ends this sleep: Salt's handler exits the process.
        time.sleep(RETRY_SECONDS)


def _displaced(opts):
    """
    Sentences about what the master's own file says and no longer counts: a key in master.d replaces the one there, and
    our snippet has five. Salt itself says nothing about it.
    """
    try:
        with open(opts["conf_file"], encoding="utf-8") as stream:
            own = salt.utils.yaml.safe_load(stream) or {}
        found = (_lost(key, own[key], opts.get(key), opts["conf_file"]) for key in SNIPPET_KEYS if own.get(key))
        return [sentence for sentence in found if sentence]
    except Exception as error:  # pylint: disable=broad-except
        log.debug("nodewall: looking for displaced options: %r", error)
        return []


def _lost(key, own, now, path):
    if isinstance(own, dict) and isinstance(now, dict):
        # file_roots: by environment
        lost = [(name, item) for name in own for item in _items(own[name]) if item not in _items(now.get(name))]
    else:
        lost = [item for item in _items(own) if item not in _items(now)]
    if not lost:
        return None
    sentence = "{} sets {}, which a file in master.d replaces; lost: {}; move the key into a file in master.d"
    return sentence.format(path, key, ", ".join(map(str, lost)))


def _items(value):
    return value if isinstance(value, list) else [value] if isinstance(value, str) else list(value or [])


def _become(config, binary):
    """Replaces this process, or raises Refused, or returns if the parent died meanwhile."""
    if __opts__.get("__role") != "master":
        raise Refused("the engine belongs on a salt-master, this is a {}".format(__opts__.get("__role")))
    environment = _environment(os.environ)
    program = _find(binary, environment["PATH"])
    parent = multiprocessing.parent_process()
    parent_pid = parent.pid if parent else os.getppid()
    fd = _sealed(_payload(__opts__, config, parent_pid))
    restore = []
    try:
        _close_on_exec_all_but([1, 2, fd] + _sentinels())
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, 0, inheritable=True)
        os.close(null)
        # No change of credentials follows: one would clear this again.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent_pid:
            return
        restore = _signals_to_default()
        os.execve(program, [program, "run", "--salt-fd", str(fd)], environment)
    except OSError as error:
        raise Refused("can't run {}: {}".format(program, error.strerror or error)) from None
    finally:
        for number, handler in restore:
            signal.signal(number, handler)
        os.close(fd)


def _find(binary, path):
    program = shutil.which(str(binary), path=path)
    if program is None:
        raise Refused(
            "there is no program {} (looked in {}); install it, or say where it is with `binary:` in the "
            "engine's configuration".format(binary, path)
        )
    return os.path.abspath(program)


def _environment(source):
    chosen = {key: value for key, value in source.items() if key in ENVIRONMENT or key.startswith("LC_")}
    chosen.setdefault("PATH", DEFAULT_PATH)
    return chosen


def _payload(opts, config, parent_pid):
    write, read = _framing()
    return {
        "v": 1,
        "config": str(config),
        "sock_dir": opts["sock_dir"],
        "ipc_mode": opts.get("ipc_mode", "ipc"),
        "pub_port": int(opts.get("tcp_master_pub_port", 4512)),
        "pull_port": int(opts.get("tcp_master_pull_port", 4513)),
        "ipv6": bool(opts.get("ipv6")),
        "write_framing": write,
        "read_framing": read,
        "id": opts["id"],
        "role": opts["__role"],
        "user": opts.get("user") or "root",
        "log_file": opts.get("log_file") or "",
        "log_level": str(opts.get("log_level_logfile") or opts.get("log_level") or "warning"),
        "salt_version": str(salt.version.__version__),
        "parent_pid": parent_pid,
    }


def _framing():
    """
    (how the bus reads from us, how it writes to us): 'len32' or 'bare'. It changed within patch releases, so Salt's own
    framing functions are asked instead of its version number. Up to 3006 the bus was published by transport.ipc, which
    uses the function for IPC in both directions; since the transports have ``ipc_publish_server`` it is published
    by the TCP transport, whose function for the network frames what subscribers read.
    """

    def kind(function):
        return "len32" if function(b"")[:1] == b"\0" else "bare"

    frame = salt.transport.frame
    published_by_transport = hasattr(salt.transport, "ipc_publish_server")
    return kind(frame.frame_msg_ipc), kind(frame.frame_msg if published_by_transport else frame.frame_msg_ipc)


def _sealed(payload):
    data = json.dumps(payload).encode()
    if len(data) > PAYLOAD_MAX:
        raise Refused("the master's options don't fit into {} bytes".format(PAYLOAD_MAX))
    fd = os.memfd_create("nodewall-salt", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "wb") as stream:
            stream.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(fd)
        raise
    return fd


def _sentinels():
    """
    The write end of the pipe by which multiprocessing in the master sees that we live. Were it closed, a timed join()
    there would take us for dead and then block until we are. The number is a local of the frame that forked us; should
    another Python name it differently, every write end whose read end isn't ours as well is kept.
    """
    frame = sys._getframe()  # pylint: disable=protected-access
    while frame is not None:
        if frame.f_code.co_name == "_launch" and frame.f_globals.get("__name__", "").startswith("multiprocessing."):
            fd = frame.f_locals.get("child_w")
            if isinstance(fd, int) and _is_pipe(fd, os.O_WRONLY):
                return [fd]
        frame = frame.f_back
    fds = _open_fds()
    readable = {os.fstat(fd).st_ino for fd in fds if _is_pipe(fd, os.O_RDONLY)}
    return [fd for fd in fds if fd > 2 and _is_pipe(fd, os.O_WRONLY) and os.fstat(fd).st_ino not in readable]


def _is_pipe(fd, mode):
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == mode
    except OSError:
        return False


def _open_fds():
    # The listing's own descriptor is in the list and gone by now.
    fds = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
            fds.append(int(name))
        except OSError:
            pass
    return fds


def _close_on_exec_all_but(keep):
    for fd in _open_fds():
        os.set_inheritable(fd, fd in keep)


def _signals_to_default():
    """
    exec resets handlers but inherits what is ignored or blocked; Python ignores SIGPIPE and SIGXFSZ. Returns what it
    changed, for an exec that fails.
    """
    with open("/proc/self/status", encoding="ascii") as status:
        ignored = next(int(line.split()[1], 16) for line in status if line.startswith("SigIgn:"))
    changed = []
    for number in signal.valid_signals():
        if ignored >> (number - 1) & 1:
            changed.append((number, signal.SIG_IGN))
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    return changed
