"""Which servers the fixtures choose, in test runs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.harness import build

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
NOT_TESTED = "OpenBao: not tested, Vault in its place"


def run_one_test(path: str, test: str) -> list[str]:
    """What pytest prints about one test, with this PATH."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no", test]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def path_without_bao() -> str:
    """The PATH, without the folders that hold an OpenBao."""
    return os.pathsep.join(each for each in os.get_exec_path() if not Path(each, "bao").exists())


def test_without_bao() -> None:
    """Without OpenBao a run that used a cluster says so, in a line of its own."""
    lines = run_one_test(path_without_bao(), "tests/servers/test_vault.py::test_plain_http")
    assert sum("test_plain_http[vault] PASSED" in line for line in lines) == 1
    assert not any("[bao]" in line for line in lines)
    assert lines.count(NOT_TESTED) == 1


def test_with_bao(tmp_path: Path) -> None:
    """With a `bao` on the PATH the same tests run against both, and nothing is said to be left out."""
    (tmp_path / "bao").symlink_to(build.binary("vault"))
    path = f"{tmp_path}{os.pathsep}{path_without_bao()}"
    lines = run_one_test(path, "tests/servers/test_vault.py::test_plain_http")
    assert sum("PASSED" in line for line in lines if "[vault]" in line or "[bao]" in line) == 2
    assert NOT_TESTED not in lines


def test_without_a_cluster() -> None:
    """A run that needs no cluster says nothing of OpenBao."""
    lines = run_one_test(path_without_bao(), "tests/servers/test_process.py::test_free_ports")
    assert NOT_TESTED not in lines
