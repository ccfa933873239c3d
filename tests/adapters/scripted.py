"""A server that answers as a test writes it, byte for byte, to see what a client makes of it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

HEALTHY = b'{"initialized":true,"sealed":false,"standby":false,"version":"2.4.4"}'
GZIP_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n"
CHUNKED = GZIP_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class End(StrEnum):
    """What becomes of the connection after the last byte."""

    CLOSE = "close"
    RESET = "reset"
    HOLD = "hold"  # open and silent, until the server ends


@dataclass(frozen=True)
class Script:
    """What is sent, with a pause after each piece."""

    pieces: tuple[bytes, ...]
    end: End = End.CLOSE
    pause: float = 0.0
    #: How many bytes of the request's body it reads before that; all of them if not told otherwise.
    reads: int | None = None


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False, default=b"")


def reply(status: int, body: bytes = b"", *headers: str) -> Script:
    """A whole answer with a length."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", *headers, "", ""]
    return Script(("\r\n".join(lines).encode() + body,))


class ScriptedServer:
    """Listens on loopback; answers each path with its script, and all others with an empty 404."""

    def __init__(
        self,
        scripts: Mapping[str, Script],
        context: ssl.SSLContext | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.scripts = dict(scripts)
        self.seen: list[Seen] = []
        self._context = context
        self._ended = threading.Event()
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        """Its address for clients."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            secured = connection
            if self._context is not None:
                secured = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
            with secured.makefile("rb") as lines:
                asked = lines.readline().split()
                if len(asked) != 3 or not asked[2].startswith(b"HTTP/"):
                    return  # no HTTP: a look at the certificate, or TLS where there is none
                method, path = asked[0].decode(), asked[1].decode()
                headers = {}
                while (line := lines.readline().strip()) and b":" in line:
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                script = self.scripts.get(path, reply(404))
                size = int(headers.get("content-length", "0"))
                body = lines.read(size if script.reads is None else min(size, script.reads))
            self.seen.append(Seen(method, path, headers, body))
            self._play(secured, script)

    def _play(self, connection: socket.socket, script: Script) -> None:
        for piece in script.pieces:
            connection.sendall(piece)
            time.sleep(script.pause)
        if script.end is End.HOLD:
            self._ended.wait()
        if script.end is End.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(5)
