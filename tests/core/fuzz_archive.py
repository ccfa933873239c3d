"""Fuzzes the archive reader with atheris: `python tests/core/fuzz_archive.py --seconds 20`.

Each input goes through one of three doors, since random changes seldom pass a CRC: the gzip
layer, the tar layer under it, the records inside. Any exception but ArchiveError is a failure, and
so are a hang (5 s), much memory (512 MiB), or an answer that depends on how the input was cut.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore] # it has no types

# Run as a script, this file's own folder is all that Python would look into.
sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["bao_backup.core"]):
    from bao_backup.core.archive import ArchiveReader
    from bao_backup.core.errors import ArchiveError
    from bao_backup.core.inventory import InventoryReader
    from bao_backup.core.members import SnapshotMembers
    from bao_backup.core.model import Contents
    from bao_backup.core.tar import TarReader

from tests.core.archives import END, GENUINE, MOUNT, archive_of, parts, state_of, tar_of

from bao_backup.core.archive_writer import build_archive, pax_record

MAX_INPUT = 64 << 10
HANG_SECONDS = 5
MEMORY_MIB = 512
WORDS = (
    *parts(),
    "ustar\\x0000",
    "ustar  \\x00",
    "PaxHeaders.0/state.bin",
    "19 size=9663676416\\x0a",
    "core/seal-config",
    "core/versions/1.21.2",
    "sys/expire/id/",
    "logical/c0f7965e-fdd8-6df8-c8fa-9a5380de59ba/",
    "\\x00\\x00\\x00\\x01\\x02",
    "\\x1f\\x8b\\x08",
    "\\xff\\xff\\xff\\xff\\x07",
)


def read_gzip(data: bytes, size: int) -> Contents | None:
    """The whole reader: what it gives, or None when it refuses."""
    reader = ArchiveReader()
    try:
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
        return reader.finish()
    except ArchiveError:
        return None


def read_tar(data: bytes, size: int) -> SnapshotMembers | None:
    """The tar layer and the members."""
    members = SnapshotMembers(InventoryReader())
    reader = TarReader(members)
    try:
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
        reader.finish()
    except ArchiveError:
        return None
    return members


def through_gzip(data: bytes, size: int) -> None:
    """An archive is accepted or refused, the same in one piece."""
    contents = read_gzip(data, size)
    assert contents == read_gzip(data, MAX_INPUT)
    assert contents is None or contents.sha256 == hashlib.sha256(data).hexdigest()


def through_tar(data: bytes, size: int) -> None:
    """A tar is accepted or refused, the same in one piece, and the same inside gzip."""
    pieces, whole = read_tar(data, size), read_tar(data, MAX_INPUT)
    contents = read_gzip(gzip.compress(data, 1, mtime=0), MAX_INPUT)
    assert (pieces is None) == (whole is None) == (contents is None)
    if pieces and whole and contents:
        assert pieces.digests == whole.digests == contents.members
        assert pieces.meta == whole.meta == contents.meta
        assert pieces.inventory.finish() == whole.inventory.finish() == contents.inventory


def through_records(data: bytes, size: int) -> None:
    """Any state.bin whose digest agrees is accepted, and its inventory is the same in pieces."""
    reader = InventoryReader()
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    inventory = reader.finish()
    contents = read_gzip(archive_of(parts(data).items()), MAX_INPUT)
    assert contents is not None
    assert contents.inventory == inventory
    assert sum(area.entries for area in inventory.areas) == inventory.entries
    counted = sum(area.size for area in inventory.areas)
    assert counted == len(data) if inventory.complete else counted <= len(data)


DOORS = (through_gzip, through_tar, through_records)


def try_one(data: bytes) -> None:
    """One input: which door, into pieces of which size, and what."""
    if len(data) > 2:
        DOORS[data[0] % len(DOORS)](data[2:], data[1] + 1)


def write_corpus(folder: Path) -> None:
    """Seeds: the genuine snapshot at each door, and small right ones."""
    snapshot = GENUINE.read_bytes()
    tar = gzip.decompress(snapshot)
    state = tar[1536 : 1536 + 36_630]
    small = tar_of(parts().items()) + END
    pax = b"".join(build_archive([(MOUNT + b"k", b"v")], level=0))
    records = [
        (b"core/seal-config", b'{"type":"shamir","secret_shares":5,"secret_threshold":3}'),
        (b"core/versions/2.4.4", b"\0\0\0\1\2" + bytes(40)),
        (b"sys/expire/id/a", b""),
        (MOUNT + b"x", bytes(300)),
        (b"k" * 200, pax_record("size", "1")),
    ]
    seeds = [(0, snapshot), (0, archive_of(parts().items())), (0, pax), (1, tar), (1, small), (2, state)]
    seeds += [(2, state_of(records)), (2, state_of()), (1, tar_of(parts(state_of(records)).items()) + END)]
    for number, (door, data) in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(bytes([door, 255 - number * 20]) + data)


def fuzz(folder: Path, seconds: int, seed: int, inputs: list[str]) -> None:
    """Fuzz with `folder` for the corpus and for an input that failed. Ends the process."""
    corpus = folder / "corpus"
    corpus.mkdir()
    write_corpus(corpus)
    words = folder / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    flags = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT}",
        f"-timeout={HANG_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-dict={words}",
        f"-artifact_prefix={folder}/failed-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, *(inputs or [str(corpus)])], try_one)
    atheris.Fuzz()


def main() -> int:
    """Fuzz for some seconds; the exit status is not 0 when an input failed, which is then kept and named."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--seed", type=int, default=0, help="0: another one each time")
    options.add_argument("--folder", type=Path, help="an empty one to work in; by default a temporary one")
    options.add_argument("inputs", nargs="*", help="failed inputs to try again, instead of fuzzing")
    given = options.parse_args()
    if given.folder:
        fuzz(given.folder, given.seconds, given.seed, given.inputs)
    # atheris ends the process without a chance to clean up, so it gets a process of its own.
    folder = tempfile.mkdtemp(prefix="fuzz-archive-")
    status = subprocess.run([sys.executable, *sys.argv, "--folder", folder], check=False).returncode
    if status == 0:
        shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())
