"""What is special to Azure: each identity on Azurite, and what becomes of its refusals."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.asking import KEY as NAME
from tests.contracts.asking import MIB, blocks, keys, read
from tests.harness.azure_identities import CLIENT, SECRET, TENANT, Entra, Machine
from tests.harness.azurite import ACCOUNT, KEY, Azurite
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.certificates import Authority
from tests.harness.http_proxy import FaultyProxy

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError
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

pytestmark = pytest.mark.servers

CONTAINER = "by-identity"
ALWAYS = None


@pytest.fixture
def secure(azurite_tls: Azurite) -> Iterator[Azurite]:
    """Azurite over TLS, with a container."""
    azurite_tls.root.make_container(CONTAINER)
    yield azurite_tls
    azurite_tls.root.remove_container(CONTAINER)


@pytest.fixture
def authorities(secure: Azurite) -> dict[str, str]:
    """A Secret that holds the CA alone."""
    assert secure.ca_file is not None
    return {"caCert": secure.ca_file.read_text()}


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[FaultyProxy]:
    """What stands between the store's adapter and Azurite."""
    with FaultyProxy(azurite.url.removesuffix(f"/{ACCOUNT}")) as proxy:
        yield proxy


@pytest.fixture
def through_proxy(proxy: FaultyProxy, container: str) -> Store:
    """The adapter, opened; few and quick repetitions."""
    return opened(f"{proxy.url}/{ACCOUNT}", {"accountKey": KEY}, container, max_retries=2, retry_timeout=5)


def opened(url: str, credentials: Mapping[str, str], container: str = CONTAINER, **changes: Any) -> Store:
    """The container, asked with little patience."""
    patience = {"max_retries": 1, "retry_timeout": 2, "request_timeout": 5}
    settings = StoreSettings(
        provider="azure",
        account=ACCOUNT,
        bucket=container,
        endpoint=url,
        part_size=5 * MIB,
        concurrency=2,
        **{**patience, **changes},
    )
    return open_store(settings, credentials)


def does_all(store: Store) -> None:
    """What a run does with its store works."""
    store.put(NAME, blocks(12))
    store.create(f"{NAME}.json", b"{}")
    assert read(store) == b"".join(blocks(12))
    assert store.head(NAME).size == 12 * MIB
    assert keys(store, "backups") == [NAME, f"{NAME}.json"]
    store.delete(f"{NAME}.json")
    store.delete(f"{NAME}.json")
    assert keys(store) == [NAME]


def acts(store: Store) -> list[Callable[[], object]]:
    """All that can be asked of a store."""
    return [
        lambda: store.put(NAME, blocks(1)),
        lambda: store.create(NAME, b"x"),
        lambda: keys(store),
        lambda: store.head(NAME),
        lambda: next(store.get(NAME)),
        lambda: store.delete(NAME),
    ]


# --- identities --------------------------------------------------------------------------------


def test_connection_string(secure: Azurite, authorities: dict[str, str]) -> None:
    """It alone is enough: account, endpoint and key are in it."""
    text = f"DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={secure.url};"
    does_all(opened("", authorities | {"connectionString": text}))


def test_shared_access(secure: Azurite, authorities: dict[str, str]) -> None:
    """A signature (SAS), with and without the mark before it."""
    for mark in ("", "?"):
        does_all(opened(secure.url, authorities | {"sasToken": mark + secure.root.shared_access()}))


def test_shared_access_of_a_connection_string(secure: Azurite, authorities: dict[str, str]) -> None:
    """A connection string may hold a signature in the key's place."""
    access = secure.root.shared_access()
    text = f"BlobEndpoint={secure.url};AccountName={ACCOUNT};SharedAccessSignature={access}"
    does_all(opened("", authorities | {"connectionString": text}))


def test_client_secret(
    secure: Azurite, authorities: dict[str, str], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token that the secret is exchanged for does all; it is asked for once."""
    with Entra(authority.server_context("entra")) as entra:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", entra.url)
        application = {"tenantId": TENANT, "clientId": CLIENT, "clientSecret": SECRET}
        does_all(opened(secure.url, authorities | application))
        assert entra.paths == [f"POST {Entra.PATH}"]


def test_workload_identity(
    secure: Azurite,
    authorities: dict[str, str],
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Azure Workload Identity sets in a pod is enough."""
    (tmp_path / "token").write_text("token.of.pod\n")
    with Entra(authority.server_context("entra"), lambda proof: proof == "token.of.pod") as entra:
        variables = {
            "AZURE_AUTHORITY_HOST": entra.url,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        does_all(opened(secure.url, authorities))
        assert len(entra.asked) == 1


def test_managed_identity(
    secure: Azurite, authorities: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anything given the machine is asked."""
    with Machine() as machine:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine.url)
        does_all(opened(secure.url, authorities))
        assert len(machine.asked) == 1


def test_one_of_several_managed_identities(
    secure: Azurite, authorities: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the machine, or of a container (App Service): the Secret says which one, beside a CA and no key."""
    which = authorities | {"clientId": CLIENT}
    with Machine(client=CLIENT) as machine:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine.url)
        does_all(opened(secure.url, which))
        assert len(machine.asked) == 1
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    with Machine("header-of-the-container", client=CLIENT) as service:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{service.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-container")
        does_all(opened(secure.url, which))
        assert len(service.asked) == 1


def test_no_identity(secure: Azurite, authorities: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has none, too: a login that failed, and what to give is said."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    for act in acts(opened(secure.url, authorities)):
        with pytest.raises(StorageLoginError, match="no credentials were found") as raised:
            act()
        assert "accountKey" in raised.value.hint


def test_renewed_token(secure: Azurite, authorities: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that ends is replaced by the next in the middle of an upload, without a restart."""

    def source() -> Iterator[bytes]:
        yield from blocks(11)
        time.sleep(4.2)
        yield from blocks(12, seed=8)

    with Machine(lives=(4, 3600)) as machine:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine.url)
        opened(secure.url, authorities).put(NAME, source())
        assert len(machine.asked) == 2
    assert secure.root.get(CONTAINER, NAME) == b"".join([*blocks(11), *blocks(12, seed=8)])


# --- refusals ----------------------------------------------------------------------------------


def test_wrong_container(azurite: Azurite) -> None:
    """A container that is not there is said to be missing, and is not made."""
    store = opened(azurite.url, {"accountKey": KEY}, "missing")
    for act in (acts(store)[index] for index in (0, 1, 2, 4, 5)):
        with pytest.raises(BucketNotFoundError):
            act()
    assert azurite.root.request("GET", "/missing", {"restype": "container"}).status == 404


def test_wrong_key(azurite: Azurite, container: str) -> None:
    """Another account's key opens nothing; an answer to HEAD cannot say more than that."""
    wrong = base64.b64encode(b"another account's key, as long as the right one is, to the byte..").decode()
    for number, act in enumerate(acts(opened(azurite.url, {"accountKey": wrong}, container))):
        with pytest.raises(StorageDeniedError if number == 3 else StorageLoginError) as raised:
            act()
        assert wrong not in f"{raised.value!r} {raised.value.details}"


def test_may_not(azurite: Azurite, container: str) -> None:
    """What a signature does not allow is denied, and no part of the signature is shown."""
    azurite.root.put(container, NAME, b"body")
    access = azurite.root.shared_access("rl")
    store = opened(azurite.url, {"sasToken": access}, container)
    assert read(store) == b"body"
    for act in (acts(store)[index] for index in (0, 1, 5)):
        with pytest.raises(StorageDeniedError) as raised:
            act()
        said = f"{raised.value!r} {raised.value.message} {raised.value.details} {raised.value.__cause__!r}"
        assert access.partition("sig=")[2] not in said
    assert azurite.root.keys_in(container) == [NAME]


def test_old_signature(azurite: Azurite, container: str) -> None:
    """A signature that has expired opens nothing."""
    access = azurite.root.shared_access(seconds=-60)
    for number, act in enumerate(acts(opened(azurite.url, {"sasToken": access}, container))):
        with pytest.raises(StorageDeniedError if number == 3 else StorageLoginError):
            act()


def test_tls(secure: Azurite, authorities: dict[str, str]) -> None:
    """A private CA is trusted when it is given, and only then, unless verification is switched off."""
    does_all(opened(secure.url, authorities | {"accountKey": KEY}))
    does_all(opened(secure.url, {"accountKey": KEY}, insecure_skip_verify=True))
    for act in acts(opened(secure.url, {"accountKey": KEY})):
        with pytest.raises(StorageUntrustedError):
            act()


# --- on the way --------------------------------------------------------------------------------


def test_single_errors(through_proxy: Store, proxy: FaultyProxy) -> None:
    """One answer that it is busy is only a call made again: in an upload, and in a delete of ours."""
    for call in (Call.PUT, Call.GET, Call.DELETE, Call.HEAD):
        proxy.set(CallFault(CallFaultKind.ANSWER, call, status=503, code="ServerBusy"))
        does_all(through_proxy)
        assert proxy.reached.is_set()
        proxy.set()
        through_proxy.delete(NAME)


def test_busy(through_proxy: Store, proxy: FaultyProxy) -> None:
    """A store that stays busy is given up, and may be tried again later."""
    proxy.set(CallFault(CallFaultKind.ANSWER, times=ALWAYS, status=503, code="ServerBusy"))
    for act in acts(through_proxy):
        with pytest.raises(StorageUnavailableError):
            act()


@pytest.mark.parametrize("kind", [CallFaultKind.RESET, CallFaultKind.CLOSE])
def test_get_resumes(through_proxy: Store, proxy: FaultyProxy, kind: CallFaultKind) -> None:
    """A read that breaks off goes on where it was."""
    through_proxy.put(NAME, blocks(40))
    proxy.set(CallFault(kind, Call.GET, times=2, at=0.4))
    assert read(through_proxy) == b"".join(blocks(40))
    assert proxy.count(Call.GET) > 2


def test_get_replaced(through_proxy: Store, proxy: FaultyProxy, azurite: Azurite, container: str) -> None:
    """A read that breaks off is never finished with another object's bytes."""
    through_proxy.put(NAME, blocks(40, seed=1))
    proxy.set(CallFault(CallFaultKind.STALL, Call.GET, at=0.5))
    chunks = through_proxy.get(NAME)
    first = next(chunks)
    azurite.root.put(container, NAME, b"".join(blocks(40, seed=2)))
    with pytest.raises(ObjectChangedError):
        b"".join(chunks)
    assert first == b"".join(blocks(40, seed=1))[: len(first)]


def test_no_secrets(through_proxy: Store, proxy: FaultyProxy) -> None:
    """No credential gets into an error, whatever the store says."""
    proxy.set(CallFault(CallFaultKind.ANSWER, times=ALWAYS, status=403, code=f"X</Code>{KEY}<Code>"))
    for act in acts(through_proxy):
        with pytest.raises(StorageError) as raised:
            act()
        said = f"{raised.value!r} {raised.value.message} {raised.value.details} {raised.value.__cause__!r}"
        assert KEY not in said
