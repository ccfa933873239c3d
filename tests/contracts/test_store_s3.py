"""What is special to S3: parts, requests at once, rights, and a store that fails."""

from __future__ import annotations

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
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import (
    BucketNotFoundError,
    ObjectExistsError,
    StorageDeniedError,
    StorageFullError,
    StorageLoginError,
    StorageUnavailableError,
    StorageUnreachableError,
)
from bao_backup.ports import Store

pytestmark = pytest.mark.servers

#: For a fault's `times`.
ALWAYS = None
FOLDER = KEY.rpartition("/")[0]


# --- how it uploads ----------------------------------------------------------------------------


@pytest.mark.parametrize("part_size", [5 * MIB, 8 * MIB])
def test_parts(s3_settings: StoreSettings, minio: Minio, part_size: int) -> None:
    """Parts have the size that was asked for: the etag ends with how many there were."""
    store = open_store(msgspec.structs.replace(s3_settings, part_size=part_size), s3_credentials(minio))
    etag = store.put(KEY, blocks(33, 700_000)).etag
    parts = -(-33 * 700_000 // part_size)
    assert etag is not None
    assert etag.strip('"').endswith(f"-{parts}")


@pytest.mark.parametrize("concurrency", [1, 4])
def test_concurrency(s3_settings: StoreSettings, proxy: FaultyProxy, minio: Minio, concurrency: int) -> None:
    """As many parts are under way at once as was asked for, and no more."""
    store = open_store(msgspec.structs.replace(s3_settings, concurrency=concurrency), s3_credentials(minio))
    proxy.set(CallFault(CallFaultKind.HOLD, Call.PART, times=None))
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(store.put, KEY, blocks(44))
        wait_until("parts are under way", lambda: proxy.count(Call.PART) == concurrency, seconds=10)
        time.sleep(0.3)  # more would come now
        assert proxy.count(Call.PART) == concurrency
        proxy.release()
        upload.result()
    assert proxy.count(Call.PART) == 9


def test_rights(proxy: FaultyProxy, minio: Minio, bucket: str, s3_settings: StoreSettings) -> None:
    """A user who may put, get, list, delete and abort can do all, and no bucket is ever created."""
    rights = ["PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload"]
    lists = ["ListBucket", "ListBucketMultipartUploads", "ListMultipartUploadParts"]
    user = minio.add_user("writer", "secret-of-writer", [f"s3:{right}" for right in rights + lists], [bucket])
    store = open_store(
        s3_settings,
        {"AWS_ACCESS_KEY_ID": user.keys.access_key, "AWS_SECRET_ACCESS_KEY": user.keys.secret_key},
    )
    store.put(KEY, blocks(6))
    store.create(f"{KEY}.json", b"{}")
    assert len(read(store)) == 6 * MIB
    assert keys(store, "backups") == [KEY, f"{KEY}.json"]
    store.sweep("backups")
    store.delete(KEY)
    assert proxy.count(Call.OTHER) == 0


def test_sweep_slow(s3_settings: StoreSettings, minio: Minio, bucket: str) -> None:
    """An upload that was begun long ago but got a part since is alive; without more it dies."""
    store = open_store(msgspec.structs.replace(s3_settings, dead_after=1.5), s3_credentials(minio))
    upload = minio.root.begin_upload(bucket, KEY)
    time.sleep(1.6)
    minio.root.ask("PUT", f"/{bucket}/{KEY}", {"partNumber": "1", "uploadId": upload.upload_id}, b"x" * 10)
    assert store.sweep(FOLDER) == 0
    time.sleep(1.6)
    assert store.sweep(FOLDER) == 1
    assert minio.root.uploads(bucket) == []


def test_sweep_leaves_what_is_not_ours(s3_settings: StoreSettings, minio: Minio, bucket: str) -> None:
    """Only uploads of backups and receipts in the cluster's own folder are aborted, not others."""
    foreign = [
        f"{FOLDER}/somebody-elses-database.tar",
        f"{FOLDER}/{KEY.rpartition('/')[2]}.old",
        f"{FOLDER}/deeper/{KEY.rpartition('/')[2]}",
        f"{FOLDER}-2/{KEY.rpartition('/')[2]}",
    ]
    for key in (*foreign, KEY, f"{KEY}.json"):
        minio.root.begin_upload(bucket, key)
    time.sleep(0.6)
    store = open_store(msgspec.structs.replace(s3_settings, dead_after=0.5), s3_credentials(minio))
    assert store.sweep(FOLDER) == 2
    assert sorted(upload.key for upload in minio.root.uploads(bucket)) == sorted(foreign)


def test_class_and_tags(s3_settings: StoreSettings, minio: Minio, bucket: str) -> None:
    """The storage class and the tags that were asked for are those of every object."""
    settings = msgspec.structs.replace(
        s3_settings, storage_class="REDUCED_REDUNDANCY", tags={"team": "vault + co/1"}
    )
    store = open_store(settings, s3_credentials(minio))
    store.put(KEY, blocks(6))
    store.create(f"{KEY}.json", b"{}")
    listing = minio.root.ask("GET", f"/{bucket}", {"list-type": "2"}).body
    assert listing.count(b"<StorageClass>REDUCED_REDUNDANCY<") == 2
    for key in keys(store):
        tags = minio.root.ask("GET", f"/{bucket}/{key}", {"tagging": ""}).body
        assert b"<Key>team</Key><Value>vault + co/1</Value>" in tags


def test_delete_denied(minio: Minio, bucket: str, s3_settings: StoreSettings) -> None:
    """A delete that is not allowed is said to be so."""
    user = minio.add_user("keeper", "secret-of-keeper", ["s3:PutObject"], [bucket])
    store = open_store(
        s3_settings, {"accessKeyId": user.keys.access_key, "secretAccessKey": user.keys.secret_key}
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
    """A source of twenty blocks that tells whether it was closed."""

    def __init__(self) -> None:
        self._blocks = blocks(20)
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)

    def close(self) -> None:
        """As a generator's."""
        self.closed = True


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
    s3_store: Store,
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
        s3_store.put(KEY, source)
    assert time.monotonic() - begun < 10
    assert source.closed
    assert code in raised.value.why
    assert minio.root.keys_in(bucket) == []
    assert minio.root.uploads(bucket) == []
    proxy.set()
    s3_store.put(KEY, blocks(6))
    assert len(read(s3_store)) == 6 * MIB


@pytest.mark.parametrize(
    ("kind", "error"),
    [(CallFaultKind.DROP, StorageError), (CallFaultKind.HOLD, StorageUnavailableError)],
)
def test_part_lost(
    s3_store: Store,
    proxy: FaultyProxy,
    minio: Minio,
    bucket: str,
    kind: CallFaultKind,
    error: type[StorageError],
) -> None:
    """Parts that break or hang for good end in an error that may be tried again, with nothing left."""
    proxy.set(CallFault(kind, Call.PART, nth=2, times=ALWAYS))
    with pytest.raises(error) as raised:
        s3_store.put(KEY, blocks(20))
    assert raised.value.transient
    assert minio.root.keys_in(bucket) == []
    assert minio.root.uploads(bucket) == []


@pytest.mark.parametrize("call", [Call.INITIATE, Call.PART, Call.COMPLETE])
def test_put_recovers(s3_store: Store, proxy: FaultyProxy, call: Call) -> None:
    """One bad answer at any step harms nothing."""
    proxy.set(CallFault(CallFaultKind.ANSWER, call, status=503, code="SlowDown"))
    s3_store.put(KEY, blocks(11))
    assert read(s3_store) == b"".join(blocks(11))


def test_store_gone(s3_store: Store, minio: Minio, bucket: str) -> None:
    """A store that is killed in mid-upload: nothing visible, and it works when the store is back."""

    def source() -> Iterator[bytes]:
        yield from blocks(8)
        minio.kill()
        yield from blocks(12)

    with pytest.raises((StorageUnreachableError, StorageUnavailableError)) as raised:
        s3_store.put(KEY, source())
    assert raised.value.transient
    minio.start()
    assert minio.root.keys_in(bucket) == []
    s3_store.put(KEY, blocks(6))
    assert read(s3_store) == b"".join(blocks(6))


@pytest.mark.parametrize("lost", [CallFaultKind.LOSE, CallFaultKind.DROP])
def test_create_lost(
    s3_store: Store, proxy: FaultyProxy, minio: Minio, bucket: str, lost: CallFaultKind
) -> None:
    """When an answer is lost, the object is there or not, and the error does not claim the opposite."""
    proxy.set(CallFault(lost, Call.PUT, times=ALWAYS))
    with pytest.raises(StorageError) as raised:
        s3_store.create(KEY, b"body")
    there = minio.root.keys_in(bucket) == [KEY]
    assert there == (lost is CallFaultKind.LOSE)
    assert there or not isinstance(raised.value, ObjectExistsError)
