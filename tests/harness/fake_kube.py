#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for kube-apiserver's Nodes API, for the demo and for the faults that a real server won't show on demand.

Why: kube-apiserver and etcd take minutes to build, and neither can be told to answer the next list with half a body. What this
serves is the part of the API that a watcher of Nodes sees, in the shapes of kube-apiserver 1.34: paged lists from one snapshot,
watches with bookmarks and deadlines, label selectors, a 410 as an ERROR event within a 200, 401 without the token, gzip for large
lists; and create, update and delete over the same URLs, so that one client drives this and the real one.

Use it in a test:    with FakeKube(token="…") as kube: kube.create_node("a", ["203.0.113.1"]); kube.fail("watch", status(429))
as a process:        python3 -m harness.fake_kube --cert F --key F --token-file F     prints its URL, ends with its standard input
In a network namespace: namespace.inside(kube.start). The process's faults: POST /-/fault {"verb": "list|watch|any", "times": 1, "kind": "status|html|cut|stall|close|gone", …}

Invariant: it listens on loopback only, unless told otherwise. Deliberately not here: RBAC, admission, protobuf, other resources.
"""
import argparse
import base64
import contextlib
import gzip
import hmac
import http.server
import json
import pathlib
import socket
import ssl
import sys
import threading
import time
import urllib.parse

from .fake_node import Conflict, Expired, Nodes, build_node, typed
from .misbehave import KINDS, LIKE_FOREVER, Misbehaviour, status_object

GZIP_FROM = 128 * 1024      # kube-apiserver compresses what is larger, and no watch
BOOKMARK_EVERY = 60.0       # seconds, as kube-apiserver; and 2 s before the watch's deadline


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, kube, tls):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.kube, self.tls, self.open, self.guard = kube, tls, set(), threading.Lock()
        super().__init__(address, Handler)

    def finish_request(self, request, client_address):
        """Runs in the connection's own thread, so that a peer which stalls in its handshake stalls nobody else."""
        if self.tls:
            request.settimeout(10)
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                return
            request.settimeout(None)
        with self.guard:
            self.open.add(request)
        try:
            self.RequestHandlerClass(request, client_address, self)
        except OSError:
            pass
        finally:
            with self.guard:
                self.open.discard(request)
            with contextlib.suppress(OSError):
                request.close()

    def cut_all(self):
        with self.guard:
            for sock in self.open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Handler(Misbehaviour, http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake-kube"

    def log_message(self, *_):
        pass

    # --- answers ---
    def answer(self, code, body, headers=(), limit=None, reset=False):
        raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode() + b"\n"
        headers = dict(headers)
        headers.setdefault("Content-Type", "application/json")
        if len(raw) > GZIP_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            raw, headers["Content-Encoding"] = gzip.compress(raw, 1), "gzip"
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw if limit is None else raw[:limit])
        if limit is not None:
            self.break_off("reset" if reset else "fin")

    def gone_already(self):
        with self.server.guard:
            self.server.open.discard(self.connection)

    def refuse(self, code, reason, message, retry_after=None):
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self.answer(code, status_object(code, reason, message, retry_after), headers)

    # --- requests ---
    def do_GET(self):
        self.serve("GET")

    def do_POST(self):
        self.serve("POST")

    def do_PUT(self):
        self.serve("PUT")

    def do_PATCH(self):
        self.serve("PATCH")

    def do_DELETE(self):
        self.serve("DELETE")

    def serve(self, method):
        kube = self.server.kube
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        if url.path in ("/healthz", "/livez", "/readyz"):
            return self.answer(200, b"ok", {"Content-Type": "text/plain"})
        given = self.headers.get("Authorization", "").encode()
        if kube.token is not None and not hmac.compare_digest(given, f"Bearer {kube.token}".encode()):
            kube.count("unauthorized")
            return self.refuse(401, "Unauthorized", "Unauthorized")
        if url.path == "/version":
            return self.answer(200, {"major": "1", "minor": "34", "gitVersion": "v1.34.4", "platform": "linux/amd64"})
        if url.path == "/-/fault" and method == "POST":
            kube.fail(body.pop("verb"), body, body.pop("times", 1))
            return self.answer(200, {})
        parts = url.path.strip("/").split("/")
        if parts[:3] != ["api", "v1", "nodes"] or len(parts) > 5:
            return self.refuse(404, "NotFound", "the server could not find the requested resource")
        if len(parts) == 3 and method == "GET":
            watch = query.get("watch") in ("1", "true")
            verb = "watch" if watch else "list"
            kube.count(verb)
            kube.requests.append((time.monotonic(), verb, self.path))
            fault = kube.next_fault(verb)
            if fault and self.misbehave(fault, watch):
                return None
            return self.watch(query) if watch else self.list(query, fault)
        return self.object(method, parts[3] if len(parts) > 3 else None, body)

    def list(self, query, fault):
        nodes_of, selector = self.server.kube.nodes_store, query.get("labelSelector")
        try:
            if "continue" in query:
                token = json.loads(base64.urlsafe_b64decode(query["continue"]))
                rv, start = token["rv"], token["start"]
                nodes = nodes_of.page(rv, selector)
            else:
                start, (rv, nodes) = 0, nodes_of.list(selector)
        except Expired:
            return self.refuse(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")
        except (ValueError, KeyError, TypeError):
            return self.refuse(400, "BadRequest", "continue key is not valid: garbage")
        limit = int(query.get("limit") or 0) or len(nodes)
        self.server.kube.count("pages-cut" if fault else "pages")
        meta = {"resourceVersion": str(rv)}
        if start + limit < len(nodes):
            meta["continue"] = base64.urlsafe_b64encode(json.dumps({"rv": rv, "start": start + limit}).encode()).decode()
            meta["remainingItemCount"] = len(nodes) - start - limit
        items = [{key: value for key, value in node.items() if key not in ("kind", "apiVersion")} for node in nodes[start:start + limit]]
        return self.answer(200, {"kind": "NodeList", "apiVersion": "v1", "metadata": meta, "items": items},
                           limit=fault and fault["after"], reset=bool(fault and fault.get("reset")))

    # --- watches ---
    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, raw):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.flush()

    def end_stream(self):
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def event(self, kind, thing):
        raw = json.dumps({"type": kind, "object": thing}, separators=(",", ":")).encode() + b"\n"
        wound = self.server.kube.next_wound() if kind in ("ADDED", "MODIFIED", "DELETED") else None
        if wound:
            self.wfile.write(b"%x\r\n%s" % (len(raw), raw[:wound[1]]))
            self.break_off(wound[0])
            raise ConnectionAbortedError
        for start in range(0, len(raw), self.server.kube.piece or len(raw)):
            self.chunk(raw[start:start + (self.server.kube.piece or len(raw))])

    def expired_event(self, message):
        self.event("ERROR", status_object(410, "Expired", message))

    def watch(self, query):
        kube, store, selector = self.server.kube, self.server.kube.nodes_store, query.get("labelSelector")
        try:
            rv = int(query.get("resourceVersion") or 0)
        except ValueError:
            return self.refuse(500, "InternalError", 'resourceVersion: Invalid value')     # what the real one says
        end = time.monotonic() + float(query.get("timeoutSeconds") or LIKE_FOREVER)
        bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
        next_mark = min(time.monotonic() + kube.bookmark_every, end - 2)
        generation = kube.watch_generation
        opening = True
        self.begin_stream()
        while generation == kube.watch_generation:
            events = []
            try:
                if not kube.mute:
                    rv, events = store.since(rv, selector, opening)
                    opening = False
            except Expired:
                self.expired_event(f"too old resource version: {rv} ({store.floor})")
                break
            for kind, node in events:
                self.event(kind, node)
            at = time.monotonic()
            if at >= end:
                break
            if bookmarks and at >= next_mark and not kube.mute:
                self.event("BOOKMARK", {"kind": "Node", "apiVersion": "v1", "metadata": {"resourceVersion": str(rv), "creationTimestamp": None},
                                        "spec": {}, "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": {}}})
                next_mark = at + kube.bookmark_every if at + kube.bookmark_every < end - 2 or at >= end - 2 else end - 2
            with store.changed:
                if store.rv <= rv or kube.mute:
                    store.changed.wait(max(0.0, min(end, next_mark if bookmarks else end, at + 1.0) - at))
        self.break_off("complete" if generation == kube.watch_generation else kube.watch_ending)

    # --- single nodes ---
    def object(self, method, name, body):
        store = self.server.kube.nodes_store
        try:
            if method == "POST" and name is None:
                meta = body["metadata"]
                node = build_node(meta["name"], (body.get("status") or {}).get("addresses", []), meta.get("labels"))
                return self.answer(201, store.create(node))
            if method == "GET":
                return self.answer(200, store.by_name[name])
            if method == "DELETE":
                store.delete(name)
                return self.answer(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
            if method in ("PUT", "PATCH") and name:
                return self.answer(200, store.change(name, lambda node: merge(node, body)))
        except KeyError:
            return self.refuse(404, "NotFound", f'nodes "{name}" not found')
        except Conflict:
            return self.refuse(409, "AlreadyExists", f'nodes "{body["metadata"]["name"]}" already exists')
        return self.refuse(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def merge(node, patch):
    """RFC 7386: objects are merged, null removes, everything else replaces. A PUT of a status is served as its merge."""
    for key, value in patch.items():
        if key in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            continue
        if isinstance(value, dict) and isinstance(node.get(key), dict):
            merge(node[key], value)
        elif value is None:
            node.pop(key, None)
        else:
            node[key] = value


class FakeKube:
    """The stand-in with its faults. Methods may be called from any thread. A context manager: starts, and stops for certain."""

    def __init__(self, host="127.0.0.1", port=0, token=None, cert=None, key=None, bookmark_every=BOOKMARK_EVERY):
        self.host, self.port, self.token, self.bookmark_every = host, port, token, bookmark_every
        self.tls = None
        if cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(cert, key)
        self.nodes_store = Nodes()
        self.faults, self.guard = [], threading.Lock()
        self.counts = {}
        self.mute = False               # True: open watches hear nothing more, and stay open: a dead peer
        self.watch_generation, self.watch_ending = 0, "complete"
        self.wounds, self.piece = [], None      # piece: bytes of a chunk; None: a line is one
        self.requests = []              # (time.monotonic(), verb, path with its query) of each
        self.stopping = threading.Event()
        self.server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def start(self):
        self.stopping = threading.Event()
        self.server = Server((self.host, self.port), self, self.tls)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        """Ends every connection. start() afterwards serves the same nodes at the same port: an API server's restart."""
        self.stopping.set()
        self.end_watches()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server.cut_all()
            self.server = None

    # --- the cluster ---
    def create_node(self, name, addresses, labels=None):
        return self.nodes_store.create(build_node(name, addresses, labels))

    def set_addresses(self, name, addresses):
        return self.nodes_store.change(name, lambda node: node["status"].update(addresses=typed(addresses)))

    def set_labels(self, name, labels):
        return self.nodes_store.change(name, lambda node: node["metadata"]["labels"].update(labels))

    def delete_node(self, name):
        return self.nodes_store.delete(name)

    def heartbeat(self, name=None):
        """What kubelets write all day: a new version of each node (or of one) in which no address changed."""
        for each in [name] if name else list(self.nodes_store.by_name):
            self.nodes_store.change(each, lambda node: [item.update(lastHeartbeatTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
                                                        for item in node["status"]["conditions"]])

    def nodes(self):
        """{name: [address …]}, as kube.Cluster has it."""
        return {node["metadata"]["name"]: [pair["address"] for pair in node["status"]["addresses"]] for node in self.nodes_store.list()[1]}

    def addresses(self):
        """The set of all IP addresses that nodes report (InternalIP and ExternalIP)."""
        return {pair["address"] for node in self.nodes_store.list()[1] for pair in node["status"]["addresses"]
                if pair["type"] in ("InternalIP", "ExternalIP")}

    def kubeconfig(self, path, ca=None):
        """Writes a kubeconfig (0600) for this server; `ca` is the file of the certificate that signed its own."""
        path = pathlib.Path(path)
        path.touch(mode=0o600)
        path.write_text(json.dumps({        # JSON is YAML
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url, **({"certificate-authority": str(ca)} if ca else {})}}],
            "users": [{"name": "nodewall", "user": {"token": self.token} if self.token else {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "nodewall"}}]}, indent=1), encoding="utf-8")
        return path

    def compact(self):
        self.nodes_store.forget()

    # --- the faults ---
    def fail(self, verb, fault, times=1):
        """The next `times` requests of `verb` (list, watch, any) get this fault."""
        if verb not in ("list", "watch", "any") or fault.get("kind") not in KINDS:
            raise ValueError(f"no such fault: {verb} {fault}")
        with self.guard:
            self.faults.extend((verb, fault) for _ in range(times))

    def next_fault(self, verb):
        with self.guard:
            for index, (wanted, fault) in enumerate(self.faults):
                if wanted in (verb, "any"):
                    del self.faults[index]
                    return fault
        return None

    def end_watches(self, ending="complete"):
        """Ends every open watch: in good order, as a server does whose time is over, or by fin or reset without one."""
        self.watch_ending = ending
        self.watch_generation += 1
        with self.nodes_store.changed:
            self.nodes_store.changed.notify_all()

    def wound(self, ending="fin", after=40):
        """The next event of a watch is sent so far and no further: fin or reset. It stays in the history."""
        with self.guard:
            self.wounds.append((ending, after))

    def next_wound(self):
        with self.guard:
            return self.wounds.pop(0) if self.wounds else None

    def asked(self, verb=None, since=0.0):
        """The requests after this moment: [(when, verb, path with its query)]."""
        with self.guard:
            return [one for one in self.requests if one[0] >= since and verb in (None, one[1])]

    def cut_connections(self):
        self.server.cut_all()

    def count(self, what):
        with self.guard:
            self.counts[what] = self.counts.get(what, 0) + 1


def main():
    parser = argparse.ArgumentParser(description="A stand-in for kube-apiserver's Nodes API. Ends when its standard input ends.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--token-file")
    args = parser.parse_args()
    token = pathlib.Path(args.token_file).read_text().strip() if args.token_file else None
    with FakeKube(args.host, args.port, token, args.cert, args.key) as kube:
        print(kube.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main()
