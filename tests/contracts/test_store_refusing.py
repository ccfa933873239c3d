"""What real servers refuse, and what becomes of it: which keys, which bucket, which permission."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest
from tests.contracts.answering import ACTS
from tests.contracts.asking import KEY as NAME
from tests.contracts.stores import s3_credentials
from tests.harness.azurite import ACCOUNT, KEY, Azurite
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey
from tests.harness.minio import Minio

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import BaoBackupError
from bao_backup.core.storage import StoreSettings
from bao_backup.ports import Store

pytestmark = pytest.mark.servers

SECRET = "secret-of-the-tests"
#: What a run needs at S3 for each thing that it does; what is denied when that alone is missing.
S3_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "s3:PutObject": ("put", "put in parts", "create"),
    "s3:GetObject": ("get", "head"),
    "s3:ListBucket": ("list",),
    "s3:DeleteObject": ("delete",),
    "s3:ListBucketMultipartUploads": ("sweep",),
}
FOLDER = NAME.rpartition("/")[0]


def failure(store: Store, act: str) -> BaoBackupError:
    """What it fails with: on one line, with what was tried and what to do, and without a secret."""
    with pytest.raises(BaoBackupError) as raised:
        ACTS[act][1](store)
    error = raised.value
    assert error.exit_code == 5
    assert error.hint
    assert len(error.message.splitlines()) == 1
    assert "Debug source" not in error.message
    assert store.location in error.doing
    said = f"{error!r} {error.message} {error.details} {error.__cause__!r}"
    assert not [secret for secret in (SECRET, KEY, "sig=ey", "BEGIN") if secret in said]
    return error


def in_minio(minio: Minio, bucket: str, credentials: Mapping[str, str]) -> Store:
    """A bucket, with little patience."""
    settings = StoreSettings(
        provider="s3", bucket=bucket, endpoint=minio.url, max_retries=0, part_size=5 * 1024 * 1024
    )
    return open_store(settings, credentials)


@pytest.mark.parametrize("act", ACTS)
def test_s3_keys(minio: Minio, bucket: str, act: str) -> None:
    """A key that nobody has, and a secret that is another key's, are told apart; to HEAD nothing is told."""
    root = s3_credentials(minio)
    for credentials, words in (
        ({"accessKeyId": "nobody", "secretAccessKey": SECRET}, "does not know the access key"),
        ({**root, "secretAccessKey": SECRET}, "the secret key is not that of the access key"),
    ):
        error = failure(in_minio(minio, bucket, credentials), act)
        if act == "head":
            assert error.reason == "StorageDenied"
            assert "or does not accept the credentials" in error.why
        else:
            assert error.reason == "StorageLoginFailed"
            assert words in error.why


@pytest.mark.parametrize("act", ACTS)
def test_s3_bucket(minio: Minio, act: str) -> None:
    """A bucket that is not there; to HEAD that may be the object, too."""
    error = failure(in_minio(minio, "no-such-bucket", s3_credentials(minio)), act)
    assert error.reason == ("ObjectNotFound" if act == "head" else "BucketNotFound")
    assert "no such bucket" in error.why


@pytest.mark.parametrize("right", S3_RIGHTS)
def test_s3_right(minio: Minio, bucket: str, right: str) -> None:
    """Where one right is missing, that one is named, and all else goes on."""
    name = f"without-{right.partition(':')[2].lower()}"
    rights = [each for each in S3_RIGHTS if each != right]
    user = minio.add_user(
        name, SECRET, [*rights, "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], [bucket]
    )
    minio.root.ask("PUT", f"/{bucket}/{NAME}", body=b"body")
    store = in_minio(minio, bucket, {"accessKeyId": name, "secretAccessKey": user.keys.secret_key})
    for act in S3_RIGHTS[right]:
        error = failure(store, act)
        assert error.reason == "StorageDenied"
        assert right in error.hint
    others = [act for each in rights for act in S3_RIGHTS[each] if act not in ("create", "delete")]
    for act in others:
        ACTS[act][1](store)


def in_azurite(azurite: Azurite, container: str, credentials: Mapping[str, str]) -> Store:
    """A container, with little patience."""
    settings = StoreSettings(
        provider="azure", account=ACCOUNT, bucket=container, endpoint=azurite.url, max_retries=0
    )
    return open_store(settings, credentials)


AZURE_ACTS = [act for act in ACTS if act not in ("sweep", "head")]


@pytest.mark.parametrize("act", AZURE_ACTS)
def test_azure_container(azurite: Azurite, act: str) -> None:
    """A container that is not there."""
    assert failure(in_azurite(azurite, "missing", {"accountKey": KEY}), act).reason == "BucketNotFound"


@pytest.mark.parametrize("act", AZURE_ACTS)
def test_azure_logins(azurite: Azurite, container: str, act: str) -> None:
    """Another account's key and a signature that has expired: Azurite has one word for both."""
    wrong = base64.b64encode(b"another account's key, as long as the right one is, to the byte..").decode()
    old = azurite.root.shared_access(seconds=-60)
    for credentials in ({"accountKey": wrong}, {"sasToken": old}):
        error = failure(in_azurite(azurite, container, credentials), act)
        assert error.reason == "StorageLoginFailed"
        assert "or they have expired" in error.why


@pytest.mark.parametrize(
    ("missing", "acts"),
    [("cw", ("put", "put in parts", "create")), ("r", ("get",)), ("l", ("list",)), ("d", ("delete",))],
)
def test_azure_right(azurite: Azurite, container: str, missing: str, acts: tuple[str, ...]) -> None:
    """Where a signature lacks a letter, that one is named."""
    azurite.root.put(container, NAME, b"body")
    access = azurite.root.shared_access("".join(letter for letter in "racwdl" if letter not in missing))
    for act in acts:
        error = failure(in_azurite(azurite, container, {"sasToken": access}), act)
        assert error.reason == "StorageDenied"
        assert " and ".join(missing) in error.hint


@pytest.mark.parametrize("act", ["put", "put in parts", "create"])
def test_gcs_bucket(fake_gcs: FakeGcs, act: str) -> None:
    """A bucket that is not there; fake-gcs-server answers the XML API's requests for one with 500."""
    settings = StoreSettings(provider="gcs", bucket="missing", endpoint=fake_gcs.url, max_retries=0)
    store = open_store(settings, {"credentials.json": AccountKey().file})
    assert failure(store, act).reason == "BucketNotFound"
