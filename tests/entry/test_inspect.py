"""`inspect`: what is inside a snapshot, and never a value of it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.archives import GENUINE
from tests.entry.conftest import Command
from tests.entry.world import World, finish, plain_environment, start

from bao_backup.core.archive_writer import build_archive


def test_a_file(command: Command) -> None:
    """It needs no configuration."""
    answer = command("inspect", str(GENUINE), config=None)
    assert answer.code == 0
    told = dict(line.split("  ", 1) for line in answer.out.splitlines() if "  " in line)
    assert told["proof"].strip() == "whole"
    assert told["seal"].strip() == "shamir, 1 of 1 shares"
    assert told["servers"].strip().endswith(" (Voter)")


def test_a_backup_in_the_store(command: Command, world: World) -> None:
    """By its key, or the newest proven one."""
    world.add(0)
    assert command("inspect", "latest").out.splitlines()[0].startswith("size ")


@pytest.mark.parametrize("output", ["table", "json"])
def test_keys_only_when_asked_and_values_never(command: Command, world: World, output: str) -> None:
    """A key's name is sensitive; a value is a secret."""
    world.add(0)
    plain = command("inspect", "latest", "--output", output).out
    asked = command("inspect", "latest", "--output", output, "--keys").out
    assert "sys/policy/backup" not in plain
    assert "sys/policy/backup" in asked
    assert "PRIVATE VALUE" not in plain + asked


def test_the_contents_as_json(command: Command, world: World) -> None:
    """Numbers, digests, and a list of keys where it is asked for."""
    world.add(7)
    answer = command("inspect", "latest", "--keys", "--output", "json").json
    assert (answer["contents"]["meta"]["index"], answer["contents"]["meta"]["term"]) == (107, 2)
    assert {"key": "core/lock", "size": 13} in answer["keys"]


@pytest.mark.parametrize(
    ("name", "body", "code", "why"),
    [
        ("text.snap", b"hello", 6, "it is not gzip"),
        ("empty.snap", b"", 6, "ArchiveTruncated"),
        ("half.snap", GENUINE.read_bytes()[:2000], 6, "ArchiveTruncated"),
    ],
)
def test_a_file_that_is_no_whole_snapshot(
    command: Command, tmp_path: Path, name: str, body: bytes, code: int, why: str
) -> None:
    """The file is named, and that one must not restore from it; nothing is on standard output."""
    (tmp_path / name).write_bytes(body)
    answer = command("inspect", name, config=None)
    assert (answer.code, answer.out) == (code, "")
    assert why in answer.complaint
    assert f"inspect {name}: " in answer.complaint
    assert answer.complaint.endswith("do not restore from it")


@pytest.mark.parametrize(("what", "why"), [("nowhere", "there is no such file"), (".", "it is a folder")])
def test_no_file(command: Command, what: str, why: str) -> None:
    """Without a configuration it can only be a file."""
    answer = command("inspect", what, config=None)
    assert (answer.code, answer.out) == (1, "")
    assert f"inspect {what}: {why}; name a file, or a key and the --config" in answer.complaint


@pytest.mark.parametrize("output", ["table", "json"])
def test_the_memory_does_not_grow_with_the_keys(tmp_path: Path, output: str) -> None:
    """A snapshot with 150,000 keys: all are printed, in order, and hardly any memory is taken for them."""
    count = 150_000
    records = [(b"logical/mount/%010d" % number, b"") for number in range(count)]
    file, script = tmp_path / "many.snap", tmp_path / "measured.py"
    file.write_bytes(b"".join(build_archive(records, index=1, term=2, level=1)))
    script.write_text(MEASURED)
    peaks = []
    for asked in ([], ["--keys"]):
        command = [sys.executable, str(script), "inspect", str(file), "--quiet", "--output", output, *asked]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        peaks.append(int(done.stderr))
    if output == "json":
        keys = [key["key"] for key in json.loads(done.stdout)["keys"]]
    else:
        keys = [line.split()[1] for line in done.stdout.splitlines()[-count:]]
    assert keys == [f"logical/mount/{number:010d}" for number in range(count)]
    assert peaks[1] - peaks[0] < 12 * 1024


#: The program, which says at its end how many KiB it needed; rusage would count its parent's, too.
MEASURED = """
import sys
from bao_backup.entry.cli import main
code = main(sys.argv[1:])
sys.stdout.flush()
status = open("/proc/self/status").read()
print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
sys.exit(code)
"""


def test_no_room_for_the_keys_is_told() -> None:
    """The folder for temporary files may be full, or not to be written."""
    answer = finish(
        start(
            "inspect",
            str(GENUINE),
            "--keys",
            environment=plain_environment(),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)),
        )
    )
    assert answer.code == 8
    assert "keep the snapshot's keys in a temporary file: " in answer.complaint
    assert "TMPDIR" in answer.complaint
