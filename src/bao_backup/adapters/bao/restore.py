"""Send a snapshot back: a server never has the whole body of an object that turned out bad.

What a server needs of a snapshot ends before the snapshot does: Vault 1.21 takes one whose last bytes
never came (docs/decisions/0017-how-a-restore-ends.md). So its last 64 KiB, in which the sums of all
that stands before them are, go out only when the source has ended as it should; and who loses the
connection while they go out, or later, does not know whether the server took it.
"""

from __future__ import annotations

import http.client
import io
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from typing import cast

from bao_backup.adapters.bao.connection import Connection, Reply, explain, headers
from bao_backup.adapters.bao.login import not_serving
from bao_backup.core.errors import BaoBackupError, LeaderLostError, RestoreUnknownError
from bao_backup.core.restore_errors import RestoreCutOffError, RestoreDeniedError, RestoreRefusedError

PATH, FORCE_PATH = "sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"
#: How much is held back until the source has ended: more than the last member of an archive with the
#: longest end that tar has (20 blocks), even where gzip did not compress.
HELD_BACK = 64 << 10
_ANSWER_LIMIT = 1 << 16
_TOO_LARGE = 413
_UNREADABLE = "nothing was applied; look at the server's log for why it could not read the snapshot"
_OURS = "this side closed the connection"
#: A server by default reads a request for 30 s (the listener's `http_read_timeout`) and then gives up, in
#: its own words or without any: who was cut off after nearly so long is told what to do about it.
LONG_FOR_A_SERVER_SECONDS = 25.0
_TOO_SLOW = (
    "nothing was applied; a server reads a request for 30 s by default: give its listener a longer "
    "http_read_timeout for the restore, or send from nearby (bao-backup download, then restore --from FILE)"
)


def send(
    connection: Connection,
    token: str,
    chunks: Iterator[bytes],
    size: int,
    *,
    force: bool,
    answer_seconds: float,
    long_seconds: float = LONG_FOR_A_SERVER_SECONDS,
) -> None:
    """Send `size` bytes of `chunks`, and return when the server has accepted them.

    `answer_seconds` is how long the answer may take after the last byte; who is cut off after
    `long_seconds` is told of servers that read no longer. The connection is over when
    this ends; `connection.shut_down` ends it, from any thread. Raises what the port says.
    """
    path = FORCE_PATH if force else PATH
    sending = _Restore(connection, token, size, path, answer_seconds, long_seconds)
    try:
        sending.connect()
        sending.send(chunks)
        reply = sending.wait()
    except _AnsweredError as answered:
        reply = answered.reply
    finally:
        sending.close()
    sending.judge(reply)


class _AnsweredError(Exception):
    """The server answered before it had all."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply


class _Restore:
    """One restore call under way."""

    def __init__(
        self,
        connection: Connection,
        token: str,
        size: int,
        path: str,
        answer_seconds: float,
        long_seconds: float,
    ) -> None:
        self._connection = connection
        self._doing = f"restore a snapshot to {connection.place}"
        self._token = token
        self._size = size
        self._path = path
        self._answer_seconds = answer_seconds
        self._long_seconds = long_seconds
        self._stall_seconds = connection.settings.stall_seconds
        self._sent = 0
        self._begun = time.monotonic()
        #: From here on the server may have enough to apply it: of an empty body with the head.
        self._ending = not size
        self._selector = selectors.DefaultSelector()
        self._answer: io.BufferedReader | None = None

    def connect(self) -> None:
        """Connect, and send the request's head. Raises LeaderLostError."""
        connection = self._connection
        more = {"Content-Type": "application/gzip", "Content-Length": str(self._size)}
        try:
            connection.connect()
            if connection.ended:
                raise ConnectionAbortedError
            self._socket: socket.socket = connection.sock
            self._socket.settimeout(self._stall_seconds)
            connection.putrequest("POST", f"/v1/{self._path}", skip_accept_encoding=True)
            for name, value in (headers(self._token) | more).items():
                connection.putheader(name, value)
            connection.endheaders()
            self._begun = time.monotonic()
        except OSError as error:
            why = self._why(error, connection.settings.connect_seconds)
            raise LeaderLostError(self._doing, why) from error
        self._answer = self._reader = self._socket.makefile("rb")
        self._socket.settimeout(0)  # from here on `_wait_for_room` waits: for room, or for an answer
        self._selector.register(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def close(self) -> None:
        """End the connection: the reader first, since a socket stays open as long as it has one."""
        if self._answer is not None:
            self._answer.close()
        self._selector.close()
        self._connection.close()

    def send(self, chunks: Iterator[bytes]) -> None:
        """Send all of it, the end only when `chunks` has ended where it should."""
        held: list[bytes] = []
        waiting = total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > self._size:
                why = f"the snapshot goes on behind the {self._size} bytes that were announced"
                raise self._cut_off(why)
            held.append(chunk)
            waiting += len(chunk)
            # All but the youngest chunk may go where that one is long enough to be held back.
            while len(held) > 1 and waiting - len(held[0]) >= HELD_BACK:
                waiting -= len(held[0])
                self._send_early(held.pop(0))
        if total != self._size:
            raise self._cut_off(f"the snapshot ended at {total} of {self._size} bytes")
        end = b"".join(held)
        kept = min(len(end), HELD_BACK)
        if early := end[: len(end) - kept]:
            self._send_early(early)
        self._send_end(end[len(end) - kept :])

    def wait(self) -> Reply:
        """The answer to a whole body. Raises RestoreUnknownError where there is none."""
        try:
            self._socket.settimeout(self._answer_seconds)
            return self._read_answer()
        except (OSError, http.client.HTTPException) as error:
            raise self._unknown(self._why(error, self._answer_seconds)) from error

    def judge(self, reply: Reply) -> None:
        """Return for an answer that says accepted, and raise for every other one."""
        why = f"it answers {reply.describe((self._token,))}"
        if reply.status in (200, 204) and self._ending:
            return
        if reply.status < 300:
            raise self._unknown(f"{why}, which is no answer to a snapshot")
        if reply.status >= 500 and self._ending and not isinstance(reply.decode().get("errors"), list):
            # Not the server's own form: somebody in between has lost it, and with it the server's word.
            raise self._unknown(why)
        raise self._verdict(reply, why)

    def _verdict(self, reply: Reply, why: str) -> BaoBackupError:
        """The error for an answer that says: nothing was taken."""
        if reply.status == 403:
            policy = f'the policy needs: path "{self._path}" {{ capabilities = ["update"] }}'
            hint = f"{policy}, and the token must be of the root namespace"
            return RestoreDeniedError(self._doing, why, hint=hint)
        if reply.status == _TOO_LARGE:
            hint = "look for a proxy in between that limits the size of requests"
            return RestoreRefusedError(self._doing, why, hint=hint)
        # 500 is also what a server says of a body that it cannot read.
        if not_serving(reply.status) and reply.status != 500:
            return LeaderLostError(self._doing, why)
        if reply.status == 500:
            # It could not read what was proven before: not the keys, which a 400 tells of.
            return RestoreRefusedError(self._doing, why, hint=self._hint() or _UNREADABLE)
        return RestoreRefusedError(self._doing, why)

    def _send_early(self, content: bytes) -> None:
        """Send what is not the end. Raises RestoreCutOffError."""
        self._look_for_an_answer()
        try:
            self._write(content)
        except OSError as error:
            self._take_an_answer(self._connection.settings.connect_seconds)
            raise self._cut_off(self._why_not_sent(error), self._hint()) from error

    def _send_end(self, content: bytes) -> None:
        """Send the end. Raises RestoreUnknownError."""
        self._look_for_an_answer()
        self._ending = True
        try:
            self._write(content)
        except OSError as error:
            self._take_an_answer(self._connection.settings.connect_seconds)
            raise self._unknown(self._why_not_sent(error)) from error

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            try:
                count = self._socket.send(view)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self._wait_for_room()
                continue
            self._sent += count
            view = view[count:]

    def _wait_for_room(self) -> None:
        """Return when there is room for more. Raises TimeoutError, or _AnsweredError."""
        end = time.monotonic() + self._stall_seconds
        interest = selectors.EVENT_READ | selectors.EVENT_WRITE
        while True:
            self._selector.modify(self._socket, interest)
            ready = self._selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            if ready[0][1] & selectors.EVENT_WRITE:
                return
            self._look_for_an_answer()
            interest = selectors.EVENT_WRITE  # what it said is TLS' own, or its last word: it has no more

    def _look_for_an_answer(self) -> None:
        """Raise _AnsweredError when the server has said something, and does not want to hear the rest."""
        if self._connection.ended:
            raise self._unknown(_OURS) if self._ending else self._cut_off(_OURS)
        try:
            waits = bool(self._reader.peek(1))
        except (OSError, ValueError):
            return  # nothing yet, or the end of the connection, which the next write meets
        if waits:
            self._take_an_answer(self._stall_seconds)

    def _take_an_answer(self, seconds: float) -> None:
        """Raise _AnsweredError if there is an answer, or comes within so many seconds."""
        if self._connection.ended:
            return
        try:
            self._socket.settimeout(seconds)
            reply = self._read_answer()
        except (OSError, ValueError, http.client.HTTPException):
            return
        raise _AnsweredError(reply)

    def _read_answer(self) -> Reply:
        holder = cast("socket.socket", _Answering(self._reader))
        with http.client.HTTPResponse(holder, method="POST") as response:
            response.begin()
            return Reply(response.status, response.headers, response.read(_ANSWER_LIMIT))

    def _why(self, error: OSError | http.client.HTTPException, seconds: float) -> str:
        return _OURS if self._connection.ended else explain(error, seconds)

    def _why_not_sent(self, error: OSError) -> str:
        if isinstance(error, TimeoutError) and not self._connection.ended:
            return f"it took no byte for {self._stall_seconds:g} s"
        return self._why(error, self._stall_seconds)

    def _cut_off(self, why: str, hint: str | None = None) -> RestoreCutOffError:
        return RestoreCutOffError(self._doing, f"{why} after {self._sent} bytes", hint=hint)

    def _hint(self) -> str | None:
        """What to do where it took long; None where that was not the cause."""
        return _TOO_SLOW if time.monotonic() - self._begun >= self._long_seconds else None

    def _unknown(self, why: str) -> RestoreUnknownError:
        return RestoreUnknownError(self._doing, f"{why}, when it had the last byte or nearly so")


class _Answering:
    """Gives http.client the reader in which the first byte of an answer may be waiting already."""

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return self._reader
