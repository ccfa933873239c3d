"""What stores tell of themselves: `describe`, on each of them, and at stand-ins for what emulators lack."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.answering import Reply, answering, open_vendor
from tests.contracts.asking import KEY, keys
from tests.contracts.stores import s3_credentials
from tests.harness import build
from tests.harness.azurite import ACCOUNT, Azurite
from tests.harness.minio import Minio

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import BucketNotFoundError, StorageLoginError
from bao_backup.core.store_facts import ExpiryRule, StoreFacts, Unseen
from bao_backup.ports import Store

SECRET = "secret-of-the-tests"
_number = count()


def test_asking_changes_nothing(store: Store) -> None:
    """Every store tells something, twice the same, and has then what it had."""
    store.create(KEY, b"body")
    facts = store.describe()
    assert isinstance(facts, StoreFacts)
    assert facts.versioning in (False, Unseen.NOT_OFFERED)
    assert store.describe().lifecycle == facts.lifecycle
    assert keys(store) == [KEY]


def test_a_folder(tmp_path: Path) -> None:
    """A folder says how much is free, and who may use it."""
    tmp_path.chmod(0o750)
    facts = open_store(StoreSettings(provider="file", path=str(tmp_path)), {}).describe()
    assert facts.free
    assert facts.access.endswith("mode 0750")
    assert facts.lock is Unseen.NOT_OFFERED


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there does not describe itself."""
    store = open_store(StoreSettings(provider="file", path=str(tmp_path / "gone")), {})
    with pytest.raises(BucketNotFoundError):
        store.describe()


# --- S3 ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locking(servers_folder: Path) -> Iterator[Minio]:
    """A MinIO of its own: what is locked cannot be removed; it encrypts, too."""
    with Minio(servers_folder / "minio-facts", build.binary("minio"), kms_key="key-of-facts") as server:
        yield server


def opened(minio: Minio, bucket: str, credentials: dict[str, str] | None = None) -> Store:
    """The bucket, with little patience."""
    settings = StoreSettings(provider="s3", bucket=bucket, endpoint=minio.url, max_retries=0)
    return open_store(settings, credentials or s3_credentials(minio))


RULES = """<LifecycleConfiguration>
<Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix>team/</Prefix></Filter>
<Expiration><Days>30</Days></Expiration></Rule>
<Rule><ID>off</ID><Status>Disabled</Status><Filter><Prefix></Prefix></Filter>
<Expiration><Days>1</Days></Expiration></Rule>
<Rule><ID>tagged</ID><Status>Enabled</Status><Filter><And><Prefix>team/a</Prefix>
<Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Expiration><Days>7</Days></Expiration></Rule>
<Rule><ID>versions</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>
<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays></NoncurrentVersionExpiration></Rule>
</LifecycleConfiguration>"""
LOCK = """<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>
<Mode>GOVERNANCE</Mode><Days>3</Days></DefaultRetention></Rule></ObjectLockConfiguration>"""
ENCRYPTION = """<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>
<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>
</ServerSideEncryptionConfiguration>"""


@pytest.mark.servers
def test_all_of_s3(locking: Minio) -> None:
    """Versions, the lock and its default, the rules that are on, and encryption are told by a real MinIO."""
    bucket = f"facts-{next(_number)}"
    locking.root.make_lockable(bucket)
    for what, body in (("object-lock", LOCK), ("lifecycle", RULES), ("encryption", ENCRYPTION)):
        digest = base64.b64encode(hashlib.md5(body.encode(), usedforsecurity=False).digest()).decode()
        locking.root.ask("PUT", f"/{bucket}", {what: ""}, body.encode(), {"content-md5": digest})
    facts = opened(locking, bucket).describe()
    assert facts.versioning is True
    assert facts.lock is True
    assert facts.lock_default == "GOVERNANCE for 3 days"
    assert facts.encryption == "AES256"
    assert isinstance(facts.lifecycle, tuple)
    assert set(facts.lifecycle) == {
        ExpiryRule(id="old", prefix="team/", days=30),
        ExpiryRule(id="tagged", prefix="team/a", days=7, conditional=True),
    }
    assert facts.abandoned == ()


@pytest.mark.servers
def test_nothing_of_s3(minio: Minio, bucket: str) -> None:
    """A bucket as it was made has none of it, and says so."""
    expected = StoreFacts(versioning=False, lock=False, lifecycle=(), abandoned=(), encryption="")
    assert opened(minio, bucket).describe() == expected


@pytest.mark.servers
def test_s3_without_rights(minio: Minio, bucket: str) -> None:
    """Who may only read and write objects sees nothing of the bucket's own, and that is no error."""
    user = minio.add_user("facts-of-nobody", SECRET, ["s3:PutObject", "s3:GetObject"], [bucket])
    credentials = {"accessKeyId": "facts-of-nobody", "secretAccessKey": user.keys.secret_key}
    facts = opened(minio, bucket, credentials).describe()
    unseen = Unseen.NOT_PERMITTED
    expected = StoreFacts(
        versioning=unseen, lock=unseen, lifecycle=unseen, abandoned=unseen, encryption=unseen
    )
    assert facts == expected


@pytest.mark.servers
def test_s3_refused(minio: Minio, bucket: str) -> None:
    """Wrong keys and a bucket that is not there are errors."""
    with pytest.raises(StorageLoginError):
        opened(minio, bucket, {"accessKeyId": "nobody", "secretAccessKey": SECRET}).describe()
    with pytest.raises(BucketNotFoundError):
        opened(minio, "no-such-bucket").describe()


def test_s3_of_aws() -> None:
    """Abandoned uploads have rules on AWS, keys have names, and years count; as its documents show it."""
    space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    bodies = {
        "versioning": f"<VersioningConfiguration {space}><Status>Suspended</Status>"
        "</VersioningConfiguration>",
        "object-lock": f"<ObjectLockConfiguration {space}><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
        "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>1</Years></DefaultRetention></Rule>"
        "</ObjectLockConfiguration>",
        "lifecycle": f"<LifecycleConfiguration {space}><Rule><ID>a</ID><Filter><Prefix>x/</Prefix></Filter>"
        "<Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>3"
        "</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
        "encryption": f"<ServerSideEncryptionConfiguration {space}><Rule><ApplyServerSideEncryptionByDefault>"
        "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k-1</KMSMasterKeyID>"
        "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    }

    def first(_method: str, path: str) -> Reply | None:
        return next((Reply(200, body) for name, body in bodies.items() if f"?{name}=" in path), None)

    with answering() as server:
        server.first = first
        facts = open_vendor("s3", server.url).describe()
    assert facts == StoreFacts(
        versioning=False,
        lock=True,
        lock_default="COMPLIANCE for 1 years",
        lifecycle=(),
        abandoned=(ExpiryRule(id="a", prefix="x/", days=3),),
        encryption="aws:kms with the key k-1",
    )


@pytest.mark.parametrize("status", [405, 501])
def test_s3_of_others(status: int) -> None:
    """A store that speaks S3 and knows none of these questions offers none of it."""
    with answering() as server:
        server.reply = Reply(status, "<Error><Code>NotImplemented</Code></Error>")
        assert open_vendor("s3", server.url).describe() == StoreFacts()


@pytest.mark.parametrize("vendor", ["s3", "gs", "azure"])
def test_a_store_that_cannot_now(vendor: str) -> None:
    """What a store cannot answer at the moment is an error, and no fact."""
    with answering() as server:
        server.reply = Reply(503)
        with pytest.raises(StorageError) as caught:
            open_vendor(vendor, server.url).describe()
    assert caught.value.transient


# --- Google ------------------------------------------------------------------------------------

BUCKET: dict[str, Any] = {
    "versioning": {"enabled": True},
    "retentionPolicy": {"retentionPeriod": "172800", "isLocked": True},
    "lifecycle": {
        "rule": [
            {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["a/", "b/"]}},
            {"action": {"type": "Delete"}, "condition": {"age": 9, "numNewerVersions": 3}},
            {"action": {"type": "Delete"}, "condition": {"age": 1, "isLive": False}},
            {"action": {"type": "SetStorageClass", "storageClass": "COLDLINE"}, "condition": {"age": 2}},
        ]
    },
    "encryption": {"defaultKmsKeyName": "projects/p/key"},
}


def test_google() -> None:
    """One request tells it all, in the form that the documents show."""
    with answering() as server:
        server.reply = Reply(200, json.dumps(BUCKET))
        facts = open_vendor("gs", server.url).describe()
        assert len(server.asked) == 1
    assert facts == StoreFacts(
        versioning=True,
        lock=True,
        lock_default="for 2 days, by the bucket's retention policy",
        lifecycle=(
            ExpiryRule(prefix="a/", days=30),
            ExpiryRule(prefix="b/", days=30),
            ExpiryRule(days=9, conditional=True),
        ),
        abandoned=(ExpiryRule(id="of Google", days=7),),
        encryption="projects/p/key",
    )


def test_google_without_rights() -> None:
    """Without storage.buckets.get nothing is seen, and that is no error."""
    with answering() as server:
        server.reply = Reply(403, '{"error": {"errors": [{"reason": "forbidden"}]}}')
        facts = open_vendor("gs", server.url).describe()
    assert {facts.versioning, facts.lock, facts.lifecycle, facts.encryption} == {Unseen.NOT_PERMITTED}


# --- Azure -------------------------------------------------------------------------------------


def test_azure() -> None:
    """The container's headers tell of locks and of the scope of encryption."""
    with answering() as server:
        server.reply = Reply(
            200,
            "",
            {
                "x-ms-immutable-storage-with-versioning-enabled": "true",
                "x-ms-has-immutability-policy": "true",
                "x-ms-default-encryption-scope": "scope-1",
            },
        )
        facts = open_vendor("azure", server.url).describe()
    assert facts == StoreFacts(lock=True, lock_default="a policy of the container", encryption="scope-1")


def test_azure_without_rights() -> None:
    """A signature for blobs alone may not ask about the container."""
    body = "<Error><Code>AuthorizationPermissionMismatch</Code></Error>"
    with answering() as server:
        server.reply = Reply(403, body, {"x-ms-error-code": "AuthorizationPermissionMismatch"})
        facts = open_vendor("azure", server.url).describe()
    assert facts == StoreFacts(lock=Unseen.NOT_PERMITTED, encryption=Unseen.NOT_PERMITTED)


@pytest.mark.servers
def test_azurite(azurite: Azurite) -> None:
    """Azurite takes the request that we sign, and knows a container that is not there."""
    settings = StoreSettings(provider="azure", account=ACCOUNT, bucket="no-such", endpoint=azurite.url)
    shared = {"sasToken": azurite.root.shared_access()}
    with pytest.raises(BucketNotFoundError):
        open_store(settings, shared).describe()
