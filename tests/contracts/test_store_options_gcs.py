"""Options of a target on Google Cloud Storage: what is said with each upload, by Google's rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contracts.asking import MIB, blocks
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey
from tests.harness.gcs_uploads import ResumableService

from bao_backup.adapters.stores import open_store
from bao_backup.core.errors import ConfigurationError, StorageError, StoredDiffersError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.store_options import LockMode
from bao_backup.ports import Store

ACCOUNT = AccountKey().file
KMS_KEY = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"


def opened(service: ResumableService, **options: Any) -> Store:
    """A bucket there."""
    settings = StoreSettings(
        provider="gcs",
        bucket="bucket",
        endpoint=service.url,
        part_size=5 * MIB,
        max_retries=1,
        retry_timeout=5,
        **options,
    )
    return open_store(settings, {"credentials.json": ACCOUNT})


def put_both(store: Store) -> None:
    """A body in two parts, and a receipt."""
    store.put("body", blocks(6))
    store.create("receipt", b"{}")


@pytest.mark.parametrize("key", ["body", "receipt"])
def test_said_of_each_object(key: str) -> None:
    """Body and receipt both have the class, the metadata and the key of the target."""
    with ResumableService() as service:
        put_both(opened(service, storage_class="NEARLINE", metadata={"team": "a b"}, kms_key_id=KMS_KEY))
        assert service.said[key]["storageClass"] == "NEARLINE"
        assert service.said[key]["metadata"] == {"team": "a b"}
        assert service.queries[key]["kmsKeyName"] == [KMS_KEY]


def test_nothing_said() -> None:
    """Without options the bucket's own ones count."""
    with ResumableService() as service:
        put_both(opened(service))
        assert service.said["body"] == {}
        assert set(service.said["receipt"]) == {"md5Hash"}
        assert "kmsKeyName" not in service.queries["body"]


@pytest.mark.parametrize(
    ("mode", "word"), [(LockMode.GOVERNANCE, "Unlocked"), (LockMode.COMPLIANCE, "Locked")]
)
def test_lock(mode: LockMode, word: str) -> None:
    """Each object is locked with its upload, from its beginning; there is no moment without."""
    with ResumableService() as service:
        store = opened(service, lock_mode=mode, lock_days=3)
        before = datetime.now(UTC).replace(microsecond=0)
        for sent in (store.put("body", blocks(6)), store.create("receipt", b"{}")):
            assert sent.locked_until is not None
            assert before <= sent.locked_until - timedelta(days=3) <= datetime.now(UTC)
            until = sent.locked_until.isoformat().replace("+00:00", "Z")
            assert service.said[sent.key]["retention"] == {"mode": word, "retainUntilTime": until}


@pytest.mark.parametrize("key", ["body", "receipt"])
def test_lock_that_is_not_heeded(key: str) -> None:
    """A service that locks nothing, though it was asked: an error, and what is not locked does not stay."""
    with ResumableService() as service:
        service.heeds = False
        store = opened(service, lock_mode=LockMode.COMPLIANCE, lock_days=3)
        with pytest.raises(StorageError) as raised:
            store.put(key, blocks(6)) if key == "body" else store.create(key, b"{}")
        assert "storage.objects.setRetention" in raised.value.hint
        assert (service.deleted, service.objects) == ([key], {})


def test_other_bytes() -> None:
    """A service whose MD5 is another than that of what was sent: told, and the object does not stay."""
    with ResumableService() as service:
        service.spoils = True
        with pytest.raises(StoredDiffersError):
            opened(service).put("body", blocks(6))
        assert (service.deleted, service.objects) == (["body"], {})


def test_tags_are_refused() -> None:
    """Google's objects have none; settings that come from elsewhere than a document are refused, too."""
    with ResumableService() as service, pytest.raises(ConfigurationError) as raised:
        opened(service, tags={"a": "b"})
    assert "use metadata" in raised.value.why


@pytest.mark.servers
def test_on_a_server(fake_gcs: FakeGcs, gcs_bucket: str) -> None:
    """A real server takes what is said with both kinds of uploads, and gives both objects back."""
    settings = StoreSettings(
        provider="gcs",
        bucket=gcs_bucket,
        endpoint=fake_gcs.url,
        part_size=5 * MIB,
        storage_class="NEARLINE",
        metadata={"team": "a b"},
    )
    store = open_store(settings, {"credentials.json": ACCOUNT})
    put_both(store)
    for key, body in (("body", b"".join(blocks(6))), ("receipt", b"{}")):
        assert fake_gcs.get(gcs_bucket, key) == body
        said = fake_gcs.ask("GET", f"/storage/v1/b/{gcs_bucket}/o/{key}").json()
        assert (said["storageClass"], said["metadata"]) == ("NEARLINE", {"team": "a b"})
