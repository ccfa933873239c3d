"""The tar layer: what Go writes is read, whatever the size; anything else is refused, saying why."""

from __future__ import annotations

import gzip
import re

import pytest
from tests.core.archives import END, parts, prove, refusal, tar_of

from bao_backup.core.archive_writer import (
    BLOCK,
    build_meta,
    pax_record,
    tar_header,
    tar_member,
    ustar_block,
    with_checksum,
)
from bao_backup.core.errors import ArchiveError, ArchiveTruncatedError
from bao_backup.core.inventory import InventoryReader
from bao_backup.core.members import SnapshotMembers
from bao_backup.core.tar import TarReader

RIGHT = parts()
META_SIZE = len(RIGHT["meta.json"])
TAR = tar_of(RIGHT.items())


def with_tar(tar: bytes) -> bytes:
    """An archive of this tar."""
    return gzip.compress(tar, mtime=0)


def patched(offset: int, new: bytes, *, checksum: bool = True) -> bytes:
    """The right archive with `new` at `offset` of its first tar header, its checksum made right or not."""
    block = TAR[:offset] + new + TAR[offset + len(new) : BLOCK]
    return with_tar((with_checksum(block) if checksum else block) + TAR[BLOCK:] + END)


def pax(*records: bytes, size: int = 0) -> bytes:
    """A PAX header before the first member, whose own header then says `size`."""
    body = b"".join(records)
    header = ustar_block("PaxHeaders.0/meta.json", len(body), 0, mode=0, kind=b"x")
    meta = RIGHT["meta.json"]
    member = ustar_block("meta.json", size, 0, mode=0, kind=b"0") + meta + bytes(-len(meta) % BLOCK)
    return header + body + bytes(-len(body) % BLOCK) + member


def rest_after(member: str) -> bytes:
    """The tar behind `member`, to its end."""
    names = list(RIGHT)
    return tar_of((name, RIGHT[name]) for name in names[names.index(member) + 1 :]) + END


WRONG: dict[str, tuple[bytes, str]] = {
    "a wrong checksum": (
        patched(100, b"0000777", checksum=False),
        "the tar header before the first member has .*",
    ),
    "a checksum that is no number": (
        patched(148, b"what? \0 ", checksum=False),
        "the tar header .* a wrong checksum",
    ),
    "no magic": (patched(257, bytes(8)), "the tar header before the first member is not of the ustar format"),
    "a size that is no number": (
        patched(124, b"99999999999"),
        "a tar header has a size that is no number in range",
    ),
    "a negative binary size": (
        patched(124, b"\xff" * 12),
        "a tar header has a size that is no number in range",
    ),
    "an endless binary size": (
        patched(124, b"\x80\0\0\0" + b"\xff" * 8),
        "a tar header has a size that is no number in range",
    ),
    "a name with a prefix": (patched(345, b"folder"), "a tar header has bytes where zeros belong"),
    "something behind a name": (patched(20, b"x"), "a tar header has bytes where zeros belong"),
    "a link": (patched(156, b"2"), r"'meta.json' is not a regular file \(type b'2'\)"),
    "a folder": (patched(156, b"5"), r"'meta.json' is not a regular file \(type b'5'\)"),
    "a global PAX header": (patched(156, b"g"), r"'meta.json' is not a regular file \(type b'g'\)"),
    "a GNU long name": (patched(156, b"L"), r"'meta.json' is not a regular file \(type b'L'\)"),
    "padding that is not zeros": (
        with_tar(TAR[: BLOCK + META_SIZE] + b"x" + TAR[BLOCK + META_SIZE + 1 :] + END),
        "the padding after meta.json is not zeros",
    ),
    "no end": (with_tar(TAR), "its gzip stream is whole, but the tar ends after SHA256SUMS.sealed"),
    "half an end": (
        with_tar(TAR + END[:BLOCK]),
        "its gzip stream is whole, but the tar ends inside its end blocks",
    ),
    "an end block and a byte": (
        with_tar(TAR + END[: BLOCK + 1]),
        "its gzip stream is whole, but the tar ends inside its end blocks",
    ),
    "a member cut off": (with_tar(TAR[:1600]), "its gzip stream is whole, but the tar ends inside state.bin"),
    "a block and a half at the end": (with_tar(TAR + END + bytes(1)), "it does not end at a whole block"),
    "one end block and more": (with_tar(TAR + END[:BLOCK] + TAR), "it goes on after its end block"),
    "more after the end": (with_tar(TAR + END + TAR), "it goes on after its end block"),
    "a byte after the end": (with_tar(TAR + END + bytes(511) + b"x"), "it goes on after its end block"),
    "endless zeros": (
        with_tar(TAR + bytes((1 << 20) + BLOCK)),
        "more than 1,048,576 zeros follow the last member",
    ),
    "a PAX size that lies": (
        with_tar(pax(pax_record("size", str(META_SIZE + BLOCK))) + rest_after("meta.json")),
        "meta.json does not decode: .*",
    ),
    "a PAX size that is no number": (with_tar(pax(pax_record("size", "-1"))), "a PAX header has a size .*"),
    "an endless PAX size": (with_tar(pax(pax_record("size", str(1 << 63)))), "a PAX header has a size .*"),
    "two PAX sizes": (with_tar(pax(pax_record("size", "1") * 2)), "a PAX header has a size .*"),
    "a PAX name": (
        with_tar(pax(pax_record("path", "x"))),
        "a PAX header sets 'path', which no snapshot needs",
    ),
    "a sparse file": (
        with_tar(pax(pax_record("GNU.sparse.major", "1"))),
        "a PAX header sets 'GNU.sparse.major', .*",
    ),
    "a PAX record too long": (with_tar(pax(b"99 size=1\n")), "a PAX header has a record of a wrong length"),
    "a PAX record of no length": (
        with_tar(pax(b"0 size=1\n")),
        "a PAX header has a record of a wrong length",
    ),
    "a PAX record without end": (with_tar(pax(b"9 size=1\0")), "a PAX header has a record that is no .*"),
    "a PAX record without value": (with_tar(pax(b"8 size1\n")), "a PAX header has a record that is no .*"),
    "an empty PAX header": (with_tar(pax()), "a PAX header is 0 bytes, not 1 to 16,384"),
    "an endless PAX header": (with_tar(pax(bytes(16_385))), "a PAX header is 16,385 bytes, not 1 to 16,384"),
    "two PAX headers": (
        with_tar(pax(pax_record("size", "1"))[: 2 * BLOCK] * 2),
        "two PAX headers follow each other",
    ),
    "a PAX header and no member": (
        with_tar(TAR + pax(pax_record("size", "1"))[: 2 * BLOCK] + END),
        "a PAX header has no member after it",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name: str) -> None:
    """A wrong tar is refused, and the refusal says why."""
    data, why = WRONG[name]
    error = refusal(data)
    assert re.fullmatch(why, error.why), error.why
    assert isinstance(error, ArchiveTruncatedError) == ("the tar ends" in error.why)


@pytest.mark.parametrize(
    "data",
    [
        with_tar(pax(pax_record("size", str(META_SIZE))) + rest_after("meta.json")),
        with_tar(pax(pax_record("mtime", "1795374105.5"), size=META_SIZE) + rest_after("meta.json")),
        patched(124, b"\x80" + META_SIZE.to_bytes(11, "big")),
        patched(257, b"ustar  \0"),
    ],
    ids=["a size in a PAX header", "a time in a PAX header", "a binary size", "GNU's magic"],
)
def test_accepted(data: bytes) -> None:
    """Other right ways to write the same are read."""
    assert prove(data).members == prove(with_tar(TAR + END)).members


class Heard:
    """Members that only note what they are told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []

    def begin(self, name: str, size: int) -> None:
        self.begun.append((name, size))

    def take(self, piece: bytes) -> None:
        raise AssertionError(f"no body was fed: {piece!r}")

    def end(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 9 << 30, 1 << 43])
def test_large(size: int) -> None:
    """A member of 8 GiB and more is read as Go writes it."""
    heard = Heard()
    TarReader(heard).feed(tar_header("state.bin", size))
    assert heard.begun == [("state.bin", size)]


def test_the_header_of_9_gib_is_what_go_writes() -> None:
    """Beside Go 1.26's archive/tar: a PAX header of one record, then a header of size 0."""
    header = tar_header("state.bin", 9 << 30, 1795374105)
    assert len(header) == 3 * BLOCK
    assert header[:22] == b"PaxHeaders.0/state.bin"
    assert header[
        100:163
    ] == b"0000000\x000000000\x000000000\x0000000000023\x0000000000000\x00012026\x00 x" + bytes(6)
    assert header[BLOCK : BLOCK + 19] == b"19 size=9663676416\n"
    assert header[1024 + 124 : 1024 + 156] == b"00000000000\x0015300636031\x00011031\x00 "


def test_what_is_wrong_is_noticed_as_soon_as_it_passes() -> None:
    """A header that lies about a large state is refused before the state arrives."""
    meta = build_meta(size=100, index=1, term=1)
    reader = TarReader(SnapshotMembers(InventoryReader()))
    reader.feed(b"".join(tar_member("meta.json", meta)))
    with pytest.raises(
        ArchiveError, match=r"says that state\.bin has 100 bytes, the tar header 9,663,676,416"
    ):
        reader.feed(tar_header("state.bin", 9 << 30))
