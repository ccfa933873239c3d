"""Help, and command lines that are no command lines."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from tests.entry.conftest import Command

from bao_backup import __version__
from bao_backup.entry.program import COMMANDS, program

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(command: Command, name: str) -> None:
    """It says how it is used, and shows it."""
    answer = command(name, "--help", config=None)
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: bao-backup {name}")
    assert f"  bao-backup {name}" in answer.out.partition("Examples:")[2]
    assert not answer.err


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_terminal_of_80_columns(command: Command, name: str) -> None:
    """Examples, too: what is folded cannot be read, and is pasted wrong."""
    out = command(*name.split(), "--help", config=None).out
    assert [line for line in out.splitlines() if len(line) > 80] == []


def printed_commands() -> list[str]:
    """Each `$ bao-backup ...` of README, on one line, without its remark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ bao-backup ")]
    words = [[word for word in shlex.split(line, comments=True) if word != "&"] for line in lines]
    return [shlex.join(each) for each in words]


def test_readme_shows_every_command_that_people_use() -> None:
    """What is left out is for pods and for tools."""
    shown = {line.split()[1] for line in printed_commands()}
    assert set(COMMANDS) - shown == {"operator", "crds", "completion"}


@pytest.mark.parametrize("line", printed_commands())
def test_readmes_commands_are_taken_as_they_stand(line: str) -> None:
    """No option, argument or value on the page that the program does not know."""
    _, name, *arguments = shlex.split(line)
    command = program.get_command(click.Context(program), name)
    assert command is not None
    with command.make_context(name, arguments) as context:
        assert context.args == []


def test_the_program_lists_its_commands_and_exit_codes(command: Command) -> None:
    """One screen for all."""
    answer = command("--help", config=None)
    assert answer.code == 0
    assert all(f"\n  {name} " in answer.out for name in COMMANDS)
    assert all(f"{code} " in answer.out.partition("Exit codes:")[2] for code in range(10))


def test_h_is_help(command: Command) -> None:
    """As everywhere."""
    assert command("list", "-h", config=None).out == command("list", "--help", config=None).out


def test_the_version(command: Command) -> None:
    """Name and number."""
    assert command("--version", config=None).out == f"bao-backup, version {__version__}\n"


def test_nothing_at_all_is_answered_with_help(command: Command) -> None:
    """On standard error, as a mistake."""
    answer = command(config=None)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("Usage: bao-backup [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--certificate", __file__],
            "there is no certificate in PEM with its own key; look at --certificate",
        ),
        (["--key", __file__], "--key is given alone; give its --certificate, too"),
    ],
)
def test_a_dev_server_without_its_certificate_says_so(command: Command, options: list[str], why: str) -> None:
    """Not in OpenSSL's words, and not by serving without TLS."""
    answer = command("dev-server", "--port", "0", *options, config=None)
    assert (answer.code, answer.out) == (1, "")
    assert why in answer.complaint


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("nonsense", "no such command 'nonsense'"),
        ("--nonsense", "no such option '--nonsense'"),
        ("list --nonsense", "no such option '--nonsense'"),
        ("list --outptu json", "no such option '--outptu'. Did you mean '--output'?"),
        ("list --output xml", "'xml' is not one of 'table', 'json'"),
        ("list surplus", "got unexpected extra argument (surplus)"),
        ("list --state good", "'good' is not one of 'proven', 'unproven'"),
        ("show", "missing argument 'KEY'"),
        ("download latest", "missing argument 'FILE'"),
        ("inspect", "missing argument 'FILE|KEY'"),
        ("verify", "one of KEY, --all and --unproven is needed"),
        ("verify latest --all", "one of KEY, --all and --unproven is needed"),
        ("serve", "missing option '--config'"),
        ("serve --config x --max-runs 0", "0 is not in the range 1<=x<=1000"),
        ("trigger", "missing argument '[NAMESPACE/]NAME'"),
        ("dev-server --port x", "'x' is not a valid integer"),
        ("completion tcsh", "'tcsh' is not one of"),
    ],
)
def test_wrong_usage_is_exit_1_and_one_line(command: Command, arguments: str, why: str) -> None:
    """It says what is wrong and what to do; standard output stays empty."""
    answer = command(*arguments.split(), config=None)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines() == [answer.complaint]
    assert answer.complaint.startswith("bao-backup: InvalidConfiguration: ")
    assert why.lower() in answer.complaint.lower()
    assert "--help shows" in answer.complaint or "give one of them" in answer.complaint
