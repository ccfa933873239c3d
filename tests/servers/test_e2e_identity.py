"""The store's identity, end to end: a role by web identity, what a machine is given, and neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.harness.identities import InstanceMetadata, OpenIdIssuer, Temporary
from tests.harness.minio import Minio
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace, assert_backup, assert_failed, assert_untouched
from tests.servers.program import PART, Site, Witness

pytestmark = pytest.mark.servers

BUCKET = "by-role"
RIGHTS = [
    *("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"),
    *("s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"),
]


@pytest.fixture
def by_role(minio_roles: Minio, witness: Witness) -> Iterator[BucketPlace]:
    """A bucket in which the role may do what a run does."""
    minio_roles.root.make_bucket(BUCKET)
    minio_roles.add_policy("of-the-role", RIGHTS, [BUCKET])
    place = BucketPlace(minio_roles, BUCKET)
    yield place
    for key in place.visible():
        witness.saw(key, place.read(key) if key.endswith(".json") else b"")
    minio_roles.root.remove_bucket(BUCKET)


def token(site: Site, issuer: OpenIdIssuer, seconds: int = 600) -> dict[str, str]:
    """A token as the Job mounts it, and the variable that names it."""
    site.secret("web-identity", token=issuer.tokens.issue(audience="sts.amazonaws.com", seconds=seconds))
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(site.secrets / "web-identity" / "token")}


def target(place: BucketPlace, **more: Any) -> dict[str, Any]:
    """The bucket without any keys."""
    return {
        "endpoint": place.minio.url,
        "bucket": place.bucket,
        "usePathStyle": True,
        "partSize": PART,
        **more,
    }


def role_of(place: BucketPlace) -> str:
    """What `roleArn` has to be."""
    assert place.minio.openid is not None
    return place.minio.openid.role


def test_role_with_the_ca_in_a_secret(
    full_vault: VaultCluster, by_role: BucketPlace, site: Site, issuer: OpenIdIssuer
) -> None:
    """A Secret with the CA and no keys, and a role: the projected token is really exchanged."""
    assert by_role.minio.ca_file is not None
    secret = site.secret("store-ca", caCert=by_role.minio.ca_file.read_text())
    where = target(by_role, roleArn=role_of(by_role), credentialsSecretRef={"name": secret})
    site.describe("role", full_vault, where)
    ended = site.begin_job(site.job("role") | token(site, issuer)).wait()
    assert_backup(by_role, ended)
    assert not ended.result.get("warnings")


def test_role_without_a_secret(
    full_vault: VaultCluster, by_role: BucketPlace, site: Site, issuer: OpenIdIssuer
) -> None:
    """No Secret at all: the CA is a file that the environment names."""
    site.describe("role", full_vault, target(by_role, roleArn=role_of(by_role)))
    variables = token(site, issuer) | {"AWS_CA_BUNDLE": str(by_role.minio.ca_file)}
    assert_backup(by_role, site.begin_job(site.job("role") | variables).wait())


def test_role_with_an_old_token(
    full_vault: VaultCluster, by_role: BucketPlace, site: Site, issuer: OpenIdIssuer
) -> None:
    """A failed login to the store, before any snapshot is asked for; with a new token it works."""
    site.describe("role", full_vault, target(by_role, roleArn=role_of(by_role)))
    authority = {"AWS_CA_BUNDLE": str(by_role.minio.ca_file)}
    ended = site.begin_job(site.job("role") | authority | token(site, issuer, seconds=-60)).wait()
    message = assert_failed(ended, 5, "StorageLoginExpired")
    assert f"as {role_of(by_role)} with {by_role.minio.url}/: the token has expired" in message
    assert_untouched(by_role)
    assert_backup(by_role, site.begin_job(site.job("role") | authority | token(site, issuer)).wait())


def test_keys_of_the_machine(
    full_vault: VaultCluster, in_bucket: BucketPlace, site: Site, witness: Witness
) -> None:
    """Neither keys nor a role: the machine's own, from its metadata service."""
    user = in_bucket.minio.add_user("machine", "secret-of-machine", RIGHTS, [in_bucket.bucket])
    witness.secret("the machine's secret key", user.keys.secret_key)
    site.describe("machine", full_vault, target(in_bucket))
    with InstanceMetadata(lambda: Temporary(user.keys)) as metadata:
        variables = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
        assert_backup(in_bucket, site.begin_job(site.job("machine") | variables).wait())
        assert len(metadata.asked) == 3


def test_no_identity(full_vault: VaultCluster, in_bucket: BucketPlace, site: Site) -> None:
    """Where the machine has none either, it is said who was asked, and what to do."""
    site.describe("machine", full_vault, target(in_bucket))
    ended = site.begin_job(site.job("machine")).wait()
    message = assert_failed(ended, 5, "StorageLoginFailed")
    assert "no credentials were found: none are configured; asked the machine, answer: " in message
    assert "roleArn" in message
    assert ended.seconds < 20
    assert_untouched(in_bucket)
