"""Credentials that are replaced while `bao-backup serve` runs: the next run has the new ones."""

from __future__ import annotations

import signal

import pytest
from tests.harness.process import wait_until
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace
from tests.servers.program import Site
from tests.servers.test_e2e_schedule import EVERY, Manager, proven

pytestmark = pytest.mark.servers

NAME = "rotated"
RIGHTS = [
    *("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"),
    *("s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"),
]


def test_nothing_is_restarted(vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> None:
    """Store and server forget the old keys and token; runs fail until the Secrets have the new ones."""
    minio, bucket = in_bucket.minio, in_bucket.bucket
    old = minio.add_user("of-yesterday", "secret-of-yesterday", RIGHTS, [bucket])
    auth = site.token(vault)
    site.describe(NAME, vault, in_bucket.target(site, keys=old.keys), auth=auth, schedule=EVERY)
    manager = Manager(site)
    wait_until("a first backup", lambda: bool(proven(in_bucket)), seconds=30)

    minio.remove_user("of-yesterday")
    wait_until(
        "the old keys fail",
        lambda: manager.status()[NAME].get("lastFailureReason") == "StorageLoginFailed",
        seconds=30,
        every=0.5,
    )
    before = proven(in_bucket)
    new = minio.add_user("of-today", "secret-of-today", RIGHTS, [bucket])
    in_bucket.target(site, keys=new.keys)  # writes the Secret again
    wait_until("the new keys are used", lambda: len(proven(in_bucket)) > len(before), seconds=30)

    token = (site.secrets / "bao-token" / "token").read_text()
    vault.ask("PUT", "auth/token/revoke", {"token": token.strip()})
    wait_until(
        "the old token fails",
        lambda: manager.status()[NAME].get("consecutiveFailures", 0) > 0,
        seconds=30,
        every=0.5,
    )
    before = proven(in_bucket)
    site.token(vault)  # writes the Secret again
    wait_until("the new token is used", lambda: len(proven(in_bucket)) > len(before), seconds=30)
    manager.running.signal(signal.SIGTERM)
    assert manager.running.wait(30).code == 0
