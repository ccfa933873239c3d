"""An HTTP proxy that looks into calls, spoils the ones it is told to, and passes the others on.

It ends TLS with a certificate of the private authority and begins it anew towards the server, so
that a fault may sit anywhere in a body, or between a server's deed and its answer.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import threading
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from socketserver import BaseRequestHandler
from types import TracebackType
from typing import Any, Self

from tests.harness.calls import Call, CallFault
from tests.harness.certificates import Authority
from tests.harness.client import connect
from tests.harness.errors import HarnessError
from tests.harness.relay import ConnectionEnd, Relay, Round, Seen


class FaultyProxy:
    """Listens on loopback in front of one server; faults may be set while it runs."""

    def __init__(self, target: str, authority: Authority | None = None) -> None:
        """`target` is the server's URL; where that is https, both sides are, and `authority` is needed."""
        self.target = target
        secure = target.startswith("https:")
        if secure and authority is None:
            raise HarnessError(f"{target} needs an authority for the proxy's certificate")
        self._client_context = authority.client_context() if authority else None
        self.round = Round()
        #: All calls, in the order in which they came.
        self.seen: list[Seen] = []
        #: What went wrong in the proxy itself; `stop` raises the first.
        self.defects: list[BaseException] = []
        self._server = ProxyServer(self, authority.server_context("proxy") if secure and authority else None)
        self.port = self._server.server_port
        self.url = f"{'https' if secure else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    @property
    def reached(self) -> threading.Event:
        """Set when the first of the faults takes hold: the named point at which a test goes on."""
        return self.round.reached

    def set(self, *faults: CallFault) -> None:
        """From now on these faults and no others; what is held or stalled goes on."""
        self.release()
        self.round = Round(faults)

    def release(self) -> None:
        """Let held and stalled calls go on."""
        self.round.released.set()

    def count(self, call: Call) -> int:
        """How many calls of that kind came by."""
        return sum(seen.call is call for seen in list(self.seen))

    def stop(self) -> None:
        """End all connections; raises what went wrong in the proxy itself."""
        self.release()
        self._server.end()
        self._thread.join()
        if self.defects:
            raise self.defects[0]

    def connect(self) -> HTTPConnection:
        """A new connection to the server."""
        return connect(self.target, self._client_context, timeout=300)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class ProxyServer(ThreadingHTTPServer):
    """Accepts connections, and serves each in a thread of its own."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, proxy: FaultyProxy, context: ssl.SSLContext | None) -> None:
        self.proxy = proxy
        self._context = context
        self._open: set[socket.socket] = set()
        self._ending = False
        super().__init__(("127.0.0.1", 0), BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection; the handshake is here, so that a slow one holds up no other."""
        sock: socket.socket = request
        reset = False
        try:
            if self._context:
                sock.settimeout(10)
                sock = self._context.wrap_socket(sock, server_side=True)
                sock.settimeout(None)
            self._open.add(sock)
            if not self._ending:
                Relay(self.proxy, sock, client_address, self)
        except ConnectionEnd as end:
            reset = end.reset
        except OSError:
            reset = True  # the client went away, or it does not trust the certificate
        finally:
            self._open.discard(sock)
            end_connection(sock, reset=reset)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as in the base
        """Keep what no client's behaviour explains."""
        error = sys.exc_info()[1]
        if error is not None:
            self.proxy.defects.append(error)

    def end(self) -> None:
        """End all connections and threads."""
        self._ending = True
        self.shutdown()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.server_close()


def end_connection(sock: socket.socket, *, reset: bool) -> None:
    """End a connection by a reset, or in order: with TLS that begins with its own farewell."""
    with contextlib.suppress(OSError, ValueError):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            sock.settimeout(1)
            if isinstance(sock, ssl.SSLSocket):
                sock.unwrap()
            sock.shutdown(socket.SHUT_WR)
    sock.close()
