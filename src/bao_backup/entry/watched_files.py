"""The configuration's files, read again when they change and have stopped changing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bao_backup.adapters.documents import document_files, read_documents
from bao_backup.core.errors import ConfigurationError

#: What tells one state of a file from another: change time, size and inode; the change time also
#: moves when permissions do.
Signature = tuple[int, int, int]


class Changes(NamedTuple):
    """All documents as they are now."""

    contents: list[dict[str, Any]]
    #: What is wrong with files, in words.
    complaints: list[str]
    seen: dict[str, Signature]


class WatchedFiles:
    """Looks at files; two looks that see the same mean that nobody is just writing them.

    So a document that is saved half is not taken for a whole one: what is cut off could be the
    limits of its retention.

    Args:
        path: file or folder.
        complain: told of each new complaint.

    Raises ConfigurationError when there is no such file or folder.
    """

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self.path = path
        self._complain = complain
        document_files(path)
        self._taken: Changes | None = None
        self._last: dict[str, Signature] = {}

    def changes(self) -> Changes | None:
        """The documents, if any file is not as it was taken in; None while nothing changed."""
        try:
            files, complaints = document_files(self.path), []
        except ConfigurationError as error:
            files, complaints = [], [error.message]
        seen = {str(file): _signature(file) for file in files}
        steady, self._last = seen == self._last, seen
        if self._taken is None:
            return self._read(files, complaints, seen)
        known = seen == self._taken.seen and (bool(files) or complaints == self._taken.complaints)
        if known or not steady:
            return None
        changes = self._read(files, complaints, seen)
        return changes if {str(file): _signature(file) for file in files} == seen else None

    def taken(self, changes: Changes) -> None:
        """These are in force now; what is newly wrong is told."""
        before = self._taken.complaints if self._taken else []
        for complaint in changes.complaints:
            if complaint not in before:
                self._complain(complaint)
        self._taken = changes

    def _read(self, files: list[Path], complaints: list[str], seen: dict[str, Signature]) -> Changes:
        contents: list[dict[str, Any]] = []
        complaints = list(complaints)
        for file in files:
            try:
                contents += [document.content for document in read_documents(file)]
            except ConfigurationError as error:
                complaints.append(error.message)
        return Changes(contents, complaints, seen)


def _signature(file: Path) -> Signature:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ctime_ns, found.st_size, found.st_ino)
