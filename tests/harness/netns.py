# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: machines for tests. Nothing of the host's own network is touched, and nothing leaves the namespaces.

A `Net` is a bridge in a namespace of its own, the hub (10.77.0.1, fd77::1); each attached namespace has one interface, `eth0`, whose
default route is that wire, so that a source address of any network can be answered. Name: `nw-<pid>-<label>`; what a dead run left
behind is found by its pid and removed with the processes in it.

A socket keeps the namespace that its thread was in when it was made: `Namespace.socket()` makes one in a thread that enters the
namespace and ends, and the caller uses it from anywhere.
"""
import collections
import ctypes
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from . import process

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
PREFIX = "nw-"


def _ip(*words, check=True, batch=None):
    command = ["ip", *(["-batch", "-"] if batch else []), *words]
    done = subprocess.run(command, input=batch, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def remove_leftovers():
    """Ends the processes in namespaces of runs that have died, and removes those namespaces. Returns their names."""
    removed = []
    for line in _ip("netns", "list", check=False).splitlines():
        name = line.split()[0]
        parts = name.split("-")
        if name.startswith(PREFIX) and len(parts) >= 3 and parts[1].isdigit() and not os.path.exists(f"/proc/{parts[1]}"):
            _remove(name)
            removed.append(name)
    return removed


def _remove(name):
    for pid in _ip("netns", "pids", name, check=False).split():
        process.signal_pid(int(pid), signal.SIGKILL)
    _ip("netns", "del", name, check=False)


def _silence_resolvers(name):
    """Makes the host's name servers unreachable at once: a question that nobody answers costs Salt 5 to 15 seconds each."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as handle:
            servers = [words[1].partition("%")[0] for words in map(str.split, handle) if words[:1] == ["nameserver"] and len(words) > 1]
    except OSError:
        return
    for server in servers:
        _ip("-n", name, "route", "add", "unreachable", server, check=False)


def is_v6(address):
    return ":" in address


class Listener:
    """Accepts every connection and leaves it to the peer to close it; holds the last 512.

    It must not close first: its reset could reach a peer that hasn't yet looked at the success of its connect().
    """

    def __init__(self, sock):
        self._sock, self._accepted = sock, 0
        self._held = collections.deque()
        self.port = sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name=f"listener-{self.port}", daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                peer, _ = self._sock.accept()
            except OSError:
                return
            self._accepted += 1
            self._held.append(peer)
            if len(self._held) > 512:
                self._held.popleft().close()

    @property
    def accepted(self):
        """How many; a peer's connect() may return a moment before our accept() does, so it waits for 20 quiet milliseconds."""
        seen = -1
        while seen != self._accepted:
            seen = self._accepted
            time.sleep(0.02)
        return seen

    def close(self):
        try:
            self._sock.shutdown(socket.SHUT_RDWR)     # wakes accept(), which close() alone doesn't
        except OSError:
            pass
        self._sock.close()
        self._thread.join(2)
        for peer in self._held:
            peer.close()


class Namespace:
    """One network namespace. `address` and `address6` are where it can be reached on its Net, if it is on one."""
    _numbers = itertools.count(1)

    def __init__(self, label):
        self.label = label
        self.name = f"{PREFIX}{os.getpid()}-{next(self._numbers)}-{label}"[:60]
        self.path = f"/run/netns/{self.name}"
        self.address = self.address6 = None
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        _silence_resolvers(self.name)

    def inside(self, function, *args):
        """Calls the function in a thread that has entered the namespace; returns or raises what it does."""
        result = {}

        def work():
            try:
                handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _libc.setns(handle, _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), f"setns {self.name}")
                finally:
                    os.close(handle)
                result["value"] = function(*args)
            except BaseException as error:             # raised again in the caller's thread
                result["error"] = error

        thread = threading.Thread(target=work, name=f"in-{self.name}")
        thread.start()
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["value"]

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """A socket of this namespace, to be used from any thread."""
        return self.inside(socket.socket, family, kind)

    def free_port(self, address="127.0.0.1"):
        """A TCP port that was free a moment ago."""
        with self.socket(socket.AF_INET6 if is_v6(address) else socket.AF_INET) as sock:
            sock.bind((address, 0))
            return sock.getsockname()[1]

    def run(self, *command, check=True, stdin=None, timeout=60):
        """Runs a command in the namespace; its stdout. Raises with its stderr."""
        done = subprocess.run(["nsenter", f"--net={self.path}", "--", *map(str, command)], input=stdin, capture_output=True, text=True,
                              check=False, timeout=timeout)
        if check and done.returncode:
            raise OSError(f"{' '.join(map(str, command))} in {self.name} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def nft(self, *words, check=True):
        """`nft` in the namespace."""
        return self.run(shutil.which("nft") or "/usr/sbin/nft", *words, check=check)

    def add_address(self, *addresses, device="eth0"):
        """Gives the interface these addresses (hosts), so that connections can start at them."""
        lines = [f"address replace {address}/{'128 nodad' if is_v6(address) else '32'} dev {device}" for address in addresses]
        _ip("-n", self.name, batch="\n".join(lines) + "\n")

    def del_address(self, *addresses, device="eth0"):
        lines = [f"address del {address}/{'128' if is_v6(address) else '32'} dev {device}" for address in addresses]
        _ip("-n", self.name, batch="\n".join(lines) + "\n")

    def listen(self, port=0, address=""):
        """A Listener; without an address it serves IPv4 and IPv6."""
        sock = self.socket(socket.AF_INET if address and not is_v6(address) else socket.AF_INET6)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((address, port))
        sock.listen(512)
        return Listener(sock)

    def connect(self, address, port, source=None, timeout=0.5):
        """One real connection: "accepted", "dropped" (no answer in time) or "refused" (an answer that says no)."""
        with self.socket(socket.AF_INET6 if is_v6(address) else socket.AF_INET) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if source:
                sock.bind((source, 0))
            sock.settimeout(timeout)
            try:
                sock.connect((address, port))
            except TimeoutError:
                return "dropped"
            except (ConnectionRefusedError, PermissionError, ConnectionResetError):
                return "refused"
            return "accepted"

    def close(self):
        """Ends what still runs in the namespace and removes it."""
        _remove(self.name)


class Net:
    """A wire with machines on it. Use as a context manager, or call close()."""

    def __init__(self, label="net"):
        self.members = []
        self.hub = Namespace(f"{label}-hub")
        self.hub.address, self.hub.address6 = "10.77.0.1", "fd77::1"
        self._next = itertools.count(11)
        try:
            _ip("-n", self.hub.name, batch="link add eth0 type bridge forward_delay 0 mcast_snooping 0\naddress add 10.77.0.1/24 dev eth0\n"
                "address add fd77::1/64 dev eth0 nodad\nlink set eth0 up\nroute add default dev eth0\nroute add ::/0 dev eth0\n")
        except OSError:
            self.hub.close()
            raise

    def attach(self, label, addresses=()):
        """A new machine on the wire, with 10.77.0.N and fd77::N, and these further addresses."""
        number = next(self._next)
        member = Namespace(label)
        self.members.append(member)
        member.address, member.address6 = f"10.77.0.{number}", f"fd77::{number}"
        port = f"p{number}"
        _ip("-n", self.hub.name, batch=f"link add {port} type veth peer name eth0 netns {member.name}\nlink set {port} master eth0 up\n")
        _ip("-n", member.name, batch=f"address add {member.address}/24 dev eth0\naddress add {member.address6}/64 dev eth0 nodad\n"
            "link set eth0 up\nroute add default dev eth0\nroute add ::/0 dev eth0\n")
        if addresses:
            member.add_address(*addresses)
        return member

    def close(self):
        for member in self.members:
            member.close()
        self.hub.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
