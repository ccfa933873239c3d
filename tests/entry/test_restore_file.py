"""`restore --from FILE`: what is no snapshot is refused in words, before any server is asked."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.entry.conftest import Command

GENUINE = (Path(__file__).parents[1] / "data" / "openbao-2.4.4" / "snapshot.snap").read_bytes()


def archive(name: str) -> bytes:
    """An archive with one file of this name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    return out.getvalue()


FILES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "a whole one, unpacked": (lambda: gzip.decompress(GENUINE), "ArchiveCorrupt", "it is not gzip"),
    "another archive": (lambda: archive("notes"), "ArchiveCorrupt", "it is not gzip"),
    "another archive, packed": (
        lambda: gzip.compress(archive("notes")),
        "ArchiveCorrupt",
        "a member that is no part of a snapshot: 'notes'",
    ),
    "text, packed": (lambda: gzip.compress(b"text\n" * 400), "ArchiveCorrupt", "tar"),
    "cut off": (lambda: GENUINE[:5000], "ArchiveTruncated", "it ends after 5,000 bytes"),
    "empty": (lambda: b"", "ArchiveTruncated", "it ends after 0 bytes"),
    "more behind it": (lambda: GENUINE + b"x", "ArchiveCorrupt", "bytes follow"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_snapshot(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its path is told as it was given, what is wrong, and what to do; no server is asked."""
    content, reason, why = FILES[kind]
    monkeypatch.chdir(tmp_path)
    Path("some.snap").write_bytes(content())
    Path("token").write_text("s.hush")
    answer = command(
        *["restore", "--from", "some.snap", "--to", "http://127.0.0.1:9", "--token-file", "token"],
        *["--yes", "--no-safety-backup"],
        config=None,
    )
    assert (answer.code, answer.out) == (6, "")
    assert answer.complaint.startswith(f"bao-backup: {reason}: prove some.snap: ")
    assert why in answer.complaint
    assert "see that it is whole" in answer.complaint
    assert "the store" not in answer.complaint
