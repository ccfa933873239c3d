"""A run's outcome is what is in the store, whatever happened on the way to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.flows.site import EARLIER, KEY, QUICK, Site, snapshot

from bao_backup.adapters.memory_bao import BaoFault
from bao_backup.adapters.memory_store import Fault, MemoryStore
from bao_backup.core.errors import (
    InterruptedRunError,
    LeaderLostError,
    LoginError,
    ReceiptVersionError,
    SnapshotDeniedError,
)
from bao_backup.core.model import Stored
from bao_backup.core.naming import receipt_key
from bao_backup.core.storage_errors import StorageDeniedError, StorageUnavailableError
from bao_backup.flows.verify import VerifyFlow


class Overtaken(MemoryStore):
    """A store in which somebody replaces a body in the moment in which its receipt is written."""

    def __init__(self, inner: MemoryStore, body: bytes) -> None:
        super().__init__()
        self.__dict__.update(inner.__dict__)
        self._other: bytes | None = body

    def create(self, key: str, body: bytes) -> Stored:
        other, self._other = self._other, None
        if other is not None:
            self.put(key.removesuffix(".json"), iter([other]))
        return super().create(key, body)


class Hanging(MemoryStore):
    """A store that takes the bytes and then never answers, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        def hang() -> Iterator[bytes]:
            yield next(chunks)
            self.reached.set()
            self.go.wait(60)
            yield from chunks

        return super().put(key, hang())


def test_a_receipt_never_stays_beside_another_body() -> None:
    """Another start's body took the place of ours after it was checked."""
    site = Site()
    store = Overtaken(site.store, snapshot(7))
    flow = site.flow(store=store)
    with pytest.raises(Exception, match="another object took its place"):
        flow.take()
    assert receipt_key(KEY) not in site.visible()
    assert not site.run().found
    site.check()


def test_a_login_that_ended_between_two_tries_is_made_again() -> None:
    """The leader is lost in mid-stream, and the next one does not know the token any more."""
    site = Site()
    lost = BaoFault(method="snapshot", after=1000, error=LeaderLostError("read", "it stepped down"))
    ended = BaoFault(method="snapshot", call=2, error=SnapshotDeniedError("read", "permission denied"))
    taken = site.flow(bao_faults=[lost, ended]).take()
    assert taken.tries == 2
    assert sum(method == "login" for method, *_ in site.bao.calls) == 2  # type: ignore[attr-defined] # MemoryBao's
    site.check()


def test_a_fresh_login_without_the_right_is_refused_at_once() -> None:
    """There is no second login for a token that was never allowed to read."""
    site = Site()
    denied = BaoFault(method="snapshot", times=9, error=SnapshotDeniedError("read", "permission denied"))
    with pytest.raises(SnapshotDeniedError):
        site.flow(bao_faults=[denied]).take()
    assert sum(method == "login" for method, *_ in site.bao.calls) == 1  # type: ignore[attr-defined] # MemoryBao's


def test_a_leader_that_serves_no_login_is_a_failed_login() -> None:
    """After the last try its exit code is that of the login, not that of the snapshot."""
    site = Site()
    broken = BaoFault(method="login", times=9, error=LeaderLostError("log in", "it answers 500"))
    flow = site.flow(bao_faults=[broken])
    with pytest.raises(LoginError) as caught:
        flow.take()
    assert (caught.value.exit_code, flow.tries) == (2, 3)


def test_a_receipt_whose_answer_was_lost_is_no_failure() -> None:
    """It is found to be ours; nothing has to be deleted for that."""
    site = Site()
    exists = StorageUnavailableError("create", "the answer was lost")
    denied = StorageDeniedError("delete", "not allowed")
    faults = [
        Fault("create", exists, key=receipt_key(KEY), lost_answer=True),
        Fault("delete", denied, times=9),
    ]
    with pytest.raises(StorageUnavailableError):
        site.flow(faults).take()
    assert site.flow(faults[1:]).take().found
    site.check()


def test_a_newer_programs_backup_is_left_alone() -> None:
    """Its receipt cannot be read, and is not replaced for that."""
    site = Site()
    site.run()
    body, where = site.body(KEY), receipt_key(KEY)
    site.store.delete(where)
    site.store.create(where, b'{"receipt": 2}')
    with pytest.raises(ReceiptVersionError):
        site.run()
    assert (site.body(KEY), site.body(where)) == (body, b'{"receipt": 2}')


def test_a_store_that_hangs_does_not_hold_up_a_signal() -> None:
    """After a grace the run ends; its upload was never completed."""
    site = Site()
    store = Hanging()
    flow = site.flow(store=store, patience=replace(QUICK, abort=0.5))

    def ask() -> None:
        store.reached.wait(30)
        site.stop.ask("SIGTERM")

    threading.Thread(target=ask, daemon=True).start()
    begun = time.monotonic()
    try:
        with pytest.raises(InterruptedRunError):
            flow.take()
    finally:
        store.go.set()
    assert time.monotonic() - begun < 20
    assert list(store.list("")) == []


def test_a_backup_that_went_bad_does_not_count_as_good_any_more() -> None:
    """Its receipt is withdrawn, so that retention keeps the backups that are good."""
    site = Site()
    site.store.put(EARLIER, iter([site.earlier[:-20] + bytes(20)]))
    verifier = VerifyFlow(
        "default", "prod", store=site.store, clock=site.clock, stop=site.stop, reporter=site.reporter
    )
    with pytest.raises(Exception, match=r".") as caught:
        verifier.verify(EARLIER)
    assert getattr(caught.value, "exit_code", None) == 6
    assert EARLIER in site.visible()
    assert site.proven() == set()
