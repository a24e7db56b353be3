# SPDX-License-Identifier: Apache-2.0
"""A raw subscriber and publisher of a salt-master's event bus, independent of Salt's code and of ours.

Two framings are in use, and writing may differ from reading (it changed with patch releases): bare msgpack maps, and maps behind a
big-endian u32 length. The subscriber sees it at the first byte; the publisher is told, or asks `framing_of(version)`.
"""
import datetime
import fnmatch
import json
import socket
import struct
import threading
import time
from collections import namedtuple

import msgpack

Event = namedtuple("Event", "at tag data")            # `at`: time.monotonic() of its arrival
# First patch release of a line that writes (and, in 3006, reads) with the length in front.
_LEN32_FROM = {3006: 26, 3007: 15, 3008: 2}


def framing_of(version):
    """(framing for writing to the pull socket, framing read from the pub socket): "bare" or "len32"."""
    line, patch = (int(part) for part in version.split(".")[:2])
    write = "len32" if patch >= _LEN32_FROM[line] else "bare"
    return write, (write if line == 3006 else "bare")


def _ext(code, data):
    return data.decode("utf-8", "replace") if code == 78 else msgpack.ExtType(code, data)


def decode(frame):
    """(tag, data) of one unpacked frame, or None if it isn't an event."""
    body = frame.get("body") if isinstance(frame, dict) else None
    if not isinstance(body, bytes) or b"\n\n" not in body:
        return None
    tag, _, packed = body.partition(b"\n\n")
    data = msgpack.unpackb(packed, raw=False, strict_map_key=False, unicode_errors="replace", ext_hook=_ext)
    return tag.decode("utf-8", "replace"), data


def encode(tag, data, framing):
    """The bytes of one event as the pull socket wants them."""
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return frame(tag.encode() + b"\n\n" + msgpack.packb({**data, "_stamp": data.get("_stamp", stamp)}, use_bin_type=True), framing)


def frame(body, framing):
    """Any body, tag and data, in its frame."""
    whole = msgpack.packb({"head": {}, "body": body}, use_bin_type=True)
    return struct.pack(">I", len(whole)) + whole if framing == "len32" else whole


def connect(address, namespace=None):
    """A connection to a path or (host, port), the latter in a namespace if given."""
    if isinstance(address, tuple):
        sock = namespace.socket() if namespace is not None else socket.socket()
    else:
        sock = socket.socket(socket.AF_UNIX)
        address = str(address)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class Subscriber:
    """Records all events; reconnects when the master goes away. `connections` counts how often it got through."""

    def __init__(self, address, namespace=None):
        self._address, self._namespace = address, namespace
        self._events, self._condition, self._stop = [], threading.Condition(), threading.Event()
        self._sock, self.connections, self.framing, self.problem = None, 0, None, None
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                self._sock = connect(self._address, self._namespace)
            except OSError:
                self._stop.wait(0.02)
                continue
            with self._condition:
                self.connections += 1
                self._condition.notify_all()
            try:
                self._read(self._sock)
            except OSError:
                pass
            finally:
                self._sock.close()

    def _read(self, sock):
        buffer, unpacker = b"", None
        while not self._stop.is_set():
            piece = sock.recv(1 << 20)
            if not piece:
                return
            at = time.monotonic()
            if unpacker is None and not buffer:
                self.framing = "len32" if piece[0] == 0 else "bare"
            if self.framing == "len32":
                buffer += piece
                while len(buffer) >= 4 and len(buffer) >= 4 + struct.unpack(">I", buffer[:4])[0]:
                    size = struct.unpack(">I", buffer[:4])[0]
                    self._take(at, msgpack.unpackb(buffer[4:4 + size], raw=False, strict_map_key=False))
                    buffer = buffer[4 + size:]
            else:
                if unpacker is None:
                    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=100 << 20)
                unpacker.feed(piece)
                for frame in unpacker:
                    self._take(at, frame)

    def _take(self, at, frame):
        try:
            event = decode(frame)
        except ValueError as error:
            self.problem = error
            return
        if event:
            with self._condition:
                self._events.append(Event(at, *event))
                self._condition.notify_all()

    def wait_connected(self, timeout=10, more_than=0):
        """Waits until it has connected more often than `more_than` times."""
        with self._condition:
            if not self._condition.wait_for(lambda: self.connections > more_than, timeout):
                raise AssertionError(f"the bus at {self._address} didn't let us in within {timeout} s")
        return self

    def mark(self):
        """A position: what comes from now on. Hand it to events() and wait()."""
        with self._condition:
            return len(self._events)

    def events(self, pattern="*", since=0, where=lambda event: True):
        """The events so far whose tag matches the glob."""
        with self._condition:
            return [event for event in self._events[since:] if fnmatch.fnmatchcase(event.tag, pattern) and where(event)]

    def wait(self, pattern, timeout=10, since=0, where=lambda event: True, count=1):
        """The first (or `count`-th) event that matches, also one that came before the call (use a mark to exclude those)."""
        found = []

        def enough():
            found[:] = [event for event in self._events[since:] if fnmatch.fnmatchcase(event.tag, pattern) and where(event)]
            return len(found) >= count
        with self._condition:
            if not self._condition.wait_for(enough, timeout):
                seen = "\n".join(f"  {event.tag} {json.dumps(event.data, default=repr)[:200]}" for event in self._events[since:][-15:])
                raise AssertionError(f"{len(found)} of {count} events {pattern} within {timeout} s; the last that came:\n{seen}")
        return found[count - 1]

    def close(self):
        self._stop.set()
        if self._sock is not None:
            try:
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join(2)


class Publisher:
    """Writes events to the pull socket over one connection."""

    def __init__(self, address, framing, namespace=None):
        self._sock, self._framing = connect(address, namespace), framing

    def fire(self, tag, data):
        self._sock.sendall(encode(tag, data, self._framing))

    def send(self, body):
        """A body as it is, be it fit for the bus or not."""
        self._sock.sendall(frame(body, self._framing))

    def close(self):
        self._sock.close()
