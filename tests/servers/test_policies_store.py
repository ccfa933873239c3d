"""The printed policy of a bucket, on a real MinIO: enough for the whole job, and nothing of it too much."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.harness import build
from tests.harness.identities import OpenIdIssuer
from tests.harness.minio import ADMIN, Minio
from tests.harness.s3 import S3
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace
from tests.servers.program import Ended, Site

pytestmark = pytest.mark.servers

CLUSTER = "least"
#: The access key: a word that nothing else says.
USER = "owner-of-lesser-rights"
PREFIX = f"backups/default/{CLUSTER}"
#: What a run that was killed has left.
ABANDONED = f"{PREFIX}/2026-01-01T00-00-00Z-0a1b2c3d.snap"
#: An object of somebody else in the same bucket.
FOREIGN = "backups/default/other/2026-01-01T00-00-00Z-0a1b2c3d.snap"

Policy = dict[str, Any]


@dataclass
class Least:
    """A site whose program works with the rights of a policy, beside an owner who may do all."""

    site: Site
    place: BucketPlace
    vault: VaultCluster
    user: S3

    def describe(self, **target: Any) -> None:
        """Write the document; the keys are the user's."""
        found = self.place.target(self.site, keys=self.user.keys, pathPrefix="backups", **target)
        self.site.describe(CLUSTER, self.vault, found, retention={"maxCount": 1})

    def printed(self, purpose: str = "backup") -> Policy:
        """The policy as the program prints it."""
        ended = self.site.run("policy", CLUSTER, "store", "--for", purpose, "--output", "json")
        assert ended.code == 0, ended.err
        policy: Policy = ended.json["store"]["files"]["store-policy.json"]
        return policy

    def allow(self, policy: Policy) -> None:
        """From now on the user may do this, and nothing else."""
        name = self.user.keys.access_key
        self.place.minio.root.ask(
            "PUT", f"{ADMIN}/add-canned-policy", {"name": name}, json.dumps(policy).encode()
        )

    def back_up(self) -> Ended:
        """A run that has an abandoned upload to sweep."""
        self.place.minio.root.begin_upload(self.place.bucket, ABANDONED)
        return self.site.begin_job(self.site.job(CLUSTER, store={"dead_after": 0.0})).wait()

    def as_owner(self, policy: Policy) -> Ended:
        """A backup that is there before, by the whole policy; the retention will want to drop it."""
        self.allow(policy)
        ended = self.back_up()
        assert ended.code == 0, ended.err
        return ended


def without(policy: Policy, action: str) -> Policy:
    """The policy with this one action taken away."""
    statements = []
    for each in policy["Statement"]:
        actions = [found for found in each["Action"] if found != action]
        if actions:
            statements.append(each | {"Action": actions})
    assert statements != policy["Statement"]
    return policy | {"Statement": statements}


def actions_of(policy: Policy) -> set[str]:
    """Every action that it allows."""
    return {action for each in policy["Statement"] for action in each["Action"]}


@pytest.fixture
def least(vault: VaultCluster, site: Site, in_bucket: BucketPlace) -> Iterator[Least]:
    """A user of the bucket who may do nothing yet; an object of somebody else is beside his."""
    user = in_bucket.minio.add_user(
        USER, "the-secret-key-of-lesser-rights", ["s3:GetObject"], ["no-such-bucket"]
    )
    in_bucket.minio.root.put(in_bucket.bucket, FOREIGN, b"not ours")
    least = Least(site, in_bucket, vault, user)
    least.describe()
    yield least
    in_bucket.minio.remove_user(USER)


# --- a run ----------------------------------------------------------------------------------------


def test_the_policy_is_enough(least: Least) -> None:
    """Back up with a sweep and a retention that drops, list, show, verify, prune: without a warning."""
    policy = least.printed()
    first = least.as_owner(policy).result
    second = least.back_up()
    assert second.code == 0, second.err
    assert second.result["warnings"] == []
    assert second.result["retention"]["dropped"] == [first["key"]]
    assert least.place.leftovers() == []
    assert [each["key"] for each in least.site.run("list", CLUSTER, "--output", "json").json["backups"]] == [
        second.result["key"]
    ]
    for arguments in (("show", CLUSTER, "latest"), ("verify", CLUSTER, "--all"), ("prune", CLUSTER)):
        ended = least.site.run(*arguments)
        assert ended.code == 0, ended.err


def test_the_policy_is_for_its_prefix_alone(least: Least) -> None:
    """What is beside it can be neither read, written, deleted nor listed; nor can the bucket be removed."""
    least.as_owner(least.printed())
    bucket, user = least.place.bucket, least.user
    assert user.request("GET", f"/{bucket}/{FOREIGN}").status == 403
    assert user.request("PUT", f"/{bucket}/{FOREIGN}", body=b"x").status == 403
    assert user.request("DELETE", f"/{bucket}/{FOREIGN}").status == 403
    for prefix in ("", "backups/", "backups/default/", PREFIX, "backups/default/other/"):
        assert user.request("GET", f"/{bucket}", {"list-type": "2", "prefix": prefix}).status == 403
    assert user.request("GET", f"/{bucket}", {"list-type": "2", "prefix": f"{PREFIX}/"}).status == 200
    assert user.request("GET", f"/{bucket}", {"policy": ""}).status == 403
    assert user.request("DELETE", f"/{bucket}").status == 403


def denied(ended: Ended, least: Least) -> None:
    """The run fails for want of a right, and no backup of it is there."""
    assert ended.code == 5, ended.err
    assert ended.result["reason"] == "StorageDenied"
    assert not [key for key in least.place.visible() if key == ended.result.get("key")]


def not_dropped(ended: Ended, _least: Least) -> None:
    """The backup is there, and the old one still is, which is told."""
    assert ended.code == 0, ended.err
    retention = ended.result["retention"]
    assert retention.get("failed") or retention.get("error"), retention


def not_listed(ended: Ended, least: Least) -> None:
    """The retention fails, which is told; and so does list."""
    assert ended.code == 0, ended.err
    assert not ended.result["retention"].get("dropped")
    listed = least.site.run("list", CLUSTER)
    assert (listed.code, "StorageDenied" in listed.err) == (5, True)


def not_swept(ended: Ended, least: Least) -> None:
    """The backup is there with a warning, and so is what a killed run has left."""
    assert ended.code == 0, ended.err
    assert any("leftovers" in warning for warning in ended.result["warnings"])
    assert least.place.leftovers() != []


#: Each action of the policy, and what fails without it.
NEEDED: dict[str, Callable[[Ended, Least], None]] = {
    "s3:PutObject": denied,
    "s3:GetObject": denied,
    "s3:DeleteObject": not_dropped,
    "s3:ListBucket": not_listed,
    "s3:AbortMultipartUpload": not_swept,
    "s3:ListMultipartUploadParts": not_swept,
    "s3:ListBucketMultipartUploads": not_swept,
}


def test_every_action_has_its_row(least: Least) -> None:
    """The table below is of the whole policy."""
    assert actions_of(least.printed()) == NEEDED.keys()


@pytest.mark.parametrize("action", NEEDED)
def test_nothing_of_the_policy_is_too_much(least: Least, action: str) -> None:
    """With one action taken away, a run does not do all that it should."""
    policy = least.printed()
    least.as_owner(policy)
    least.allow(without(policy, action))
    NEEDED[action](least.back_up(), least)


# --- who reads ------------------------------------------------------------------------------------


def adopted(least: Least) -> Ended:
    """Verify a backup whose receipt is gone: it gets another."""
    receipt = next(key for key in least.place.visible() if key.startswith(PREFIX) and key.endswith(".json"))
    least.place.minio.root.ask("DELETE", f"/{least.place.bucket}/{receipt}")
    return least.site.run("verify", CLUSTER, "--all")


def withdrawn(least: Least) -> bool:
    """Verify a backup that is broken: whether its receipt is withdrawn."""
    body = next(key for key in least.place.visible() if key.startswith(PREFIX) and key.endswith(".snap"))
    least.place.minio.root.put(least.place.bucket, body, b"broken")
    ended = least.site.run("verify", CLUSTER, "--all")
    assert ended.code != 0
    return f"{body}.json" not in least.place.visible()


def test_the_policy_of_who_verifies_is_enough(least: Least) -> None:
    """Read, adopt and withdraw; but write or delete no body, and back up nothing."""
    least.as_owner(least.printed())
    least.allow(least.printed("verify"))
    assert adopted(least).code == 0
    assert withdrawn(least)
    bucket, body = least.place.bucket, f"{PREFIX}/2026-01-02T00-00-00Z-0a1b2c3d.snap"
    assert least.user.request("PUT", f"/{bucket}/{body}", body=b"x").status == 403
    assert least.user.request("DELETE", f"/{bucket}/{body}").status == 403


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"])
def test_nothing_of_who_verifies_is_too_much(least: Least, action: str) -> None:
    """Without to read, list or write nothing is adopted; without to delete nothing is withdrawn."""
    least.as_owner(least.printed())
    policy = least.printed("verify")
    assert actions_of(policy) == {"s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"}
    least.allow(without(policy, action))
    assert (adopted(least).code == 0) == (action == "s3:DeleteObject")
    if action == "s3:DeleteObject":
        assert not withdrawn(least)


# --- a restore ------------------------------------------------------------------------------------


def test_who_restores_reads_and_takes_a_safety_backup(least: Least) -> None:
    """The policy is that of a run without a retention: nothing may be deleted."""
    policy = least.printed()
    first = least.as_owner(policy).result["key"]
    restoring = least.printed("restore")
    assert actions_of(restoring) == actions_of(policy) - {"s3:DeleteObject"}
    least.allow(restoring)
    snapshot = str(least.site.folder / "vault.snap")
    assert least.site.run("download", CLUSTER, "latest", snapshot).code == 0
    second = least.back_up()
    assert second.code == 0, second.err
    assert least.user.request("DELETE", f"/{least.place.bucket}/{first}").status == 403


# --- a role, tags, and rules ----------------------------------------------------------------------


def test_a_role_is_for_this_account_alone(
    vault: VaultCluster, site: Site, minio_roles: Minio, issuer: OpenIdIssuer
) -> None:
    """Tokens of another ServiceAccount of the same issuer and audience get the role, and may do nothing."""
    assert minio_roles.openid is not None
    minio_roles.root.make_bucket("least-by-role")
    place = BucketPlace(minio_roles, "least-by-role")
    target = {
        "endpoint": minio_roles.url,
        "bucket": place.bucket,
        "usePathStyle": True,
        "roleArn": minio_roles.openid.role,
    }
    site.describe(CLUSTER, vault, target, retention={"maxCount": 1})
    printed = site.run("policy", CLUSTER, "store", "--output", "json").json["store"]
    policy = json.dumps(printed["files"]["store-policy.json"]).encode()
    minio_roles.root.ask("PUT", f"{ADMIN}/add-canned-policy", {"name": minio_roles.openid.policy}, policy)

    def run(account: str) -> Ended:
        subject = f"system:serviceaccount:default:{account}"
        site.secret("web", token=issuer.tokens.issue(subject, "sts.amazonaws.com"))
        variables = {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(site.secrets / "web" / "token"),
            "AWS_CA_BUNDLE": str(minio_roles.ca_file),
        }
        return site.begin_job(site.job(CLUSTER) | variables).wait()

    try:
        mine = run(f"{CLUSTER}-backup-serviceaccount")
        assert (mine.code, mine.result["warnings"]) == (0, []), mine.err
        other = run("other-backup-serviceaccount")
        assert (other.code, other.result["reason"]) == (5, "StorageDenied")
    finally:
        minio_roles.root.remove_bucket(place.bucket)


def test_minio_asks_for_no_right_to_set_tags(least: Least) -> None:
    """So the policy has none, and tags are there."""
    least.describe(tags={"team": "blue"})
    key = least.as_owner(least.printed()).result["key"]
    tagging = least.place.minio.root.ask("GET", f"/{least.place.bucket}/{key}", {"tagging": ""})
    assert b"<Value>blue</Value>" in tagging.body


@pytest.fixture(scope="module")
def locking(servers_folder: Path) -> Iterator[Minio]:
    """A MinIO of its own: what is locked cannot be removed."""
    with Minio(servers_folder / "minio-least-locks", build.binary("minio")) as server:
        yield server


#: A default retention of the bucket that is longer than the target's own.
LONGER = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    "<Mode>COMPLIANCE</Mode><Days>10</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)


@pytest.mark.parametrize(
    ("taken", "default", "works"),
    [
        ("", "", True),
        ("", LONGER, True),
        ("s3:PutObjectRetention", "", False),
        ("s3:GetObjectRetention", "", True),
        ("s3:GetObjectRetention", LONGER, False),
    ],
)
def test_who_locks_sets_locks_and_reads_longer_ones(
    vault: VaultCluster, site: Site, locking: Minio, taken: str, default: str, works: bool
) -> None:
    """Without to set them nothing is locked; without to read them a bucket's longer ones are not seen."""
    bucket = f"locks-{taken[3:6].lower()}-{len(default)}"
    locking.root.make_lockable(bucket)
    if default:
        locking.root.ask("PUT", f"/{bucket}", {"object-lock": ""}, default.encode())
    user = locking.add_user(USER, "the-secret-key-of-lesser-rights", ["s3:GetObject"], ["no-such-bucket"])
    least = Least(site, BucketPlace(locking, bucket), vault, user)
    least.describe(objectLock={"mode": "COMPLIANCE", "days": 1})
    policy = least.printed()
    least.allow(without(policy, taken) if taken else policy)
    ended = least.back_up()
    assert (ended.code == 0) == works, ended.err


def test_the_rules_are_taken(least: Least) -> None:
    """MinIO takes the XML, and gives the same rules back."""
    target = least.place.target(least.site, keys=least.user.keys, pathPrefix="backups & more")
    retention = {"maxAge": "720h", "preUpgrade": {"maxAge": "2160h"}}
    least.site.describe(CLUSTER, least.vault, target, retention=retention)
    printed = least.site.run("policy", CLUSTER, "lifecycle", "--output", "json").json["lifecycle"]
    owner, path = least.place.minio.root, f"/{least.place.bucket}"
    rules = printed["files"]["lifecycle.xml"].encode()
    digest = base64.b64encode(hashlib.md5(rules, usedforsecurity=False).digest()).decode()
    owner.ask("PUT", path, {"lifecycle": ""}, rules, {"content-md5": digest})
    kept = owner.ask("GET", path, {"lifecycle": ""}).body.decode()
    for prefix, days in (("20", 30), ("pre-upgrade-", 90)):
        assert f"<Prefix>backups &amp; more/default/{CLUSTER}/{prefix}</Prefix>" in kept
        assert f"<Days>{days}</Days>" in kept
