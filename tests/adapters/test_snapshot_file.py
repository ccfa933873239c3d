"""A snapshot in a file of this machine: read as an object of a store is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bao_backup.adapters.snapshot_file import CHUNK, SnapshotFile
from bao_backup.core.errors import StorageError
from bao_backup.core.storage_errors import ObjectChangedError, ObjectNotFoundError

BODY = os.urandom(2 * CHUNK + 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a bit more than two chunks."""
    file = tmp_path / "x.snap"
    file.write_bytes(BODY)
    return file


def test_it_is_read_in_chunks(path: Path) -> None:
    """Whole, with the size and the time that the system tells."""
    file = SnapshotFile(path)
    stored = file.head(str(path))
    assert (stored.key, stored.size) == (str(path), len(BODY))
    chunks = list(file.get(str(path), etag=stored.etag))
    assert [len(chunk) for chunk in chunks] == [CHUNK, CHUNK, 7]
    assert b"".join(chunks) == BODY
    assert list(file.list("")) == [stored]
    assert list(file.list(str(path.parent))) == [stored]
    assert list(file.list("elsewhere")) == []


def test_another_key_is_not_there(path: Path) -> None:
    """Such as that of a receipt beside it."""
    file = SnapshotFile(path)
    for ask in (lambda: file.head("y"), lambda: list(file.get(f"{path}.json"))):
        with pytest.raises(ObjectNotFoundError):
            ask()


def test_a_file_that_is_replaced_or_written_to_is_noticed(path: Path) -> None:
    """Before its first byte, or behind its last."""
    file = SnapshotFile(path)
    etag = file.head(str(path)).etag
    chunks = file.get(str(path), etag=etag)
    assert next(chunks) == BODY[:CHUNK]
    with path.open("ab") as out:
        out.write(b"more")
    with pytest.raises(ObjectChangedError):
        list(chunks)

    replaced = path.with_name("new")
    replaced.write_bytes(BODY)
    replaced.replace(path)
    with pytest.raises(ObjectChangedError):
        next(file.get(str(path), etag=etag))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file that is not there, and one that is a folder."""
    missing = SnapshotFile(tmp_path / "none")
    with pytest.raises(ObjectNotFoundError, match="no such file"):
        missing.head(str(tmp_path / "none"))
    with pytest.raises(StorageError, match="is a directory"):
        list(SnapshotFile(tmp_path).get(str(tmp_path)))


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe gives its bytes once, and one without a writer would be waited for without end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for other in (pipe, tmp_path, Path(os.devnull)):
        with pytest.raises(StorageError, match="no plain file"):
            SnapshotFile(other).head(str(other))


def test_a_link_is_the_file_that_it_leads_to(path: Path, tmp_path: Path) -> None:
    """That it leads elsewhere meanwhile is noticed."""
    link, other = tmp_path / "link.snap", tmp_path / "other.snap"
    link.symlink_to(path)
    file = SnapshotFile(link)
    stored = file.head(str(link))
    assert b"".join(file.get(str(link), etag=stored.etag)) == BODY
    other.write_bytes(BODY)
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(ObjectChangedError):
        list(file.get(str(link), etag=stored.etag))
