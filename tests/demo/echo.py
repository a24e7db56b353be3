# SPDX-License-Identifier: Apache-2.0
"""A service that keeps its connections: it sends back what it gets. What the demo's rules protect, and what its sessions talk to.

The harness's Listener closes at once, which is right for counting who gets in; whether an open session is cut needs one that stays.
"""
import contextlib
import selectors
import socket
import threading


class Echo:
    """Listens on a port of a namespace, IPv4 and IPv6, in one thread, until stop()."""

    def __init__(self, namespace, port):
        self.running = True
        self.socket = namespace.socket(socket.AF_INET6)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(("::", port))
        self.socket.listen(512)
        self.socket.setblocking(False)
        self.thread = threading.Thread(target=self._serve, name=f"echo-{port}", daemon=True)
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
        if sock is self.socket:
            with contextlib.suppress(OSError):
                peer, _ = sock.accept()
                peer.setblocking(False)
                ready.register(peer, selectors.EVENT_READ)
            return
        try:
            data = sock.recv(4096)
            if data:
                sock.send(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        ready.unregister(sock)
        sock.close()

    def stop(self):
        self.running = False
        self.thread.join(5)
