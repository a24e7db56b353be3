# SPDX-License-Identifier: Apache-2.0
"""A network that tears, before a real server: a TCP proxy whose connections end, in good order or by a reset, after so many bytes.

For faults in what only the real one says (its TLS, its protobuf); what it says itself wrongly is fake_kube's.
Invariant: bytes are passed on as they are and in order, or not at all.
"""
import contextlib
import random
import select
import socket
import struct
import threading


class Torn:
    """A context manager. `target`: (host, port). `least`, `most`: bytes of the server's that a connection lives for; None: for ever."""

    def __init__(self, target, seed, least=None, most=None):
        self.target, self.chance, self.least, self.most = target, random.Random(seed), least, most
        self.torn, self._open, self._listener = 0, set(), None

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    @property
    def port(self):
        return self._listener.getsockname()[1]

    def cut(self):
        """Ends what is open now."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(self.target, 5)
        except OSError:
            client.close()
            return
        pair = {client, server}
        self._open |= pair
        with contextlib.suppress(OSError, ValueError):
            self._pass(client, server)
        self._open -= pair
        for sock in pair:
            sock.close()

    def _pass(self, client, server):
        left = None if self.most is None else self.chance.randint(self.least, self.most)
        while True:
            for sock in select.select([client, server], [], [])[0]:
                piece = sock.recv(4096)
                if not piece:
                    return
                if sock is server and left is not None:
                    piece, left = piece[:left], left - len(piece)
                (client if sock is server else server).sendall(piece)
                if left is not None and left <= 0:
                    self.torn += 1
                    if self.chance.random() < 0.5:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
