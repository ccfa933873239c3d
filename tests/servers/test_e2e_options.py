"""A run with many options of its target at once, and what becomes of its backups afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.harness import build
from tests.harness.certificates import Authority
from tests.harness.minio import Minio
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace
from tests.servers.program import Site

pytestmark = pytest.mark.servers

KMS_KEY = "key-of-tests"
OPTIONS: dict[str, Any] = {
    "metadata": {"cluster": "stored"},
    "tags": {"team": "platform"},
    "objectLock": {"mode": "GOVERNANCE", "days": 2},
    "maxBytesPerSecond": 2**30,
    "insecureSkipVerify": True,
    "s3": {"sse": "aws:kms", "kmsKeyId": KMS_KEY, "checksum": "SHA256"},
}


@pytest.fixture(scope="module")
def locking(servers_folder: Path, authority: Authority) -> Iterator[Minio]:
    """A MinIO of its own, over TLS that nobody is told to trust: what is locked cannot be removed."""
    folder = servers_folder / "minio-e2e-options"
    with Minio(folder, build.binary("minio"), authority, kms_key=KMS_KEY) as server:
        server.root.make_lockable("lockable")
        yield server


def test_a_run_with_many_options(full_vault: VaultCluster, site: Site, locking: Minio) -> None:
    """Each object is as the target says; what is locked is kept by plan, shown, and nothing fails."""
    place = BucketPlace(locking, "lockable")
    site.describe(
        "stored", full_vault, place.target(site, region="us-east-1", **OPTIONS), retention={"maxCount": 1}
    )
    results = [site.begin_job(site.job("stored")).wait().result for _ in range(2)]
    keys = [result["key"] for result in results]
    for result in results:
        assert result["outcome"] == "Succeeded"
        assert ["insecureSkipVerify" in warning for warning in result["warnings"]] == [True]
    assert results[1]["retention"] == {"kept": 2}

    assert place.visible() == sorted(name for key in keys for name in (key, f"{key}.json"))
    for name in place.visible():
        said = locking.root.ask("HEAD", f"/lockable/{name}").headers
        assert said["x-amz-server-side-encryption-aws-kms-key-id"] == f"arn:aws:kms:{KMS_KEY}"
        assert said["x-amz-meta-cluster"] == "stored"
        assert said["x-amz-object-lock-mode"] == "GOVERNANCE"

    until = datetime.fromisoformat(json.loads(place.read(f"{keys[0]}.json"))["lockedUntil"])
    assert timedelta(days=1) < until - datetime.now(UTC) < timedelta(days=3)
    assert f"{until:%Y-%m-%d %H:%M}" in site.run("show", "stored", keys[0]).out
    plan = site.run("prune", "stored", "--dry-run", "--output", "json").json["plan"]
    assert [decision["keep"] for decision in plan] == [True, True]
    assert plan[1]["why"].startswith("locked until ")
