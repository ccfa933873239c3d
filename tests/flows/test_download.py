"""A backup is fetched, and only what is proven is answered for."""

from __future__ import annotations

import pytest
from tests.core.archives import prove
from tests.flows.site import EARLIER, KEY, Site, snapshot

from bao_backup.adapters.memory_store import Fault, FaultyStore
from bao_backup.core.errors import (
    ArchiveError,
    BaoBackupError,
    InterruptedRunError,
    StoredDiffersError,
    VerificationError,
)
from bao_backup.core.naming import receipt_key
from bao_backup.core.storage_errors import ObjectNotFoundError, StorageUnavailableError
from bao_backup.flows.download import download
from bao_backup.ports import Store


def fetch(site: Site, key: str, store: Store | None = None) -> bytes:
    """What was written, when it was answered for; and what is answered is that."""
    written: list[bytes] = []
    contents = download(store or site.store, key, written.append, stop=site.stop, reporter=site.reporter)
    whole = b"".join(written)
    assert contents == prove(whole)
    return whole


def test_a_backup_arrives_byte_by_byte() -> None:
    """As it was stored."""
    site = Site()
    assert fetch(site, EARLIER) == site.earlier


def test_a_backup_without_a_receipt_is_proven_by_itself() -> None:
    """And that is said."""
    site = Site()
    site.store.put(KEY, iter([snapshot(5)]))
    assert fetch(site, KEY) == snapshot(5)
    assert site.reporter.words[0] == f"{KEY} has no receipt: proven by its own checksums alone"


def spoilt(site: Site, body: bytes) -> None:
    """Somebody put something else in the earlier backup's place."""
    site.store.put(EARLIER, iter([body]))


BAD: dict[str, tuple[bytes, type[BaoBackupError]]] = {
    "another whole snapshot": (snapshot(9), StoredDiffersError),
    "a part": (snapshot(1)[:-1], ArchiveError),
    "nothing": (b"", ArchiveError),
    "more": (snapshot(1) + b"x", ArchiveError),
    "a byte that no checksum inside covers": (
        snapshot(1)[:4] + b"1234" + snapshot(1)[8:],
        StoredDiffersError,
    ),
}


@pytest.mark.parametrize(("body", "kind"), BAD.values(), ids=BAD)
def test_what_is_not_the_backup_is_refused(body: bytes, kind: type[BaoBackupError]) -> None:
    """At the end at the latest: the caller keeps nothing that was not answered for."""
    site = Site()
    spoilt(site, body)
    with pytest.raises(kind) as caught:
        fetch(site, EARLIER)
    assert caught.value.exit_code == 6


def test_a_junk_receipt_is_refused_before_a_byte_is_read() -> None:
    """Nobody can say whether the bytes are those that were proven."""
    site = Site()
    site.store.delete(receipt_key(EARLIER))
    site.store.create(receipt_key(EARLIER), b"junk")
    store = FaultyStore(site.store)
    with pytest.raises(VerificationError):
        fetch(site, EARLIER, store)
    assert ("get", EARLIER) not in store.calls


def test_what_is_not_there_is_not_found() -> None:
    """At once."""
    with pytest.raises(ObjectNotFoundError):
        fetch(Site(), KEY)


@pytest.mark.parametrize("after", [0, 1])
def test_a_store_that_fails_in_the_middle(after: int) -> None:
    """Its error, and nothing that looks whole."""
    site = Site()
    fault = Fault("get", StorageUnavailableError("read", "503"), key=EARLIER, after=after)
    with pytest.raises(StorageUnavailableError):
        fetch(site, EARLIER, FaultyStore(site.store, [fault]))


def test_a_signal_ends_it() -> None:
    """Before the next chunk."""
    site = Site()
    site.stop.ask("ended by SIGINT")
    with pytest.raises(InterruptedRunError):
        fetch(site, EARLIER)
