"""A store that does not keep what it was given: noticed, taken back, and never called a backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace
from tests.flows.site import EARLIER, KEY, Site

from bao_backup.adapters.memory_store import Fault, FaultyStore, MemoryStore
from bao_backup.core.errors import StoredDiffersError
from bao_backup.core.model import Stored, VerifyLevel
from bao_backup.core.receipt import decode_receipt
from bao_backup.core.storage_errors import ObjectChangedError, StorageDeniedError

Change = Callable[[bytes], bytes]


class Spoiling(MemoryStore):
    """Keeps other bytes than it is given, and answers as if nothing were wrong."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        whole = b"".join(chunks)
        return super().put(key, iter([self.change(whole)]))


class WithoutTags(FaultyStore):
    """A store that gives no etag."""

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        return replace(super().put(key, chunks), etag=None)

    def head(self, key: str) -> Stored:
        return replace(super().head(key), etag=None)


def spoiling(change: Change) -> Site:
    """A site whose store begins to spoil what it is given."""
    site, store = Site(), Spoiling(lambda whole: whole)
    for key in site.visible():
        store.create(key, site.body(key))
    store.change, site.store = change, store
    return site


def flip(whole: bytes) -> bytes:
    """One bit in the middle."""
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


SHORTER: dict[str, Change] = {
    "cut off": lambda whole: whole[:-1],
    "empty": lambda _whole: b"",
    "doubled": lambda whole: whole + whole,
}
#: gzip's own time is protected by nothing inside the archive.
SAME_SIZE: dict[str, Change] = {
    "one bit flipped": flip,
    "zeros": lambda whole: bytes(len(whole)),
    "another time in gzip's header": lambda whole: whole[:4] + b"\1\2\3\4" + whole[8:],
}


@pytest.mark.parametrize("change", SHORTER.values(), ids=SHORTER)
@pytest.mark.parametrize("verify", VerifyLevel)
def test_another_size_is_noticed_at_once(change: Change, verify: VerifyLevel) -> None:
    """By asking the store, whatever the level of verification; the object is taken back."""
    site = spoiling(change)
    with pytest.raises(StoredDiffersError) as caught:
        site.run(verify=verify)
    assert (caught.value.exit_code, caught.value.reason) == (6, "StoredDiffers")
    assert site.visible() == [EARLIER, f"{EARLIER}.json"]
    assert site.cluster.tokens == {}


@pytest.mark.parametrize("change", SAME_SIZE.values(), ids=SAME_SIZE)
def test_other_bytes_of_the_same_size_are_noticed_by_reading_them_back(change: Change) -> None:
    """`verify: Full` compares every byte: one that no checksum inside covers, too."""
    site = spoiling(change)
    with pytest.raises(StoredDiffersError) as caught:
        site.run(verify=VerifyLevel.FULL)
    assert caught.value.exit_code == 6
    assert site.visible() == [EARLIER, f"{EARLIER}.json"]
    site.check()


def test_the_receipt_says_how_it_was_verified() -> None:
    """And when."""
    for level in VerifyLevel:
        site = Site()
        site.run(verify=level)
        receipt = decode_receipt(site.body(f"{KEY}.json"), KEY)
        assert (receipt.verification.level, receipt.verification.time) == (level, site.clock.now())


def test_reading_back_shows_progress() -> None:
    """A person sees that it goes on after the upload."""
    site = Site()
    site.run(verify=VerifyLevel.FULL)
    assert site.reporter.words[-1] == "reading it back"


def test_what_cannot_be_taken_back_is_told() -> None:
    """The run fails for what it found; that something broken is still visible is a warning."""
    site = spoiling(lambda whole: whole[:-1])
    flow = site.flow([Fault("delete", StorageDeniedError("delete", "403"))])
    with pytest.raises(StoredDiffersError):
        flow.take()
    assert flow.warnings == (f"{KEY} is not whole and could not be deleted: 403",)
    assert f"{KEY}.json" not in site.visible()


def test_an_object_that_took_its_place_is_not_deleted() -> None:
    """It is somebody else's, perhaps another start's whole backup."""
    site = Site()

    class Replacing(FaultyStore):
        def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
            stored = super().put(key, chunks)
            super().put(key, iter([b"of somebody else"]))
            return stored

    with pytest.raises(ObjectChangedError):
        site.run(store=Replacing(site.store))
    assert site.body(KEY) == b"of somebody else"
    assert f"{KEY}.json" not in site.visible()


def test_a_store_without_etags_is_good_enough() -> None:
    """Sizes and, with Full, all bytes are compared."""
    site = Site()
    site.run(store=WithoutTags(site.store), verify=VerifyLevel.FULL)
    assert KEY in site.proven()
    site.check()
