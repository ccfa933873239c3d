"""Whatever comes in, the archive reader's memory is bounded."""

from __future__ import annotations

import itertools
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tests.core.archives import MOUNT, archive_of, parts, state_of

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.archive_writer import (
    BLOCK,
    Record,
    build_archive,
    build_meta,
    tar_header,
    tar_member,
    varint,
)
from bao_backup.core.errors import ArchiveError

MIB = 1 << 20
#: Two buffers of 256 KiB that zlib fills, its window, a 1 MiB chunk of the tests' own, and room.
BOUND = 4 * MIB


def squeezed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Gzip, as small as it gets."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    for piece in pieces:
        yield pack.compress(piece)
    yield pack.flush()


def gzip_header(flags: int) -> bytes:
    """The ten bytes before what `flags` announce."""
    return b"\x1f\x8b\x08" + bytes([flags]) + bytes(6)


def state(size: int, body: Iterable[bytes]) -> Iterator[bytes]:
    """A tar up to inside its state.bin."""
    yield from tar_member("meta.json", build_meta(size=size, index=1, term=1))
    yield tar_header("state.bin", size)
    yield from body


def zeros(size: int) -> Iterator[bytes]:
    """So many zero bytes."""
    return itertools.repeat(bytes(MIB), size // MIB)


def records(count: int, record: Callable[[int], Record]) -> Callable[[], Iterator[Record]]:
    """Many records, without holding them."""
    return lambda: map(record, range(count))


def endless(head: bytes, piece: bytes, count: int) -> Iterator[bytes]:
    """A beginning, and then the same again and again."""
    return itertools.chain([head], itertools.repeat(piece, count))


HOSTILE: dict[str, tuple[Callable[[], Iterator[bytes]], str]] = {
    "64 MiB of zeros and nothing else": (lambda: squeezed(zeros(64 * MIB)), "it has no meta.json"),
    "64 MiB of zeros after a member": (
        lambda: squeezed(itertools.chain(state(0, [bytes(BLOCK)]), zeros(64 * MIB))),
        "it has no SHA256SUMS",
    ),
    "128 MiB of zeros in state.bin": (
        lambda: squeezed(state(1 << 40, zeros(128 * MIB))),
        "its gzip stream is whole, but the tar ends inside state.bin",
    ),
    "a record of 2 GiB": (
        lambda: squeezed(state(1 << 40, endless(varint((1 << 31) - 1) + b"\x0a\x01k\x12", bytes(MIB), 64))),
        "its gzip stream is whole, but the tar ends inside state.bin",
    ),
    "a value of nearly 2 GiB": (
        lambda: squeezed(
            state(
                1 << 40,
                endless(varint((1 << 31) - 1) + b"\x0a\x01k\x12" + varint((1 << 31) - 9), bytes(MIB), 64),
            )
        ),
        "its gzip stream is whole, but the tar ends inside state.bin",
    ),
    "an endless key": (
        lambda: squeezed(
            state(1 << 40, endless(varint(1 << 30) + b"\x0a" + varint(1 << 29), b"k" * MIB, 64))
        ),
        "its gzip stream is whole, but the tar ends inside state.bin",
    ),
    "an endless meta.json": (
        lambda: squeezed(itertools.chain([tar_header("meta.json", 1 << 30)], zeros(64 * MIB))),
        "meta.json has 1,073,741,824 bytes, not 1 to 1,048,576",
    ),
    "a name without end in the gzip header": (
        lambda: endless(gzip_header(8), b"n" * 65_536, 200),
        "nothing can be unpacked from its first 1,048,576 bytes",
    ),
    "a comment without end in the gzip header": (
        lambda: endless(gzip_header(16), b"n" * MIB, 20),
        "nothing can be unpacked from its first 1,048,576 bytes",
    ),
    "empty deflate blocks without end": (
        lambda: endless(gzip_header(0), b"\0\0\0\xff\xff" * 10_000, 100),
        "nothing can be unpacked from its first 1,048,576 bytes",
    ),
}

LARGE: dict[str, tuple[int, Callable[[int], Record]]] = {
    "twenty thousand mounts": (
        20_000,
        lambda number: (b"logical/%08x-0000-0000-0000-000000000000/k" % number, b"v"),
    ),
    "values of 4 MiB": (12, lambda number: (MOUNT + b"%d" % number, bytes(4 * MIB))),
    "keys as long as they may be": (500, lambda number: (struct.pack(">I", number) * 8192, b"v")),
    "seal configurations that are too large": (20, lambda _: (b"core/seal-config", bytes(4 * MIB))),
}


def peak_of(chunks: Iterable[bytes], reader: ArchiveReader) -> int:
    """The most that the reader and what feeds it held at once, in bytes, until the end or an error."""
    tracemalloc.start()
    try:
        for chunk in chunks:
            reader.feed(chunk)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < BOUND, f"{peak:,}"
    return peak


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    """What is made to fill the memory is refused, and the memory stays bounded."""
    chunks, why = HOSTILE[name]
    with pytest.raises(ArchiveError) as caught:
        peak_of(chunks(), ArchiveReader())
    assert caught.value.why == why


@pytest.mark.parametrize("name", LARGE)
def test_large(name: str) -> None:
    """What is only large is read to its end, and the memory stays bounded."""
    count, record = LARGE[name]
    packed = list(build_archive(records(count, record), level=1))
    reader = ArchiveReader()
    peak_of(packed, reader)
    inventory = reader.finish().inventory
    assert (inventory.entries, inventory.complete) == (count, True)
    assert len(inventory.areas) <= 1001


@pytest.mark.thorough
def test_million() -> None:
    """A million tiny records leave nothing behind (as the kernel counts: tracing each would take minutes)."""
    eight = state_of([(b"sys/policy/%d" % number, b"v") for number in range(8)])
    packed = archive_of(parts(eight * 125_000).items())
    before = resident()
    reader = ArchiveReader()
    reader.feed(packed)
    assert resident() - before < BOUND
    assert reader.finish().inventory.entries == 1_000_000


def resident() -> int:
    """This process's memory in bytes (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
