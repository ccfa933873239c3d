"""The watches that are open through the proxy: passed on line by line, ended, and robbed of events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.harness.api_request import ANY, ApiRequest, Match
from tests.harness.api_rules import failure

Event = dict[str, Any]
#: Seconds after which a silent watch is looked at: has its client gone?
PATIENCE = 0.1


@dataclass(eq=False)
class Loss:
    """Events that match are swallowed until this is removed."""

    predicate: Callable[[Event], bool]
    match: Match
    lost: list[Event] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event, repr=False)
    removed: threading.Event = field(default_factory=threading.Event, repr=False)

    def remove(self) -> None:
        """Swallow no more."""
        self.removed.set()

    def takes(self, request: ApiRequest, event: Event) -> bool:
        """Whether the event is swallowed; it is kept in `lost` then."""
        if self.removed.is_set() or not self.match.fits(request) or not self.predicate(event):
            return False
        self.lost.append(event)
        self.reached.set()
        return True


class CutError(Exception):
    """A watch ends without the orderly end of its body."""


@dataclass(eq=False)
class OpenWatch:
    """A watch whose answer has begun."""

    request: ApiRequest
    #: What is sent last: b"" for nothing; None cuts the connection.
    ending: asyncio.Future[bytes | None]
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, last: bytes | None) -> None:
        """End it after the line that is under way."""
        if not self.ending.done():
            self.ending.set_result(last)


class Watches:
    """All open watches, and which of their events are lost. `end` and `pass_on` run in the proxy's loop."""

    def __init__(self) -> None:
        self._open: set[OpenWatch] = set()
        self._losses: list[Loss] = []

    def open(self, match: Match = ANY) -> list[ApiRequest]:
        """Those that are open now, the oldest first."""
        return sorted(
            (watch.request for watch in list(self._open) if match.fits(watch.request)), key=lambda r: r.at
        )

    def add_loss(self, loss: Loss) -> Loss:
        """Swallow events from now on, on open watches, too."""
        self._losses.append(loss)
        return loss

    def clear(self) -> None:
        """Swallow no more events."""
        losses, self._losses = self._losses, []
        for loss in losses:
            loss.remove()

    async def end(self, match: Match, last: bytes | None) -> int:
        """End the matching watches after the line that is under way; gives their number once they are."""
        ending = [watch for watch in self._open if match.fits(watch.request)]
        for watch in ending:
            watch.end(last)
        for watch in ending:
            await watch.ended.wait()
        return len(ending)

    @contextlib.contextmanager
    def opened(self, request: ApiRequest) -> Iterator[OpenWatch]:
        """Hold a watch as open; gives the OpenWatch."""
        watch = OpenWatch(request, asyncio.get_running_loop().create_future())
        self._open.add(watch)
        try:
            yield watch
        finally:
            self._open.discard(watch)
            watch.ended.set()

    async def pass_on(
        self,
        watch: OpenWatch,
        read: Callable[[], Coroutine[Any, Any, bytes]],
        write: Callable[[bytes], Awaitable[None]],
        gone: Callable[[], bool],
    ) -> None:
        """Pass the server's lines on at once, until either side ends it, or a test does.

        Args:
            watch: the watch.
            read: what the server sent since; empty at its end.
            write: sends to the client.
            gone: whether there is no client any more.

        Raises:
            CutError: the test wants no orderly end.
        """
        rest = b""
        reading = asyncio.create_task(read())
        try:
            while not gone():
                waiting: set[asyncio.Future[Any]] = {reading, watch.ending}
                await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
                if watch.ending.done():
                    break
                if not reading.done():
                    continue
                piece = reading.result()
                if not piece:
                    return
                *lines, rest = (rest + piece).split(b"\n")
                kept = b"".join(line + b"\n" for line in lines if not self._swallowed(watch.request, line))
                if kept:
                    await write(kept)
                reading = asyncio.create_task(read())
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reading
        if watch.ending.done():
            last = watch.ending.result()
            if last is None:
                raise CutError
            if last:
                await write(last)

    def _swallowed(self, request: ApiRequest, line: bytes) -> bool:
        if not self._losses or not line:
            return False
        event = json.loads(line)
        return any(loss.takes(request, event) for loss in self._losses)


def expired() -> bytes:
    """The last event of a watch whose version is too old; the client has to list anew.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses
    """
    status = failure(410, "Expired", "too old resource version: 1 (2)")
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
