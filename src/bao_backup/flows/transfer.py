"""Moves proven chunks into the store: one thread reads and proves, one uploads, the caller waits.

The waiting thread answers signals at once. The other two work at the same time, since what takes
long in each (TLS, inflating, hashing, the store's requests) lets other threads run. The source is
never read from inside the store's call: it may ask the store something, and a store's library need
not bear to be entered twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator

from bao_backup.core.errors import InternalError
from bao_backup.core.model import Contents, Stored
from bao_backup.core.pace import Pace
from bao_backup.flows.handover import LOOK_EVERY, Handover
from bao_backup.flows.stop import Stop
from bao_backup.ports import Clock, Store

#: How long a store may take to abort an upload when the run must end, in seconds.
ABORT_GRACE = 10.0

#: Chunks, and as the last thing what was proven of them all.
Proven = Generator[bytes | Contents, None, None]
#: Waits until so many bytes may go into the store.
Limit = Callable[[int], None]


def limited(rate: int, part_size: int, clock: Clock, wait: Callable[[float], None]) -> Limit | None:
    """The limit of `rate` bytes a second on the average; None for rate 0, no limit.

    What goes at once after a rest is what goes in a second, and at most a part. `wait` raises when
    the run must end, as `Stop.wait` does.
    """
    if not rate:
        return None
    pace = Pace(rate, min(rate, part_size))

    def hold(size: int) -> None:
        seconds = pace.wait_for(size, clock.monotonic())
        if seconds:
            wait(seconds)

    return hold


class _Transfer:
    """The two threads' work, and what came of it."""

    def __init__(self, store: Store, key: str, chunks: Proven, limit: Limit | None) -> None:
        self._store = store
        self._key = key
        self._limit = limit
        self._source = chunks
        self._handover = Handover()
        self.contents: Contents | None = None
        self.stored: Stored | None = None
        self.error: BaseException | None = None

    def prove(self) -> None:
        """Go through the source; its normal end is the only one that lets the upload complete."""
        try:
            for chunk in self._source:
                if not isinstance(chunk, bytes):
                    self.contents = chunk
                elif not self._handover.put(chunk):
                    return
            if self.contents is None:
                raise InternalError("upload", "the chunks ended without proof of them")
        except BaseException as error:  # noqa: BLE001 - the upload raises it, and so aborts itself
            self._handover.end(error)
        else:
            self._handover.end()
        finally:
            self._source.close()

    def upload(self) -> None:
        """Put what is handed over into the store."""
        try:
            self.stored = self._store.put(self._key, self._chunks())
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            self.error = error
        finally:
            self._handover.refuse()

    def _chunks(self) -> Iterator[bytes]:
        """What is handed over, no faster than the limit."""
        for chunk in self._handover.chunks():
            if self._limit is not None:
                self._limit(len(chunk))
            yield chunk


def transfer(
    store: Store,
    key: str,
    chunks: Proven,
    stop: Stop,
    grace: float = ABORT_GRACE,
    limit: Limit | None = None,
) -> tuple[Stored, Contents]:
    """Put the chunks under `key`, no faster than `limit`; they end with their proven Contents.

    Returns when the store has the whole object, or raises what ended it, after the upload was
    aborted. A request to end is seen by the source at its next chunk.
    """
    work = _Transfer(store, key, chunks, limit)
    proving, uploading = _start(work.prove, "prove"), _start(work.upload, "upload")
    while uploading.is_alive():
        uploading.join(LOOK_EVERY)
        error = stop.error()
        if error is not None:
            stop.wake()
            grace -= LOOK_EVERY
            if grace < 0:
                # The store hangs. Its upload was never completed: nothing is visible, a sweep removes it.
                raise error
    while proving.is_alive():  # the upload failed: the source may wait for a byte that is of no use now
        stop.wake()
        proving.join(LOOK_EVERY)
    if work.error is not None:
        raise work.error
    assert work.stored is not None and work.contents is not None  # noqa: S101, PT018 - a normal end has both
    return work.stored, work.contents


def _start(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
