"""A file while it is being written: invisible as an object, locked, and removed if it comes to nothing.

The lock, flock(2), is what tells the living from the dead: the kernel lets go of it when its
program ends in whatever way, SIGKILL included. So no age has to be guessed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from enum import Enum

from bao_backup.adapters.stores.disk import FILE_MODE

_NAME = re.compile(r"\.bao-backup-[0-9a-f]{16}\.partial")
#: flock(2) on file systems that have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class _Lock(Enum):
    """Whose the lock of a partial file is."""

    OURS = "ours"
    ANOTHERS = "another's"
    #: The file system has no locks, so nobody knows.
    UNKNOWN = "unknown"


def is_partial(name: str) -> bool:
    """Whether a file of this name is one that is being written, or was."""
    return _NAME.fullmatch(name) is not None


class Partial:
    """One such file in an open folder. All methods raise OSError."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._name, self._file = _new(folder)

    def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def rename(self, name: str) -> os.stat_result:
        """Make it the object `name`, in the place of any other: on disk when this returns."""
        os.fsync(self._file)
        os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._name = ""
        os.fsync(self._folder)
        return os.fstat(self._file)

    def link(self, name: str) -> os.stat_result:
        """Make it the object `name`, or raise FileExistsError: on disk when this returns."""
        os.fsync(self._file)
        os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.unlink(self._name, dir_fd=self._folder)
        self._name = ""
        os.fsync(self._folder)
        return os.fstat(self._file)

    def close(self) -> None:
        """Close it, and remove it unless it became an object."""
        # What cannot be removed now (the disk is gone) is removed by a later sweep.
        with suppress(OSError):
            if self._name:
                os.unlink(self._name, dir_fd=self._folder)
        os.close(self._file)


def remove_if_dead(folder: int, name: str) -> bool:
    """Remove a partial file that nobody is writing any more. Raises OSError."""
    try:
        file = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        if _lock(file) is not _Lock.OURS:
            return False
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    finally:
        os.close(file)
    return True


def _new(folder: int) -> tuple[str, int]:
    while True:
        name = f".bao-backup-{os.urandom(8).hex()}.partial"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, FILE_MODE, dir_fd=folder)
        # A sweep may have seen it in the instant before it was locked, and taken it for dead: it is
        # removed already, or is about to be.
        if _lock(file) is not _Lock.ANOTHERS and os.fstat(file).st_nlink:
            return name, file
        os.close(file)


def _lock(file: int) -> _Lock:
    """Take the lock, unless another holds it or there are none here: then nothing is ever swept."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _Lock.ANOTHERS
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return _Lock.UNKNOWN
        raise
    return _Lock.OURS
