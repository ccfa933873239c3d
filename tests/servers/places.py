"""Where the tests' backups go: a bucket and a folder, looked at from outside of the program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.harness.minio import ROOT, Minio
from tests.harness.s3 import S3, Keys
from tests.servers.program import PART, Ended, Site


class Place(Protocol):
    """A target, and what is in it."""

    def target(self, site: Site) -> dict[str, Any]:
        """`spec.backup.target`; its credentials become a Secret of the site."""
        ...

    def visible(self) -> list[str]:
        """All that a user can see there."""
        ...

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        ...

    def leftovers(self) -> Sequence[object]:
        """What unfinished uploads have left there, which `visible` does not give."""
        ...


class BucketPlace:
    """A bucket of MinIO, seen by its owner."""

    def __init__(self, minio: Minio, bucket: str) -> None:
        self.minio = minio
        self.bucket = bucket

    def target(
        self, site: Site, *, endpoint: str = "", keys: Keys = ROOT, bucket: str = "", **more: Any
    ) -> dict[str, Any]:
        """The target, through `endpoint` (a proxy) and as another user where told."""
        name = site.secret("store-keys", accessKeyId=keys.access_key, secretAccessKey=keys.secret_key)
        return {
            "provider": "s3",
            "endpoint": endpoint or self.minio.url,
            "bucket": bucket or self.bucket,
            "usePathStyle": True,
            "partSize": PART,
            "credentialsSecretRef": {"name": name},
            **more,
        }

    def visible(self) -> list[str]:
        return self._owner.keys_in(self.bucket)

    def read(self, key: str) -> bytes:
        return self._owner.get(self.bucket, key)

    def leftovers(self) -> Sequence[object]:
        return self._owner.uploads(self.bucket)

    @property
    def _owner(self) -> S3:
        return self.minio.root


class FolderPlace:
    """A folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def target(self, site: Site) -> dict[str, Any]:  # noqa: ARG002 - a folder needs no credentials
        return {"provider": "file", "path": str(self.path)}

    def visible(self) -> list[str]:
        return sorted(name for name in self._files() if not _hidden(name))

    def read(self, key: str) -> bytes:
        return (self.path / key).read_bytes()

    def leftovers(self) -> Sequence[object]:
        return [name for name in self._files() if _hidden(name)]

    def _files(self) -> list[str]:
        return [str(file.relative_to(self.path)) for file in self.path.rglob("*") if file.is_file()]


def _hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")


def assert_untouched(place: Place) -> None:
    """Nobody sees anything there, and nothing is there that nobody sees."""
    assert place.visible() == []
    assert list(place.leftovers()) == []


def assert_backup(place: Place, ended: Ended, *, tries: int = 1) -> None:
    """It succeeded, and exactly its backup and receipt are in the place."""
    result = ended.result
    assert ended.code == 0, ended.err
    assert result["outcome"] == "Succeeded"
    assert result["tries"] == tries, ended.err
    key = result["key"]
    assert place.visible() == [key, f"{key}.json"]
    assert list(place.leftovers()) == []
    receipt = json.loads(place.read(f"{key}.json"))
    assert (receipt["key"], receipt["sha256"]) == (key, result["sha256"])
    assert receipt["size"] == result["size"] == len(place.read(key))


def assert_failed(ended: Ended, code: int, reason: str) -> str:
    """It failed with this exit code and reason, told in words; gives its message."""
    result = ended.result
    message: str = result["message"]
    assert (result["outcome"], result["reason"]) == ("Failed", reason), ended.err
    assert ended.code == result["exitCode"] == code
    assert f"bao-backup: {reason}: {message}" in ended.err
    assert "Traceback" not in ended.err
    return message
