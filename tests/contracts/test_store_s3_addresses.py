"""How an S3 bucket is addressed, on a real MinIO: in the host's name or in the path, over TLS, in a region.

The name of the server resolves nowhere: a proxy takes each connection to it, as it is, to the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.contracts.asking import MIB, blocks, read
from tests.contracts.stores import s3_credentials
from tests.harness import build
from tests.harness.certificates import Authority
from tests.harness.forward_proxy import ForwardProxy
from tests.harness.minio import Minio

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageRegionError, StorageUntrustedError
from bao_backup.core.store_options import LockMode
from bao_backup.ports import Store

pytestmark = pytest.mark.servers

DOMAIN = "s3.private.invalid"
REGION = "eu-central-7"
FOLDER = "team ä+&/default/vault"
KEY = f"{FOLDER}/2026-11-22T02-00-00Z-0badcafe.snap"
_number = count()


class Site(NamedTuple):
    """A MinIO with a name and a region of its own, and the way to it."""

    server: Minio
    proxy: ForwardProxy
    ca: str

    @property
    def host(self) -> str:
        """As addresses have it."""
        return f"{DOMAIN}:{self.server.port}"

    def opened(self, bucket: str, *, trusted: bool = True, region: str = REGION, **changes: Any) -> Store:
        """The bucket, by the server's name."""
        settings = StoreSettings(
            provider="s3",
            bucket=bucket,
            endpoint=f"https://{self.host}",
            region=region,
            proxy=self.proxy.url,
            part_size=5 * MIB,
            max_retries=0,
            dead_after=0.5,
            **changes,
        )
        ca = {"caCert": self.ca} if trusted else {}
        return open_store(settings, {**s3_credentials(self.server), **ca})


@pytest.fixture(scope="module")
def site(servers_folder: Path, authority: Authority) -> Iterator[Site]:
    """One server for all; what is locked there cannot be removed."""
    folder, binary = servers_folder / "minio-addresses", build.binary("minio")
    with (
        Minio(folder, binary, authority, domain=DOMAIN, region=REGION) as server,
        ForwardProxy(server.url) as proxy,
    ):
        yield Site(server, proxy, authority.ca_file.read_text())


@pytest.fixture
def lockable(site: Site) -> str:
    """A bucket whose objects may be locked."""
    name = f"addressed-{next(_number)}"
    site.server.root.make_lockable(name)
    return name


def all_that_is_asked(store: Store, site: Site, bucket: str) -> dict[str, Callable[[], object]]:
    """Everything of the port, once: the library's requests and those of our own."""

    def sweep() -> None:
        site.server.root.begin_upload(bucket, KEY)
        time.sleep(0.6)
        assert store.sweep(FOLDER) == 1

    def put() -> None:
        assert store.put(KEY, blocks(12)).locked_until is not None  # a request of our own

    def delete_many() -> None:
        assert store.delete_many([f"{FOLDER}/{number}" for number in range(3)]) == {}

    return {
        "put": put,
        "create": lambda: store.create(f"{KEY}.json", b"{}"),
        "head": lambda: store.head(KEY),
        "get": lambda: read(store, KEY),
        "list": lambda: list(store.list(FOLDER)),
        "sweep": sweep,
        "delete": lambda: store.delete(f"{FOLDER}/0"),
        "delete_many": delete_many,
        "describe": store.describe,
    }


@pytest.mark.parametrize("path_style", [False, True])
def test_every_request_is_addressed_and_signed_so(site: Site, lockable: str, path_style: bool) -> None:
    """In the host's name, or in the path where that is asked for; by a private CA's TLS; for the region."""
    site.proxy.asked.clear()
    store = site.opened(lockable, path_style=path_style, lock_mode=LockMode.GOVERNANCE, lock_days=1)
    for number in range(3):
        site.server.root.put(lockable, f"{FOLDER}/{number}", b"x")
    for act in all_that_is_asked(store, site, lockable).values():
        act()
    assert read(store, KEY) == b"".join(blocks(12))
    assert [stored.key for stored in store.list(FOLDER)] == [KEY, f"{KEY}.json"]
    assert store.describe().lock is True
    expected = site.host if path_style else f"{lockable}.{site.host}"
    assert {asked for _, asked in site.proxy.asked} == {expected}


def test_a_name_with_dots_is_in_the_path(site: Site) -> None:
    """No certificate fits it in the host's name."""
    site.server.root.make_bucket("with.dots")
    site.proxy.asked.clear()
    store = site.opened("with.dots")
    store.create(KEY, b"body")
    assert store.sweep(FOLDER) == 0
    assert {asked for _, asked in site.proxy.asked} == {site.host}


@pytest.mark.parametrize("path_style", [False, True])
def test_the_region_of_the_secret_counts(site: Site, lockable: str, path_style: bool) -> None:
    """Where the document does not say one."""
    settings = StoreSettings(
        provider="s3",
        bucket=lockable,
        endpoint=f"https://{site.host}",
        proxy=site.proxy.url,
        path_style=path_style,
    )
    secret = {**s3_credentials(site.server), "caCert": site.ca, "region": REGION}
    store = open_store(settings, secret)
    store.create(KEY, b"body")
    assert store.sweep(FOLDER) == 0


@pytest.mark.parametrize("path_style", [False, True])
def test_another_region(site: Site, lockable: str, path_style: bool) -> None:
    """Each request that may say why tells that the region is wrong, and which is right."""
    store = site.opened(lockable, region="us-east-1", path_style=path_style)
    for name, act in all_that_is_asked(store, site, lockable).items():
        if name == "delete_many":
            assert all(
                isinstance(each, StorageRegionError) for each in store.delete_many(["a", "b"]).values()
            )
            continue
        with pytest.raises(StorageError) as raised:
            act()
        if name != "head":  # an answer to HEAD has no body
            assert isinstance(raised.value, StorageRegionError), (name, raised.value.message)
            assert REGION in raised.value.message


@pytest.mark.parametrize("path_style", [False, True])
def test_an_unknown_ca(site: Site, lockable: str, path_style: bool) -> None:
    """Nothing is asked of a server whose certificate does not verify, by whichever kind of request."""
    store = site.opened(lockable, trusted=False, path_style=path_style)
    for name, act in all_that_is_asked(store, site, lockable).items():
        if name == "delete_many":
            refused = store.delete_many(["a", "b"]).values()
            assert {type(error) for error in refused} == {StorageUntrustedError}
            continue
        with pytest.raises(StorageUntrustedError):
            act()
