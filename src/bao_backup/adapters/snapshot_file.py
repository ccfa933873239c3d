"""One snapshot in a file of this machine, read as an object of a store is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from bao_backup.core.errors import StorageError
from bao_backup.core.model import Stored
from bao_backup.core.storage_errors import ObjectChangedError, ObjectNotFoundError

CHUNK = 1 << 20
_HINT = "name a file with a whole snapshot, as bao-backup download writes it"


class SnapshotFile:
    """The reading half of a store that holds this one file; its key is its path as given.

    Its ETag is what the system tells of it (inode, size, time of the last change), so that a file which
    is replaced or written to between two reads is noticed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def location(self) -> str:
        """No store: empty, since the key is the path as it was given."""
        return ""

    def head(self, key: str) -> Stored:
        """The file as it is now."""
        doing = f"look at the file {self._path}"
        self._check(doing, key)
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise _failed(doing, error) from error
        if not stat.S_ISREG(found.st_mode):
            # A pipe gives its bytes once, and one without a writer keeps who opens it, for ever.
            why = "it is no plain file, and it is read twice"
            raise StorageError(doing, why, hint="write the snapshot into a file first, and name that")
        return self._stored(found)

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Chunks of 1 MiB; ObjectChangedError at the first, or behind the last, when it was changed."""
        doing = f"read the file {self._path}"
        self._check(doing, key)
        try:
            with self._path.open("rb", buffering=0) as file:
                self._compare(doing, file, etag)
                while chunk := file.read(CHUNK):
                    yield chunk
                self._compare(doing, file, etag)
        except OSError as error:
            raise _failed(doing, error) from error

    def list(self, prefix: str) -> Iterator[Stored]:
        """The file, where it is below `prefix`."""
        if not prefix or str(self._path).startswith(f"{prefix}/"):
            yield self.head(str(self._path))

    def _check(self, doing: str, key: str) -> None:
        if key != str(self._path):
            raise ObjectNotFoundError(doing, f"it is not {key}", hint=_HINT)

    def _stored(self, found: os.stat_result) -> Stored:
        return Stored(
            key=str(self._path),
            size=found.st_size,
            modified=datetime.fromtimestamp(found.st_mtime, UTC),
            etag=f"{found.st_dev:x}-{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}",
        )

    def _compare(self, doing: str, file: BinaryIO, etag: str | None) -> None:
        if etag not in (None, self._stored(os.fstat(file.fileno())).etag):
            hint = "restore again when nobody writes to it"
            raise ObjectChangedError(doing, "it was changed meanwhile", hint=hint)


def _failed(doing: str, error: OSError) -> StorageError:
    why = (error.strerror or "failed").lower()
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(doing, why, hint=_HINT)
    return StorageError(doing, why, hint=_HINT)
