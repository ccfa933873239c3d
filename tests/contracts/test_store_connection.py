"""How stores are reached: through a proxy of the target's own, with its time-outs and its patience.

The hosts here do not exist: only a proxy can reach them, so whatever goes past it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from tests.contracts.asking import KEY, MIB, blocks, keys, read
from tests.contracts.stores import s3_credentials
from tests.harness.azurite import ACCOUNT, Azurite
from tests.harness.azurite import KEY as ACCOUNT_KEY
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.forward_proxy import ForwardProxy
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey
from tests.harness.gcs_uploads import Befalls, ResumableService
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio
from tests.harness.process import free_ports

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError, StoredDiffersError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import StorageUnavailableError

FOLDER = KEY.rpartition("/")[0]
ACCOUNT_FILE = {"credentials.json": AccountKey().file}


class Reached(NamedTuple):
    """A store that nobody reaches without a proxy."""

    settings: StoreSettings
    credentials: Mapping[str, str]
    #: Where the server really is.
    server: str


@pytest.fixture(autouse=True)
def nobody_is_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little of the machine's own proxies as can be."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def by_s3(request: pytest.FixtureRequest) -> Reached:
    """MinIO."""
    minio: Minio = request.getfixturevalue("minio")
    settings = StoreSettings(
        provider="s3",
        bucket=request.getfixturevalue("bucket"),
        endpoint=f"http://minio.invalid:{minio.port}",
        path_style=True,
    )
    return Reached(settings, s3_credentials(minio), minio.url)


def by_azure(request: pytest.FixtureRequest) -> Reached:
    """Azurite."""
    azurite: Azurite = request.getfixturevalue("azurite")
    settings = StoreSettings(
        provider="azure",
        account=ACCOUNT,
        bucket=request.getfixturevalue("container"),
        endpoint=f"http://azurite.invalid:{azurite.port}/{ACCOUNT}",
    )
    return Reached(settings, {"accountKey": ACCOUNT_KEY}, azurite.url)


def by_gcs(request: pytest.FixtureRequest) -> Reached:
    """fake-gcs-server, which answers to its own name only: the proxy is asked for that."""
    server: FakeGcs = request.getfixturevalue("fake_gcs")
    settings = StoreSettings(
        provider="gcs", bucket=request.getfixturevalue("gcs_bucket"), endpoint=server.url
    )
    return Reached(settings, ACCOUNT_FILE, server.url)


@pytest.fixture(params=[by_s3, by_azure, by_gcs])
def reached(request: pytest.FixtureRequest) -> Iterator[tuple[Reached, ForwardProxy]]:
    """Each kind of store in turn, and the proxy in front of it."""
    place: Reached = request.param(request)
    with ForwardProxy(place.server) as proxy:
        yield place, proxy


def use_all(settings: StoreSettings, credentials: Mapping[str, str]) -> None:
    """Everything that a store can be asked for, once."""
    store = open_store(settings, credentials)
    store.put(KEY, blocks(6))
    store.create(f"{KEY}.json", b"{}")
    assert store.head(KEY).size == 6 * MIB
    assert len(read(store)) == 6 * MIB
    assert keys(store, FOLDER) == [KEY, f"{KEY}.json"]
    store.sweep(FOLDER)
    store.delete(KEY)
    assert keys(store, FOLDER) == [f"{KEY}.json"]


@pytest.mark.servers
def test_everything_goes_through_the_proxy(reached: tuple[Reached, ForwardProxy]) -> None:
    """The library's requests and our own, plain."""
    place, proxy = reached
    use_all(replace(place.settings, proxy=proxy.url), place.credentials)
    host = place.settings.endpoint.split("/")[2]
    assert {asked for _, asked in proxy.asked} == {host}
    assert {method for method, _ in proxy.asked} >= {"PUT", "GET", "HEAD", "DELETE"}


@pytest.mark.servers
def test_the_environments_proxy_counts_without_one(
    reached: tuple[Reached, ForwardProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other programs have it."""
    place, proxy = reached
    monkeypatch.setenv("http_proxy", proxy.url)
    use_all(place.settings, place.credentials)
    assert len(proxy.asked) > 5


@pytest.mark.servers
@pytest.mark.parametrize("of_the_target", [False, True])
def test_excluded_hosts_are_reached_directly(
    minio: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch, of_the_target: bool
) -> None:
    """NO_PROXY counts for either kind of proxy, here one at which nobody listens."""
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    if not of_the_target:
        monkeypatch.setenv("http_proxy", nowhere)
    settings = StoreSettings(
        provider="s3", bucket=bucket, endpoint=minio.url, proxy=nowhere if of_the_target else ""
    )
    use_all(settings, s3_credentials(minio))


@pytest.mark.servers
def test_tls_goes_through_the_proxy(minio_tls: Minio) -> None:
    """By CONNECT: the proxy sees where to, and nothing else; certificates are verified as without it."""
    minio_tls.root.make_bucket("proxied")
    assert minio_tls.ca_file is not None
    credentials = {**s3_credentials(minio_tls), "caCert": minio_tls.ca_file.read_text()}
    with ForwardProxy(minio_tls.url) as proxy:
        settings = StoreSettings(
            provider="s3", bucket="proxied", endpoint=minio_tls.url, proxy=proxy.url, max_retries=0
        )
        use_all(settings, credentials)
        assert set(proxy.asked) == {("CONNECT", f"127.0.0.1:{minio_tls.port}")}
        with pytest.raises(StorageError):
            use_all(settings, s3_credentials(minio_tls))
    minio_tls.root.remove_bucket("proxied")


# --- what is changed on its way ----------------------------------------------------------------


@pytest.mark.servers
@pytest.mark.parametrize("checksum", ["", "SHA256", "CRC64NVME"])
@pytest.mark.parametrize("size", [1, 6])
def test_s3_refuses_a_part_that_was_changed(minio: Minio, bucket: str, checksum: str, size: int) -> None:
    """One bit on the way from us: by the signature, which has the part's SHA-256, whatever else is set."""
    with ForwardProxy(minio.url) as proxy:
        proxy.spoils = True
        settings = StoreSettings(
            provider="s3",
            bucket=bucket,
            endpoint=minio.url,
            proxy=proxy.url,
            checksum=checksum,
            max_retries=1,
        )
        with pytest.raises(StorageError) as raised:
            open_store(settings, s3_credentials(minio)).put(KEY, blocks(size))
    assert "SHA256Mismatch" in raised.value.details
    assert minio.root.keys_in(bucket) == []
    assert minio.root.uploads(bucket) == []


@pytest.mark.servers
def test_google_has_another_md5_then(fake_gcs: FakeGcs, gcs_bucket: str) -> None:
    """The store says the MD5 of what came in, which is not that of what was sent: it does not stay."""
    with ForwardProxy(fake_gcs.url) as proxy:
        proxy.spoils = True
        settings = StoreSettings(provider="gcs", bucket=gcs_bucket, endpoint=fake_gcs.url, proxy=proxy.url)
        with pytest.raises(StoredDiffersError):
            open_store(settings, ACCOUNT_FILE).put(KEY, blocks(6))
    assert fake_gcs.keys_in(gcs_bucket) == []


# --- patience ----------------------------------------------------------------------------------


@pytest.mark.servers
@pytest.mark.parametrize("retries", [0, 2])
def test_the_library_repeats_so_often(
    s3_settings: StoreSettings, minio: Minio, proxy: FaultyProxy, retries: int
) -> None:
    """A request that the store cannot serve is made once, and again as often as is said."""
    store = open_store(replace(s3_settings, max_retries=retries, retry_timeout=30), s3_credentials(minio))
    proxy.set(CallFault(CallFaultKind.ANSWER, Call.HEAD, times=None, status=503, code="SlowDown"))
    with pytest.raises(StorageUnavailableError):
        store.head(KEY)
    assert proxy.count(Call.HEAD) == retries + 1


@pytest.mark.parametrize("retries", [0, 2])
def test_our_own_requests_are_repeated_so_often(retries: int) -> None:
    """By the same setting."""
    with ResumableService(*[Befalls.BUSY] * 20) as service:
        settings = StoreSettings(
            provider="gcs", bucket="bucket", endpoint=service.url, max_retries=retries, retry_timeout=30
        )
        with pytest.raises(StorageUnavailableError):
            open_store(settings, ACCOUNT_FILE).put(KEY, blocks(1))
        assert sum(asked.startswith("PUT bytes 0-") for asked in service.asked) == retries + 1


@pytest.mark.servers
def test_a_request_takes_no_longer_than_its_time_out(
    s3_settings: StoreSettings, minio: Minio, proxy: FaultyProxy
) -> None:
    """Held for ever, it ends by itself, a part with its body, too."""
    settings = replace(s3_settings, max_retries=0, request_timeout=0.5)
    store = open_store(settings, s3_credentials(minio))
    acts: list[tuple[Call, Callable[[], object]]] = [
        (Call.HEAD, lambda: store.head(KEY)),
        (Call.PART, lambda: store.put(KEY, blocks(11))),
    ]
    for call, act in acts:
        proxy.set(CallFault(CallFaultKind.HOLD, call, times=None))
        with pytest.raises(StorageUnavailableError):
            act()
        proxy.release()
