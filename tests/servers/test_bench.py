"""The benchmarks run, and what does not depend on the machine's speed holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.servers

COPYING = {
    "replay": "Replayed over TLS into S3",
    "memory": "Memory",
    "server": "From a real server",
    "start": "Start",
    "catalogue": "The catalogue, with 600 backups",
    "stores": "To each store",
    "verify": "Verifying",
    "restore": "Restoring",
}
TREE = Path(__file__).resolve().parents[2]
MIB = 1 << 20


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All cases that copy, at small sizes: title -> section, and the page."""
    return measured(tmp_path_factory.mktemp("bench"), *COPYING)


def measured(folder: Path, *cases: str) -> dict[str, Any]:
    """What these cases measure at small sizes: title -> section, and the page."""
    figures, page = folder / "figures.json", folder / "page.md"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(figures), "--write", str(page)]
    done = subprocess.run([*command, *cases], cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sections = json.loads(figures.read_bytes())
    return {section["title"]: section for section in sections} | {"page": page.read_text()}


def test_every_case_has_figures(quick: dict[str, Any]) -> None:
    """Each case measured something, beside its peer where it has one, and the page tells all of it."""
    assert list(quick) == [*COPYING.values(), "page"]
    for title in COPYING.values():
        for row in quick[title]["rows"]:
            assert row["value"] > 0
            assert row["what"] in quick["page"]


def test_every_store_is_written_to_and_two_are_read(quick: dict[str, Any]) -> None:
    """Each kind of store has its figures, and so has the server of each that has one."""
    stores = {row["what"].partition(":")[0] for row in quick["To each store"]["rows"]}
    assert stores == {
        f"16 MiB into {name}"
        for name in ("MinIO (S3)", "fake-gcs-server (GCS)", "Azurite (Azure)", "a folder")
    }
    servers = [row for row in quick["To each store"]["rows"] if "of the server" in row["what"]]
    assert len(servers) == len(stores) - 1
    read = {row["what"].partition(":")[0] for row in quick["Verifying"]["rows"]}
    assert read == {"16 MiB from MinIO (S3)", "16 MiB from a folder"}


def test_a_restore_is_compared_by_what_the_peer_does(quick: dict[str, Any]) -> None:
    """The target is for the sending alone, from a file and from a bucket, and the old data comes back."""
    rows = quick["Restoring"]["rows"]
    bound = [row["what"] for row in rows if row["target"] == 1.1]
    assert len(bound) == 2
    assert all(what.endswith("sending until accepted") for what in bound)
    assert len([row for row in rows if row["what"].endswith("until the old data is back")]) == 2


def test_memory_does_not_grow(quick: dict[str, Any]) -> None:
    """Four times the snapshot takes no more memory, but for what the buffers were not filled with before."""
    rows = {row["what"]: row["value"] for row in quick["Memory"]["rows"]}
    assert rows["256 MiB"] - rows["64 MiB"] < 24


def test_the_operator_at_scale(tmp_path: Path) -> None:
    """With few clusters, too: nothing is asked at rest, no slot lost or started twice, nothing wrong."""
    found = measured(tmp_path, "operator")
    (title,) = set(found) - {"page"}
    assert title == "The manager on Kubernetes, with 60 clusters"
    rows = {row["what"]: row for row in found[title]["rows"]}
    assert all(what in found["page"] for what in rows)
    wrong = {what: row["value"] for what, row in rows.items() if row["target"] == 0 and row["value"]}
    assert not wrong
    assert sum(row["target"] == 0 for row in rows.values()) == 5


def test_unknown_case() -> None:
    """A case that does not exist is said to, before anything is started."""
    command = [sys.executable, "-m", "bench", "nonsense"]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        "there are replay, memory, server, start, catalogue, stores, verify, restore, operator" in done.stderr
    )
