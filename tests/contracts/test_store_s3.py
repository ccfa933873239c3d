"""What is special to S3: parts, requests at once, the store's failures, rights, and TLS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from tests.contracts.asking import KEY, MIB, blocks, keys, read
from tests.contracts.stores import s3_credentials
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio
from tests.harness.process import wait_until

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import (
    BucketNotFoundError,
    ObjectChangedError,
    ObjectExistsError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageLoginError,
    StorageUnavailableError,
    StorageUnreachableError,
    StorageUntrustedError,
)
from bao_backup.core.storage import StoreSettings
from bao_backup.ports import Store

pytestmark = pytest.mark.servers


@pytest.fixture
def proxy(minio: Minio) -> Iterator[FaultyProxy]:
    """What stands between the store's adapter and MinIO."""
    with FaultyProxy(minio.url) as proxy:
        yield proxy


@pytest.fixture
def settings(proxy: FaultyProxy, bucket: str) -> StoreSettings:
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
def store(settings: StoreSettings, minio: Minio) -> Store:
    """The adapter, opened."""
    return open_store(settings, s3_credentials(minio))


# --- how it uploads ----------------------------------------------------------------------------


@pytest.mark.parametrize("part_size", [5 * MIB, 8 * MIB])
def test_parts(settings: StoreSettings, minio: Minio, part_size: int) -> None:
    """Parts have the size that was asked for: the etag ends with how many there were."""
    store = open_store(msgspec.structs.replace(settings, part_size=part_size), s3_credentials(minio))
    etag = store.put(KEY, blocks(33, 700_000)).etag
    parts = -(-33 * 700_000 // part_size)
    assert etag is not None
    assert etag.strip('"').endswith(f"-{parts}")


@pytest.mark.parametrize("concurrency", [1, 4])
def test_concurrency(settings: StoreSettings, proxy: FaultyProxy, minio: Minio, concurrency: int) -> None:
    """As many parts are under way at once as was asked for, and no more."""
    store = open_store(msgspec.structs.replace(settings, concurrency=concurrency), s3_credentials(minio))
    proxy.set(CallFault(CallFaultKind.HOLD, Call.PART, times=None))
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(store.put, KEY, blocks(45))
        wait_until("parts are under way", lambda: proxy.count(Call.PART) == concurrency, seconds=10)
        time.sleep(0.3)  # more would come now
        assert proxy.count(Call.PART) == concurrency
        proxy.release()
        upload.result()
    assert proxy.count(Call.PART) == 9


def test_rights(proxy: FaultyProxy, minio: Minio, bucket: str, settings: StoreSettings) -> None:
    """A user who may put, get, list, delete and abort can do all, and no bucket is ever created."""
    rights = ["PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload"]
    lists = ["ListBucket", "ListBucketMultipartUploads", "ListMultipartUploadParts"]
    user = minio.add_user("writer", "secret-of-writer", [f"s3:{right}" for right in rights + lists], [bucket])
    store = open_store(
        settings, {"AWS_ACCESS_KEY_ID": user.keys.access_key, "AWS_SECRET_ACCESS_KEY": user.keys.secret_key}
    )
    store.put(KEY, blocks(6))
    store.create(f"{KEY}.json", b"{}")
    assert len(read(store)) == 6 * MIB
    assert keys(store, "backups") == [KEY, f"{KEY}.json"]
    store.sweep("backups")
    store.delete(KEY)
    assert proxy.count(Call.OTHER) == 0


def test_delete_denied(minio: Minio, bucket: str, settings: StoreSettings) -> None:
    """A delete that is not allowed is said to be so."""
    user = minio.add_user("keeper", "secret-of-keeper", ["s3:PutObject"], [bucket])
    store = open_store(
        settings, {"accessKeyId": user.keys.access_key, "secretAccessKey": user.keys.secret_key}
    )
    store.put(KEY, blocks(1))
    refused: list[Callable[[], object]] = [
        lambda: store.delete(KEY),
        lambda: keys(store),
        lambda: store.head(KEY),
        lambda: store.sweep(""),
    ]
    for act in refused:
        with pytest.raises(StorageDeniedError):
            act()


# --- when it fails -----------------------------------------------------------------------------


class Watched:
    """A source that tells whether it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def blocks(self) -> Iterator[bytes]:
        """Twenty blocks."""
        try:
            yield from blocks(20)
        finally:
            self.closed.set()


ALWAYS = None
FAILURES = [
    (Call.INITIATE, 403, "AccessDenied", StorageDeniedError),
    (Call.INITIATE, 403, "InvalidAccessKeyId", StorageLoginError),
    (Call.INITIATE, 404, "NoSuchBucket", BucketNotFoundError),
    (Call.PART, 500, "InternalError", StorageUnavailableError),
    (Call.PART, 503, "SlowDown", StorageUnavailableError),
    (Call.PART, 403, "ExpiredToken", StorageLoginError),
    (Call.PART, 507, "XMinioStorageFull", StorageFullError),
    (Call.COMPLETE, 500, "InternalError", StorageUnavailableError),
    (Call.COMPLETE, 503, "ServiceUnavailable", StorageUnavailableError),
    (Call.COMPLETE, 403, "AccessDenied", StorageDeniedError),
]


@pytest.mark.parametrize(("call", "status", "code", "error"), FAILURES)
def test_put_fails(
    store: Store,
    proxy: FaultyProxy,
    minio: Minio,
    bucket: str,
    call: Call,
    status: int,
    code: str,
    error: type[StorageError],
) -> None:
    """A store that refuses at any step: the right error, soon, and nothing left; the source is closed."""
    proxy.set(CallFault(CallFaultKind.ANSWER, call, nth=1, times=ALWAYS, status=status, code=code))
    source = Watched()
    begun = time.monotonic()
    with pytest.raises(error) as raised:
        store.put(KEY, source.blocks())
    assert time.monotonic() - begun < 10
    assert source.closed.is_set()
    assert code in raised.value.why
    assert minio.root.keys_in(bucket) == []
    assert minio.root.uploads(bucket) == []
    proxy.set()
    store.put(KEY, blocks(6))
    assert len(read(store)) == 6 * MIB


@pytest.mark.parametrize(
    ("kind", "error"),
    [(CallFaultKind.DROP, StorageError), (CallFaultKind.HOLD, StorageUnavailableError)],
)
def test_part_lost(
    store: Store,
    proxy: FaultyProxy,
    minio: Minio,
    bucket: str,
    kind: CallFaultKind,
    error: type[StorageError],
) -> None:
    """Parts that break or hang for good end in an error that may be tried again, with nothing left."""
    proxy.set(CallFault(kind, Call.PART, nth=2, times=ALWAYS))
    with pytest.raises(error) as raised:
        store.put(KEY, blocks(20))
    assert raised.value.transient
    assert minio.root.keys_in(bucket) == []
    assert minio.root.uploads(bucket) == []


@pytest.mark.parametrize("call", [Call.INITIATE, Call.PART, Call.COMPLETE])
def test_put_recovers(store: Store, proxy: FaultyProxy, call: Call) -> None:
    """One bad answer at any step harms nothing."""
    proxy.set(CallFault(CallFaultKind.ANSWER, call, status=503, code="SlowDown"))
    store.put(KEY, blocks(11))
    assert read(store) == b"".join(blocks(11))


def test_store_gone(store: Store, minio: Minio, bucket: str) -> None:
    """A store that is killed in mid-upload: nothing visible, and it works when the store is back."""

    def source() -> Iterator[bytes]:
        yield from blocks(8)
        minio.kill()
        yield from blocks(12)

    with pytest.raises((StorageUnreachableError, StorageUnavailableError)) as raised:
        store.put(KEY, source())
    assert raised.value.transient
    minio.start()
    assert minio.root.keys_in(bucket) == []
    store.put(KEY, blocks(6))
    assert read(store) == b"".join(blocks(6))


@pytest.mark.parametrize("lost", [CallFaultKind.LOSE, CallFaultKind.DROP])
def test_create_lost(
    store: Store, proxy: FaultyProxy, minio: Minio, bucket: str, lost: CallFaultKind
) -> None:
    """When an answer is lost, the object is there or not, and the error does not claim the opposite."""
    proxy.set(CallFault(lost, Call.PUT, times=ALWAYS))
    with pytest.raises(StorageError) as raised:
        store.create(KEY, b"body")
    there = minio.root.keys_in(bucket) == [KEY]
    assert there == (lost is CallFaultKind.LOSE)
    assert there or not isinstance(raised.value, ObjectExistsError)


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CallFaultKind.RESET, CallFaultKind.CLOSE, CallFaultKind.STALL])
def test_get_resumes(store: Store, proxy: FaultyProxy, kind: CallFaultKind) -> None:
    """A read that breaks off or stalls goes on where it was, over and over while it makes progress."""
    store.put(KEY, blocks(40))
    proxy.set(CallFault(kind, Call.GET, times=5, at=0.4))
    assert read(store) == b"".join(blocks(40))
    assert proxy.count(Call.GET) > 2


def test_get_gives_up(settings: StoreSettings, proxy: FaultyProxy, minio: Minio) -> None:
    """A read that makes no progress any more ends with an error."""
    store = open_store(msgspec.structs.replace(settings, max_retries=0), s3_credentials(minio))
    store.put(KEY, blocks(10))
    chunks = store.get(KEY)
    proxy.set(
        CallFault(CallFaultKind.RESET, Call.GET, at=0.5),
        CallFault(CallFaultKind.ANSWER, Call.GET, nth=2, times=ALWAYS, status=503, code="SlowDown"),
    )
    with pytest.raises(StorageUnavailableError):
        b"".join(chunks)


def test_get_replaced(settings: StoreSettings, proxy: FaultyProxy, minio: Minio, bucket: str) -> None:
    """A read that breaks off is never finished with another object's bytes."""
    store = open_store(settings, s3_credentials(minio))
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


def test_wrong_bucket(settings: StoreSettings, minio: Minio) -> None:
    """A bucket that is not there is said to be missing, and is not made."""
    store = open_store(msgspec.structs.replace(settings, bucket="missing"), s3_credentials(minio))
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


def test_no_secrets(settings: StoreSettings, minio: Minio, proxy: FaultyProxy) -> None:
    """No credential gets into an error, whatever the store says."""
    keys_ = minio.root.keys
    echo = f"AccessDenied</Code><AWSAccessKeyId>{keys_.access_key}</AWSAccessKeyId>{keys_.secret_key}<Code>"
    proxy.set(CallFault(CallFaultKind.ANSWER, times=ALWAYS, status=403, code=echo))
    store = open_store(settings, s3_credentials(minio))
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
