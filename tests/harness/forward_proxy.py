"""A forward proxy, as sites have that let nobody out directly: plain HTTP by whole URLs, TLS by CONNECT.

Whatever host it is asked for, it goes to the one server that it was made for.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

#: Bodies of more bytes are parts of backups.
LARGE = 100_000
_OF_THE_WAY = {"connection", "transfer-encoding", "keep-alive", "proxy-connection", "content-length"}


class ForwardProxy:
    """Listens on loopback."""

    def __init__(self, server: str) -> None:
        """`server` is the URL of where everything really goes."""
        parts = urlsplit(server)
        self._server_address = (parts.hostname or "", parts.port or 80)
        #: Whether it changes a bit of each large body on its way to the server.
        self.spoils = False
        #: What it was asked for: method, and host with port.
        self.asked: list[tuple[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._forward()

            def do_PUT(self) -> None:
                self._forward()

            def do_POST(self) -> None:
                self._forward()

            def do_HEAD(self) -> None:
                self._forward()

            def do_DELETE(self) -> None:
                self._forward()

            def do_CONNECT(self) -> None:
                site.asked.append(("CONNECT", self.path))
                with socket.create_connection(site._server_address) as beyond:
                    self.send_response(200)
                    self.end_headers()
                    _relay(self.connection, beyond)
                self.close_connection = True

            def _forward(self) -> None:
                parts = urlsplit(self.path)
                site.asked.append((self.command, parts.netloc))
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if site.spoils and len(body) > LARGE:
                    body = body[:LARGE] + bytes([body[LARGE] ^ 1]) + body[LARGE + 1 :]
                connection = HTTPConnection(*site._server_address, timeout=60)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_THE_WAY}
                path = parts._replace(scheme="", netloc="").geturl()
                connection.request(self.command, path, body=body or None, headers=headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _OF_THE_WAY:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_words: object) -> None:
                """Nothing on standard error."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=[0.05], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Bytes in both directions, until one side ends."""
    with contextlib.suppress(OSError):
        while True:
            ready, _, _ = select.select([one, other], [], [], 60)
            for each in ready:
                data = each.recv(65536)
                if not data:
                    return
                (other if each is one else one).sendall(data)
            if not ready:
                return
