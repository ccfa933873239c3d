"""What is special to Google Cloud Storage: each identity, what becomes of refusals, and of broken reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.contracts.asking import KEY, MIB, blocks, keys, read
from tests.harness import build
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.certificates import Authority
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey, GoogleMetadata, TokenExchange, external_account
from tests.harness.gcs_uploads import ResumableService
from tests.harness.http_proxy import FaultyProxy
from tests.harness.process import free_ports

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.stores.gcs import INTERFERING
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import (
    BucketNotFoundError,
    ObjectChangedError,
    StorageDeniedError,
    StorageLoginError,
    StorageUnavailableError,
    StorageUntrustedError,
)
from bao_backup.ports import Store

ACCOUNT = AccountKey()
BY_KEY = {"credentials.json": ACCOUNT.file}
BUCKET = "proxied"
ALWAYS = None


class Proxied(NamedTuple):
    """A server, what stands between it and the store's adapter, and the adapter."""

    server: FakeGcs
    proxy: FaultyProxy
    store: Store


@pytest.fixture(scope="module")
def proxied_server(servers_folder: Path) -> Iterator[tuple[FakeGcs, FaultyProxy]]:
    """A server that knows its proxy's address: it would not answer there otherwise."""
    (port,) = free_ports(1)
    with FaultyProxy(f"http://127.0.0.1:{port}") as proxy:
        binary, folder = build.binary("fake-gcs-server"), servers_folder / "gcs-proxied"
        with FakeGcs(folder, binary, port, f"127.0.0.1:{proxy.port}") as server:
            server.make_bucket(BUCKET)
            yield server, proxy


@pytest.fixture
def proxied(proxied_server: tuple[FakeGcs, FaultyProxy]) -> Iterator[Proxied]:
    """A bucket that is empty, and no faults."""
    server, proxy = proxied_server
    yield Proxied(server, proxy, opened(proxy.url, BY_KEY, BUCKET))
    proxy.set()
    proxy.seen.clear()
    server.empty_bucket(BUCKET)


def opened(url: str, credentials: Mapping[str, str], bucket: str = "bucket", **changes: Any) -> Store:
    """The bucket, asked with little patience."""
    patience = {"max_retries": 2, "retry_timeout": 3, "request_timeout": 5}
    settings = StoreSettings(
        provider="gcs", bucket=bucket, endpoint=url, part_size=5 * MIB, **{**patience, **changes}
    )
    return open_store(settings, credentials)


def acts(store: Store) -> list[Callable[[], object]]:
    """All that can be asked of a store."""
    return [
        lambda: store.put(KEY, blocks(1)),
        lambda: store.create(KEY, b"x"),
        lambda: keys(store),
        lambda: store.head(KEY),
        lambda: next(store.get(KEY)),
        lambda: store.delete(KEY),
    ]


# --- identities: a service by Google's rules keeps what it was shown ---------------------------------


def shown(credentials: Mapping[str, str]) -> set[str]:
    """With what a whole upload came, by our own requests and by the library's."""
    with ResumableService() as service:
        opened(service.url, credentials).put("key", blocks(12))
        assert service.objects["key"] == b"".join(blocks(12))
        assert {"POST", "HEAD"} < {each.partition(" ")[0] for each in service.asked}
        return service.shown


def test_key() -> None:
    """One token that the account has signed serves for all."""
    (header,) = shown(BY_KEY)
    assert ACCOUNT.claims(header.removeprefix("Bearer "))["exp"] > time.time() + 3000


def test_key_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of Google's variable counts where there is no Secret."""
    (tmp_path / "key.json").write_text(ACCOUNT.file)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    assert len(shown({})) == 1


def test_workload_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """On GKE the metadata service is asked, once."""
    with GoogleMetadata() as metadata:
        monkeypatch.setenv("GCE_METADATA_HOST", metadata.host)
        assert shown({}) == {"Bearer ya29.hush-1"}
        assert len(metadata.asked) == 1


@pytest.mark.parametrize(("account", "token"), [(False, "ya29.hush-federated"), (True, "ya29.hush-account")])
def test_federation(authority: Authority, tmp_path: Path, account: bool, token: str) -> None:
    """Anywhere else a token that Google trusts is exchanged, and a service account taken on."""
    (tmp_path / "token").write_text("of.pod")
    ca = authority.ca_file.read_text()
    with TokenExchange(authority.server_context("sts"), lambda token: token == "of.pod") as exchange:
        given = external_account(exchange.url, str(tmp_path / "token"), account=account)
        assert shown({"credentials.json": given, "caCert": ca}) == {f"Bearer {token}"}
        assert len(exchange.asked) == 1 + account


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_SKIP_SIGNATURE", "true"),
        ("GOOGLE_BUCKET", "another"),
        ("GOOGLE_BASE_URL", "http://127.0.0.1:9"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere"),
    ],
)
def test_variables_of_the_library(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library would read from the environment changes nothing."""
    monkeypatch.setenv(name, value)
    (header,) = shown(BY_KEY)
    assert ACCOUNT.claims(header.removeprefix("Bearer "))


@pytest.mark.parametrize("name", INTERFERING)
def test_variables_that_interfere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept from it is refused, by its name alone."""
    monkeypatch.setenv(name, "hush")
    with pytest.raises(ConfigurationError, match=f"{name} is set") as raised:
        opened("http://127.0.0.1:9", BY_KEY)
    assert "hush" not in raised.value.message


def test_tls(authority: Authority) -> None:
    """A private CA is trusted when it is given, and only then, unless verification is switched off."""
    with ResumableService(context=authority.server_context("gcs")) as service:
        opened(service.url, {**BY_KEY, "caCert": authority.ca_file.read_text()}).put("key", blocks(6))
        opened(service.url, BY_KEY, insecure_skip_verify=True).put("key", blocks(6))
        for act in acts(opened(service.url, BY_KEY)):
            with pytest.raises(StorageUntrustedError):
                act()


def test_renewed_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that ends is replaced by the next in the middle of an upload, without a restart."""

    def source() -> Iterator[bytes]:
        yield from blocks(11)
        time.sleep(3.2)  # a quarter of its life is left
        yield from blocks(12, seed=8)

    with GoogleMetadata(4, 3599) as metadata, ResumableService() as service:
        monkeypatch.setenv("GCE_METADATA_HOST", metadata.host)
        opened(service.url, {}).put("key", source())
        assert service.objects["key"] == b"".join([*blocks(11), *blocks(12, seed=8)])
        assert service.shown == {"Bearer ya29.hush-1", "Bearer ya29.hush-2"}


def test_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has none, too: a login that failed, and what to give is said."""
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    with ResumableService() as service:
        for act in acts(opened(service.url, {})):
            with pytest.raises(StorageLoginError, match="no credentials were found") as raised:
                act()
            assert "credentials.json" in raised.value.hint
        assert service.asked == []


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.servers
def test_wrong_bucket(fake_gcs: FakeGcs) -> None:
    """A bucket that is not there is said to be missing, and is not made.

    fake-gcs-server answers the XML API's listing of it with 500, and its reading as that of a missing
    object: so uploads alone are looked at.
    """
    store = opened(fake_gcs.url, BY_KEY, "missing")
    for act in acts(store)[:2]:
        with pytest.raises(BucketNotFoundError):
            act()
    assert "missing" not in str(fake_gcs.ask("GET", "/storage/v1/b?project=test").json())


@pytest.mark.servers
@pytest.mark.parametrize(
    ("status", "code", "type_"),
    [
        (401, "AuthenticationRequired", StorageLoginError),
        (403, "AccessDenied", StorageDeniedError),
        (404, "NoSuchBucket", BucketNotFoundError),
        (429, "SlowDown", StorageUnavailableError),
        (503, "ServiceUnavailable", StorageUnavailableError),
    ],
)
def test_refused(proxied: Proxied, status: int, code: str, type_: type[StorageError]) -> None:
    """What the service refuses is the same for all that is asked of it; no token is shown."""
    proxied.proxy.set(CallFault(CallFaultKind.ANSWER, times=ALWAYS, status=status, code=code))
    for number, act in enumerate(acts(proxied.store)):
        # The answer to a HEAD has no body, so that of a missing bucket looks like that of an object.
        if (code, number) == ("NoSuchBucket", 3):
            continue
        with pytest.raises(type_) as raised:
            act()
        said = f"{raised.value!r} {raised.value.message} {raised.value.details} {raised.value.__cause__!r}"
        assert "eyJ" not in said


# --- on the way ------------------------------------------------------------------------------------


@pytest.mark.servers
@pytest.mark.parametrize("kind", [CallFaultKind.RESET, CallFaultKind.CLOSE])
def test_get_resumes(proxied: Proxied, kind: CallFaultKind) -> None:
    """A read that breaks off goes on where it was."""
    proxied.store.put(KEY, blocks(40))
    proxied.proxy.set(CallFault(kind, Call.GET, times=2, at=0.4))
    assert read(proxied.store) == b"".join(blocks(40))
    assert proxied.proxy.count(Call.GET) > 2


@pytest.mark.servers
def test_get_replaced(proxied: Proxied) -> None:
    """A read that breaks off is never finished with another object's bytes."""
    proxied.store.put(KEY, blocks(40, seed=1))
    proxied.proxy.set(CallFault(CallFaultKind.STALL, Call.GET, at=0.5))
    chunks = proxied.store.get(KEY)
    first = next(chunks)
    proxied.server.put(BUCKET, KEY, b"".join(blocks(40, seed=2)))
    with pytest.raises(ObjectChangedError):
        b"".join(chunks)
    assert first == b"".join(blocks(40, seed=1))[: len(first)]


@pytest.mark.servers
def test_single_errors(proxied: Proxied) -> None:
    """One answer that it is busy is only a call made again."""
    proxied.store.create(KEY, b"body")
    for call, act in (
        (Call.GET, lambda: read(proxied.store)),
        (Call.HEAD, lambda: proxied.store.head(KEY)),
        (Call.LIST, lambda: keys(proxied.store)),
        (Call.DELETE, lambda: proxied.store.delete(KEY)),
    ):
        proxied.proxy.set(CallFault(CallFaultKind.ANSWER, call, status=503, code="ServiceUnavailable"))
        act()
        assert proxied.proxy.reached.is_set()


@pytest.mark.servers
def test_create_with_a_lost_answer(proxied: Proxied) -> None:
    """An upload at once whose answer is lost is made again, and finds its own object."""
    proxied.proxy.set(CallFault(CallFaultKind.LOSE, nth=1))
    with pytest.raises(StorageError, match="there is one already"):
        proxied.store.create(KEY, b"body")
    assert read(proxied.store) == b"body"
