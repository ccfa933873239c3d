"""The archive reader: accepts a genuine snapshot however it is cut, and refuses it cut off or changed."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.archives import GENUINE, MOUNT, RECORDS, archive_of, cut, parts, prove, refusal, sha256

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.archive_writer import Record, build_archive
from bao_backup.core.errors import ArchiveError, ArchiveTruncatedError
from bao_backup.core.model import Contents, Server

SNAPSHOT = GENUINE.read_bytes()
TRAILER_SIZE = 8
#: MTIME, XFL and OS of RFC 1952: nothing checks them, and nothing depends on them.
UNPROTECTED = range(4, 10)
FTEXT_OFFSET = 3
#: All the flips of one bit behind the header, of 244,040, that pass: found by trying each.
SAME_CONTENT = [
    (323, 0x80),
    (30_087, 0x01),
    (30_087, 0x02),
    (30_087, 0x04),
    (30_267, 0x40),
    (30_268, 0x08),
    (30_268, 0x20),
    (30_283, 0x01),
    (30_283, 0x02),
    (30_283, 0x04),
    (30_489, 0x01),
    (30_489, 0x20),
    (30_502, 0x10),
    (30_502, 0x20),
    (30_502, 0x40),
    (30_502, 0x80),
]

keys = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.binary(max_size=20).map(lambda end: MOUNT + end),
    st.sampled_from([b"core/seal-config", b"core/versions/1.21.2", b"sys/token/id/h1", b"sys/expire/id/a/b"]),
)
values = st.one_of(st.binary(max_size=400), st.binary(max_size=60).map(lambda end: b"\0\0\0\5\2" + end))
records_of_any_kind = st.lists(st.tuples(keys, values), max_size=30)


def test_genuine() -> None:
    """A genuine snapshot of OpenBao is whole, and its facts are read."""
    recorded = json.loads(GENUINE.with_name("snapshot.json").read_bytes())
    contents = prove(SNAPSHOT)
    assert (contents.size, contents.sha256) == (recorded["size"], recorded["sha256"])
    meta = contents.meta
    assert (meta.id, meta.index, meta.term, meta.version) == ("bolt-snapshot", 77, 3, 1)
    assert (meta.size, meta.configuration_index) == (36630, 1)
    assert meta.servers == (Server(id="node0", address="127.0.0.1:18201", suffrage="Voter"),)
    with tarfile.open(fileobj=io.BytesIO(SNAPSHOT)) as archive:
        bodies = {name: archive.extractfile(name) for name in archive.getnames()}
        assert contents.members == {name: sha256(body.read()) for name, body in bodies.items() if body}
    assert len(contents.members) == 4


@pytest.mark.thorough
def test_cut_off_at_any_byte_it_is_refused_as_truncated() -> None:
    """`finish` changes nothing when it refuses, so one pass stands for all 30,515 lengths."""
    reader = ArchiveReader()
    for size in range(len(SNAPSHOT)):
        with pytest.raises(ArchiveTruncatedError) as caught:
            reader.finish()
        assert f"after {size:,} bytes" in caught.value.why
        reader.feed(SNAPSHOT[size : size + 1])
    assert reader.finish() == prove(SNAPSHOT)


@pytest.mark.parametrize(
    ("size", "place"),
    [
        (0, "inside the gzip header"),
        (9, "inside the gzip header"),
        (30, "inside the gzip header"),
        (150, "before the first member"),
        (300, "inside meta.json"),
        (20_000, "inside state.bin"),
        (30_507, "before the end of its gzip stream"),
        (30_514, "before the end of its gzip stream"),
    ],
)
def test_place_of_truncation(size: int, place: str) -> None:
    """The refusal of a truncated archive says where it ends."""
    error = refusal(SNAPSHOT[:size])
    assert error.why == f"it ends after {size:,} bytes, {place}"
    assert (error.reason, error.exit_code) == ("ArchiveTruncated", 6)


@pytest.mark.thorough
@pytest.mark.parametrize("part", range(4))
def test_a_flip_of_any_byte_that_says_something_is_refused(part: int) -> None:
    """Every byte but the gzip header's MTIME, XFL and OS is refused when all its bits are flipped."""
    for offset in range(part, len(SNAPSHOT), 4):
        error = flipped(offset, 0xFF)
        if offset in UNPROTECTED:
            assert isinstance(error, Contents), offset
        else:
            assert isinstance(error, ArchiveError), offset


def test_of_the_gzip_header_only_time_hints_and_the_text_flag_are_protected_by_nothing() -> None:
    """FTEXT, MTIME, XFL and OS pass, bit by bit; magic, method and the other flags do not."""
    passed = {
        (offset, bit)
        for offset in range(10)
        for bit in range(8)
        if isinstance(flipped(offset, 1 << bit), Contents)
    }
    assert passed == {(FTEXT_OFFSET, 0)} | {(offset, bit) for offset in UNPROTECTED for bit in range(8)}


def test_gzip_trailer() -> None:
    """Every bit of the gzip trailer counts."""
    for offset in range(len(SNAPSHOT) - TRAILER_SIZE, len(SNAPSHOT)):
        for bit in range(8):
            assert isinstance(flipped(offset, 1 << bit), ArchiveError)


@pytest.mark.parametrize(("offset", "mask"), SAME_CONTENT)
def test_a_flip_that_only_spells_the_same_content_differently_changes_nothing_inside(
    offset: int, mask: int
) -> None:
    """A run of zeros may be copied from any earlier zero, and a stored block begins with padding bits.

    Checksums protect the content; the digest of the object itself tells even these apart.
    """
    assert isinstance(flipped(offset, mask), Contents)


@given(sizes=st.lists(st.integers(0, 5000), max_size=40))
@settings(max_examples=60, deadline=None)
def test_pieces(sizes: list[int]) -> None:
    """A genuine snapshot reads the same in pieces of any sizes."""
    assert prove(SNAPSHOT, sizes=sizes) == prove(SNAPSHOT)


@given(
    records=records_of_any_kind,
    level=st.sampled_from([0, 6]),
    sizes=st.lists(st.integers(0, 300), max_size=30),
)
@settings(deadline=None)
def test_built_and_read(records: list[Record], level: int, sizes: list[int]) -> None:
    """What is built is read back, in pieces of any sizes."""
    servers = (
        Server(id="a", address="127.0.0.1:8201"),
        Server(id="b", address="[::1]:1", suffrage="Nonvoter"),
    )
    data = b"".join(build_archive(records, index=9, term=4, servers=servers, level=level))
    contents = prove(data, sizes=sizes)
    assert (contents.size, contents.sha256) == (len(data), sha256(data))
    assert (contents.meta.index, contents.meta.term, contents.meta.servers) == (9, 4, servers)
    inventory = contents.inventory
    assert inventory.complete
    assert inventory.entries == sum(area.entries for area in inventory.areas) == len(records)
    assert inventory.size == sum(area.size for area in inventory.areas) == contents.meta.size


def test_writer() -> None:
    """The writer takes what gives a fresh iterator, and Python's tarfile reads what it writes."""

    def fresh() -> Iterator[Record]:
        yield from RECORDS

    data = b"".join(build_archive(fresh, sealed=b"s", mtime=12345))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == list(parts())
    assert {(member.mode, member.mtime, member.type) for member in members} == {
        (0o600, 12345, tarfile.REGTYPE)
    }
    assert data == b"".join(build_archive(RECORDS, sealed=b"s", mtime=12345))


def test_refused_for_good() -> None:
    """Once refused, an archive stays refused, with the same error."""
    reader = ArchiveReader()
    with pytest.raises(ArchiveError) as first:
        reader.feed(b"<html>502 Bad Gateway</html>")
    with pytest.raises(ArchiveError) as second:
        reader.feed(SNAPSHOT)
    with pytest.raises(ArchiveError) as third:
        reader.finish()
    assert first.value is second.value is third.value
    assert first.value.why == "it is not gzip"


def test_on_key() -> None:
    """Each key and the size of its value are told to who asks."""
    seen: list[tuple[bytes, int]] = []
    reader = ArchiveReader(on_key=lambda key, size: seen.append((key, size)))
    for piece in cut(archive_of(parts().items()), [7] * 200):
        reader.feed(piece)
    reader.finish()
    assert seen == [(key, len(value)) for key, value in RECORDS]


def test_no_keys_in_contents() -> None:
    """Contents hold no part of a key or a value but the names of areas."""
    secret = b"hunter2"
    records = [
        (area + secret, secret) for area in (b"", b"core/", b"sys/token/id/", MOUNT, b"auth/", b"sys/")
    ]
    assert "hunter2" not in str(prove(b"".join(build_archive(records))))


def flipped(offset: int, mask: int) -> Contents | ArchiveError:
    """Read the genuine snapshot with some bits of one byte flipped: what it is taken for.

    Where it is accepted, nothing but the digest of the whole object may differ.
    """
    data = SNAPSHOT[:offset] + bytes([SNAPSHOT[offset] ^ mask]) + SNAPSHOT[offset + 1 :]
    try:
        contents = prove(data)
    except ArchiveError as error:
        return error
    genuine = prove(SNAPSHOT)
    assert contents.sha256 == sha256(data) != genuine.sha256
    assert (contents.meta, contents.members) == (genuine.meta, genuine.members)
    assert contents.inventory == genuine.inventory
    return contents
