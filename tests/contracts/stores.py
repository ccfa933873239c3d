"""The stores that the contract is held against; a new one joins with a line in `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.harness.azurite import ACCOUNT, KEY, Azurite
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey
from tests.harness.minio import Minio

from bao_backup.adapters.memory_store import FaultyStore, MemoryStore
from bao_backup.adapters.stores import open_store, store_traits
from bao_backup.core.storage import StoreSettings, StoreTraits
from bao_backup.ports import Store


@dataclass
class Place:
    """A store, fresh and empty, and what a test asks of it beside the port."""

    store: Store
    traits: StoreTraits
    #: What is there although `list` does not show it.
    hidden: Callable[[], Iterable[str]]
    #: How another program opens it; None where none can.
    settings: StoreSettings | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    #: How many objects make a long list here.
    many: int = 10_050
    #: How many leftovers of a killed upload `hidden` can see.
    leaves: int = 1
    #: How one of them is made where that is quicker than by the port.
    make: Callable[[str], object] | None = None


def in_memory(_request: pytest.FixtureRequest) -> Place:
    """The shipped store in memory."""
    return Place(MemoryStore(), StoreTraits(), list)


def without_faults(_request: pytest.FixtureRequest) -> Place:
    """The wrapper that makes a store fail, told not to."""
    return Place(FaultyStore(MemoryStore()), StoreTraits(), list)


def in_folder(request: pytest.FixtureRequest) -> Place:
    """A folder."""
    folder: Path = request.getfixturevalue("tmp_path")
    settings = StoreSettings(provider="file", path=str(folder))
    store = open_store(settings, {})

    def hidden() -> list[str]:
        shown = {folder / stored.key for stored in store.list("")}
        return [str(path) for path in folder.rglob("*") if path.is_file() and path not in shown]

    def make(key: str) -> None:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).touch()

    return Place(store, store_traits("file"), hidden, settings, make=make)


def in_minio(request: pytest.FixtureRequest) -> Place:
    """A bucket of a real MinIO."""
    minio: Minio = request.getfixturevalue("minio")
    bucket: str = request.getfixturevalue("bucket")
    settings = StoreSettings(provider="s3", bucket=bucket, endpoint=minio.url, part_size=5 * 1024 * 1024)
    credentials = s3_credentials(minio)
    store = open_store(settings, credentials)
    return Place(
        store,
        store_traits("s3"),
        lambda: [upload.key for upload in minio.root.uploads(bucket)],
        settings,
        credentials,
        many=2_050,  # three pages; 10,050 take half a minute
    )


def in_azurite(request: pytest.FixtureRequest) -> Place:
    """A container of a real Azurite."""
    azurite: Azurite = request.getfixturevalue("azurite")
    container: str = request.getfixturevalue("container")
    settings = StoreSettings(
        provider="azure", account=ACCOUNT, bucket=container, endpoint=azurite.url, part_size=5 * 1024 * 1024
    )
    credentials = {"accountKey": KEY}
    return Place(
        open_store(settings, credentials),
        store_traits("azure"),
        lambda: azurite.root.unfinished(container),
        settings,
        credentials,
        many=1_050,  # two pages of the adapter; more take half a minute
    )


def in_fake_gcs(request: pytest.FixtureRequest) -> Place:
    """A bucket of a real fake-gcs-server. Uploads under way cannot be listed, there as at Google."""
    server: FakeGcs = request.getfixturevalue("fake_gcs")
    bucket: str = request.getfixturevalue("gcs_bucket")
    settings = StoreSettings(provider="gcs", bucket=bucket, endpoint=server.url, part_size=5 * 1024 * 1024)
    credentials = {"credentials.json": AccountKey().file}
    return Place(
        open_store(settings, credentials),
        store_traits("gcs"),
        list,
        settings,
        credentials,
        many=2_050,
        leaves=0,
        make=lambda key: server.put(bucket, key, b""),
    )


def s3_credentials(minio: Minio) -> dict[str, str]:
    """The root's, as a Secret holds them."""
    keys = minio.root.keys
    return {"accessKeyId": keys.access_key, "secretAccessKey": keys.secret_key}


STORES = [
    pytest.param(in_memory, id="memory"),
    pytest.param(without_faults, id="faulty"),
    pytest.param(in_folder, id="file"),
    pytest.param(in_minio, id="s3", marks=pytest.mark.servers),
    pytest.param(in_azurite, id="azure", marks=pytest.mark.servers),
    pytest.param(in_fake_gcs, id="gcs", marks=pytest.mark.servers),
]
