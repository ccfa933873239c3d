"""A folder behind the port `Store`: on a local disk or a mounted volume.

Written with the operating system's own calls: docs/decisions/0002-file-store.md says why.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from bao_backup.adapters.stores.disk import Disk, Entry
from bao_backup.adapters.stores.partial import Partial, is_partial, remove_if_dead
from bao_backup.adapters.stores.source import close
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.model import Stored
from bao_backup.core.storage import MIB, StoreSettings, check_key, check_prefix
from bao_backup.core.storage_errors import ObjectChangedError, ObjectNotFoundError
from bao_backup.core.store_facts import StoreFacts

CHUNK = MIB


def open_folder(
    settings: StoreSettings, _credentials: Mapping[str, str], _again: object = None
) -> FolderStore:
    """Open the folder `settings.path`; whether it is there is found out at the first use.

    Raises:
        ConfigurationError: the path is not absolute.
    """
    if not os.path.isabs(settings.path):
        raise ConfigurationError(
            "open a folder as target",
            f"spec.backup.target.path is {settings.path!r}, not an absolute path",
        )
    return FolderStore(settings.path)


class FolderStore:
    """Objects as files below one folder. Safe for use by several threads and programs."""

    def __init__(self, path: str) -> None:
        self._disk = Disk(path)

    @property
    def location(self) -> str:
        """Such as "file:///backups"."""
        return self._disk.location

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        """Write to a partial file, sync it, rename it to its name, sync the folder."""
        try:
            with self._partial("write", key) as (partial, name):
                for chunk in chunks:  # What it raises is not ours to translate.
                    with self._disk.doing("write", key):
                        partial.write(chunk)
                with self._disk.doing("write", key):
                    return _stored(key, partial.rename(name))
        finally:
            close(chunks)

    def create(self, key: str, body: bytes) -> Stored:
        """As `put`, but the name is given by link(2), which never replaces a file."""
        with self._partial("create", key) as (partial, name), self._disk.doing("create", key):
            partial.write(body)
            return _stored(key, partial.link(name))

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read the file that has the name now, even if another takes its place meanwhile."""
        return self._read(key, _names(key), etag)

    def head(self, key: str) -> Stored:
        """One stat(2)."""
        *folders, name = _names(key)
        with self._disk.doing("look at", key), self._folder(folders) as folder:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectNotFoundError(f"look at {self.location}/{key}", "it is not a file")
        return _stored(key, status)

    def list(self, prefix: str) -> Iterator[Stored]:
        """One folder at a time."""
        for names, entry in self._walk(_folders(prefix)):
            if not is_partial(entry.name):
                yield _stored("/".join((*names, entry.name)), entry.status)

    def delete(self, key: str) -> None:
        """Remove the file; its folders stay."""
        *folders, name = _names(key)
        try:
            with self._disk.doing("delete", key), self._folder(folders) as folder:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except ObjectNotFoundError:
            return

    def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
        """As `delete`, but each folder is synced once."""
        inside: dict[tuple[str, ...], list[str]] = {}
        for key in keys:
            inside.setdefault(tuple(_names(key)[:-1]), []).append(key)
        failed: dict[str, StorageError] = {}
        for folders, there in inside.items():
            try:
                with self._disk.doing("delete", "/".join(folders)), self._folder(folders) as folder:
                    failed |= self._delete_in(folder, there)
                    os.fsync(folder)
            except ObjectNotFoundError:  # there is no such folder
                continue
            except StorageError as error:
                failed |= dict.fromkeys(there, error)
        return failed

    def sweep(self, prefix: str) -> int:
        """Remove partial files whose writer is dead."""
        swept = 0
        for names, entry in self._walk(_folders(prefix)):
            if is_partial(entry.name):
                with self._disk.doing("sweep", "/".join(names)), self._folder(names) as folder:
                    swept += remove_if_dead(folder, entry.name)
        return swept

    def describe(self) -> StoreFacts:
        """What the file system says of the folder, and of the disk that it is on."""
        with self._disk.doing("look at"), self._folder([]) as folder:
            status, disk = os.fstat(folder), os.fstatvfs(folder)
        mode = stat.S_IMODE(status.st_mode)
        return StoreFacts(
            free=disk.f_bavail * disk.f_frsize,
            access=f"owner {status.st_uid}, group {status.st_gid}, mode {mode:04o}",
        )

    def _delete_in(self, folder: int, keys: Sequence[str]) -> dict[str, StorageError]:
        failed: dict[str, StorageError] = {}
        for key in keys:
            try:
                with self._disk.doing("delete", key):
                    os.unlink(_names(key)[-1], dir_fd=folder)
            except ObjectNotFoundError:
                continue
            except StorageError as error:
                failed[key] = error
        return failed

    def _read(self, key: str, names: Sequence[str], etag: str | None) -> Iterator[bytes]:
        with self._disk.doing("read", key), self._folder(names[:-1]) as folder:
            # Without O_NONBLOCK, opening a named pipe would wait for ever.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(names[-1], flags, dir_fd=folder)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectNotFoundError(f"read {self.location}/{key}", "it is not a file")
            if etag not in (None, _etag(status)):
                raise ObjectChangedError(f"read {self.location}/{key}", "it was replaced meanwhile")
            rest = status.st_size
            while rest:
                with self._disk.doing("read", key):
                    chunk = os.read(file, min(CHUNK, rest))
                if not chunk:
                    raise ObjectChangedError(f"read {self.location}/{key}", "it has become shorter meanwhile")
                rest -= len(chunk)
                yield chunk
        finally:
            os.close(file)

    def _walk(self, names: Sequence[str]) -> Iterator[tuple[Sequence[str], Entry]]:
        with self._disk.doing("list", "/".join(names)):
            entries = self._disk.entries(names)
        for entry in entries:
            if entry.is_folder:
                yield from self._walk((*names, entry.name))
            else:
                yield names, entry

    @contextmanager
    def _folder(self, names: Sequence[str], *, create: bool = False) -> Iterator[int]:
        folder = self._disk.open(names, create=create)
        try:
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _partial(self, verb: str, key: str) -> Iterator[tuple[Partial, str]]:
        *folders, name = _names(key)
        with self._disk.doing(verb, key):
            folder = self._disk.open(folders, create=True)
        try:
            with self._disk.doing(verb, key):
                partial = Partial(folder)
            try:
                yield partial, name
            finally:
                partial.close()
        finally:
            os.close(folder)


def _names(key: str) -> list[str]:
    names = check_key(key).split("/")
    if is_partial(names[-1]):
        raise ConfigurationError(f"use the object key {key!r}", "this name is for files under way")
    return names


def _folders(prefix: str) -> list[str]:
    folder = check_prefix(prefix)
    return folder.split("/") if folder else []


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _stored(key: str, status: os.stat_result) -> Stored:
    return Stored(
        key=key,
        size=status.st_size,
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
        etag=_etag(status),
    )
