"""A short run of the archive reader's fuzzer; for a long one, `python tests/core/fuzz_archive.py --help`."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bao_backup

FUZZER = Path(__file__).with_name("fuzz_archive.py")
SOURCE = Path(bao_backup.__file__).parent
SECONDS = 10

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it comes for Linux on x86-64 only",
)


def fuzz(folder: Path, source: Path) -> subprocess.CompletedProcess[str]:
    """Fuzz the package `source` for some seconds."""
    # Linux counts what the starting process has in memory as the peak of the one that it starts.
    between = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    command = [
        sys.executable,
        "-c",
        between,
        sys.executable,
        str(FUZZER),
        "--seconds",
        str(SECONDS),
        "--folder",
        str(folder),
    ]
    environment = {**os.environ, "PYTHONPATH": str(source.parent)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.thorough
def test_no_failure(tmp_path: Path) -> None:
    """No input of ten seconds' fuzzing makes the reader crash, hang, swell, or answer otherwise in pieces."""
    run = fuzz(tmp_path, SOURCE)
    assert run.returncode == 0, run.stderr[-4000:]
    tried = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    assert tried
    assert int(tried[1]) > 100, "the fuzzer tried next to nothing"


def test_failure_is_found(tmp_path: Path) -> None:
    """A defect that is put into a copy of the package makes the fuzzer fail: it can."""
    source = tmp_path / "src" / SOURCE.name
    shutil.copytree(SOURCE, source)
    module = source / "core" / "inventory.py"
    right = module.read_text()
    wrong = right.replace("except NotRecordsError:", "except ZeroDivisionError:")
    assert wrong != right
    module.write_text(wrong)
    folder = tmp_path / "work"
    folder.mkdir()
    run = fuzz(folder, source)
    assert run.returncode != 0
    assert "NotRecordsError" in run.stderr + run.stdout
    assert list(folder.glob("failed-*"))
