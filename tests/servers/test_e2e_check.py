"""`bao-backup check` as a process, on a real Vault and a real MinIO: what is right, and each thing wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.scripted import ScriptedServer, reply
from tests.harness import build
from tests.harness.certificates import Authority
from tests.harness.logins import create_token
from tests.harness.minio import ADMIN, Minio
from tests.harness.s3 import Keys
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace
from tests.servers.policy_site import paste
from tests.servers.program import Ended, Site

pytestmark = pytest.mark.servers

#: What a check needs to do at S3 where nothing is dropped.
WITHOUT_DELETE = ("s3:PutObject", "s3:GetObject", "s3:ListBucket")
TO_CHECK = (*WITHOUT_DELETE, "s3:DeleteObject")
USER_SECRET = "secret-of-a-user"


@dataclass
class World:
    """A real server, a real store, and a site."""

    site: Site
    vault: VaultCluster
    place: BucketPlace

    def user(self, name: str, actions: tuple[str, ...]) -> Keys:
        """Keys of the store that may do only this in the bucket."""
        minio: Minio = self.place.minio
        return minio.add_user(name, USER_SECRET, actions, [self.place.bucket]).keys


def lines(ended: Ended) -> dict[str, dict[str, Any]]:
    """What it printed, by the names of lines."""
    return {line["name"]: line for line in ended.json["lines"]}


def not_passed(ended: Ended) -> dict[str, str]:
    """The lines that did not pass, but for what needs another one, or what no bucket tells."""
    return {
        name: line["state"]
        for name, line in lines(ended).items()
        if line["state"] != "Passed" and not line["words"].startswith(("needs ", "the store does not tell"))
    }


@pytest.fixture
def world(site: Site, vault: VaultCluster, in_bucket: BucketPlace) -> World:
    """One node, one bucket."""
    return World(site, vault, in_bucket)


def check(world: World, **described: Any) -> Ended:
    """Describe the cluster and check it."""
    target = described.pop("target", None) or world.place.target(world.site)
    world.site.describe("checked", world.vault, target, **described)
    return world.site.run("check", "checked", "--output", "json")


def test_all_is_right(world: World) -> None:
    """Every line passes, with exit code 0; no probe and no token is left, and a backup goes there then."""
    ended = check(world, retention={"maxCount": 3})
    assert ended.code == 0, ended.out
    assert not_passed(ended) == {}
    assert ended.result["reason"] == "ConfigurationProven"
    assert world.place.visible() == []
    assert list(world.place.leftovers()) == []
    assert world.site.backup("checked").code == 0
    again = check(world, retention={"maxCount": 3})
    assert lines(again)["list"]["words"] == "1 backup there"


RULE = """<LifecycleConfiguration><Rule><ID>short</ID><Status>Enabled</Status><Filter><Prefix></Prefix>
</Filter><Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>"""


def test_a_bucket_with_rules(world: World) -> None:
    """Old versions, and a rule that comes before the retention, are told, each with what to do."""
    owner, bucket = world.place.minio.root, world.place.bucket
    owner.make_versioned(bucket)
    digest = base64.b64encode(hashlib.md5(RULE.encode(), usedforsecurity=False).digest()).decode()
    owner.ask("PUT", f"/{bucket}", {"lifecycle": ""}, RULE.encode(), {"content-md5": digest})
    ended = check(world, retention={"keepDaily": 7})
    assert ended.code == 0
    versions, rule = lines(ended)["versioning"], lines(ended)["lifecycle"]
    assert (versions["state"], rule["state"]) == ("Passed", "Passed")
    assert "stays as an old version" in versions["words"]
    assert "the rule short removes objects after 3 days, and backups are to be kept for 7" in rule["words"]
    assert versions["remedy"]
    assert rule["remedy"]


@pytest.fixture(scope="module")
def locking(servers_folder: Path) -> Iterator[Minio]:
    """A MinIO of its own: what is locked cannot be removed."""
    with Minio(servers_folder / "minio-check-locks", build.binary("minio")) as server:
        yield server


def test_a_target_that_locks(site: Site, vault: VaultCluster, locking: Minio) -> None:
    """The lock is seen to be possible, and no probe is locked: every one of its versions can be deleted."""
    locking.root.make_lockable("lockable")
    world = World(site, vault, BucketPlace(locking, "lockable"))
    lock = {"mode": "COMPLIANCE", "days": 30}
    ended = check(world, target=world.place.target(site, objectLock=lock), retention={"maxCount": 3})
    assert ended.code == 0, ended.out
    assert "each backup is locked for 30 days" in lines(ended)["lock"]["words"]
    assert world.place.visible() == []
    told = locking.root.ask("GET", "/lockable", {"versions": ""}).body.decode()
    versions = re.findall(r"<Version>.*?<Key>([^<]+)</Key>.*?<VersionId>([^<]+)</VersionId>", told, re.DOTALL)
    assert len(versions) >= 2
    for key, version in versions:
        locking.root.ask("DELETE", f"/lockable/{key}", {"versionId": version})


def test_the_printed_policies_are_enough(world: World, tmp_path: Path) -> None:
    """Whoever has what `bao-backup policy` prints, for store and server, may check, too."""
    keys = world.user("check-printed", ("s3:GetObject",))
    target = world.place.target(world.site, keys=keys, pathPrefix="backups")
    role = {"method": "approle", "mountPath": "checks", "secretRef": {"name": "login"}}
    world.site.describe("checked", world.vault, target, auth=role, retention={"maxCount": 1})
    printed = world.site.run("policy", "checked", "--output", "json").json
    policy = json.dumps(printed["store"]["files"]["store-policy.json"]).encode()
    world.place.minio.root.ask("PUT", f"{ADMIN}/add-canned-policy", {"name": "check-printed"}, policy)
    paste(world.vault, world.site.run("policy", "checked", "server").out, tmp_path / "pasted")
    names = ("role_id", "secret_id")
    found = {name: (tmp_path / "pasted" / name).read_text().strip() for name in names}
    world.site.secret("login", **found)
    ended = world.site.run("check", "checked", "--output", "json")
    assert ended.code == 0, ended.out
    expected = {"versioning", "lock", "lifecycle", "uploads", "encryption"}
    assert not_passed(ended) == dict.fromkeys(expected, "NotPermitted")
    assert "more than a backup needs" not in lines(ended)["snapshot"]["words"]


# --- what is wrong -----------------------------------------------------------------------------


def wrong_token(world: World) -> dict[str, Any]:
    """A token that nobody gave out."""
    name = world.site.secret("bao-token", token="hvs.CAESINobodyGaveThisTokenOut0123")
    return {"auth": {"method": "token", "secretRef": {"name": name}}}


def no_snapshot(world: World) -> dict[str, Any]:
    """A policy without the snapshot."""
    world.vault.policy("nothing", 'path "secret/nothing" { capabilities = ["read"] }')
    token = create_token(world.vault, ["nothing"])
    return {"auth": {"method": "token", "secretRef": {"name": world.site.secret("bao-token", token=token)}}}


def wrong_secret_id(world: World) -> dict[str, Any]:
    """A login that the server refuses."""
    name = world.site.secret("approle", role_id="role-of-no-one", secret_id="not-the-secret-id")
    return {"auth": {"method": "approle", "secretRef": {"name": name}}}


def wrong_address(_world: World) -> dict[str, Any]:
    """A port on which nothing listens."""
    return {"addresses": ["https://127.0.0.1:9"]}


def wrong_ca(world: World) -> dict[str, Any]:
    """An authority that has not issued the server's certificate."""
    other = Authority(world.site.folder / "other-ca")
    return {"connection": {"caFile": str(other.ca_file)}}


def wrong_bucket(world: World) -> dict[str, Any]:
    """A bucket that is not there."""
    return {"target": world.place.target(world.site, bucket="no-such-bucket")}


def wrong_keys(world: World) -> dict[str, Any]:
    """Keys that nobody has."""
    return {"target": world.place.target(world.site, keys=Keys("key-of-no-user", USER_SECRET))}


def read_only(world: World) -> dict[str, Any]:
    """Keys that may not write."""
    keys = world.user("check-reads", ("s3:GetObject", "s3:ListBucket"))
    return {"target": world.place.target(world.site, keys=keys)}


def no_list(world: World) -> dict[str, Any]:
    """Keys that may not list."""
    keys = world.user("check-lists-not", ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"))
    return {"target": world.place.target(world.site, keys=keys)}


def no_read(world: World) -> dict[str, Any]:
    """Keys that may not read."""
    keys = world.user("check-reads-not", ("s3:PutObject", "s3:ListBucket", "s3:DeleteObject"))
    return {"target": world.place.target(world.site, keys=keys)}


def no_delete(world: World) -> dict[str, Any]:
    """Keys that may not delete, where the retention wants it."""
    keys = world.user("check-deletes-not", WITHOUT_DELETE)
    return {"target": world.place.target(world.site, keys=keys), "retention": {"maxCount": 3}}


def no_lock(world: World) -> dict[str, Any]:
    """A lock is asked for, and the bucket has none."""
    lock = {"mode": "GOVERNANCE", "days": 7}
    return {"target": world.place.target(world.site, objectLock=lock)}


#: What is wrong -> the lines that fail, the exit code, a piece of the first one's remedy.
WRONG: Mapping[str, tuple[Callable[[World], dict[str, Any]], set[str], int, str]] = {
    "token": (wrong_token, {"snapshot"}, 2, "give a token that is valid"),
    "policy": (no_snapshot, {"snapshot"}, 4, 'path "sys/storage/raft/snapshot"'),
    "secret id": (wrong_secret_id, {"login"}, 2, ""),
    "address": (wrong_address, {"leader"}, 3, "the addresses are right"),
    "CA": (wrong_ca, {"leader"}, 3, "caFile"),
    "bucket": (wrong_bucket, {"write"}, 5, "create it"),
    "keys": (wrong_keys, {"write"}, 5, ""),
    "write": (read_only, {"write"}, 5, "s3:PutObject"),
    "list": (no_list, {"list"}, 5, "s3:ListBucket"),
    "read": (no_read, {"describe", "read", "list"}, 5, "s3:GetObject"),
    "delete": (no_delete, {"delete"}, 5, "s3:DeleteObject"),
    "lock": (no_lock, {"lock"}, 5, "take objectLock out"),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_thing_is_wrong(world: World, what: str) -> None:
    """It fails its own line, with its exit code and remedy; all that does not need it is tried and passes."""
    make, failing, code, remedy = WRONG[what]
    ended = check(world, **make(world))
    found = lines(ended)
    assert {name for name, line in found.items() if line["state"] == "Failed"} == failing
    assert ended.code == ended.result["exitCode"] == code
    first = next(line for line in found.values() if line["state"] == "Failed")
    assert remedy in first["remedy"]
    assert first["remedy"]
    assert first["reason"] == ended.result["reason"]
    assert first["words"] in ended.result["message"]


def test_all_at_once(world: World) -> None:
    """Server and store are wrong, and both are told in one go."""
    ended = check(world, **wrong_ca(world), **wrong_bucket(world))
    assert {name for name, line in lines(ended).items() if line["state"] == "Failed"} == {"leader", "write"}
    assert ended.code == 3


def test_the_least_rights(world: World) -> None:
    """Keys that see nothing of the bucket's own, and may not delete where nothing is dropped: no failure."""
    keys = world.user("check-least", WITHOUT_DELETE)
    ended = check(world, target=world.place.target(world.site, keys=keys))
    assert ended.code == 0, ended.out
    expected = dict.fromkeys(("versioning", "lock", "lifecycle", "uploads", "encryption"), "NotPermitted")
    assert not_passed(ended) == {"delete": "NotPermitted"} | expected


def test_the_servers_clock(world: World) -> None:
    """A server whose clock is five minutes ahead, played by a stand-in, fails that line."""
    health = {"sealed": False, "standby": False, "version": "1.21.0", "cluster_id": "x"}
    said = json.dumps({**health, "server_time_utc": int(time.time()) + 300}).encode()
    denied = reply(403, b'{"errors":["permission denied"]}')
    scripts = {"/v1/sys/health": reply(200, said), "/v1/sys/capabilities-self": denied}
    with ScriptedServer({**scripts, "/v1/auth/token/lookup-self": reply(200, b"{}")}) as server:
        ended = check(world, addresses=[server.url])
    assert not_passed(ended) == {"serverClock": "Failed", "snapshot": "NotPermitted"}
    assert "ahead of this machine's" in lines(ended)["serverClock"]["words"]
    assert (ended.code, ended.result["reason"]) == (2, "ServerClockSkewed")
