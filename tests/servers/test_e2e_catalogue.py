"""The catalogue of a real bucket by its URL and keys alone, and deletions that a real store refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.entry.world import FIRST, Answer, finish, plain_environment, start
from tests.harness.azurite import ACCOUNT, Azurite
from tests.harness.azurite import KEY as AZURE_KEY
from tests.harness.gcs import FakeGcs
from tests.harness.gcs_identities import AccountKey
from tests.harness.minio import ROOT, Minio
from tests.harness.s3 import Keys
from tests.servers.program import Witness

from bao_backup.adapters.stores import open_store
from bao_backup.core.naming import backup_key, receipt_key
from bao_backup.core.storage import StoreSettings

pytestmark = pytest.mark.servers

CLUSTERS = ("a/x", "b/y")


class Bucket:
    """A bucket with three backups of each of two clusters, below a path prefix, and no document."""

    def __init__(self, minio: Minio, name: str, folder: Path, witness: Witness) -> None:
        self.minio = minio
        self.name = name
        self.folder = folder
        self.witness = witness
        self.keys = {
            cluster: [
                backup_key(f"team a/{cluster}", FIRST + timedelta(hours=number), f"{number:08x}")
                for number in range(3)
            ]
            for cluster in CLUSTERS
        }
        for key in (key for keys in self.keys.values() for key in keys):
            minio.root.put(name, key, b"a body")
            minio.root.put(name, receipt_key(key), json.dumps({"of": key}).encode())

    def run(self, *words: str, keys: Keys = ROOT) -> Answer:
        """A command on the bucket, with the keys in files."""
        credentials = self.folder / "credentials"
        credentials.mkdir(exist_ok=True)
        (credentials / "accessKeyId").write_text(keys.access_key)
        (credentials / "secretAccessKey").write_text(keys.secret_key)
        url = f"s3://{self.name}/team%20a?endpoint={quote(self.minio.url, safe='')}&pathStyle=true"
        options = ("--target", url, "--credentials", str(credentials))
        answer = finish(start(*words, *options, environment=plain_environment()))
        self.witness.saw(" ".join(words), answer.out + answer.err)
        return answer

    def visible(self) -> set[str]:
        """All keys."""
        return set(self.minio.root.keys_in(self.name))


@pytest.fixture
def filled(minio: Minio, bucket: str, tmp_path: Path, witness: Witness) -> Bucket:
    """The bucket."""
    return Bucket(minio, bucket, tmp_path, witness)


def test_all_clusters_are_listed(filled: Bucket) -> None:
    """With nothing but the URL and two files."""
    answer = filled.run("list", "--all-clusters", "--output", "json")
    assert answer.code == 0, answer.err
    assert [(each["cluster"], each["key"]) for each in answer.json["backups"]] == [
        (cluster[2:], key) for cluster in CLUSTERS for key in reversed(filled.keys[cluster])
    ]
    assert filled.run("list").code == 1


def test_one_cluster_is_pruned(filled: Bucket) -> None:
    """The other one's backups are not touched."""
    answer = filled.run("prune", "--cluster", "a/x", "--max-count", "1")
    assert (answer.code, answer.err) == (0, "1 kept, 2 dropped\n")
    kept = [filled.keys["a/x"][-1], *filled.keys["b/y"]]
    assert filled.visible() == {*kept, *map(receipt_key, kept)}


@pytest.mark.parametrize("allowed", ["nothing", "receipts"])
def test_what_may_not_be_deleted_stays_good(filled: Bucket, allowed: str) -> None:
    """A real store's refusals are told by key; a receipt whose body stays is written back, byte for byte."""
    user = f"pruner-{allowed}"
    actions = ["s3:ListBucket", "s3:GetObject", "s3:PutObject"]
    filled.minio.add_user(user, "secret-of-the-pruner", actions, [filled.name])
    if allowed == "receipts":
        resource = f"arn:aws:s3:::{filled.name}/*.json"
        statements = [
            {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{filled.name}{end}"]}
            for end in ("", "/*")
        ]
        statements.append({"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": [resource]})
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements}).encode()
        filled.minio.root.ask("PUT", "/minio/admin/v3/add-canned-policy", {"name": user}, policy)
    before = {key: filled.minio.root.get(filled.name, key) for key in filled.visible()}
    words = ("prune", "--cluster", "a/x", "--max-count", "1")
    answer = filled.run(*words, keys=Keys(user, "secret-of-the-pruner"))
    assert answer.code == 5
    assert answer.complaint.startswith("bao-backup: StorageDenied: prune ")
    assert f"2 not deleted, the first: {filled.keys['a/x'][0]}: " in answer.complaint
    assert {key: filled.minio.root.get(filled.name, key) for key in filled.visible()} == before


def test_azure_by_its_url(azurite: Azurite, container: str, tmp_path: Path) -> None:
    """The account is in the URL, its key in a file."""
    credentials = {"accountKey": AZURE_KEY}
    settings = StoreSettings(provider="azure", account=ACCOUNT, bucket=container, endpoint=azurite.url)
    url = f"azure://{container}/team%20a?account={ACCOUNT}&endpoint={azurite.url}"
    assert_pruned(settings, credentials, url, tmp_path)


def test_google_cloud_by_its_url(fake_gcs: FakeGcs, gcs_bucket: str, tmp_path: Path) -> None:
    """A service account's key is a file beside it."""
    credentials = {"credentials.json": AccountKey().file}
    settings = StoreSettings(provider="gcs", bucket=gcs_bucket, endpoint=fake_gcs.url)
    assert_pruned(settings, credentials, f"gs://{gcs_bucket}/team%20a?endpoint={fake_gcs.url}", tmp_path)


def assert_pruned(settings: StoreSettings, credentials: dict[str, str], url: str, folder: Path) -> None:
    """Three backups are listed by the URL, and two of them dropped."""
    store = open_store(settings, credentials)
    for day in range(3):
        key = backup_key("team a/default/prod", FIRST + timedelta(days=day), f"{day:08x}")
        store.create(key, b"a body")
        store.create(receipt_key(key), b"{}")
    for name, value in credentials.items():
        (folder / name).write_text(value)
    options = ("--target", url, "--credentials", str(folder))
    listed = finish(start("list", "--all-clusters", *options, environment=plain_environment()))
    assert (listed.code, len(listed.out.splitlines())) == (0, 4), listed.err
    pruned = finish(start("prune", "--max-count", "1", *options, environment=plain_environment()))
    assert (pruned.code, pruned.err) == (0, "1 kept, 2 dropped\n")
    assert [stored.key for stored in store.list("")] == [key, receipt_key(key)]
