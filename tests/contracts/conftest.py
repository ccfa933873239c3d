"""What the contracts' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contracts.asking import MIB
from tests.contracts.stores import STORES, Place, s3_credentials
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio

from bao_backup.adapters.stores import open_store
from bao_backup.core.storage import StoreSettings
from bao_backup.ports import Store


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of store in turn, fresh and empty."""
    opened: Place = request.param(request)
    return opened


@pytest.fixture
def store(place: Place) -> Store:
    """The store alone."""
    return place.store


@pytest.fixture
def proxy(minio: Minio) -> Iterator[FaultyProxy]:
    """What stands between the store's adapter and MinIO."""
    with FaultyProxy(minio.url) as proxy:
        yield proxy


@pytest.fixture
def s3_settings(proxy: FaultyProxy, bucket: str) -> StoreSettings:
    """A bucket through the proxy; few and quick repetitions."""
    return StoreSettings(
        provider="s3",
        bucket=bucket,
        endpoint=proxy.url,
        part_size=5 * MIB,
        max_retries=2,
        retry_timeout=5,
        request_timeout=2,
    )


@pytest.fixture
def s3_store(s3_settings: StoreSettings, minio: Minio) -> Store:
    """The adapter, opened."""
    return open_store(s3_settings, s3_credentials(minio))
