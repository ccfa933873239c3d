"""What is special to S3 when it is read, and on the way to it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from tests.contracts.asking import KEY, MIB, blocks, keys, read
from tests.contracts.stores import s3_credentials
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import (
    BucketNotFoundError,
    ObjectChangedError,
    StorageUnavailableError,
    StorageUntrustedError,
)
from bao_backup.ports import Store

pytestmark = pytest.mark.servers

ALWAYS = None


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CallFaultKind.RESET, CallFaultKind.CLOSE, CallFaultKind.STALL])
def test_get_resumes(s3_store: Store, proxy: FaultyProxy, kind: CallFaultKind) -> None:
    """A read that breaks off or stalls goes on where it was, over and over while it makes progress."""
    s3_store.put(KEY, blocks(40))
    proxy.set(CallFault(kind, Call.GET, times=2, at=0.4))
    assert read(s3_store) == b"".join(blocks(40))
    assert proxy.count(Call.GET) > 2


def test_get_gives_up(s3_settings: StoreSettings, proxy: FaultyProxy, minio: Minio) -> None:
    """A read that makes no progress any more ends with an error."""
    store = open_store(msgspec.structs.replace(s3_settings, max_retries=0), s3_credentials(minio))
    store.put(KEY, blocks(10))
    chunks = store.get(KEY)
    proxy.set(
        CallFault(CallFaultKind.RESET, Call.GET, at=0.5),
        CallFault(CallFaultKind.ANSWER, Call.GET, nth=2, times=ALWAYS, status=503, code="SlowDown"),
    )
    with pytest.raises(StorageUnavailableError):
        b"".join(chunks)


def test_get_replaced(s3_settings: StoreSettings, proxy: FaultyProxy, minio: Minio, bucket: str) -> None:
    """A read that breaks off is never finished with another object's bytes."""
    store = open_store(s3_settings, s3_credentials(minio))
    store.put(KEY, blocks(40, seed=1))
    proxy.set(CallFault(CallFaultKind.STALL, Call.GET, at=0.5))
    chunks = store.get(KEY)
    first = next(chunks)
    minio.root.put(bucket, KEY, b"".join(blocks(40, seed=2)))
    with pytest.raises(ObjectChangedError):
        b"".join(chunks)
    assert first == b"".join(blocks(40, seed=1))[: len(first)]


# --- reaching it -------------------------------------------------------------------------------


def test_tls(minio_tls: Minio) -> None:
    """A private CA is trusted when it is given, and only then, unless verification is switched off."""
    assert minio_tls.ca_file is not None
    settings = StoreSettings(
        provider="s3", bucket="tls-bucket", endpoint=minio_tls.url, max_retries=1, retry_timeout=2
    )
    credentials = s3_credentials(minio_tls)
    minio_tls.root.make_bucket("tls-bucket")
    authority = {"caCert": minio_tls.ca_file.read_text()}
    trusting = open_store(settings, credentials | authority)
    trusting.put(KEY, blocks(6))
    assert trusting.sweep("") == 0
    blind = open_store(msgspec.structs.replace(settings, insecure_skip_verify=True), credentials)
    assert len(read(blind)) == 6 * MIB
    assert blind.sweep("") == 0
    with pytest.raises(StorageUntrustedError):
        open_store(settings, credentials).put(KEY, blocks(1))
    with pytest.raises(StorageError):
        open_store(settings, credentials).sweep("")


def test_wrong_bucket(s3_settings: StoreSettings, minio: Minio) -> None:
    """A bucket that is not there is said to be missing, and is not made."""
    store = open_store(msgspec.structs.replace(s3_settings, bucket="missing"), s3_credentials(minio))
    acts: list[Callable[[], object]] = [
        lambda: store.put(KEY, blocks(1)),
        lambda: store.create(KEY, b"x"),
        lambda: keys(store),
        lambda: next(store.get(KEY)),
        lambda: store.sweep(""),
    ]
    for act in acts:
        with pytest.raises(BucketNotFoundError):
            act()
    assert minio.root.request("GET", "/missing").status == 404


def test_no_secrets(s3_settings: StoreSettings, minio: Minio, proxy: FaultyProxy) -> None:
    """No credential gets into an error, whatever the store says."""
    keys_ = minio.root.keys
    echo = f"AccessDenied</Code><AWSAccessKeyId>{keys_.access_key}</AWSAccessKeyId>{keys_.secret_key}<Code>"
    proxy.set(CallFault(CallFaultKind.ANSWER, times=ALWAYS, status=403, code=echo))
    store = open_store(s3_settings, s3_credentials(minio))
    acts: list[Callable[[], object]] = [
        lambda: store.put(KEY, blocks(1)),
        lambda: store.create(KEY, b"x"),
        lambda: keys(store),
        lambda: store.head(KEY),
        lambda: next(store.get(KEY)),
        lambda: store.delete(KEY),
        lambda: store.sweep(""),
    ]
    for act in acts:
        with pytest.raises(StorageError) as raised:
            act()
        said = f"{raised.value!r} {raised.value.message} {raised.value.details} {raised.value.__cause__!r}"
        assert keys_.access_key not in said
        assert keys_.secret_key not in said
