"""A cluster that was backed up into a bucket, and its end; and machines on which a new one is made."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml
from tests.harness.minio import ROOT
from tests.harness.page import Terminal
from tests.harness.process import free_ports, wait_until
from tests.harness.vault import VaultCluster
from tests.servers.places import BucketPlace
from tests.servers.program import NOWHERE, Site

NAME = "vault"
SHARES, THRESHOLD = 3, 2
KNOWN = "secret/known"
OLD, BAD = {"whose": "of-before-the-disaster"}, {"whose": "changed-by-mistake"}


class OldCluster:
    """What there was: a server with several unseal keys, a document, and a good backup."""

    def __init__(self, folder: Path, binary: Path, site: Site, place: BucketPlace) -> None:
        self.site, self.place = site, place
        self.document = site.documents / f"{NAME}.yaml"
        with VaultCluster(folder / "old", binary) as cluster:
            cluster.write_secret("known", OLD)
            self.keys = _rekey(cluster)[:THRESHOLD]
            self.token = cluster.root_token
            site.describe(NAME, cluster, place.target(site))
            (site.documents / "secrets").symlink_to(site.secrets)
            ended = site.backup(NAME)
            assert ended.code == 0, ended.err
            self.key: str = ended.result["key"]
        shutil.rmtree(folder / "old")

    def correct_document(self, address: str, ca_file: Path) -> None:
        """What a person writes into the document when the server has another address and another CA."""
        document = yaml.safe_load(self.document.read_text(encoding="utf-8"))
        document["spec"]["connection"] = {"addresses": [address], "caFile": str(ca_file)}
        self.document.write_text(yaml.safe_dump(document), encoding="utf-8")

    def backups(self) -> list[str]:
        """The keys of all backups but those of before a restore."""
        keys = [key for key in self.place.visible() if key.endswith(".snap")]
        return [key for key in keys if "/pre-restore-" not in key]

    def add_unproven(self) -> str:
        """A backup as another tool leaves it, the same bytes and no receipt; gives its key."""
        key = f"{self.key.rpartition('/')[0]}/2026-01-01T00-00-00Z-0a1b2c3d.snap"
        self.place.minio.root.put(self.place.bucket, key, self.place.read(self.key))
        return key


def _rekey(cluster: VaultCluster) -> list[str]:
    """Give the cluster as many keys as a real one has; gives them."""
    shares = {"secret_shares": SHARES, "secret_threshold": THRESHOLD}
    nonce = cluster.ask("PUT", "sys/rekey/init", shares)["nonce"]
    done = cluster.ask("PUT", "sys/rekey/update", {"key": cluster.unseal_key, "nonce": nonce})
    keys: list[str] = done["keys_base64"]
    return keys


class Machine:
    """One machine: a person's bash on it, and the values that this person fills in."""

    def __init__(self, folder: Path, binary: Path, old: OldCluster, *, first: Machine | None = None) -> None:
        self.folder = folder
        self.work = folder / "work"
        # The page gives it the name `bao`, which it uses everywhere.
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "vault").symlink_to(binary)
        port, cluster_port = free_ports(2)
        self.address = f"https://127.0.0.1:{port}"
        minio = old.place.minio
        self.values = {
            "TARGET": f"s3://{old.place.bucket}?endpoint={minio.url}&pathStyle=true",
            "AWS_ACCESS_KEY_ID": ROOT.access_key,
            "AWS_SECRET_ACCESS_KEY": ROOT.secret_key,
            "CLUSTER": f"default/{NAME}",
            "KNOWN": KNOWN,
            "HOST": "127.0.0.1",
            "NODE": folder.name,
            "LISTEN": "127.0.0.1",
            "PORT": str(port),
            "CLUSTER_PORT": str(cluster_port),
            "FIRST": (first or self).address,
            "NAMES": "IP:127.0.0.1",
            "DATA": str(folder / "data"),
            "WORK": str(self.work),
            "DOCUMENT": str(old.document),
        }
        program = Path(sys.executable).parent
        self.terminal = Terminal(
            folder / "pasted",
            {
                "PATH": f"{folder / 'bin'}:{program}:{os.environ['PATH']}",
                "HOME": str(folder),
                "LANG": "C.UTF-8",
                "TERM": "dumb",
                "AWS_METADATA_ENDPOINT": NOWHERE,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": NOWHERE,
            },
        )

    def until_it_serves(self, what: str, value: str) -> None:
        """Wait until the known secret has this value."""
        asked = f"bao kv get {KNOWN}"
        wait_until(what, lambda: value in self.terminal.paste(asked).printed, seconds=60, every=1)

    def copy_from(self, other: Machine, names: Sequence[str]) -> None:
        """What a person brings here from another machine."""
        for name in names:
            shutil.copy(other.work / name, self.work / name)


def a_second_later() -> str:
    """A time that comes after all that has been done, as a person writes it."""
    time.sleep(1.1)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(1.1)
    return now
