"""`/healthz`, `/readyz` and `/metrics` of a manager."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bao_backup.core.errors import BaoBackupError, ConfigurationError
from bao_backup.entry.metrics import ClusterFigures, exposition

#: A scraper that says nothing is let go after so long, in seconds.
REQUEST_TIMEOUT = 10
TEXT = "text/plain; charset=utf-8"


@contextmanager
def serving_web(
    address: str,
    *,
    alive: Callable[[], bool],
    ready: Callable[[], bool],
    figures: Callable[[], Iterable[ClusterFigures]],
) -> Iterator[str]:
    """Answer on `address` ("127.0.0.1:9090"; port 0 for a free one) while inside; gives the real one.

    Args:
        address: host and port; a host of IPv6 in brackets.
        alive: whether the manager works, for `/healthz`.
        ready: whether it has begun to, and does not end, for `/readyz`.
        figures: what `/metrics` tells; asked in a thread of its own.

    Raises ConfigurationError when the address is not one, or is in use.
    """
    host, _, port = address.rpartition(":")
    try:
        kind = _Server6 if host.startswith("[") else ThreadingHTTPServer
        server = kind((host.strip("[]"), int(port)), _handler(alive, ready, figures))
    except (OSError, ValueError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "expected HOST:PORT"
        raise ConfigurationError(f"listen on {address}", why, hint="choose another with --listen") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="web", daemon=True)
    thread.start()
    try:
        yield f"{server.server_address[0]!s}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _handler(
    alive: Callable[[], bool], ready: Callable[[], bool], figures: Callable[[], Iterable[ClusterFigures]]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/healthz":
                    self._probe("ok" if alive() else "", "the manager's loop does not go round")
                case "/readyz":
                    self._probe("ready" if ready() else "", "the manager has not begun, or is about to end")
                case "/metrics":
                    self._metrics()
                case _:
                    self._answer(404, b"there are /healthz, /readyz and /metrics\n", TEXT)

        def _probe(self, yes: str, no: str) -> None:
            self._answer(200 if yes else 503, f"{yes or no}\n".encode(), TEXT)

        def _metrics(self) -> None:
            try:
                body = exposition(figures)
            except BaoBackupError as error:
                self._answer(500, f"{error.message}\n".encode(), TEXT)
            else:
                self._answer(200, body, "text/plain; version=0.0.4; charset=utf-8")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing of each probe."""

    return Handler
