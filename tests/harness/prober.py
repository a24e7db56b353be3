# SPDX-License-Identifier: Apache-2.0
"""A prober: connects again and again from given source addresses and records what became of each attempt, with monotonic times.

It is the witness for "no living node was refused": an attempt whose SYN is dropped has no answer within `patience` and counts as
"dropped", from its start. Attempts overlap, so a dropped one doesn't stop the next.
"""
import errno
import select
import socket
import struct
import threading
import time
from collections import namedtuple

from .netns import is_v6

Attempt = namedtuple("Attempt", "source target start took outcome")      # times in seconds; outcome: accepted, dropped, refused
_LINGER = struct.pack("ii", 1, 0)                                        # close with RST: no TIME_WAIT, ports are not used up


class Prober:
    """Probes `targets` [(address, port)] from `sources` (added and removed while it runs) every `every` seconds.

    A source is an address that `namespace` has; attempts go only to targets of the same family.
    """

    def __init__(self, namespace, targets, sources=(), every=0.02, patience=0.25):
        self._namespace, self._targets, self._every, self._patience = namespace, list(targets), every, patience
        self._sources = set(sources)
        self._lock, self._stop, self.attempts = threading.Lock(), threading.Event(), []
        self.problem = None
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def start(self):
        self._thread.start()
        return self

    def add(self, *sources):
        with self._lock:
            self._sources |= set(sources)

    def discard(self, *sources):
        with self._lock:
            self._sources -= set(sources)

    def _run(self):
        try:
            self._namespace.inside(self._loop)
        except BaseException as error:                 # shown by stop()
            self.problem = error

    def _begin(self, poll, source, target):
        sock = socket.socket(socket.AF_INET6 if is_v6(source) else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        start = time.monotonic()
        try:
            sock.bind((source, 0))
            code = sock.connect_ex(target)
        except OSError as error:
            code = error.errno
        if code == errno.EINPROGRESS:
            poll.register(sock, select.POLLOUT)
            return sock, (sock, source, target, start)
        sock.close()
        self._record(source, target, start, "accepted" if code == 0 else "refused")
        return None

    def _record(self, source, target, start, outcome):
        self.attempts.append(Attempt(source, target, start, time.monotonic() - start, outcome))

    def _loop(self):
        poll, flying, due = select.poll(), {}, time.monotonic()
        while not self._stop.is_set() or flying:
            now = time.monotonic()
            if now >= due and not self._stop.is_set():
                due = max(due + self._every, now)
                with self._lock:
                    sources = list(self._sources)
                for source in sources:
                    for target in self._targets:
                        if is_v6(source) == is_v6(target[0]):
                            begun = self._begin(poll, source, target)
                            if begun:
                                flying[begun[0].fileno()] = begun[1]
            for number, _ in poll.poll(max(0.0, min(due - time.monotonic(), self._every)) * 1000):
                sock, source, target, start = flying.pop(number)
                poll.unregister(number)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                sock.close()
                self._record(source, target, start, "accepted" if code == 0 else "refused")
            now = time.monotonic()
            for number in [number for number, item in flying.items() if now - item[3] > self._patience]:
                sock, source, target, start = flying.pop(number)
                poll.unregister(number)
                sock.close()
                self._record(source, target, start, "dropped")

    def stop(self):
        """Ends the probing; returns all attempts. Raises what went wrong inside."""
        self._stop.set()
        self._thread.join(5)
        if self.problem:
            raise self.problem
        return self.attempts

    def of(self, source, target=None, since=0.0, until=float("inf")):
        """The attempts from this source that began in this span of time."""
        return [item for item in list(self.attempts) if item.source == source and since <= item.start <= until
                and (target is None or item.target == target)]

    def first(self, source, outcome, since=0.0, target=None):
        """The first attempt with this outcome, or None."""
        return next((item for item in self.of(source, target, since) if item.outcome == outcome), None)

    def refusals(self, source, since=0.0, until=float("inf"), target=None):
        """Attempts that weren't accepted."""
        return [item for item in self.of(source, target, since, until) if item.outcome != "accepted"]
