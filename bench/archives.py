"""Prepares snapshot archives as a server sends them: packed, and framed in HTTP chunks, in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bao_backup.core.archive_writer import Record, build_archive

#: The chunks that Vault 1.21 sends, in turn: each 16 KiB of packed bytes, past a buffer of 2 KiB.
CHUNKS = (2048, 14341)
#: Values are cut from random bytes: like encrypted ones they do not compress.
POOL = os.urandom(4 << 20)
MOUNT = b"logical/8d0f3c1e-5c1b-4f0e-9d55-2a6f0e7b9c44/"
#: The barrier's form of a value: its key's term, and the version of the form.
ENCRYPTED = (1).to_bytes(4, "big") + b"\2"


@dataclass(frozen=True)
class Shape:
    """What an archive is like: bytes of its entries, bytes of one entry's value, gzip's level."""

    size: int
    entry: int
    level: int

    @property
    def name(self) -> str:
        """For a file."""
        return f"{self.size}-{self.entry}-{self.level}"


@dataclass(frozen=True)
class Prepared:
    """An archive on disk, in chunks; `size` is without their frames."""

    file: Path
    size: int


def prepare(shape: Shape, folder: Path, say: Callable[[str], None]) -> Prepared:
    """The archive of that shape: the one in `folder`, or built now."""
    folder.mkdir(parents=True, exist_ok=True)
    for there in folder.glob(f"{shape.name}.*.chunks"):
        return Prepared(there, int(there.suffixes[-2][1:]))
    say(f"preparing an archive of {shape.size:,} bytes, entries of {shape.entry:,}, level {shape.level}")
    partial = folder / f"{shape.name}.partial"
    size = 0
    with partial.open("wb") as out:
        for chunk in in_chunks(build_archive(lambda: records(shape), level=shape.level)):
            out.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            size += len(chunk)
        out.write(b"0\r\n\r\n")
    return Prepared(partial.rename(folder / f"{shape.name}.{size}.chunks"), size)


def records(shape: Shape) -> Iterator[Record]:
    """Entries of one mount, in the order of their keys, as a server's storage has them."""
    body = shape.entry - len(ENCRYPTED)
    count = shape.size // shape.entry
    step = (1 << 128) // count
    for number in range(count):
        start = number * 7919 % (len(POOL) - body)
        key = number * step + int.from_bytes(POOL[start : start + 8], "big")
        yield MOUNT + b"%032x" % key, ENCRYPTED + POOL[start : start + body]


def in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Cut into CHUNKS, in turn; what is left of a piece goes to the next one's front."""
    sizes = cycle(CHUNKS)
    size = next(sizes)
    rest = b""
    for piece in pieces:
        data = rest + piece
        start = 0
        while len(data) - start >= size:
            yield data[start : start + size]
            start += size
            size = next(sizes)
        rest = data[start:]
    if rest:
        yield rest
