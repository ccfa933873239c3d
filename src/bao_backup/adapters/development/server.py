"""One node of a pretended cluster, listening on loopback over HTTP or HTTPS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import msgspec

from bao_backup.adapters.development.answers import answer
from bao_backup.adapters.development.exchange import Answer, Request
from bao_backup.adapters.development.state import DevelopmentCluster, Node

LOOPBACK = "127.0.0.1"
#: As large as the chunks of a real server.
_CHUNK = 32 << 10
_IN_MEMORY = 1 << 20


class DevelopmentServer:
    """Serves one node of `cluster`; may be stopped, and started again on the same port.

    Args:
        cluster: the state, shared with the servers of the other nodes.
        number: which of the cluster's nodes this is.
        port: 0 for a free one.
        certificate: PEM file with the certificate (chain); None for plain HTTP.
        key: PEM file with its key.
    """

    def __init__(
        self,
        cluster: DevelopmentCluster,
        number: int = 0,
        *,
        port: int = 0,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self.cluster = cluster
        self.node = cluster.nodes[number]
        #: Bytes a second that a snapshot goes at; 0 for as fast as it can.
        self.rate = 0
        self._port = port
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        self._listener: _Listener | None = None

    @property
    def address(self) -> str:
        """Its URL."""
        return f"{'https' if self._context else 'http'}://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Listen, and take part in the cluster."""
        self._listener = _Listener(self.cluster, self.node, self._port, self._context, self)
        self._port = self._listener.server_address[1]
        self.cluster.start(self.node, self.address)
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Leave the cluster and cut all connections, as the end of a process does."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self.cluster.stop(self.node)
            listener.shutdown()
            listener.server_close()
            listener.cut()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        cluster: DevelopmentCluster,
        node: Node,
        port: int,
        context: ssl.SSLContext | None,
        server: DevelopmentServer,
    ) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.cluster, self.node, self.context, self.server = cluster, node, context, server
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    # Ours are always plain sockets: this is no datagram server.
    def finish_request(self, request: object, client_address: object) -> None:
        """Serve a connection, in its own thread: a slow handshake keeps nobody else waiting."""
        connection = cast("socket.socket", request)
        with self._guard:
            self._open.add(connection)
        try:
            if self.context is None:
                _Handler(connection, client_address, self)
                return
            with self.context.wrap_socket(connection.dup(), server_side=True) as secured:
                _Handler(secured, client_address, self)
        finally:
            with self._guard:
                self._open.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or did not like our certificate, is no news."""

    def cut(self) -> None:
        """End the connections that are open."""
        with self._guard:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Listener

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_POST = do_GET  # noqa: N815 - http.server's naming

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class' name
        """Nothing: paths may hold the names of secrets."""

    def _serve(self) -> None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as content:
            self._receive(content)
            path = self.path.partition("?")[0].removeprefix("/v1/")
            request = Request(self.command, path, self.headers.get("X-Vault-Token", ""), content)
            term = self.server.cluster.term
            given = answer(self.server.cluster, self.server.node, request)
            if given.stream is None:
                self._send(given)
            else:
                self._stream(given.stream, term)

    def _receive(self, content: IO[bytes]) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                content.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length") or 0)
            while left and (part := self.rfile.read(min(left, _IN_MEMORY))):
                content.write(part)
                left -= len(part)
        content.seek(0)

    def _send(self, given: Answer) -> None:
        body = msgspec.json.encode(given.body) + b"\n" if given.body is not None else b""
        self.send_response(given.status)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Type", "application/json")
        if given.location:
            self.send_header("Location", given.location)
        if given.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, archive: Iterator[bytes], term: int) -> None:
        """Send an archive in chunks, at the server's rate, as long as this node leads."""
        self.send_response(200)
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Content-Disposition", "attachment"),
            ("Content-Type", "application/gzip"),
            ("Transfer-Encoding", "chunked"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        begun, sent = time.monotonic(), 0
        for piece in _cut(archive):
            if not self.server.cluster.leads(self.server.node, term):
                return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            sent += len(piece)
            self._keep_to_the_rate(begun, sent, term)
        self.wfile.write(b"0\r\n\r\n")

    def _keep_to_the_rate(self, begun: float, sent: int, term: int) -> None:
        """Wait until so many bytes are due; not longer than this node leads, or the rate stands."""
        owner = self.server.server
        while owner.rate and self.server.cluster.leads(self.server.node, term):
            ahead = begun + sent / owner.rate - time.monotonic()
            if ahead <= 0:
                return
            time.sleep(min(ahead, 0.02))


def _cut(archive: Iterator[bytes]) -> Iterator[bytes]:
    for part in archive:
        for start in range(0, len(part), _CHUNK):
            yield part[start : start + _CHUNK]
