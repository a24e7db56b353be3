# SPDX-License-Identifier: Apache-2.0
"""Real connections as the judge: who gets through to whom, when, and without a gap.

Why: what a firewall does is what a packet meets, not what a set says. A socket belongs to the network namespace in which it was
made, so one thread here makes sockets in any number of namespaces and needs no process in them; the kernel answers the handshake
by itself, so an attempt measures the firewall and not who got the processor.

`Service` listens within a namespace. `Probes` attempts connections, each attempt a socket of its own: accepted, or not within
`timeout`. That is below the first second, after which TCP would send its SYN again and turn a refusal into a late yes.
Times are time.monotonic(). Invariant: an attempt is in the history exactly once, with its start and its end.
Not here: making namespaces (netns.py), judging what should have happened (the tests do).
"""
import ctypes
import errno
import os
import selectors
import socket
import struct
import threading
import time

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_RESET = struct.pack("ii", 1, 0)        # SO_LINGER 0: close by RST, so that thousands of attempts leave no TIME_WAIT


def socket_in(namespace, family, kind=socket.SOCK_STREAM):
    """A socket of the network namespace at this path (/run/netns/NAME or /proc/PID/ns/net). Only this thread goes there, and comes back."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {namespace}")
        finally:
            os.close(there)
        try:
            return socket.socket(family, kind)
        finally:
            if _libc.setns(here, CLONE_NEWNET):
                os._exit(70)    # in a foreign namespace nothing that follows could be trusted
    finally:
        os.close(here)


class Service:
    """Listens on a port in a namespace, IPv4 and IPv6; greets, then echoes. What a rule protects."""

    def __init__(self, namespace, port, greeting=b"hello\n"):
        self.greeting, self.running = greeting, True
        self.socket = socket_in(namespace, socket.AF_INET6)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(("::", port))
        self.socket.listen(512)
        self.socket.setblocking(False)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        with selectors.DefaultSelector() as ready:
            ready.register(self.socket, selectors.EVENT_READ)
            while self.running:
                for key, _ in ready.select(0.2):
                    self._step(ready, key.fileobj)
            for key in list(ready.get_map().values()):
                key.fileobj.close()

    def _step(self, ready, sock):
        try:
            if sock is self.socket:
                peer, _ = sock.accept()
                peer.setblocking(False)
                peer.send(self.greeting)
                ready.register(peer, selectors.EVENT_READ)
                return
            data = sock.recv(4096)
            if data:
                sock.send(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        if sock is not self.socket:
            ready.unregister(sock)
            sock.close()

    def stop(self):
        self.running = False
        self.thread.join(5)


class Attempt:
    __slots__ = ("start", "end", "accepted", "why")

    def __init__(self, start, end, accepted, why):
        self.start, self.end, self.accepted, self.why = start, end, accepted, why

    def __repr__(self):
        return f"<{'accepted' if self.accepted else self.why} {self.start:.3f}+{(self.end - self.start) * 1000:.0f}ms>"


class Probe:
    """One who knocks: from `source` (None: whatever the kernel picks) in `namespace` at (host, port), every `every` seconds."""

    def __init__(self, owner, namespace, target, source, every, timeout):
        self.owner, self.namespace, self.target, self.source = owner, namespace, target, source
        self.every, self.timeout = every, timeout
        self.attempts, self.next, self.stopped, self.under_way = [], time.monotonic(), False, 0

    def stop(self):
        """No new attempts; returns the history once the last one is in it."""
        self.stopped = True
        with self.owner.changed:
            self.owner.changed.wait_for(lambda: not self.under_way, timeout=self.timeout + 5)
            return list(self.attempts)

    def first(self, accepted, since=0.0, timeout=10.0):
        """The first attempt begun after `since` that ended so; None if there was none within `timeout` seconds from now."""
        deadline, seen, found = time.monotonic() + timeout, 0, None
        with self.owner.changed:
            while found is None:
                for attempt in self.attempts[seen:]:
                    if attempt.accepted == accepted and attempt.start >= since:
                        found = attempt if found is None or attempt.start < found.start else found
                seen = len(self.attempts)
                left = deadline - time.monotonic()
                if found is None and (left <= 0 or not self.owner.changed.wait(left)):
                    return None
        return found

    def lasting(self, accepted, calm=0.5, timeout=10.0):
        """Waits until every attempt begun within the last `calm` seconds ended so; True if that came within `timeout`."""
        deadline = time.monotonic() + timeout
        begun = time.monotonic()
        while time.monotonic() < deadline:
            with self.owner.changed:
                self.owner.changed.wait(0.2)
                wrong = [attempt.start for attempt in self.attempts if attempt.accepted != accepted]
                right = [attempt.start for attempt in self.attempts if attempt.accepted == accepted]
            calm_from = max([begun] + wrong[-1:])
            if right and right[-1] - calm_from >= calm:
                return True
        return False

    def refused(self, start=0.0, end=float("inf")):
        with self.owner.changed:
            return [attempt for attempt in self.attempts if not attempt.accepted and start <= attempt.start <= end]

    def count(self):
        with self.owner.changed:
            return len(self.attempts)


class Probes:
    """The thread that knocks for all. A context manager; Probe objects come from `probe()`."""

    def __init__(self):
        self.changed = threading.Condition()
        self.probes, self.under_way, self.running = [], {}, True
        self.ready = selectors.DefaultSelector()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.running = False
        self.thread.join(5)

    def probe(self, namespace, target, source=None, every=0.05, timeout=0.8):
        probe = Probe(self, namespace, target, source, every, timeout)
        with self.changed:
            self.probes.append(probe)
        return probe

    def once(self, namespace, target, source=None, timeout=0.8):
        """One attempt: True if the connection was accepted."""
        probe = self.probe(namespace, target, source, every=3600.0, timeout=timeout)
        attempt = None
        with self.changed:
            self.changed.wait_for(lambda: probe.attempts, timeout=timeout + 5)
            attempt = probe.attempts[0] if probe.attempts else None
        probe.stopped = True
        return bool(attempt and attempt.accepted)

    def _run(self):
        while self.running:
            now = time.monotonic()
            for probe in list(self.probes):
                if not probe.stopped and now >= probe.next:
                    probe.next = max(probe.next + probe.every, now)
                    self._begin(probe)
            with self.changed:
                self.probes = [probe for probe in self.probes if not probe.stopped]
            for key, _ in self.ready.select(0.01):
                self._finish(key.fileobj, timed_out=False)
            now = time.monotonic()
            for sock, (probe, start) in list(self.under_way.items()):
                if now - start >= probe.timeout:
                    self._finish(sock, timed_out=True)
        for sock in list(self.under_way):
            sock.close()
        self.ready.close()

    def _begin(self, probe):
        start = time.monotonic()
        family = socket.AF_INET6 if ":" in probe.target[0] else socket.AF_INET
        try:
            sock = socket_in(probe.namespace, family)
        except OSError as error:
            self._note(probe, Attempt(start, start, False, f"no socket: {error.strerror}"))
            return
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        try:
            if probe.source:
                sock.bind((probe.source, 0))
            result = sock.connect_ex(probe.target)
        except OSError as error:
            result = error.errno
        if result not in (0, errno.EINPROGRESS):
            sock.close()
            self._note(probe, Attempt(start, time.monotonic(), False, os.strerror(result)))
            return
        self.under_way[sock] = (probe, start)
        probe.under_way += 1
        self.ready.register(sock, selectors.EVENT_WRITE)

    def _finish(self, sock, timed_out):
        probe, start = self.under_way[sock]
        result = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if timed_out and not result and self._connected(sock):
            timed_out = False       # this thread was late, the kernel wasn't
        why = "no answer" if timed_out else os.strerror(result) if result else ""
        self.ready.unregister(sock)
        sock.close()
        del self.under_way[sock]
        probe.under_way -= 1
        self._note(probe, Attempt(start, time.monotonic(), not why, why))

    @staticmethod
    def _connected(sock):
        try:
            sock.getpeername()
            return True
        except OSError:
            return False

    def _note(self, probe, attempt):
        with self.changed:
            probe.attempts.append(attempt)
            self.changed.notify_all()
