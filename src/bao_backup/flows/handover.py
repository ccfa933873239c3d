"""Hands chunks from one thread to another, so that reading and proving overlap with sending."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing

from bao_backup.flows.stop import Stop

#: How often a waiting thread looks whether the run must end, in seconds.
LOOK_EVERY = 0.25
#: Chunks, of at most 1 MiB each, that may wait.
ROOM = 4


def _nothing() -> None:
    """There is nothing to look for."""


class Handover:
    """Chunks on their way from the thread that proves them to the one that sends them on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._ended = False
        self._error: BaseException | None = None
        self._taken = True

    def put(self, chunk: bytes) -> bool:
        """Hand a chunk over, when there is room; False when nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < ROOM or not self._taken)
            self._waiting.append(chunk)
            self._changed.notify_all()
            return self._taken

    def end(self, error: BaseException | None = None) -> None:
        """No chunk comes any more; with an error, those that wait are not taken either."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def refuse(self) -> None:
        """Nobody takes any more: let the other side stop."""
        with self._changed:
            self._taken = False
            self._changed.notify_all()

    def chunks(self, check: Callable[[], None] = _nothing) -> Generator[bytes, None, None]:
        """What was handed over, until its end; raises the error that it ended with.

        While it waits, `check` is called now and then; what it raises ends the waiting.
        """
        while True:
            with self._changed:
                while not self._changed.wait_for(lambda: self._waiting or self._ended, LOOK_EVERY):
                    check()
                if self._error is not None:
                    raise self._error
                if not self._waiting:
                    return
                chunk = self._waiting.popleft()
                self._changed.notify_all()
            yield chunk


def ahead(source: Generator[bytes, None, None], stop: Stop) -> Generator[bytes, None, None]:
    """The chunks of `source`, which runs ahead in a thread of its own; its errors surface here.

    A request to end the run is answered also while the source waits for a byte.
    """
    handover = Handover()

    def run() -> None:
        try:
            with closing(source):
                for chunk in source:
                    if not handover.put(chunk):
                        return
        except BaseException as error:  # noqa: BLE001 - raised where the chunks are taken
            handover.end(error)
        else:
            handover.end()

    thread = threading.Thread(target=run, name="read ahead", daemon=True)
    thread.start()
    try:
        yield from handover.chunks(stop.check)
    finally:
        handover.refuse()
        thread.join(LOOK_EVERY)
