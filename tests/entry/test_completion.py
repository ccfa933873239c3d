"""`completion`: scripts that the shells take, and what they complete."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from tests.entry.conftest import Command
from tests.entry.world import plain_environment

#: How each shell reads a script without running it.
CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.mark.parametrize("shell", CHECKS)
def test_the_script_is_printed(command: Command, shell: str) -> None:
    """It completes our name, and calls us."""
    answer = command("completion", shell, config=None)
    assert (answer.code, answer.err) == (0, "")
    assert "bao-backup" in answer.out
    assert "_BAO_BACKUP_COMPLETE" in answer.out


@pytest.mark.parametrize("shell", CHECKS)
def test_the_shell_takes_the_script(command: Command, shell: str) -> None:
    """Where there is this shell, it finds nothing wrong."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script = command("completion", shell, config=None).out
    done = subprocess.run(CHECKS[shell], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("bao-backup dow", "download"),
        ("bao-backup list --stat", "--state"),
        ("bao-backup list --state unp", "unproven"),
        ("bao-backup list --all-", "--all-clusters"),
        ("bao-backup verify --targ", "--target"),
        ("bao-backup list --class ord", "ordinary"),
        ("bao-backup prune --keep-m", "--keep-monthly"),
        ("bao-backup che", "check"),
        ("bao-backup pol", "policy"),
        ("bao-backup policy lifec", "lifecycle"),
        ("bao-backup policy --for ver", "verify"),
        ("bao-backup restore --bef", "--before"),
        ("bao-backup restore --no-saf", "--no-safety-backup"),
        ("bao-backup restore --kuber", "--kubernetes"),
    ],
)
def test_what_is_completed(words: str, expected: str) -> None:
    """Commands, options and their values."""
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "bao_backup"],
        env=plain_environment(_BAO_BACKUP_COMPLETE="bash_complete", **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == [f"plain,{expected}"]
