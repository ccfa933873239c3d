"""Options of a target on S3, each seen in what a real MinIO then has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.contracts.asking import KEY, MIB, blocks, keys, read
from tests.contracts.stores import s3_credentials
from tests.harness import build
from tests.harness.calls import Call, CallFault, CallFaultKind
from tests.harness.http_proxy import FaultyProxy
from tests.harness.minio import Minio
from tests.harness.process import wait_until
from tests.harness.s3 import NAMESPACE

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.store_options import LockMode
from bao_backup.ports import Store

pytestmark = pytest.mark.servers

RECEIPT = f"{KEY}.json"
KMS_KEY = "key-of-tests"
#: What the proxy takes the request of a lock for.
LOCKING = Call.PUT
_number = count()


@pytest.fixture(scope="module")
def locking(servers_folder: Path) -> Iterator[Minio]:
    """A MinIO of its own: what is locked cannot be removed; it encrypts, too."""
    with Minio(servers_folder / "minio-options", build.binary("minio"), kms_key=KMS_KEY) as server:
        yield server


@pytest.fixture
def lockable(locking: Minio) -> str:
    """A bucket whose objects may be locked."""
    name = f"lockable-{next(_number)}"
    locking.root.make_lockable(name)
    return name


def opened(minio: Minio, bucket: str, **options: Any) -> Store:
    """The bucket with these options; few and quick repetitions."""
    settings = StoreSettings(
        provider="s3",
        bucket=bucket,
        endpoint=minio.url,
        part_size=5 * MIB,
        max_retries=1,
        retry_timeout=5,
        **options,
    )
    return open_store(settings, s3_credentials(minio))


def put_both(store: Store) -> None:
    """A body in two parts, and a receipt."""
    store.put(KEY, blocks(6))
    store.create(RECEIPT, b"{}")
    assert read(store) == b"".join(blocks(6))


def headers_of(minio: Minio, bucket: str, key: str, **more: str) -> dict[str, str]:
    """What a HEAD says."""
    asked = {name.replace("_", "-"): value for name, value in more.items()}
    return dict(minio.root.ask("HEAD", f"/{bucket}/{key}", headers=asked).headers)


def retention_of(minio: Minio, bucket: str, key: str) -> tuple[str, datetime]:
    """How the object is locked, and until when."""
    found = ET.fromstring(minio.root.ask("GET", f"/{bucket}/{key}", {"retention": ""}).body)
    until = found.findtext("s3:RetainUntilDate", "", NAMESPACE)
    return found.findtext("s3:Mode", "", NAMESPACE), datetime.fromisoformat(until)


# --- what is said of each object ---------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, RECEIPT])
def test_metadata(locking: Minio, lockable: str, key: str) -> None:
    """Body and receipt both have the metadata, the class and the tags of the target."""
    store = opened(
        locking,
        lockable,
        metadata={"team": "platform, two", "ticket_1": "a=b;c"},
        storage_class="REDUCED_REDUNDANCY",
        tags={"team": "vault + co/1"},
    )
    put_both(store)
    said = headers_of(locking, lockable, key)
    assert (said["x-amz-meta-team"], said["x-amz-meta-ticket_1"]) == ("platform, two", "a=b;c")
    assert said["x-amz-storage-class"] == "REDUCED_REDUNDANCY"
    tags = locking.root.ask("GET", f"/{lockable}/{key}", {"tagging": ""}).body
    assert b"<Key>team</Key><Value>vault + co/1</Value>" in tags


@pytest.mark.parametrize("key", [KEY, RECEIPT])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sse": "AES256"}, {"x-amz-server-side-encryption": "AES256"}),
        (
            {"sse": "aws:kms", "kms_key_id": KMS_KEY},
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": f"arn:aws:kms:{KMS_KEY}",
            },
        ),
    ],
    ids=["SSE-S3", "SSE-KMS"],
)
def test_encryption(
    locking: Minio, lockable: str, key: str, options: dict[str, str], said: dict[str, str]
) -> None:
    """The store says of each object how it is encrypted, and with which key; it is read as any other."""
    put_both(opened(locking, lockable, **options))
    found = headers_of(locking, lockable, key)
    assert {name: found.get(name) for name in said} == said


def test_encryption_key_unknown(locking: Minio, lockable: str) -> None:
    """A key that the store does not know: an error of storage, and nothing is there."""
    store = opened(locking, lockable, sse="aws:kms", kms_key_id="no-such-key")
    with pytest.raises(StorageError):
        store.put(KEY, blocks(6))
    assert locking.root.keys_in(lockable) == []
    assert locking.root.uploads(lockable) == []


@pytest.mark.parametrize("name", ["SSE-C", "sse-c"])
def test_customer_keys_are_refused(locking: Minio, lockable: str, name: str) -> None:
    """Settings that come from elsewhere than a document are refused, too."""
    with pytest.raises(ConfigurationError):
        opened(locking, lockable, sse=name)


@pytest.mark.parametrize(
    ("checksum", "kind", "end"), [("SHA256", "COMPOSITE", "-2"), ("CRC64NVME", "FULL_OBJECT", "")]
)
def test_checksum(locking: Minio, lockable: str, checksum: str, kind: str, end: str) -> None:
    """The store keeps what it compared: of two parts together, or of the whole object."""
    put_both(opened(locking, lockable, checksum=checksum))
    said = headers_of(locking, lockable, KEY, x_amz_checksum_mode="ENABLED")
    found = said[f"x-amz-checksum-{checksum.lower()}"]
    assert said["x-amz-checksum-type"] == kind
    assert found.endswith(end)
    assert ("-" in found) == bool(end)


# --- locks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", LockMode)
def test_lock(locking: Minio, lockable: str, mode: LockMode) -> None:
    """Body and receipt are locked as the target says, from the beginning of their uploads."""
    store = opened(locking, lockable, lock_mode=mode, lock_days=3)
    before = datetime.now(UTC).replace(microsecond=0)
    sent = [store.put(KEY, blocks(6)), store.create(RECEIPT, b"{}")]
    after = datetime.now(UTC)
    for each in sent:
        assert each.locked_until is not None
        assert before <= each.locked_until - timedelta(days=3) <= after
        assert retention_of(locking, lockable, each.key) == (mode, each.locked_until)
        refused = locking.root.request("DELETE", f"/{lockable}/{each.key}", {"versionId": each.version or ""})
        assert refused.status >= 400


def test_lock_of_the_version_that_was_sent(locking: Minio, lockable: str) -> None:
    """Somebody writes to the same key before the lock is set: theirs is not locked, ours is."""
    with FaultyProxy(locking.url) as proxy, ThreadPoolExecutor(1) as pool:
        settings = StoreSettings(
            provider="s3",
            bucket=lockable,
            endpoint=proxy.url,
            lock_mode=LockMode.GOVERNANCE,
            lock_days=1,
        )
        store = open_store(settings, s3_credentials(locking))
        proxy.set(CallFault(CallFaultKind.HOLD, LOCKING))
        upload = pool.submit(store.put, KEY, blocks(6))
        wait_until("the lock is asked for", lambda: proxy.count(LOCKING) > 0, seconds=30)
        locking.root.put(lockable, KEY, b"theirs")
        proxy.release()
        sent = upload.result()
    ours = locking.root.ask("GET", f"/{lockable}/{KEY}", {"retention": "", "versionId": sent.version or ""})
    assert b"GOVERNANCE" in ours.body
    newest = locking.root.request("GET", f"/{lockable}/{KEY}", {"retention": ""})
    assert b"NoSuchObjectLockConfiguration" in newest.body


def lock_by_default(minio: Minio, bucket: str) -> None:
    """What is put into the bucket is locked for ten days, whoever does it."""
    default = (
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        "<Mode>COMPLIANCE</Mode><Days>10</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    )
    minio.root.ask("PUT", f"/{bucket}", {"object-lock": ""}, default.encode())


@pytest.mark.parametrize("by_default", [True, False])
def test_lock_of_the_bucket(locking: Minio, lockable: str, by_default: bool) -> None:
    """Where the target says that the bucket locks, the store is asked until when: it may not do so."""
    if by_default:
        lock_by_default(locking, lockable)
    store = opened(locking, lockable, default_lock=True)
    for sent in (store.put(KEY, blocks(6)), store.create(RECEIPT, b"{}")):
        if by_default:
            assert retention_of(locking, lockable, sent.key) == ("COMPLIANCE", sent.locked_until)
        else:
            assert sent.locked_until is None


def test_lock_of_the_bucket_at_a_busy_store(locking: Minio, lockable: str) -> None:
    """Who asks until when asks again: a receipt that does not know the lock would be dropped too early."""
    lock_by_default(locking, lockable)
    with FaultyProxy(locking.url) as proxy:
        proxy.set(CallFault(CallFaultKind.ANSWER, Call.GET, status=503, code="SlowDown"))
        settings = StoreSettings(
            provider="s3",
            bucket=lockable,
            endpoint=proxy.url,
            max_retries=1,
            retry_timeout=5,
            default_lock=True,
        )
        sent = open_store(settings, s3_credentials(locking)).create(RECEIPT, b"{}")
        assert proxy.count(Call.GET) == 2
    assert retention_of(locking, lockable, RECEIPT) == ("COMPLIANCE", sent.locked_until)


def test_lock_by_a_longer_default(locking: Minio, lockable: str) -> None:
    """A bucket's default that is longer stays, and is what is said."""
    lock_by_default(locking, lockable)
    store = opened(locking, lockable, lock_mode=LockMode.GOVERNANCE, lock_days=3)
    sent = store.put(KEY, blocks(1))
    assert sent.locked_until is not None
    assert retention_of(locking, lockable, KEY) == ("COMPLIANCE", sent.locked_until)
    assert sent.locked_until - datetime.now(UTC) > timedelta(days=9)


def test_lock_where_there_is_none(locking: Minio) -> None:
    """A bucket without locks: an error that says what is needed, and nothing stays visible."""
    locking.root.make_bucket("without-locks")
    store = opened(locking, "without-locks", lock_mode=LockMode.GOVERNANCE, lock_days=1)
    acts: list[Callable[[], object]] = [
        lambda: store.put(KEY, blocks(6)),
        lambda: store.create(RECEIPT, b"{}"),
    ]
    for act in acts:
        with pytest.raises(StorageError) as raised:
            act()
        assert "lock s3://without-locks/" in raised.value.message
        assert "made with object lock" in raised.value.hint
    assert locking.root.keys_in("without-locks") == []


def test_lock_denied(locking: Minio, lockable: str) -> None:
    """Who may write and not lock gets no backup that is not locked."""
    rights = ["PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload", "ListBucket"]
    user = locking.add_user("no-locks", "secret-of-no-locks", [f"s3:{right}" for right in rights], [lockable])
    settings = StoreSettings(
        provider="s3", bucket=lockable, endpoint=locking.url, lock_mode=LockMode.COMPLIANCE, lock_days=1
    )
    store = open_store(
        settings, {"accessKeyId": user.keys.access_key, "secretAccessKey": user.keys.secret_key}
    )
    with pytest.raises(StorageError) as raised:
        store.put(KEY, blocks(1))
    assert "s3:PutObjectRetention" in raised.value.hint
    assert keys(store) == []
