"""`download`: a backup becomes a file, whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.entry.conftest import Command
from tests.entry.test_verify import flip
from tests.entry.world import World


def files_of(folder: Path) -> set[str]:
    """All names in a folder, hidden ones, too."""
    return set(os.listdir(folder))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def test_the_bytes_of_the_backup(command: Command, world: World, place: Path) -> None:
    """The same bytes, which only the owner may read."""
    key = world.add(0)
    answer = command("download", "latest", str(place / "a.snap"))
    assert answer.code == 0
    assert answer.out.splitlines()[0] == str(place / "a.snap")
    assert (place / "a.snap").read_bytes() == (world.target / key).read_bytes()
    assert stat.S_IMODE((place / "a.snap").stat().st_mode) == 0o600
    assert files_of(place) == {"a.snap"}


def test_an_unproven_one_is_proven_by_itself(command: Command, world: World, place: Path) -> None:
    """And it says that nothing else vouches for it."""
    name = Path(world.add(0, proven=False)).name
    answer = command("download", name, str(place / "a.snap"))
    assert answer.code == 0
    assert "has no receipt: proven by its own checksums alone" in answer.err


@pytest.mark.parametrize("place_of_fault", [-20, 200])
def test_a_wrong_byte_leaves_nothing(
    command: Command, world: World, place: Path, place_of_fault: int
) -> None:
    """No file, no half of one."""
    flip(world.target / world.add(0), place_of_fault)
    answer = command("download", "latest", str(place / "a.snap"))
    assert (answer.code, answer.out) == (6, "")
    assert "do not restore from it" in answer.complaint
    assert files_of(place) == set()


def test_a_file_that_is_there_stays(command: Command, world: World, place: Path) -> None:
    """Unless one says otherwise; then it is replaced only by a whole one."""
    key = world.add(0)
    file = place / "a.snap"
    file.write_text("mine")
    answer = command("download", "latest", str(file))
    assert (answer.code, file.read_text()) == (1, "mine")
    assert "it is there already; name another, or use --overwrite" in answer.complaint
    flip(world.target / key, -20)
    assert command("download", "latest", str(file), "--overwrite").code == 6
    assert file.read_text() == "mine"
    flip(world.target / key, -20)
    assert command("download", "latest", str(file), "--overwrite").code == 0
    assert file.read_bytes() == (world.target / key).read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_that_leads_nowhere_is_a_file_that_is_there(
    command: Command, world: World, place: Path
) -> None:
    """What it points to is not written."""
    world.add(0)
    (place / "a.snap").symlink_to(place / "elsewhere")
    assert command("download", "latest", str(place / "a.snap")).code == 1
    assert files_of(place) == {"a.snap"}


@pytest.mark.parametrize(
    ("file", "why"),
    [("nowhere/a.snap", "there is no such folder"), (".", "it is a folder"), ("-", "standard output")],
)
def test_no_place_for_a_file(command: Command, world: World, file: str, why: str) -> None:
    """Said before anything is read."""
    world.add(0)
    answer = command("download", "latest", file)
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.complaint
    assert "reading" not in answer.err


def test_a_name_that_is_too_long(command: Command, world: World, place: Path) -> None:
    """What the system says is the cause."""
    world.add(0)
    answer = command("download", "latest", str(place / ("a" * 300)))
    assert answer.code == 1
    assert "file name too long; name a file where there is room" in answer.complaint
    assert files_of(place) == set()
