"""The file that a run leaves its result in: whole or not at all, and a device as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.entry.runs import Run
from tests.flows.site import KEY

from bao_backup.core.errors import ConfigurationError, InternalError
from bao_backup.core.result import decode_result
from bao_backup.entry.result_file import write_result


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that would go well."""
    return Run(tmp_path)


def test_a_result_replaces_an_older_one_whole(run: Run) -> None:
    """It is never half there: another file takes its name."""
    run.file.write_text("x" * 10_000)
    before = run.file.stat().st_ino
    run.end()
    assert run.written.succeeded
    assert run.file.stat().st_ino != before
    assert sorted(path.name for path in run.file.parent.iterdir()) == ["result.json"]


def test_a_termination_log_is_written_in_place(tmp_path: Path) -> None:
    """Kubernetes mounts this very file, and looks at no other."""
    run = Run(tmp_path, "termination-log")
    run.file.touch()
    before = run.file.stat().st_ino
    run.end()
    assert run.written.succeeded
    assert run.file.stat().st_ino == before
    assert len(run.file.read_bytes()) <= 3500


def test_a_pipe_gets_the_result(tmp_path: Path) -> None:
    """As standard output does: what is no file is written to, and stays what it is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_result(pipe, Run(tmp_path).end().result)
        result = decode_result(os.read(reading, 4096))
    finally:
        os.close(reading)
    assert result is not None
    assert result.succeeded
    assert pipe.is_fifo()


def test_no_folder_for_the_result_is_told_before_anything_is_done(tmp_path: Path) -> None:
    """A backup whose end nobody could learn is not begun."""
    run = Run(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError):
        run.end()
    assert KEY not in run.site.visible()


def test_a_result_that_cannot_be_written_is_told_with_what_it_was(run: Run) -> None:
    """The backup is there all the same, and the error says so; no part of a file is left."""
    run.file.mkdir()
    with pytest.raises(InternalError) as caught:
        run.end()
    assert "BackupSucceeded" in caught.value.hint
    assert KEY in run.site.proven()
    assert [path.name for path in run.file.parent.iterdir()] == ["result.json"]
