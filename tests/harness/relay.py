# SPDX-License-Identifier: Apache-2.0
"""The two sockets of a salt-master's event bus without a salt-master: what is written to the one comes out of the other.

For tests of what the engine says and never of what Salt does with it: those have saltbed. Bare framing, as 3006 and 3007 read it.
Invariant: every subscriber gets every event in the order in which the relay read them.
"""
import contextlib
import pathlib
import socket
import threading

import msgpack

from .bus import Subscriber

PULL, PUB = "master_event_pull.ipc", "master_event_pub.ipc"


class Relay:
    """A context manager. `directory`: the engine's sock_dir, with a short name. `bus`: a Subscriber."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.subscribers, self.open, self.guard, self.bus = [], [], threading.Lock(), None

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, take in ((PULL, self._pull), (PUB, self._subscribe)):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.directory / name))
            listener.listen(8)
            self.open.append(listener)
            threading.Thread(target=self._accept, args=(listener, take), daemon=True).start()
        self.bus = Subscriber(self.directory / PUB).wait_connected()
        return self

    def __exit__(self, *_):
        self.bus.close()
        with self.guard:
            for sock in self.open + self.subscribers:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()

    def _accept(self, listener, take):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with self.guard:
                    self.open.append(sock)
                threading.Thread(target=take, args=(sock,), daemon=True).start()

    def _subscribe(self, sock):
        with self.guard:
            self.subscribers.append(sock)

    def _pull(self, sock):
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        with contextlib.suppress(OSError):
            while piece := sock.recv(1 << 16):
                unpacker.feed(piece)
                for frame in unpacker:
                    self._send(msgpack.packb(frame, use_bin_type=True))

    def _send(self, data):
        with self.guard:
            for sock in self.subscribers:
                with contextlib.suppress(OSError):
                    sock.sendall(data)
