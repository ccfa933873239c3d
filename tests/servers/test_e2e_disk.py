"""A folder as target whose disk is full, missing or read-only."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness.vault import VaultCluster
from tests.servers.places import FolderPlace, assert_backup, assert_failed, assert_untouched
from tests.servers.program import FILLED, Site

pytestmark = pytest.mark.servers

NO_RIGHT = "no right to mount a small disk; a limit of the file's size stands for it"
#: Becomes the program, with no right to write a file of more than so many bytes.
LIMITED = (
    "import os, resource, sys; size = int(sys.argv[1]);"
    " resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); os.execv(sys.argv[2], sys.argv[2:])"
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[FolderPlace]:
    """A file system of its own, with room for half a snapshot."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip(NO_RIGHT)
    folder = tmp_path / "disk"
    folder.mkdir()
    options = f"size={FILLED // 2}"
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip(NO_RIGHT)
    yield FolderPlace(folder)
    subprocess.run(["umount", str(folder)], check=True)


def remount(disk: FolderPlace, options: str) -> None:
    """Change how the disk is mounted."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk.path)], check=True)


def test_disk_is_full(full_vault: VaultCluster, site: Site, small_disk: FolderPlace) -> None:
    """Exit 5, StorageFull; the half-written file is gone; with more room the next run succeeds."""
    site.describe("full", full_vault, small_disk.target(site))
    ended = site.begin_job(site.job("full")).wait()
    assert "no space left" in assert_failed(ended, 5, "StorageFull")
    assert ended.result["tries"] == 1
    assert_untouched(small_disk)
    assert shutil.disk_usage(small_disk.path).used < 1 << 20
    remount(small_disk, f"size={4 * FILLED}")
    assert_backup(small_disk, site.begin_job(site.job("full")).wait())


def test_file_may_not_be_so_large(full_vault: VaultCluster, site: Site, in_folder: FolderPlace) -> None:
    """The kernel refuses a write in mid-file, as with a quota: exit 5, StorageFull, nothing left."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] in (resource.RLIM_INFINITY, -1)
    site.describe("limited", full_vault, in_folder.target(site))
    limited = [sys.executable, "-c", LIMITED, str(FILLED // 2)]
    ended = site.begin_job(site.job("limited"), inside=limited).wait()
    assert_failed(ended, 5, "StorageFull")
    assert_untouched(in_folder)
    assert_backup(in_folder, site.begin_job(site.job("limited")).wait())


def test_folder_is_missing(full_vault: VaultCluster, site: Site, tmp_path: Path) -> None:
    """A volume that is not mounted is exit 5: no folder is made in its place."""
    place = FolderPlace(tmp_path / "not-mounted")
    site.describe("missing", full_vault, place.target(site))
    ended = site.begin_job(site.job("missing")).wait()
    assert_failed(ended, 5, "BucketNotFound")
    assert not place.path.exists()


def test_disk_is_read_only(full_vault: VaultCluster, site: Site, small_disk: FolderPlace) -> None:
    """Exit 5, StorageDenied; writable again, the next run succeeds."""
    remount(small_disk, f"ro,size={4 * FILLED}")
    site.describe("denied", full_vault, small_disk.target(site))
    ended = site.begin_job(site.job("denied")).wait()
    assert "read-only" in assert_failed(ended, 5, "StorageDenied")
    remount(small_disk, "rw")
    assert_untouched(small_disk)
    assert_backup(small_disk, site.begin_job(site.job("denied")).wait())


def test_files_are_for_their_owner(full_vault: VaultCluster, site: Site, in_folder: FolderPlace) -> None:
    """What is written is readable by its owner and group alone."""
    site.describe("private", full_vault, in_folder.target(site))
    assert_backup(in_folder, site.begin_job(site.job("private")).wait())
    for name in in_folder.visible():
        assert (in_folder.path / name).stat().st_mode & 0o007 == 0
