"""`crds`: printed for kubectl, or written into a folder."""

from __future__ import annotations

from pathlib import Path

import yaml
from tests.entry.conftest import Command

from bao_backup.adapters.kubernetes.crd import crds, to_yaml


def test_they_are_printed_for_kubectl(command: Command) -> None:
    """Both, one after the other, and nothing else."""
    answer = command("crds", config=None)
    assert (answer.code, answer.err) == (0, "")
    assert list(yaml.safe_load_all(answer.out)) == list(crds().values())


def test_they_are_written_into_a_folder(command: Command, tmp_path: Path) -> None:
    """A file each, anew where there was one."""
    folder = tmp_path / "deploy" / "crds"
    folder.mkdir(parents=True)
    (folder / "openbaoclusters.yaml").write_text("old")
    answer = command("crds", "--output-folder", str(folder), config=None)
    assert (answer.code, answer.out) == (0, "")
    found = {path.name: path.read_text() for path in folder.iterdir()}
    assert found == {f"{plural}.yaml": to_yaml(crd) for plural, crd in crds().items()}


def test_a_folder_that_cannot_be_is_told(command: Command, tmp_path: Path) -> None:
    """On one line."""
    (tmp_path / "file").write_text("")
    answer = command("crds", "--output-folder", str(tmp_path / "file" / "below"), config=None)
    assert answer.code == 1
    assert answer.err.startswith(f"bao-backup: InvalidConfiguration: write the CRDs into {tmp_path}")
    assert answer.err.count("\n") == 1
