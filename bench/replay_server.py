"""Replays a prepared archive over TLS, as cheaply as it can: the server that contenders read from.

    python -I -S replay_server.py FILE CERTIFICATE KEY LOG

It prints its port, and then answers as a server does: its health, a login, the snapshot, the
revocation; until its standard input ends, which it does with its parent. The log gets a line for
each request: nanoseconds of the monotonic clock, method, path.
Standard library only; a thread for each connection, and no byte is copied before it is encrypted.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import ssl
import sys
import threading
import time

HEALTH = {
    "initialized": True,
    "sealed": False,
    "standby": False,
    "version": "1.21.2",
    "cluster_name": "replay",
    "cluster_id": "11111111-2222-3333-4444-555555555555",
}
LOGIN = {"auth": {"client_token": "token-of-the-replay", "token_type": "service"}}
SNAPSHOT = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
#: Bytes of each write.
WRITE = 1 << 20


def main() -> None:
    """Serve until the standard input ends."""
    file, certificate, key, log = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    journal = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(file, "rb") as archive:
        body = mmap.mmap(archive.fileno(), 0, prot=mmap.PROT_READ)
    accepting = threading.Thread(target=accept, args=(listener, context, body, journal), daemon=True)
    accepting.start()
    sys.stdin.buffer.read()


def accept(listener: socket.socket, context: ssl.SSLContext, body: mmap.mmap, journal: int) -> None:
    """Give each connection a thread of its own."""
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=serve, args=(plain, context, body, journal), daemon=True).start()


def serve(plain: socket.socket, context: ssl.SSLContext, body: mmap.mmap, journal: int) -> None:
    """Answer one connection's requests; one that breaks is the client's matter."""
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_side=True) as connection:
            while line := read_head(connection):
                os.write(journal, b"%d %b\n" % (time.monotonic_ns(), line))
                answer(connection, line, body)
    except OSError:
        return


def read_head(connection: ssl.SSLSocket) -> bytes:
    """Method and path of the next request; empty when there is none. Its body is read, too."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(1 << 16)
        if not received:
            return b""
        head += received
    head, _, rest = head.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            left = int(value) - len(rest)
            while left > 0:
                left -= len(connection.recv(left))
    return b" ".join(head.split(b" ", 2)[:2])


def answer(connection: ssl.SSLSocket, line: bytes, body: mmap.mmap) -> None:
    """Send what a server would send."""
    path = line.split(b" ")[1].removeprefix(b"/v1/").partition(b"?")[0]
    if path == b"sys/storage/raft/snapshot":
        connection.sendall(SNAPSHOT)
        view = memoryview(body)
        for start in range(0, len(view), WRITE):
            connection.sendall(view[start : start + WRITE])
        return
    answers = {b"sys/health": HEALTH, b"auth/approle/login": LOGIN}
    if path in answers:
        content = json.dumps(answers[path]).encode()
        kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + kind + content)
    elif path == b"auth/token/revoke-self":
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    else:
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


if __name__ == "__main__":
    main()
