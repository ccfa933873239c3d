"""Backups are read again and proven: good ones, bad ones, and ones that nobody proved before."""

from __future__ import annotations

import pytest
from tests.flows.site import EARLIER, KEY, PREFIX, Site, snapshot

from bao_backup.adapters.memory_store import Fault, FaultyStore
from bao_backup.core.errors import ArchiveError, InterruptedRunError, StoredDiffersError, VerificationError
from bao_backup.core.model import Stored, VerifyLevel
from bao_backup.core.naming import catalogue, receipt_key
from bao_backup.core.receipt import decode_receipt
from bao_backup.core.storage_errors import (
    ObjectChangedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageUnavailableError,
)
from bao_backup.flows.verify import Verdict, VerifyFlow
from bao_backup.ports import Store


def verifier(site: Site, store: Store | None = None) -> VerifyFlow:
    """The flow for a site's store."""
    return VerifyFlow(
        "default", "prod", store=store or site.store, clock=site.clock, stop=site.stop, reporter=site.reporter
    )


def put(site: Site, key: str, body: bytes) -> None:
    """Somebody puts an object there, or in place of another."""
    site.store.put(key, iter([body]))


def test_a_good_backup_is_proven() -> None:
    """Against itself and its receipt, which stays as it is."""
    site = Site()
    before = site.body(receipt_key(EARLIER))
    verified = verifier(site).verify(EARLIER)
    assert (verified.verdict, verified.size) == (Verdict.PROVEN, len(site.earlier))
    assert verified.sha256 == decode_receipt(before, EARLIER).sha256
    assert site.body(receipt_key(EARLIER)) == before


def test_a_backup_without_a_receipt_is_adopted() -> None:
    """Its receipt says what was read, and nothing that nobody knows."""
    site = Site()
    put(site, KEY, snapshot(5))
    assert site.proven() == {EARLIER}
    assert verifier(site).verify(KEY).verdict is Verdict.ADOPTED
    assert site.proven() == {EARLIER, KEY}
    receipt = decode_receipt(site.body(receipt_key(KEY)), KEY)
    assert (receipt.size, receipt.snapshot.index) == (len(snapshot(5)), 5)
    assert (receipt.started, receipt.finished, receipt.slot, receipt.trigger) == (None, None, None, None)
    assert (receipt.cluster.namespace, receipt.cluster.name) == ("default", "prod")
    assert (receipt.verification.level, receipt.verification.time) == (VerifyLevel.FULL, site.clock.now())
    assert verifier(site).verify(KEY).verdict is Verdict.PROVEN
    site.check()


@pytest.mark.parametrize("body", [b"", b"junk", snapshot(5)[:-1], snapshot(5) + b"x"])
def test_what_is_no_whole_snapshot_is_not_adopted(body: bytes) -> None:
    """No receipt is written for it."""
    site = Site()
    put(site, KEY, body)
    with pytest.raises(ArchiveError) as caught:
        verifier(site).verify(KEY)
    assert caught.value.exit_code == 6
    assert receipt_key(KEY) not in site.visible()


@pytest.mark.parametrize("body", [snapshot(9), snapshot(1)[:-1], snapshot(1)[:4] + b"1234" + snapshot(1)[8:]])
def test_a_backup_that_is_not_its_receipts_fails(body: bytes) -> None:
    """Another whole snapshot, a part of it, and one byte that no checksum inside covers."""
    site = Site()
    put(site, EARLIER, body)
    with pytest.raises(VerificationError) as caught:
        verifier(site).verify(EARLIER)
    assert caught.value.exit_code == 6
    assert isinstance(caught.value, StoredDiffersError | ArchiveError)


def test_a_junk_receipt_fails_the_backup_and_stays() -> None:
    """Nobody writes over a receipt that may have been good once."""
    site = Site()
    site.store.delete(receipt_key(EARLIER))
    site.store.create(receipt_key(EARLIER), b"junk")
    with pytest.raises(VerificationError):
        verifier(site).verify(EARLIER)
    assert site.body(receipt_key(EARLIER)) == b"junk"


def test_what_is_not_there_is_not_found() -> None:
    """An exit code of the store's, not of a verification."""
    with pytest.raises(ObjectNotFoundError):
        verifier(Site()).verify(KEY)


def test_all_goes_on_after_a_bad_one() -> None:
    """Each gets its verdict, newest first, and a bad one says why."""
    site = Site()
    site.run()
    put(site, f"{PREFIX}/2026-11-22T03-00-00Z-00000003.snap", b"junk")
    put(site, f"{PREFIX}/2026-11-22T04-00-00Z-00000004.snap", snapshot(7))
    store = FaultyStore(site.store, [Fault("get", StorageUnavailableError("read", "503"), key=KEY)])
    verified = list(verifier(site, store).verify_all(catalogue(site.store.list(PREFIX), PREFIX)))
    assert [v.verdict for v in verified] == [
        Verdict.ADOPTED,
        Verdict.FAILED,
        Verdict.FAILED,
        Verdict.PROVEN,
    ]
    assert [(v.reason, v.exit_code) for v in verified] == [
        ("", 0),
        ("ArchiveCorrupt", 6),
        ("StorageUnavailable", 5),
        ("", 0),
    ]


def test_a_signal_ends_all() -> None:
    """It is not a bad backup."""
    site = Site()
    site.run()
    verdicts = verifier(site).verify_all(catalogue(site.store.list(PREFIX), PREFIX))
    assert next(verdicts).verdict is Verdict.PROVEN
    site.stop.ask("ended by SIGINT")
    with pytest.raises(InterruptedRunError):
        next(verdicts)


def test_a_backup_that_is_replaced_while_it_is_read_gets_no_receipt() -> None:
    """The bytes that were proven are not those that are there."""
    site = Site()
    put(site, KEY, snapshot(5))

    class Replaced(FaultyStore):
        def head(self, key: str) -> Stored:
            stored = super().head(key)
            put(site, key, snapshot(6))
            return stored

    with pytest.raises(ObjectChangedError):
        verifier(site, Replaced(site.store)).verify(KEY)
    assert receipt_key(KEY) not in site.visible()


def test_two_that_adopt_the_same_backup_at_once_agree() -> None:
    """The second finds the first one's receipt, and compares."""
    site = Site()
    put(site, KEY, snapshot(5))
    other = verifier(site)

    class Slow(FaultyStore):
        def create(self, key: str, body: bytes) -> Stored:
            other.verify(KEY)
            return super().create(key, body)

    assert verifier(site, Slow(site.store)).verify(KEY).verdict is Verdict.ADOPTED
    site.check()


def test_a_receipt_that_may_not_be_written_is_the_stores_error() -> None:
    """The backup is whole, and still unproven."""
    site = Site()
    put(site, KEY, snapshot(5))
    store = FaultyStore(site.store, [Fault("create", StorageDeniedError("create", "403"))])
    with pytest.raises(StorageDeniedError):
        verifier(site, store).verify(KEY)
