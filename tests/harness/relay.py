"""One connection of the HTTP proxy: each call is read, passed on, and spoiled where that was asked for."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer
from typing import Any, Protocol

from tests.harness.calls import IN_BODY, Call, CallFault, CallFaultKind, classify

PIECE = 64 << 10
#: These belong to a connection, not to a message. https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
OF_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect"}
)


@dataclass
class Seen:
    """A call that came by; `status` is what the client was answered, None when it was not."""

    call: Call
    method: str
    target: str
    status: int | None = None


class Round:
    """The faults that are set together, and how far they have come."""

    def __init__(self, faults: tuple[CallFault, ...] = ()) -> None:
        self._counts = dict.fromkeys(faults, 0)
        self._lock = threading.Lock()
        self.released = threading.Event()
        self.reached = threading.Event()

    def take(self, call: Call) -> CallFault | None:
        """Count this call; gives the first fault that befalls it."""
        with self._lock:
            befallen = None
            for fault in self._counts:
                if fault.call in (None, call):
                    self._counts[fault] += 1
                    if befallen is None and fault.befalls(self._counts[fault]):
                        befallen = fault
            return befallen


class ConnectionEnd(Exception):  # noqa: N818 - it is no error
    """The connection to the client ends here, by a reset or in order."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


class Proxy(Protocol):
    """What a connection needs of the proxy that it belongs to."""

    round: Round
    seen: list[Seen]

    def connect(self) -> HTTPConnection:
        """A new connection to the server."""
        ...


class Relay(BaseHTTPRequestHandler):
    """Serves one connection until its end; raises ConnectionEnd where a fault ends it."""

    protocol_version = "HTTP/1.1"

    def __init__(self, proxy: Proxy, sock: socket.socket, address: Any, server: BaseServer) -> None:
        self._proxy = proxy
        self._upstream: HTTPConnection | None = None
        super().__init__(sock, address, server)

    def finish(self) -> None:
        """End the connection to the server with that to the client."""
        if self._upstream:
            self._upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def relay(self) -> None:
        """Pass one call on, and its answer back."""
        turn = self._proxy.round
        seen = Seen(classify(self.command, self.path), self.command, self.path)
        self._proxy.seen.append(seen)
        fault = turn.take(seen.call)
        if fault and fault.kind is CallFaultKind.DROP:
            self._read_body(fault.at)
            turn.reached.set()
            raise ConnectionEnd(reset=True)
        body = self._read_body()
        if fault and self._befall_request(fault, turn):
            seen.status = fault.status
            return
        try:
            response = self._forward(body)
        except (OSError, HTTPException) as error:
            raise ConnectionEnd(reset=True) from error
        if fault and fault.kind in (CallFaultKind.LOSE, CallFaultKind.WATCH):
            turn.reached.set()
            if fault.kind is CallFaultKind.LOSE:
                raise ConnectionEnd(reset=True)
        seen.status = response.status
        self._answer(response, fault if fault and fault.kind in IN_BODY else None, turn)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = relay  # noqa: N815 - names that the base looks up

    def log_message(self, *_: object) -> None:
        """Nothing: `seen` is the log."""

    # --- the request ---------------------------------------------------------------------------

    def _read_body(self, fraction: float = 1.0) -> bytes:
        length = self.headers.get("Content-Length")
        if length is not None:
            return self.rfile.read(int(int(length) * fraction))
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return b""
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _befall_request(self, fault: CallFault, turn: Round) -> bool:
        """What happens before the call is passed on; says whether it is answered already."""
        match fault.kind:
            case CallFaultKind.ANSWER:
                turn.reached.set()
                self._answer_error(fault)
                return True
            case CallFaultKind.HOLD:
                turn.reached.set()
                self._wait(turn.released, None)
            case CallFaultKind.DELAY:
                turn.reached.set()
                self._wait(turn.released, fault.seconds)
        return False

    def _answer_error(self, fault: CallFault) -> None:
        if self.path.startswith("/v1/"):
            kind, body = "application/json", json.dumps({"errors": [fault.code]}).encode()
        else:
            text = f"<Code>{fault.code}</Code><Message>as the test wants it</Message>"
            kind, body = "application/xml", f"<Error>{text}</Error>".encode()
        self.send_response_only(fault.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _forward(self, body: bytes) -> HTTPResponse:
        if self._upstream is None:
            self._upstream = self._proxy.connect()
        upstream = self._upstream
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            # The host stays as the client named it: it is a part of what an S3 client signs.
            if name.lower() not in OF_CONNECTION | {"content-length"}:
                upstream.putheader(name, value)
        if body or self.command in ("PUT", "POST"):
            upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        return upstream.getresponse()

    # --- the answer ----------------------------------------------------------------------------

    def _answer(self, response: HTTPResponse, fault: CallFault | None, turn: Round) -> None:
        self.send_response_only(response.status, response.reason)
        bodiless = self.command == "HEAD" or response.status in (204, 304)
        length = response.getheader("Content-Length")
        whole = response.read() if fault and not bodiless else b""
        if fault and fault.kind is CallFaultKind.END_EARLY and length is not None:
            length = str(int(len(whole) * fault.at))
        for name, value in response.getheaders():
            if name.lower() not in OF_CONNECTION | {"content-length"}:
                self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        elif not bodiless:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if bodiless:
            response.read()
            return
        pieces = self._spoil(whole, fault, turn) if fault else self._pieces(response)
        for piece in pieces:
            self.wfile.write(piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
        if length is None:
            self.wfile.write(b"0\r\n\r\n")

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        """The body as it comes; ends the connection as the server ends its own."""
        expected = response.length
        passed = 0
        try:
            while piece := response.read1(PIECE):
                passed += len(piece)
                yield piece
        except HTTPException as error:
            raise ConnectionEnd(reset=False) from error
        if expected is not None and passed < expected:
            raise ConnectionEnd(reset=False)
        response.close()  # read1 does not, and without it the connection takes no further call

    def _spoil(self, body: bytes, fault: CallFault, turn: Round) -> Iterator[bytes]:
        """The body with the fault in it."""
        place = int(len(body) * fault.at)
        if fault.kind is CallFaultKind.FLIP:
            place = min(place, len(body) - 1)
            body = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        yield from _cut(body[:place])
        turn.reached.set()
        match fault.kind:
            case CallFaultKind.RESET:
                raise ConnectionEnd(reset=True)
            case CallFaultKind.CLOSE:
                raise ConnectionEnd(reset=False)
            case CallFaultKind.END_EARLY:
                return
            case CallFaultKind.STALL:
                self._wait(turn.released, None)
        yield from _cut(body[place:])

    def _wait(self, released: threading.Event, seconds: float | None) -> None:
        """Wait to be released, or so many seconds, or until the client gives up."""
        rounds = 0
        while not released.wait(0.05) and (seconds is None or rounds * 0.05 < seconds):
            rounds += 1
            # It has nothing to say before it has its answer, so these bytes are its farewell.
            if select.select([self.connection], [], [], 0)[0]:
                raise ConnectionEnd(reset=True)


def _cut(body: bytes) -> Iterator[bytes]:
    return (body[start : start + PIECE] for start in range(0, len(body), PIECE))
