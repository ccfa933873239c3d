"""What goes wrong is told on one line; its cause follows on demand."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from tests.entry.conftest import Command
from tests.entry.world import World

from bao_backup.entry.program import program


@pytest.fixture
def defect() -> Iterator[str]:
    """The name of a command that fails as nobody foresaw, with a secret in its error's text."""

    @click.command("defect")
    @click.option("--verbose", is_flag=True, expose_value=False)
    def fail() -> None:
        raise LookupError("hvs.SECRET")

    program.add_command(fail)
    yield "defect"
    del program.commands["defect"]


def test_a_defect_has_no_traceback(command: Command, defect: str) -> None:
    """One line, exit code 8, and what to do; of a text that nobody knows, nothing."""
    answer = command(defect, config=None)
    assert (answer.code, answer.out) == (8, "")
    assert answer.err == (
        "bao-backup: InternalError: run: LookupError; run it again with --verbose and report what it prints\n"
    )


def test_a_defect_has_a_traceback_with_verbose(command: Command, defect: str) -> None:
    """For whoever mends it."""
    answer = command(defect, "--verbose", config=None)
    assert answer.code == 8
    assert "Traceback (most recent call last)" in answer.err
    assert "LookupError: hvs.SECRET" in answer.err


@pytest.mark.parametrize("name", ["list", "backup"])
def test_a_cause_is_told_with_verbose(
    command: Command, world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the option or the variable; the line itself stays the same."""
    world.config.write_text("kind: [")
    plain = command(name)
    assert plain.err.splitlines() == [plain.complaint]
    by_option = command(name, "--verbose")
    monkeypatch.setenv("BAO_BACKUP_VERBOSE", "1")
    by_variable = command(name)
    for verbose in (by_option, by_variable):
        assert verbose.code == plain.code == 1
        assert verbose.err.startswith(plain.err)
        assert "yaml.parser.ParserError" in verbose.err


@pytest.mark.parametrize("arguments", ["list", "show latest", "verify --all", "prune", "inspect latest"])
def test_with_json_an_error_leaves_standard_output_empty(
    command: Command, world: World, arguments: str
) -> None:
    """A script reads a document, or nothing and the exit code."""
    world.configure(world.document(retention={"maxCount": 1}))
    world.target.rmdir()
    answer = command(*arguments.split(), "--output", "json")
    assert (answer.code, answer.out) == (5, "")
    assert "BucketNotFound" in answer.complaint
