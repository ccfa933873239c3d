"""The stores that contenders write to and read from: how each one is told of them, and what is in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tests.harness.azurite import ACCOUNT, KEY, Azurite
from tests.harness.gcs import FakeGcs
from tests.harness.minio import ROOT, Minio
from tests.harness.s3 import NAMESPACE

from bao_backup.core.storage import StoreSettings
from bench.plan import MIB

#: All upload with the product's defaults, where a peer can be told so: parts of 10 MiB, three at once.
PART = 10
AT_ONCE = 3
#: Parts of rclone's uploads to Google, in MiB, which are of Google's library for Go: no flag changes them.
GOOGLE_PART = 16


class Place(Protocol):
    """A store. Words and variables are those of rclone, which reads no file."""

    @property
    def name(self) -> str:
        """For tables: "MinIO (S3)"."""
        ...

    @property
    def pid(self) -> int:
        """Of the server behind it; 0 where there is none."""
        ...

    def store(self) -> StoreSettings:
        """As ours is told of it."""
        ...

    @property
    def credentials(self) -> Mapping[str, str]:
        """Variables with which ours comes to it."""
        ...

    @property
    def flags(self) -> tuple[str, ...]:
        """How uploads go there."""
        ...

    def path(self, key: str) -> str:
        """The object, as rclone calls it."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """Where it is, and with which credentials rclone comes to it."""
        ...

    def sizes(self) -> dict[str, int]:
        """All that is in it: bytes by key."""
        ...

    def empty(self) -> None:
        """Remove all that is in it."""
        ...


@dataclass(frozen=True)
class Bucket:
    """A bucket of a MinIO over plain HTTP."""

    minio: Minio
    bucket: str
    name: str = "MinIO (S3)"

    @property
    def pid(self) -> int:
        return self.minio.process.pid

    def store(self) -> StoreSettings:
        return StoreSettings(
            provider="s3",
            bucket=self.bucket,
            endpoint=self.minio.url,
            path_style=True,
            part_size=PART * MIB,
            concurrency=AT_ONCE,
        )

    @property
    def credentials(self) -> Mapping[str, str]:
        return {"AWS_ACCESS_KEY_ID": ROOT.access_key, "AWS_SECRET_ACCESS_KEY": ROOT.secret_key}

    @property
    def flags(self) -> tuple[str, ...]:
        size, count = ("--s3-chunk-size", f"{PART}M"), ("--s3-upload-concurrency", f"{AT_ONCE}")
        return (*size, *count, "--s3-no-check-bucket")

    def path(self, key: str) -> str:
        return f":s3:{self.bucket}/{key}"

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_S3_PROVIDER": "Minio",
            "RCLONE_S3_ENDPOINT": self.minio.url,
            "RCLONE_S3_ACCESS_KEY_ID": ROOT.access_key,
            "RCLONE_S3_SECRET_ACCESS_KEY": ROOT.secret_key,
        }

    def sizes(self) -> dict[str, int]:
        listing = self.minio.root.ask("GET", f"/{self.bucket}", {"list-type": "2"}).body
        return {
            each.findtext("s3:Key", "", NAMESPACE): int(each.findtext("s3:Size", "0", NAMESPACE))
            for each in ET.fromstring(listing).findall("s3:Contents", NAMESPACE)
        }

    def empty(self) -> None:
        for key in self.sizes():
            self.minio.root.ask("DELETE", f"/{self.bucket}/{key}")


@dataclass(frozen=True)
class GoogleBucket:
    """A bucket of a fake-gcs-server, which keeps all of it in memory, and asks nobody who he is.

    With each part it sums up all that it has of the object, anew: large objects take it long.
    """

    gcs: FakeGcs
    bucket: str
    #: The key of a service account: ours signs its tokens with one, whoever looks at them.
    key_file: Path
    name: str = "fake-gcs-server (GCS)"

    @property
    def pid(self) -> int:
        return self.gcs.process.pid

    def store(self) -> StoreSettings:
        return StoreSettings(
            provider="gcs",
            bucket=self.bucket,
            endpoint=self.gcs.url,
            part_size=GOOGLE_PART * MIB,
        )

    @property
    def credentials(self) -> Mapping[str, str]:
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(self.key_file)}

    @property
    def flags(self) -> tuple[str, ...]:
        # Neither has parts at once there: the service takes an upload's parts one after the other.
        return ("--gcs-no-check-bucket",)

    def path(self, key: str) -> str:
        return f":gcs:{self.bucket}/{key}"

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_GCS_ENDPOINT": f"{self.gcs.url}/storage/v1/",
            "RCLONE_GCS_ANONYMOUS": "true",
        }

    def sizes(self) -> dict[str, int]:
        return {key: self._size(key) for key in self.gcs.keys_in(self.bucket)}

    def empty(self) -> None:
        self.gcs.empty_bucket(self.bucket)

    def _size(self, key: str) -> int:
        about = self.gcs.ask("GET", f"/storage/v1/b/{self.bucket}/o/{quote(key, safe='')}").body
        return int(json.loads(about)["size"])


@dataclass(frozen=True)
class Container:
    """A container of an Azurite over plain HTTP."""

    azurite: Azurite
    container: str
    name: str = "Azurite (Azure)"

    @property
    def pid(self) -> int:
        return self.azurite.process.pid

    def store(self) -> StoreSettings:
        return StoreSettings(
            provider="azure",
            bucket=self.container,
            account=ACCOUNT,
            endpoint=self.azurite.url,
            part_size=PART * MIB,
            concurrency=AT_ONCE,
        )

    @property
    def credentials(self) -> Mapping[str, str]:
        return {"AZURE_STORAGE_KEY": KEY}

    @property
    def flags(self) -> tuple[str, ...]:
        size, count = ("--azureblob-chunk-size", f"{PART}M"), ("--azureblob-upload-concurrency", f"{AT_ONCE}")
        return (*size, *count, "--azureblob-no-check-container")

    def path(self, key: str) -> str:
        return f":azureblob:{self.container}/{key}"

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_AZUREBLOB_ENDPOINT": self.azurite.url,
            "RCLONE_AZUREBLOB_ACCOUNT": ACCOUNT,
            "RCLONE_AZUREBLOB_KEY": KEY,
        }

    def sizes(self) -> dict[str, int]:
        return {key: self._size(key) for key in self.azurite.root.keys_in(self.container)}

    def empty(self) -> None:
        for key in self.sizes():
            self.azurite.root.ask("DELETE", f"/{self.container}/{key}")

    def _size(self, key: str) -> int:
        return int(self.azurite.root.ask("HEAD", f"/{self.container}/{key}").headers["content-length"])


@dataclass(frozen=True)
class Folder:
    """A folder of this machine."""

    folder: Path
    name: str = "a folder"
    pid: int = 0

    def __post_init__(self) -> None:
        """Both contenders want it to be there."""
        self.folder.mkdir(exist_ok=True)

    def store(self) -> StoreSettings:
        return StoreSettings(provider="file", path=str(self.folder))

    @property
    def credentials(self) -> Mapping[str, str]:
        return {}

    @property
    def flags(self) -> tuple[str, ...]:
        return ()

    def path(self, key: str) -> str:
        return str(self.folder / key)

    @property
    def variables(self) -> Mapping[str, str]:
        return {"RCLONE_CONFIG": "/dev/null"}

    def sizes(self) -> dict[str, int]:
        files = (file for file in self.folder.rglob("*") if file.is_file())
        return {str(file.relative_to(self.folder)): file.stat().st_size for file in files}

    def empty(self) -> None:
        for each in self.folder.iterdir():
            shutil.rmtree(each)
