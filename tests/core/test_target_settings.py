"""What a document says of its target is what the store's adapter gets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.core.documents import document

from bao_backup.core.from_document import store_settings
from bao_backup.core.spec import parse_cluster
from bao_backup.core.storage import StoreSettings
from bao_backup.core.store_options import LockMode
from bao_backup.core.target import Target

T = "spec.backup.target"
KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"

# changes of the document, and of the settings
TABLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({f"{T}.storageClass": "STANDARD_IA"}, {"storage_class": "STANDARD_IA"}),
    ({f"{T}.s3": {"storageClass": "STANDARD_IA"}}, {"storage_class": "STANDARD_IA"}),
    ({f"{T}.tags": {"a": "b"}}, {"tags": {"a": "b"}}),
    ({f"{T}.s3": {"tags": {"a": "b"}}}, {"tags": {"a": "b"}}),
    ({f"{T}.metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
    (
        {f"{T}.objectLock": {"mode": "COMPLIANCE", "days": 7}},
        {"lock_mode": LockMode.COMPLIANCE, "lock_days": 7},
    ),
    ({f"{T}.s3": {"objectLock": True}}, {"default_lock": True}),
    ({f"{T}.s3": {"checksum": "CRC64NVME"}}, {"checksum": "CRC64NVME"}),
    ({f"{T}.s3": {"sse": "aws:kms", "kmsKeyId": "k"}}, {"sse": "aws:kms", "kms_key_id": "k"}),
    (
        {f"{T}.provider": "gcs", f"{T}.gcs": {"kmsKeyName": KEY}},
        {"provider": "gcs", "kms_key_id": KEY},
    ),
    ({f"{T}.proxy": "http://proxy:3128"}, {"proxy": "http://proxy:3128"}),
    ({f"{T}.maxBytesPerSecond": 65_536}, {"max_bytes_per_second": 65_536}),
    ({f"{T}.connectTimeoutSeconds": 9}, {"connect_timeout": 9}),
    ({f"{T}.requestTimeoutSeconds": 9}, {"request_timeout": 9}),
    ({f"{T}.maxRetries": 0}, {"max_retries": 0}),
    ({f"{T}.retryTimeoutSeconds": 9}, {"retry_timeout": 9}),
    ({f"{T}.insecureSkipVerify": True}, {"insecure_skip_verify": True}),
]


def settings_of(changes: dict[str, Any]) -> StoreSettings:
    """The settings of the document with these changes."""
    backup = parse_cluster(document(changes), strict=True).spec.backup
    assert backup is not None
    return store_settings(backup.target)


@pytest.mark.parametrize(("changes", "expected"), TABLE, ids=str)
def test_a_field_of_the_target_gets_to_the_store(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """That one, and no other is changed by it."""
    plain, found = settings_of({}), settings_of(changes)
    changed = {
        name: getattr(found, name)
        for name in found.__struct_fields__
        if getattr(found, name) != getattr(plain, name)
    }
    assert changed == expected


def test_a_target_without_options_leaves_them_to_the_adapter() -> None:
    """The document's defaults are those of the settings."""
    found, plain = store_settings(Target(bucket="b")), StoreSettings(provider="s3", bucket="b")
    differing = {name for name in plain.__struct_fields__ if getattr(plain, name) != getattr(found, name)}
    assert differing == {"region"}


@pytest.mark.parametrize("days", [None, 30])
def test_retention_knows_how_long_the_target_locks(days: int | None) -> None:
    """So that its plan keeps what nobody may delete."""
    lock = {} if days is None else {f"{T}.objectLock": {"mode": "GOVERNANCE", "days": days}}
    cluster = parse_cluster(document({"spec.backup.retention": {"maxCount": 3}, **lock}), strict=True)
    assert cluster.spec.backup is not None
    policy = cluster.spec.backup.policy
    assert policy is not None
    assert policy.locked_for == (None if days is None else timedelta(days=days))
