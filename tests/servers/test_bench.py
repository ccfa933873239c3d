"""The benchmarks run, and what does not depend on the machine's speed holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.servers

TREE = Path(__file__).resolve().parents[2]
MIB = 1 << 20


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All cases at small sizes: title -> section, and the page."""
    folder = tmp_path_factory.mktemp("bench")
    figures, page = folder / "figures.json", folder / "page.md"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(figures), "--write", str(page)]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sections = json.loads(figures.read_bytes())
    return {section["title"]: section for section in sections} | {"page": page.read_text()}


def test_every_case_has_figures(quick: dict[str, Any]) -> None:
    """Each case measured something, beside its peer where it has one, and the page tells all of it."""
    titles = ["Replayed over TLS into S3", "Memory", "From a real server", "Start"]
    assert list(quick) == [*titles, "page"]
    for title in titles:
        for row in quick[title]["rows"]:
            assert row["value"] > 0
            assert row["what"] in quick["page"]


def test_memory_does_not_grow(quick: dict[str, Any]) -> None:
    """Four times the snapshot takes no more memory, but for what the buffers were not filled with before."""
    rows = {row["what"]: row["value"] for row in quick["Memory"]["rows"]}
    assert rows["256 MiB"] - rows["64 MiB"] < 24


def test_unknown_case() -> None:
    """A case that does not exist is said to, before anything is started."""
    command = [sys.executable, "-m", "bench", "nonsense"]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are replay, memory, server, start" in done.stderr
