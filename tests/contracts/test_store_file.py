"""What is special to a folder: what is synced and when, links, rights, and full disks."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.contracts.asking import KEY, MIB, blocks, keys, read

from bao_backup.adapters.stores import open_store
from bao_backup.adapters.stores.disk import BY_ERRNO, Disk
from bao_backup.core.errors import ConfigurationError, StorageError
from bao_backup.core.storage import StoreSettings
from bao_backup.core.storage_errors import BucketNotFoundError, ObjectChangedError, ObjectNotFoundError
from bao_backup.ports import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The target, beside which there is something else."""
    inside = tmp_path / "target"
    inside.mkdir()
    return inside


@pytest.fixture
def store(folder: Path) -> Store:
    """The folder, opened."""
    return open_store(StoreSettings(provider="file", path=str(folder)), {})


def calls_of(names: set[str], act: Any) -> list[str]:
    """Which of the functions of `os` are called, in order."""
    seen: list[str] = []

    def watch(_frame: FrameType, event: str, function: Any) -> None:
        name = getattr(function, "__name__", "")
        if event == "c_call" and name in names and getattr(function, "__module__", "") == "posix":
            seen.append(name)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        act()
    finally:
        sys.setprofile(before)
    return seen


def test_synced(store: Store) -> None:
    """New folders, the file, and its folder after the renaming are synced, in this order."""
    watched = {"mkdir", "fsync", "rename", "link", "unlink"}
    made = ["mkdir", "fsync"] * 2
    assert calls_of(watched, lambda: store.put("a/b/c", blocks(2))) == [*made, "fsync", "rename", "fsync"]
    assert calls_of(watched, lambda: store.put("a/b/d", blocks(2))) == ["fsync", "rename", "fsync"]
    assert calls_of(watched, lambda: store.create("a/b/e", b"x")) == ["fsync", "link", "unlink", "fsync"]
    assert calls_of(watched, lambda: store.delete("a/b/e")) == ["unlink", "fsync"]


def test_under_way(store: Store, folder: Path) -> None:
    """While it is written there is one hidden file, and no file of the object's name."""

    def source() -> Iterator[bytes]:
        for block in blocks(3):
            yield block
            found = [path.name for path in folder.rglob("*") if path.is_file()]
            assert len(found) == 1
            assert found[0].startswith(".bao-backup-")

    store.put(KEY, source())
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [KEY.rsplit("/", 1)[1]]


def test_modes(store: Store, folder: Path) -> None:
    """Files and folders are for the owner and the group at most."""
    before = os.umask(0)
    try:
        store.put("a/b", blocks(1))
        store.create("a/c", b"x")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (folder / "a", folder / "a/b", folder / "a/c")] == [
        *(0o750, 0o640, 0o640),
    ]


def test_folder_missing(store: Store, folder: Path) -> None:
    """A folder that is not there (a volume that is not mounted) is said so, and never made."""
    folder.rmdir()
    for act in (
        lambda: store.put(KEY, blocks(1)),
        lambda: store.create(KEY, b"x"),
        lambda: next(store.get(KEY)),
        lambda: store.head(KEY),
        lambda: keys(store),
        lambda: store.delete(KEY),
        lambda: store.sweep(""),
    ):
        with pytest.raises(BucketNotFoundError):
            act()
    assert not folder.exists()


def test_relative_path() -> None:
    """A path that depends on where one stands is refused."""
    with pytest.raises(ConfigurationError):
        open_store(StoreSettings(provider="file", path="backups"), {})


@pytest.mark.parametrize("key", ["link/file", "link/deeper/file"])
def test_linked_folder(store: Store, folder: Path, key: str) -> None:
    """A link in the folder leads nowhere: not in writing, reading, listing or deleting."""
    outside = folder.parent / "outside"
    (outside / "deeper").mkdir(parents=True)
    for secret in (outside / "file", outside / "deeper" / "file"):
        secret.write_text("secret")
    (folder / "link").symlink_to(outside)
    for act in (
        lambda: store.put(key, blocks(1)),
        lambda: store.create(f"{key}.new", b"x"),
        lambda: next(store.get(key)),
        lambda: store.head(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(StorageError):
            act()
    assert keys(store) == keys(store, "link") == []
    assert store.sweep("link") == 0
    assert sorted(path.name for path in outside.rglob("*")) == ["deeper", "file", "file"]


def test_linked_file(store: Store, folder: Path) -> None:
    """A link in the place of a file is not read; a put takes its place and leaves its target alone."""
    outside = folder.parent / "outside"
    outside.write_text("secret")
    (folder / "name").symlink_to(outside)
    with pytest.raises(StorageError):
        next(store.get("name"))
    with pytest.raises(ObjectNotFoundError):
        store.head("name")
    store.put("name", iter([b"ours"]))
    assert (read(store, "name"), outside.read_text()) == (b"ours", "secret")


def test_other_things(store: Store, folder: Path) -> None:
    """A named pipe or a name that is no text is no object, and nothing hangs on it."""
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"not\xfftext")).touch()
    (folder / "file").touch()
    assert keys(store) == ["file"]
    with pytest.raises(ObjectNotFoundError):
        next(store.get("pipe"))


def test_file_in_the_way(store: Store) -> None:
    """A file where a folder is needed, or a folder where a file is, are errors that change nothing."""
    store.create("a/b", b"x")
    for key in ("a", "a/b/c"):
        with pytest.raises(StorageError):
            store.put(key, blocks(1))
        with pytest.raises(StorageError):
            store.create(key, b"y")
    assert (keys(store), read(store, "a/b")) == (["a/b"], b"x")


def test_partial_name(store: Store) -> None:
    """The name of a file under way is no key."""
    with pytest.raises(ConfigurationError):
        store.put("a/.bao-backup-0123456789abcdef.partial", blocks(1))


def test_shortened(store: Store, folder: Path) -> None:
    """A file that gets shorter while it is read is noticed."""
    store.put(KEY, blocks(3))
    chunks = store.get(KEY)
    next(chunks)
    os.truncate(folder / KEY, MIB)
    with pytest.raises(StorageError):
        b"".join(chunks)


def test_replaced(store: Store) -> None:
    """A file that is replaced while it is read is read to its end, and the next read notices."""
    etag = store.put(KEY, blocks(3, seed=1)).etag
    chunks = store.get(KEY, etag=etag)
    first = next(chunks)
    store.put(KEY, blocks(3, seed=2))
    assert b"".join([first, *chunks]) == b"".join(blocks(3, seed=1))
    with pytest.raises(ObjectChangedError):
        next(store.get(KEY, etag=etag))


@pytest.mark.parametrize("number", sorted(BY_ERRNO))
def test_system_errors(number: int) -> None:
    """Each error of the system becomes what the table says, with the path and the cause."""
    with pytest.raises(StorageError) as raised, Disk("/target").doing("write", "key"):
        raise OSError(number, os.strerror(number))
    assert type(raised.value) is BY_ERRNO[number][0]
    assert raised.value.doing == "write file:///target/key"
    assert isinstance(raised.value.__cause__, OSError)


def test_a_sweep_between_name_and_lock(store: Store, folder: Path) -> None:
    """A sweep that locks a file in the instant after it was made takes that one, not the upload."""
    locked: list[tuple[Path, int]] = []

    def be_faster(_frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and getattr(function, "__name__", "") == "flock" and not locked:
            (path,) = folder.rglob(".bao-backup-*.partial")
            locked.append((path, os.open(path, os.O_RDWR)))
            fcntl.flock(locked[0][1], fcntl.LOCK_EX | fcntl.LOCK_NB)

    def chunks() -> Iterator[bytes]:
        sys.setprofile(before)
        path, file = locked[0]
        path.unlink()
        os.close(file)
        yield b"whole"

    before = sys.getprofile()
    sys.setprofile(be_faster)
    try:
        store.put(KEY, chunks())
    finally:
        sys.setprofile(before)
    assert read(store) == b"whole"
    assert keys(store) == [KEY]


FULL_DISK = """
import sys
from bao_backup.adapters.stores import open_store
from bao_backup.core.storage_errors import StorageFullError
from bao_backup.core.storage import StoreSettings
store = open_store(StoreSettings(provider="file", path=sys.argv[1]), {})
closed = []
def source():
    try:
        for _ in range(20):
            yield bytes(1 << 20)
    finally:
        closed.append(True)
for attempt in (1, 2):
    try:
        store.put("a/b", source())
    except StorageFullError:
        print("full")
print(len(closed), [stored.key for stored in store.list("")], store.sweep(""))
store.put("a/b", iter([b"small"]))
print([stored.size for stored in store.list("")])
"""


def test_disk_full(folder: Path) -> None:
    """A full disk is said to be full, nothing stays of what did not fit, and what fits is written."""
    script = 'mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(folder), sys.executable, FULL_DISK],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespace for a small disk here: {done.stderr.strip()}")
    assert done.stdout.splitlines() == ["full", "full", "2 [] 0", "[5]"], done.stderr
