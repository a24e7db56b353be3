#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that answers rightly or wrongly, as the path says. For the tests of engine/http and engine/kube.

Usage: server.py DIRECTORY. The directory holds NAME.crt and NAME.key for each name of TLS below, ca.crt for the
clients' certificates, and `accepted`, the token that /gate lets in. Prints "name port" lines and "ready"; ends with its
standard input, and removes the directory, so that a test that was killed leaves nothing.
Every answer is raw bytes, for half of them are no proper HTTP. Loopback only; the standard library only.
"""
import email.utils
import gzip
import pathlib
import shutil
import socket
import ssl
import struct
import sys
import threading
import time

TLS = ("good", "expired", "future", "other", "mutual", "mutual12")
DIRECTORY = pathlib.Path(sys.argv[1])
WORDS = ("%d nodes. " * 2000 % tuple(range(2000))).encode()


def answer(body=b"", status="200 OK", *headers, length=None):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*chunks, end=True):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + (b"0\r\n\r\n" if end else b"")


def wait_for_close(connection):
    while connection.recv(4096):
        pass


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def silent(connection, head, rest):
    connection.sendall(answer(b"x", length=10))
    wait_for_close(connection)


def drip(connection, head, rest):
    connection.sendall(answer(length=100000))
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def cut_reset(connection, head, rest):
    """A quarter of a megabyte lies in the client's kernel when the reset comes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    connection.sendall(answer(b"x" * (256 << 10), length=1 << 20))
    reset(connection)


def late_reset(connection, head, rest):
    time.sleep(0.1)
    cut_reset(connection, head, rest)


def slow_gzip(connection, head, rest):
    """The name of a file in gzip's own header, letter by letter: bytes that unpack to nothing."""
    packed = gzip.compress(WORDS)
    body = packed[:3] + b"\x08" + packed[4:10] + b"n" * 40 + b"\0" + packed[10:]
    connection.sendall(answer(body[:10], "200 OK", "Content-Encoding: gzip", length=len(body)))
    for number in range(10, 50):
        time.sleep(0.025)
        connection.sendall(body[number:number + 1])
    connection.sendall(body[50:])
    return True


def gate(connection, head, rest):
    accepted = (DIRECTORY / "accepted").read_text()
    good = f"\r\nAuthorization: Bearer {accepted}\r\n" in head
    connection.sendall(answer(b"in", "200 OK") if good else answer(b"out", "401 Unauthorized"))
    return True


def zipped(connection, head, rest):
    asked = "\r\nAccept-Encoding: gzip\r\n" in head
    body = gzip.compress(WORDS) if asked else WORDS
    connection.sendall(answer(body, "200 OK", *(["Content-Encoding: gzip"] if asked else [])))
    return True


def endless_headers(connection, head, rest):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100000):
        connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 80))


def gzip_answer(body):
    return answer(body, "200 OK", "Content-Encoding: gzip")


PAGES = {                   # path: bytes, after which the connection stays; or a function that says whether it does
    "ok": answer(b"hello", "200 OK", "Content-Type: application/json"),
    "chunked": chunked(b"one", b"two"),
    "empty": answer(),
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(b"hello"),
    "redirect": answer(b"", "302 Found", "Location: /ok"),
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "bad-gzip": gzip_answer(b"this is no gzip, whatever the headers say"),
    "corrupt-gzip": gzip_answer(gzip.compress(WORDS)[:3000] + b"\0" * 200 + gzip.compress(WORDS)[3200:]),
    "date": answer(b"", "503 Busy", "Retry-After: " + email.utils.formatdate(time.time() + 100, usegmt=True)),
    "gate": gate, "gzip": zipped, "silent": silent, "drip": drip, "cut-reset": cut_reset, "headers": endless_headers,
    "late-reset": late_reset, "slow-gzip": slow_gzip,
}
LAST = {                    # the connection ends behind them
    "cut": answer(b"0123456789", length=100),
    "cut-chunk": chunked(b"one", end=False),
    "cut-gzip": answer(gzip.compress(WORDS)[:3000], "200 OK", "Content-Encoding: gzip", length=99999),
    "bad-chunk": chunked(b"one", end=False) + b"zz\r\n",
    "cut-header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "only-continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "nothing": b"",
    "until-close": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "garbage": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "header": b"HTTP/1.1 200 OK\r\nX-Large: " + b"x" * 300000 + b"\r\nContent-Length: 0\r\n\r\n",
}


def serve_page(connection, head):
    """Whether the connection stays."""
    page, _, rest = head.split(" ", 2)[1].lstrip("/").partition("/")
    if page in PAGES:
        found = PAGES[page]
        if callable(found):
            return bool(found(connection, head, rest))
        connection.sendall(found)
        return True
    if page in LAST:
        connection.sendall(LAST[page])
        return False
    if page == "status":
        connection.sendall(answer(b"{}", f"{rest} Whatever"))
    elif page == "retry":
        connection.sendall(answer(b"", "429 Too Many Requests", f"Retry-After: {rest}"))
    elif page == "large":
        connection.sendall(answer(b"x" * int(rest)))
    elif page == "mute":
        wait_for_close(connection)
    else:                   # everything else: what was asked, for the test to look at
        connection.sendall(answer(head.encode()))
    return True


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
        if data[0] == 0x16:             # TLS, where plain HTTP is spoken
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return None
    return data.decode("latin-1")


def converse(connection):
    while head := read_head(connection):
        if not serve_page(connection, head):
            return


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    finally:
        target.shutdown(socket.SHUT_WR)


def proxy(connection):
    """CONNECT to host:port; refuses the host refused.test. What it heard goes to the file `proxied`."""
    head = read_head(connection)
    with open(DIRECTORY / "proxied", "a", encoding="latin-1") as file:
        file.write(head)
    target = head.split(" ")[1]
    if target.startswith("refused.test"):
        connection.sendall(answer(b"no", "403 Forbidden"))
        return
    with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2]))) as other:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=quietly, args=(copy, other, connection), daemon=True).start()
        copy(connection, other)


def quietly(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        pass


def handle(connection, talk, context):
    try:
        if context:
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            if context:
                connection.do_handshake()
            talk(connection)
        finally:
            connection.shutdown(socket.SHUT_WR)
            wait_for_close(connection)              # closing with unread bytes would be a reset
    except OSError:                                 # ssl.SSLError is one
        pass
    finally:
        connection.close()


def listen(name, talk, context=None):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(name, listener.getsockname()[1])

    def accept():
        while True:
            connection = listener.accept()[0]
            threading.Thread(target=handle, args=(connection, talk, context), daemon=True).start()

    if talk:
        threading.Thread(target=accept, daemon=True).start()
    return listener


def context_of(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = "good" if name.startswith("mutual") else name
    context.load_cert_chain(DIRECTORY / f"{own}.crt", DIRECTORY / f"{own}.key")
    if name.startswith("mutual"):
        context.load_verify_locations(DIRECTORY / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
    if name == "mutual12":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def main():
    kept = [listen("plain", converse), listen("proxy", proxy), listen("deaf", None)]
    kept += [listen(name, converse, context_of(name)) for name in TLS]
    refused = socket.socket()
    refused.bind(("127.0.0.1", 0))      # bound and not listening: nobody else gets it, and it refuses
    print("refused", refused.getsockname()[1])
    print("ready", 0, flush=True)
    sys.stdin.buffer.read()
    del kept
    shutil.rmtree(DIRECTORY)


if __name__ == "__main__":
    main()
