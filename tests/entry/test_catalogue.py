"""`list` and `show`: what is in a store."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.archives import GENUINE
from tests.entry.conftest import Command
from tests.entry.world import World

from bao_backup.core.naming import receipt_key


def test_no_backups(command: Command, world: World) -> None:
    """The columns, and in words that there are none."""
    answer = command("list")
    assert answer.code == 0
    assert answer.out.split() == ["TAKEN", "AGE", "SIZE", "STATE", "CLASS", "KEY"]
    assert answer.err == f"0 backups in file://{world.target}/default/prod, 0 B\n"


def test_one_backup(command: Command, world: World) -> None:
    """One backup is no "1 backups"."""
    key = world.add(0)
    answer = command("list")
    assert answer.err.startswith("1 backup in ")
    (row,) = answer.out.splitlines()[1:]
    assert row.startswith("2026-11-01 02:00:00Z")
    assert row.endswith(f" B  proven  -      {key}")


def test_newest_first_with_what_has_no_receipt(command: Command, world: World) -> None:
    """Unproven ones are told apart; foreign names are not there at all."""
    old, new = world.add(0, proven=False), world.add(1)
    (world.target / "default/prod/notes.txt").write_text("mine")
    (world.target / "default/prod/2026-11-01.snap").write_text("mine")
    rows = command("list").out.splitlines()[1:]
    assert [row.split()[-1] for row in rows] == [new, old]
    assert [row.split()[-3] for row in rows] == ["proven", "unproven"]


@pytest.mark.parametrize(
    ("options", "days"),
    [
        (["--state", "proven"], [2, 0]),
        (["--state", "unproven"], [1]),
        (["--class", ""], [2, 1, 0]),
        (["--class", "pre-upgrade"], []),
    ],
)
def test_a_part_of_them(command: Command, world: World, options: list[str], days: list[int]) -> None:
    """By state, and by class."""
    keys = {day: world.add(day, proven=day != 1) for day in range(3)}
    listed = command("list", "--output", "json", *options).json["backups"]
    assert [backup["key"] for backup in listed] == [keys[day] for day in days]


def test_the_list_as_json(command: Command, world: World) -> None:
    """Whole numbers and times, and where it all is."""
    key = world.add(0)
    answer = command("list", "--output", "json").json
    assert answer["location"] == f"file://{world.target}"
    assert answer["prefix"] == "default/prod"
    (backup,) = answer["backups"]
    assert (backup["key"], backup["taken"], backup["proven"]) == (key, "2026-11-01T02:00:00Z", True)
    assert backup["size"] == (world.target / key).stat().st_size


def test_an_empty_list_as_json(command: Command) -> None:
    """A list without elements, not nothing."""
    assert command("list", "--output", "json").json["backups"] == []


def test_ten_thousand_backups(command: Command, world: World) -> None:
    """Every one is listed, each key whole."""
    keys = [world.add(day, proven=False, body=b"") for day in range(10_000)]
    answer = command("list")
    assert answer.err.startswith("10000 backups in ")
    assert [row.split()[-1] for row in answer.out.splitlines()[1:]] == keys[::-1]


@pytest.mark.parametrize("name", ["latest", "the whole key", "its last part"])
def test_show_finds_a_backup_by(command: Command, world: World, name: str) -> None:
    """Three ways to say which."""
    world.add(0)
    key = world.add(1, body=GENUINE.read_bytes())
    world.add(2, proven=False)
    asked = {"latest": "latest", "the whole key": key, "its last part": Path(key).name}[name]
    answer = command("show", asked)
    assert answer.code == 0
    told = dict(line.split(None, 1) for line in answer.out.splitlines() if len(line.split()) > 1)
    assert told["key"] == key
    assert told["taken"] == "2026-11-02 02:00:00Z"
    assert told["duration"] == "1m 12s"
    assert told["seal"] == "shamir, 1 of 1 shares"
    assert told["verified"] == "Head at 2026-11-02 02:00:00Z"


def test_show_as_json_is_the_receipt(command: Command, world: World) -> None:
    """Every field of it, as it is stored."""
    key = world.add(0)
    assert command("show", "latest", "--output", "json").out == (world.target / receipt_key(key)).read_text()


@pytest.mark.parametrize("arguments", ["show", "verify", "inspect", "download"])
def test_a_key_that_is_not_there(command: Command, world: World, arguments: str) -> None:
    """It says where it looked, and how to see what is there."""
    world.add(0)
    file = ["copy.snap"] if arguments == "download" else []
    answer = command(arguments, "nonsense", *file)
    assert (answer.code, answer.out) == (5, "")
    assert f"find the backup nonsense in file://{world.target}/default/prod" in answer.complaint
    assert "none of this name among 1 backup; bao-backup list shows" in answer.complaint


def test_latest_is_a_proven_one(command: Command, world: World) -> None:
    """Where only unproven ones are, there is no latest."""
    world.add(0, proven=False)
    answer = command("show", "latest")
    assert answer.code == 5
    assert "no proven one among 1 backup" in answer.complaint


def test_show_of_an_unproven_one(command: Command, world: World) -> None:
    """It has nothing to show yet, and it says what gives it a receipt."""
    name = Path(world.add(0, proven=False)).name
    answer = command("show", name)
    assert (answer.code, answer.out) == (5, "")
    assert f"bao-backup verify {name} proves it" in answer.complaint


def test_a_receipt_that_is_none(command: Command, world: World) -> None:
    """Somebody wrote over it: that is a failed verification."""
    key = world.add(0)
    (world.target / receipt_key(key)).write_text("{}")
    answer = command("show", "latest")
    assert (answer.code, answer.out) == (6, "")
    assert f"read the receipt of {key}: not a receipt" in answer.complaint


def test_a_receipt_cannot_play_with_the_terminal(command: Command, world: World) -> None:
    """What others may have written is shown without control characters."""
    key = world.add(0)
    receipt = world.target / receipt_key(key)
    receipt.write_text(receipt.read_text().replace("bao-backup 0.1.0", r"\u001b[2J\nkey gone"))
    answer = command("show", "latest")
    assert answer.code == 0
    assert "\x1b" not in answer.out
    assert "written by  [2J key gone" in " ".join(answer.out.split(" " * 5))
