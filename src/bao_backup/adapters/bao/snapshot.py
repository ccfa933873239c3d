"""Read a snapshot as it arrives: fresh chunks, a stall limit, and never a quiet early end."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator

from bao_backup.adapters.bao.chunked import ChunkedBody
from bao_backup.adapters.bao.connection import Connection, Reply, explain, headers, shut_down
from bao_backup.adapters.bao.login import not_serving
from bao_backup.core.errors import (
    LeaderLostError,
    SnapshotCutOffError,
    SnapshotDeniedError,
    SnapshotError,
    SnapshotStalledError,
)

PATH = "/v1/sys/storage/raft/snapshot"
_CHUNK = 1 << 20
#: What a TLS record holds at most: a read into less room takes two calls for one record.
_RECORD = 1 << 14
#: The last bytes of every chunked body.
_END = b"\r\n\r\n"
_ANSWER_LIMIT = 1 << 16

_Receive = Callable[[memoryview], int]


class HttpSnapshot:
    """The stream of one snapshot call. Its head was 200; iterate it once, or close it."""

    def __init__(
        self, doing: str, stream: socket.socket, response: http.client.HTTPResponse, stall_seconds: float
    ) -> None:
        self._doing = doing
        self._socket = stream
        self._response = response
        self._stall_seconds = stall_seconds
        self._received = 0
        # Reentrant, since the handler of a signal may close it while the same thread is closing it.
        self._lock = threading.RLock()
        self._closed = False
        self._reading = False

    def __iter__(self) -> Iterator[bytes]:
        """Fresh chunks of at most 1 MiB.

        Raises SnapshotStalledError, SnapshotCutOffError, and SnapshotError for an empty body.
        """
        with self._lock:
            self._reading = True
        read = self._read_chunked if self._response.chunked else self._read_plain
        empty = True
        try:
            for chunk in read(bytearray(_CHUNK)):
                empty = False
                yield chunk
        finally:
            with self._lock:
                self._reading = False
                self._closed = True
                self._release()
        if empty:
            raise SnapshotError(self._doing, "it sent an empty body")

    def close(self) -> None:
        """End the connection; a read under way in another thread ends at once."""
        with self._lock:
            self._closed = True
            if self._reading:
                shut_down(self._socket)  # the reader releases it: a descriptor in use must not become free
            else:
                self._release()

    # Both copy, since an upload may hold its chunks for long.

    def _read_plain(self, buffer: bytearray) -> Iterator[bytes]:
        """A body as long as its head says, or as long as the connection."""
        view = memoryview(buffer)
        while count := self._receive(self._response.readinto, view):
            yield bytes(view[:count])
        if self._response.length:  # http.client is silent where a length was announced
            raise self._cut_off("the connection ended")

    def _read_chunked(self, buffer: bytearray) -> Iterator[bytes]:
        """Receive a buffer full, and only then look where its chunks begin and end."""
        body = ChunkedBody()
        view = memoryview(buffer)
        receive: _Receive = self._came_with_the_head
        parts: list[memoryview] = []
        filled = seen = 0
        while not body.ended:
            count = self._receive(receive, view[filled:])
            if not count:
                raise self._cut_off("the connection ended")
            receive = self._socket.recv_into
            filled += count
            full = _CHUNK - filled < _RECORD
            # The body ends with an empty line: until then there may be more, and nothing to look for.
            if full or filled < len(_END) or buffer.endswith(_END, 0, filled):
                parts += self._parse(body, buffer, seen, filled)
                seen = filled
            if full or body.ended:
                if chunk := b"".join(parts):
                    yield chunk
                parts, filled, seen = [], 0, 0

    def _came_with_the_head(self, room: memoryview) -> int:
        if self._response.isclosed():
            return 0  # it was closed before anybody read
        early = self._response.fp.read1(_RECORD)
        room[: len(early)] = early
        return len(early)

    def _parse(self, body: ChunkedBody, buffer: bytearray, start: int, end: int) -> list[memoryview]:
        try:
            return body.feed(buffer, start, end)
        except ValueError as error:
            raise self._cut_off(str(error)) from error

    def _receive(self, receive: _Receive, room: memoryview) -> int:
        """Receive what comes next, in words where that fails; 0 at the end of the body or connection."""
        try:
            count = receive(room)
        except TimeoutError as error:
            why = f"no byte for {self._stall_seconds:g} s"
            raise SnapshotStalledError(self._doing, f"{why}, after {self._received} bytes") from error
        except http.client.IncompleteRead as error:
            self._received += len(error.partial)
            raise self._cut_off("the connection ended") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._cut_off(_why(error)) from error
        if self._closed:
            raise self._cut_off("the connection ended")
        self._received += count
        return count

    def _cut_off(self, why: str) -> SnapshotCutOffError:
        why = "this side closed the connection" if self._closed else why
        return SnapshotCutOffError(self._doing, f"{why} after {self._received} bytes")

    def _release(self) -> None:
        self._response.close()
        self._socket.close()


def _why(error: OSError | ValueError | http.client.HTTPException) -> str:
    """A ValueError comes from a chunk's header that is none, or from a file that is closed already."""
    return "the connection ended" if isinstance(error, ValueError) else explain(error, 0)


def begin(connection: Connection, token: str, stall_seconds: float) -> HttpSnapshot:
    """Ask for the snapshot, and give its stream once the answer's head is 200.

    Raises SnapshotDeniedError, LeaderLostError, SnapshotStalledError or SnapshotError.
    """
    doing = f"read the snapshot of {connection.place}"
    try:
        connection.connect()
    except OSError as error:
        raise LeaderLostError(doing, explain(error, connection.settings.connect_seconds)) from error
    stream_socket: socket.socket = connection.sock
    try:
        response = _ask(doing, connection, token, stall_seconds)
    except BaseException:
        connection.close()
        raise
    return HttpSnapshot(doing, stream_socket, response, stall_seconds)


def _ask(doing: str, connection: Connection, token: str, stall_seconds: float) -> http.client.HTTPResponse:
    connection.sock.settimeout(stall_seconds)
    try:
        connection.request("GET", PATH, headers=headers(token))
        response = connection.getresponse()
    except TimeoutError as error:
        raise SnapshotStalledError(doing, explain(error, stall_seconds)) from error
    except OSError as error:  # and RemoteDisconnected, which is one
        raise LeaderLostError(doing, explain(error, stall_seconds)) from error
    except http.client.HTTPException as error:
        raise SnapshotError(doing, explain(error, stall_seconds)) from error
    try:
        _check(doing, response, token)
    except SnapshotError:
        response.close()
        raise
    return response


def _check(doing: str, response: http.client.HTTPResponse, token: str) -> None:
    """Raise for every head that does not begin a snapshot."""
    if response.status == 200:
        kind = response.headers.get_content_type()
        if kind != "application/gzip":
            raise SnapshotError(doing, f"it sent {kind}, not a snapshot", hint="look for a proxy in between")
        return
    try:
        reply = Reply(response.status, response.headers, response.read(_ANSWER_LIMIT))
    except (OSError, http.client.HTTPException):
        reply = Reply(response.status, response.headers, b"")
    why = f"it answers {reply.describe((token,))}"
    if reply.status == 403:
        hint = f"{SnapshotDeniedError.default_hint}, and the token must be of the root namespace"
        raise SnapshotDeniedError(doing, why, hint=hint)
    if not_serving(reply.status):
        raise LeaderLostError(doing, why)
    raise SnapshotError(doing, why)
