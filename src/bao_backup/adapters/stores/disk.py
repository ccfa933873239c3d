"""Walking a folder by descriptors, and what the operating system's errors mean for a store."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from bao_backup.core import storage_errors
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import StorageQuotaError

#: For the owner and its group; the umask may take more away.
FOLDER_MODE = 0o750
FILE_MODE = 0o640

_FULL = (storage_errors.StorageFullError, "no space left on the disk")
_DENIED = (storage_errors.StorageDeniedError, "the file permissions do not allow it")
_WHO_MAY = "whoever runs this needs to read and write below that folder: look at its owner, mode and mount"
_AWAY = (storage_errors.StorageUnavailableError, "the file system does not answer")

#: errno(3) -> the type and the cause.
BY_ERRNO: Mapping[int, tuple[type[StorageError], str]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: (StorageQuotaError, "the disk quota is reached"),
    errno.EFBIG: (storage_errors.StorageFullError, "a file may not be so large here"),
    errno.EACCES: _DENIED,
    # Also what link(2) says where there are no hard links.
    errno.EPERM: (
        storage_errors.StorageDeniedError,
        "the file permissions or the file system do not allow it",
    ),
    errno.EROFS: (storage_errors.StorageDeniedError, "the file system is read-only"),
    errno.ENOTSUP: (StorageError, "the file system cannot do this, say hard links"),
    errno.ENOENT: (storage_errors.ObjectNotFoundError, "there is no such file"),
    errno.EEXIST: (storage_errors.ObjectExistsError, "there is one already"),
    errno.ENOTDIR: (StorageError, "a file or a symbolic link stands where a folder must be"),
    errno.ELOOP: (StorageError, "it is a symbolic link, and none is followed"),
    errno.EISDIR: (StorageError, "a folder has this name"),
    errno.ENOTEMPTY: (StorageError, "a folder has this name"),
    errno.EIO: (StorageError, "the disk failed"),
    errno.ESTALE: _AWAY,
    errno.ETIMEDOUT: _AWAY,
    errno.EHOSTDOWN: _AWAY,
    errno.EHOSTUNREACH: _AWAY,
    errno.ENOTCONN: _AWAY,
    errno.EMFILE: (storage_errors.StorageUnavailableError, "too many files are open"),
    errno.ENFILE: (storage_errors.StorageUnavailableError, "too many files are open"),
}


class Entry(NamedTuple):
    """A file or folder within a folder."""

    name: str
    is_folder: bool
    status: os.stat_result


class Disk:
    """One folder. Its paths are lists of names, walked without following symbolic links."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.location = f"file://{path}"

    @contextmanager
    def doing(self, verb: str, key: str = "") -> Iterator[None]:
        """What the operating system refuses inside leaves as a StorageError: `verb` on `key`."""
        try:
            yield
        except OSError as error:
            doing = f"{verb} {self.location}/{key}" if key else f"{verb} {self.location}"
            type_, why = BY_ERRNO.get(error.errno or 0, (StorageError, "the file system refused it"))
            hint = _WHO_MAY if type_ is storage_errors.StorageDeniedError else None
            raise type_(doing, why, hint=hint, details=str(error)) from error

    def open(self, names: Sequence[str], *, create: bool = False) -> int:
        """Open a folder; the caller closes it. `create` makes what is missing, but never the first.

        Raises:
            BucketNotFoundError: the first folder is not there.
            OSError: for all else, to be translated by `doing`.
        """
        folder = self._open_first()
        for name in names:
            try:
                inner = _open_inner(folder, name, create=create)
            finally:
                os.close(folder)
            folder = inner
        return folder

    def entries(self, names: Sequence[str]) -> list[Entry]:
        """What is in a folder, in the order of keys; nothing when there is no such folder.

        Only files and folders, and only with names that a key can have.
        """
        try:
            folder = self.open(names)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            with os.scandir(folder) as found:
                entries = [entry for each in found if (entry := _entry(each)) is not None]
        finally:
            os.close(folder)
        return sorted(entries, key=lambda entry: entry.name + "/" if entry.is_folder else entry.name)

    def _open_first(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise storage_errors.BucketNotFoundError(
                f"open {self.location}",
                "there is no such folder",
                hint="create it, mount the volume, or correct spec.backup.target.path",
            ) from None


def _open_inner(folder: int, name: str, *, create: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    # Where somebody else is faster, it may not be synced yet: so it is done in any case.
    with suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=folder)
    os.fsync(folder)
    return os.open(name, flags, dir_fd=folder)


def _entry(each: os.DirEntry[str]) -> Entry | None:
    try:
        each.name.encode()
        status = each.stat(follow_symlinks=False)
    except UnicodeEncodeError:
        # No key is spelled like this, so it is not ours.
        return None
    except FileNotFoundError:
        # Removed since the folder was read.
        return None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return None
    return Entry(each.name, stat.S_ISDIR(status.st_mode), status)
