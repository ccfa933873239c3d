"""What listing and pruning many backups costs, beside a peer that lists and deletes as many objects."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness import client
from tests.harness.minio import ROOT
from tests.harness.s3 import signature

from bao_backup.core.naming import backup_key, receipt_key
from bench.contenders import CLUSTER, Contender, ours_on
from bench.places import Bucket
from bench.stage import Stage
from bench.usage import ContenderError, Pair

#: One each hour; so pruning by count has something to drop, and nothing is dated in the future.
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
BODY = 1024
RECEIPT = 1536
#: So many objects go into the store with one request.
AT_ONCE = 2000


@dataclass
class Catalogue:
    """A bucket with the backups of one cluster for each contender, below a prefix of its own."""

    stage: Stage
    backups: int

    @property
    def _target(self) -> Bucket:
        return self.stage.target

    def list_all(self) -> Pair:
        """Ours, then the peer's: both list the same objects."""
        return Pair(self.stage.run(self._ours("list")), self.stage.run(self._peer("lsf", "ours")))

    def prune_half(self) -> Pair:
        """Ours drops half of the backups, with their receipts; the peer deletes as many objects."""
        self.fill("ours", range(self.backups))
        self.fill("peer", range(self.backups // 2))
        kept = self.backups - self.backups // 2
        pair = Pair(
            self.stage.run(self._ours("prune", "--max-count", str(kept))),
            self.stage.run(self._peer("delete", "peer")),
        )
        left = self.count("ours"), self.count("peer")
        if left != (2 * kept, 0):
            raise ContenderError(f"{left} objects are left, not {2 * kept} and 0")
        return pair

    def fill(self, prefix: str, numbers: Iterable[int]) -> None:
        """Put these backups there where they are missing; their receipts, too."""
        there = set(self._target.minio.root.keys_in(self._target.bucket, f"{prefix}/"))
        wanted = [key for number in numbers for key in _keys(prefix, number)]
        missing = [key for key in wanted if key not in there]
        for start in range(0, len(missing), AT_ONCE):
            self._put(missing[start : start + AT_ONCE])

    def count(self, prefix: str) -> int:
        """How many objects there are."""
        return len(self._target.minio.root.keys_in(self._target.bucket, f"{prefix}/"))

    def _put(self, keys: Sequence[str]) -> None:
        """With one request: MinIO unpacks an archive where it is told to."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for key in keys:
                body = bytes(RECEIPT if key.endswith(".json") else BODY)
                entry = tarfile.TarInfo(key)
                entry.size = len(body)
                archive.addfile(entry, io.BytesIO(body))
        body, url = packed.getvalue(), self._target.minio.url
        path = f"/{self._target.bucket}/packed.tar"
        headers = signature(ROOT, "PUT", urlsplit(url).netloc, path, "", body)
        headers["x-amz-meta-snowball-auto-extract"] = "true"
        answer = client.request("PUT", url + path, body=body, headers=headers, timeout=300)
        if answer.status >= 300:
            raise ContenderError(f"the store did not unpack an archive: {answer.status}")

    def _ours(self, command: str, *options: str) -> Contender:
        return ours_on(self._target, command, "--output", "json", *options, prefix="ours")

    def _peer(self, command: str, prefix: str) -> Contender:
        # One LIST of everything, and no look at each object for its time.
        flags: dict[str, tuple[str | Path, ...]] = {
            "lsf": ("--recursive", "--fast-list", "--files-only", "--format", "ps"),
            "delete": ("--fast-list",),
        }
        words = (self.stage.rclone, command, *flags[command], self._target.path(prefix))
        return Contender((words,), self._target.variables)


def _keys(prefix: str, number: int) -> tuple[str, str]:
    """Of a backup, and of its receipt."""
    key = backup_key(f"{prefix}/{CLUSTER}", FIRST + timedelta(hours=number), f"{number:08x}")
    return key, receipt_key(key)
