"""The transfer: chunks are proven by one thread and uploaded by another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bao_backup.adapters.memory_store import Fault, FaultyStore, MemoryStore
from bao_backup.adapters.system import SystemClock
from bao_backup.core.errors import ArchiveError, InternalError, InterruptedRunError
from bao_backup.core.model import Contents, Inventory, SnapshotMeta, Stored
from bao_backup.core.storage import MIB
from bao_backup.core.storage_errors import StorageFullError
from bao_backup.flows.handover import ROOM
from bao_backup.flows.stop import Stop
from bao_backup.flows.transfer import Proven, limited, transfer

KEY = "folder/a.snap"
CHUNKS = [bytes([number]) * 1000 for number in range(50)]
PROOF = Contents(
    size=50_000,
    sha256="",
    meta=SnapshotMeta(id="", index=1, term=1, version=1, size=1),
    members={},
    inventory=Inventory(entries=0, size=0),
)


def proven(*, ends: BaseException | Contents | None = PROOF) -> Proven:
    """All chunks, and then the proof or an error."""
    yield from CHUNKS
    if isinstance(ends, BaseException):
        raise ends
    if ends is not None:
        yield ends


class OneAtATime(MemoryStore):
    """A store that refuses to be called by the thread that is in a call of it, as obstore does."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = threading.local()

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        self._inside.busy = True
        try:
            return super().put(key, chunks)
        finally:
            self._inside.busy = False

    def list(self, prefix: str) -> Iterator[Stored]:
        if getattr(self._inside, "busy", False):
            raise AssertionError("the store was entered twice")
        return super().list(prefix)


def test_whole() -> None:
    """All chunks arrive, in order, and the proof comes with them."""
    store = MemoryStore()
    stored, contents = transfer(store, KEY, proven(), Stop(SystemClock()))
    assert (stored.size, contents) == (50_000, PROOF)
    assert b"".join(store.get(KEY)) == b"".join(CHUNKS)


def test_source_may_use_the_store() -> None:
    """The source is not read inside the store's own call, so it may ask the store something."""
    store = OneAtATime()

    def asking() -> Proven:
        yield from CHUNKS
        assert list(store.list("")) == []
        yield PROOF

    transfer(store, KEY, asking(), Stop(SystemClock()))
    assert store.head(KEY).size == 50_000


def test_source_fails() -> None:
    """An error of the source aborts the upload and surfaces as it is."""
    store, error = MemoryStore(), ArchiveError("read", "it is not gzip")
    with pytest.raises(ArchiveError) as raised:
        transfer(store, KEY, proven(ends=error), Stop(SystemClock()))
    assert raised.value is error
    assert list(store.list("")) == []


def test_no_proof() -> None:
    """Without a proof at the end nothing is stored, whatever came before."""
    store = MemoryStore()
    with pytest.raises(InternalError):
        transfer(store, KEY, proven(ends=None), Stop(SystemClock()))
    assert list(store.list("")) == []


def test_store_fails() -> None:
    """A failing upload wakes a source that waits for its next byte, and closes it."""
    failing = FaultyStore(
        MemoryStore(), [Fault("put", StorageFullError("upload", "no space left"), after=5000)]
    )
    stop, woken, closed = Stop(SystemClock()), threading.Event(), threading.Event()

    def waiting() -> Proven:
        try:
            yield from CHUNKS[:5]
            assert woken.wait(10)
            yield CHUNKS[5]
            yield PROOF
        finally:
            closed.set()

    with stop.closing(woken.set), pytest.raises(StorageFullError):
        transfer(failing, KEY, waiting(), stop)
    assert woken.is_set()
    assert closed.is_set()


def test_bounded() -> None:
    """The source runs ahead of a slow upload by a few chunks only, and a request to end is seen there."""
    read: list[int] = []
    stop = Stop(SystemClock())

    class Slow(MemoryStore):
        def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
            next(chunks)
            while len(read) < ROOM + 2:
                threading.Event().wait(0.01)
            threading.Event().wait(0.05)
            assert len(read) == ROOM + 2
            stop.ask("ended by SIGTERM")
            return super().put(key, chunks)

    def counted() -> Proven:
        for number, chunk in enumerate(CHUNKS):
            stop.check()
            read.append(number)
            yield chunk
        yield PROOF

    with pytest.raises(InterruptedRunError):
        transfer(Slow(), KEY, counted(), stop)


# --- a limit of bandwidth ----------------------------------------------------------------------


class HandClock:
    """A clock whose time passes by waiting alone."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.waits = 0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def wait(self, seconds: float) -> None:
        self.passed += seconds
        self.waits += 1


@pytest.mark.parametrize(("rate", "seconds"), [(1000, 49), (10_000, 4), (50_000, 0), (0, 0)])
def test_an_upload_takes_as_long_as_its_limit_says(rate: int, seconds: float) -> None:
    """50,000 bytes, of which a second's worth goes at once; without a limit nobody waits."""
    clock, store = HandClock(), MemoryStore()
    limit = limited(rate, 10 * MIB, clock, clock.wait)
    transfer(store, KEY, proven(), Stop(SystemClock()), limit=limit)
    assert clock.passed == pytest.approx(seconds)
    assert b"".join(store.get(KEY)) == b"".join(CHUNKS)


def test_no_more_than_a_part_goes_at_once() -> None:
    """Where a second's worth is more than that."""
    clock = HandClock()
    limit = limited(10_000, 2000, clock, clock.wait)
    transfer(MemoryStore(), KEY, proven(), Stop(SystemClock()), limit=limit)
    assert clock.passed == pytest.approx(4.8)


def test_a_request_to_end_is_answered_while_an_upload_waits_for_its_limit() -> None:
    """A thousand bytes a second would take most of a minute: nothing is stored, and the source is closed."""
    store, stop, clock = MemoryStore(), Stop(SystemClock()), SystemClock()
    waiting = threading.Event()

    def wait(seconds: float) -> None:
        waiting.set()
        stop.wait(seconds)

    def ask() -> None:
        waiting.wait(10)
        stop.ask("ended by SIGTERM")

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(InterruptedRunError):
        transfer(store, KEY, proven(), stop, limit=limited(1000, 10 * MIB, clock, wait))
    asking.join()
    assert list(store.list("")) == []
