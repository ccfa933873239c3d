"""The witness of the end-to-end tests sees what it is there to see."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.servers.program import Site, Witness


@pytest.mark.parametrize(
    "said",
    [
        "denied for known-secret-value",
        "X-Vault-Token: hvs.CAESIAbcdefghijklmnopqrstuvwxyz",
        "token s.Abcdefghijklmnopqrstuvwx is invalid",
        "jwt=eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln",
    ],
)
def test_leaks_are_seen(said: str) -> None:
    """A known secret, and anything that looks like a token; the value itself is not repeated."""
    witness = Witness()
    witness.secret("a key", "known-secret-value")
    witness.saw("a log", f"2026-11-22 02:00:00 {said}\n")
    [leak] = witness.leaks()
    assert leak.endswith(" in a log")
    assert "known-secret-value" not in leak


def test_harmless_words_are_no_leaks() -> None:
    """Digests, keys of backups and file names are none."""
    witness = Witness()
    witness.saw("a log", f"backups.default.vault.2026 sha256 {'0a' * 32} s.snap hvs.short tests.servers.x")
    assert witness.leaks() == []


def test_secrets_in_any_stream_are_seen(tmp_path: Path) -> None:
    """In the command line, on standard output and error, and in files that a run leaves."""
    witness = Witness()
    site = Site(tmp_path / "site", witness)
    witness.secret("an option", "--padding=12345")
    lasting = site.begin("dev-server", "--port=0", "--padding=12345")
    lasting.signal(signal.SIGKILL)
    lasting.wait()
    assert "an option in command line" in " ".join(witness.leaks())
    witness.secret("a word", "no-such-command-of-ours")
    ended = site.begin("no-such-command-of-ours").wait()
    assert ended.code == 1
    (site.folder / "state").mkdir()
    (site.folder / "state" / "log").write_text("no-such-command-of-ours", encoding="utf-8")
    site.end()
    places = " ".join(witness.leaks())
    for place in ("a word in command line", "a word in run of", "state/log"):
        assert place in places
