# SPDX-License-Identifier: Apache-2.0
"""What fake_kube.FakeKube does wrong on demand: a fault for the next request, or for the watches that run.

A fault is a dict, so that the process takes the same over its URL; the functions below make them. `Misbehaviour` is the half of the
request handler that carries them out, on the bytes of HTTP itself, for most of them are no proper HTTP.
Deliberately not here: which request gets which (FakeKube.fail), and what is right (fake_kube.py).
"""
import contextlib
import gzip
import os
import socket
import struct

LIKE_FOREVER = 3600.0       # a watch without timeoutSeconds, a peer that froze
KINDS = ("status", "html", "cut", "stall", "close", "gone", "answer", "stream")


def status(code, reason="", message="", retry_after=None, body=None):
    """Answer with this HTTP status, and a Status object unless `body` (text/plain) is given. `retry_after`: seconds, or an HTTP date."""
    return {"kind": "status", "code": code, "reason": reason, "message": message, "retry_after": retry_after, "body": body}


def html(text="<html><body>Please log in</body></html>"):
    """200 and a web page, as a captive proxy or a load balancer gives."""
    return {"kind": "html", "text": text}


def answer(body, content_type="application/json", packed=False, length=None, sent=None):
    """200 with this text. `packed`: by gzip; `length`: what Content-Length says instead; `sent`: so many bytes of it, then the end."""
    return {"kind": "answer", "body": body, "type": content_type, "packed": packed, "length": length, "sent": sent}


def stream(text, end="complete"):
    """200, chunked, with this text; then `end`: complete, fin (mid-chunk), reset, stay (the connection stays, and nothing comes)."""
    return {"kind": "stream", "text": text, "end": end}


def cut(after=100, reset=False):
    """A right answer, whose connection ends after so many bytes of its body, in good order or by a reset."""
    return {"kind": "cut", "after": after, "reset": reset}


def stall(seconds=LIKE_FOREVER):
    """Headers of a 200, then nothing, and the connection stays open."""
    return {"kind": "stall", "seconds": seconds}


def close():
    """The connection ends without an answer."""
    return {"kind": "close"}


def gone():
    """410; for a list as the HTTP status, for a watch as an ERROR event within a 200."""
    return {"kind": "gone"}


def status_object(code, reason, message, retry_after=None):
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
    if isinstance(retry_after, (int, float)):
        body["details"] = {"retryAfterSeconds": retry_after}
    return body


class Misbehaviour:
    """For an http.server handler that has answer(), refuse(), begin_stream(), chunk(), end_stream() and expired_event()."""

    def drop(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def reset(self):
        """RST instead of FIN: what the peer has not read yet is lost to it."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.gone_already()
            os.close(self.connection.detach())

    def gone_already(self):
        """Before the descriptor goes: nobody else may touch its number."""

    def break_off(self, end):
        {"complete": self.end_stream, "fin": self.drop, "reset": self.reset}[end]()

    def misbehave(self, fault, watch):
        """Carries a fault out. False if the right answer is to follow (`cut` of a list needs one to cut)."""
        if fault["kind"] == "cut" and not watch:
            return False
        getattr(self, f"_{fault['kind']}")(fault, watch)
        return True

    def _status(self, fault, _):
        headers = {} if fault.get("retry_after") is None else {"Retry-After": str(fault["retry_after"])}
        if fault.get("body") is not None:
            self.answer(fault["code"], fault["body"].encode(), {**headers, "Content-Type": "text/plain"})
        else:
            self.answer(fault["code"], status_object(fault["code"], fault.get("reason", ""), fault.get("message", ""), fault.get("retry_after")), headers)

    def _html(self, fault, _):
        self.answer(200, fault.get("text", "").encode(), {"Content-Type": "text/html"})

    def _answer(self, fault, _):
        raw = fault["body"].encode()
        if fault.get("packed"):
            raw = gzip.compress(raw, 1)
        self.send_response(200)
        self.send_header("Content-Type", fault.get("type", "application/json"))
        if fault.get("packed"):
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(raw) if fault.get("length") is None else fault["length"]))
        self.end_headers()
        self.wfile.write(raw[:fault.get("sent")])
        if fault.get("length") is not None or fault.get("sent") is not None:
            self.drop()

    def _stream(self, fault, _):
        raw, end = fault["text"].encode(), fault.get("end", "complete")
        self.begin_stream()
        if raw and end in ("fin", "reset"):
            self.wfile.write(b"%x\r\n%s" % (len(raw) + 100, raw))
        elif raw:
            self.chunk(raw)
        if end == "stay":
            self.server.kube.stopping.wait(LIKE_FOREVER)
            end = "fin"
        self.break_off(end)

    def _stall(self, fault, _):
        self.begin_stream()
        self.server.kube.stopping.wait(fault.get("seconds", LIKE_FOREVER))
        self.drop()

    def _close(self, _, __):
        self.drop()

    def _gone(self, _, watch):
        if watch:
            self.begin_stream()
            self.expired_event("too old resource version: 1 (2)")
            self.end_stream()
        else:
            self.refuse(410, "Expired", "The resourceVersion for the provided list is too old.")

    def _cut(self, fault, _):
        self.begin_stream()
        self.wfile.write(b"1000\r\n" + b'{"type":"ADDED","object":{"kind":"Node"'[:fault["after"]])
        self.break_off("reset" if fault.get("reset") else "fin")
