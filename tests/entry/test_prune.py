"""`prune`: the retention policy, by hand."""

from __future__ import annotations

import pytest
from tests.entry.conftest import Command
from tests.entry.world import World, both


@pytest.fixture
def keys(world: World) -> list[str]:
    """Four backups, oldest first, of which two are to be kept."""
    world.configure(world.document(retention={"maxCount": 2}))
    return [world.add(day) for day in range(4)]


def test_a_dry_run_deletes_nothing(command: Command, world: World, keys: list[str]) -> None:
    """It prints the plan with every reason."""
    answer = command("prune", "--dry-run")
    assert answer.code == 0
    rows = answer.out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["keep", "keep", "drop", "drop"]
    assert rows[0].endswith("newest good backup, within the newest 2")
    assert rows[3].endswith("not among the newest 2")
    assert answer.err == "2 to keep, 2 to drop; a dry run deletes nothing\n"
    assert world.files() == both(*keys)


def test_what_the_plan_drops_is_deleted(command: Command, world: World, keys: list[str]) -> None:
    """The receipts, too, and nothing of another name."""
    notes = world.target / "default/prod/notes.txt"
    notes.write_text("mine")
    answer = command("prune")
    assert (answer.code, answer.err) == (0, "2 kept, 2 dropped\n")
    assert world.files() == {*both(*keys[2:]), "default/prod/notes.txt"}


def test_twice_is_as_once(command: Command, world: World, keys: list[str]) -> None:
    """Nothing is left to drop."""
    command("prune")
    assert command("prune").err == "2 kept, 0 dropped\n"
    assert world.files() == both(*keys[2:])


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_plan_as_json(command: Command, keys: list[str], *, dry_run: bool) -> None:
    """One document, with what became of it unless it was a dry run."""
    answer = command("prune", "--output", "json", *(["--dry-run"] if dry_run else [])).json
    assert answer["dryRun"] is dry_run
    assert [decision["keep"] for decision in answer["plan"]] == [True, True, False, False]
    dropped = None if dry_run else keys[:2]
    assert (answer["outcome"] or {}).get("dropped") == dropped


def test_without_a_policy(command: Command, world: World) -> None:
    """Everything is kept, and it says where a policy belongs."""
    key = world.add(0)
    answer = command("prune")
    assert (answer.code, answer.out) == (1, "")
    assert "everything is kept; set spec.backup.retention" in answer.complaint
    assert world.files() == both(key)
