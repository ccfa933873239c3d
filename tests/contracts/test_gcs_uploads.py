"""Resumable uploads to Google Cloud Storage: what is sent, and what befalls it, by Google's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.asking import MIB, StopError, blocks
from tests.harness.gcs_identities import AccountKey
from tests.harness.gcs_uploads import QUANTUM, Befalls, ResumableService

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.stores.retries import patiently
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import ObjectChangedError, StorageDeniedError, StorageUnavailableError
from bao_backup.ports import Store

PART = 5 * MIB
HARMLESS = [Befalls.TAKES_LITTLE, Befalls.LOSES_ANSWER, Befalls.CUTS, Befalls.BUSY]
ACCOUNT = AccountKey().file


def opened(service: ResumableService, **changes: Any) -> Store:
    """A bucket there."""
    of = StoreSettings(
        **{
            "provider": "gcs",
            "bucket": "bucket",
            "endpoint": service.url,
            "part_size": PART,
            "max_retries": 3,
            "retry_timeout": 5,
            **changes,
        }
    )
    return open_store(of, {"credentials.json": ACCOUNT})


def put(service: ResumableService, count: int, size: int = MIB, **changes: Any) -> None:
    """Upload, and see that the object is what was sent."""
    sent = opened(service, **changes).put("key", blocks(count, size))
    assert service.objects["key"] == b"".join(blocks(count, size))
    assert (sent.size, sent.version, sent.etag) == (count * size, "7", '"etag"')


@pytest.mark.parametrize(
    ("count", "extents"),
    [
        (0, ["bytes */0"]),
        (1, [f"bytes 0-{MIB - 1}/{MIB}"]),
        (5, [f"bytes 0-{PART - 1}/{PART}"]),
        (6, [f"bytes 0-{PART - 1}/*", f"bytes {PART}-{6 * MIB - 1}/{6 * MIB}"]),
    ],
)
def test_parts(count: int, extents: list[str]) -> None:
    """Each part but the last has the size that is set; an upload that ends with a part has no empty one."""
    with ResumableService() as service:
        put(service, count)
        assert service.asked == ["POST", *(f"PUT {extent}" for extent in extents), "HEAD"]


def test_odd_part_size() -> None:
    """A size that the service would refuse is made one that it takes."""
    with ResumableService() as service:
        put(service, 12, part_size=PART + 1)
        put(service, 1, 12 * MIB + 1, part_size=PART + QUANTUM - 1)


@pytest.mark.parametrize("befalls", HARMLESS)
@pytest.mark.parametrize("nth", range(4))
def test_goes_on(befalls: Befalls, nth: int) -> None:
    """Whatever befalls a part, the upload goes on where the service is, and nothing is sent twice into it."""
    with ResumableService(*[Befalls.NOTHING] * nth, befalls) as service:
        put(service, 18)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    befalls=st.lists(st.sampled_from([Befalls.NOTHING, *HARMLESS]), max_size=4),
    sizes=st.lists(st.integers(0, 3 * MIB), max_size=6),
)
def test_any_order(befalls: list[Befalls], sizes: list[int]) -> None:
    """In any order, and with chunks of any size."""
    chunks = [next(blocks(1, size, seed)) for seed, size in enumerate(sizes)]
    with ResumableService(*befalls) as service:
        opened(service, max_retries=6).put("key", iter(chunks))
        assert service.objects == {"key": b"".join(chunks)}


@pytest.mark.parametrize("befalls", [Befalls.BUSY, Befalls.FORGETS, Befalls.STANDS_STILL])
def test_gives_up(befalls: Befalls) -> None:
    """A service that stays busy, forgets the upload or takes nothing more: given up, nothing visible."""
    with ResumableService(Befalls.NOTHING, *[befalls] * 20) as service:
        with pytest.raises(StorageUnavailableError):
            opened(service, max_retries=2, retry_timeout=1).put("key", blocks(12))
        assert service.objects == {}


@pytest.mark.parametrize("count", [0, 4, 5, 6, 11])
def test_abort(count: int) -> None:
    """When the source raises, the upload is aborted, and that is raised."""

    def source() -> Iterator[bytes]:
        yield from blocks(count)
        raise StopError

    with ResumableService() as service:
        with pytest.raises(StopError):
            opened(service).put("key", source())
        assert service.aborted == ["key"]
        assert (service.objects, service.uploads) == ({}, {})


@pytest.mark.parametrize("at_once", [True, False])
def test_another_object_in_its_place(at_once: bool) -> None:
    """What another start put there since is not taken for what was sent: it would be judged, and removed."""
    with ResumableService() as service:
        service.there = "8"
        store = opened(service)
        with pytest.raises(ObjectChangedError):
            store.create("key", b"body") if at_once else store.put("key", blocks(1))
        assert service.deleted == []


def test_stays_here() -> None:
    """The upload goes to the configured service, whatever host it says: a token is sent along."""
    with ResumableService() as service:
        put(service, 6)
        assert len(service.asked) == 4


# --- making requests again ---------------------------------------------------------------------


class Flaky:
    """Fails for a time."""

    def __init__(self, *errors: StorageError) -> None:
        self.errors = list(errors)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


BUSY = StorageUnavailableError("ask", "not now")
PATIENT = StoreSettings(provider="gcs", max_retries=4, retry_timeout=60)


def test_patience() -> None:
    """What fails for a time is done again, after waits that double."""
    waited: list[float] = []
    flaky = Flaky(BUSY, BUSY, BUSY, BUSY)
    assert patiently(flaky, PATIENT, waited.append) == "done"
    assert all(0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(waited))
    assert len(waited) == 4


@pytest.mark.parametrize(
    ("errors", "of", "asked"),
    [
        ([BUSY] * 9, PATIENT, 5),
        ([BUSY] * 9, StoreSettings(provider="gcs", max_retries=4, retry_timeout=0), 1),
        ([BUSY] * 9, StoreSettings(provider="gcs", max_retries=0), 1),
        ([StorageDeniedError("ask", "no")], PATIENT, 1),
    ],
)
def test_impatience(errors: list[StorageError], of: StoreSettings, asked: int) -> None:
    """As often and as long as the settings say, and not at all where it would not help."""
    flaky = Flaky(*errors)
    with pytest.raises(type(errors[0])):
        patiently(flaky, of, lambda _seconds: None)
    assert flaky.asked == asked
