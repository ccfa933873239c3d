"""Builds snapshot archives like those that servers send: for the development server, tests, benchmarks.

The format is what OpenBao 2.4.4 and Vault 1.21 write: a gzip'd tar of `meta.json`, `state.bin`,
`SHA256SUMS`, `SHA256SUMS.sealed`. `state.bin` is records, each a protobuf varint length and a
message {1: key, 2: value}.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator

import msgspec

from bao_backup.core.model import Server

Record = tuple[bytes, bytes]
#: A collection that can be gone through twice, or what makes a fresh iterator each time.
Records = Iterable[Record] | Callable[[], Iterator[Record]]

BLOCK = 512
OCTAL_LIMIT = 8**11
SUFFRAGES = ("Voter", "Nonvoter", "Staging")
WRITE_SIZE = 1 << 20


def build_archive(
    records: Records,
    *,
    index: int = 1,
    term: int = 1,
    servers: Iterable[Server] = (),
    sealed: bytes = b"sealed by the barrier",
    mtime: int = 0,
    level: int = 6,
) -> Iterator[bytes]:
    """Stream a whole archive, in memory that does not grow with it.

    Args:
        records: gone through twice (once for the size), so never a bare iterator.
        index: of the last Raft log entry.
        term: of that entry.
        servers: the Raft configuration.
        sealed: the body of `SHA256SUMS.sealed`, which a real server's barrier encrypts.
        mtime: of the members, in seconds since 1970.
        level: of gzip; 0 stores without compressing.
    """
    pack = zlib.compressobj(level, zlib.DEFLATED, 31)
    for block in in_blocks(build_tar(records, index, term, servers, sealed, mtime)):
        if packed := pack.compress(block):
            yield packed
    yield pack.flush()


def build_tar(
    records: Records, index: int, term: int, servers: Iterable[Server], sealed: bytes, mtime: int
) -> Iterator[bytes]:
    """The same without the gzip layer."""
    size = sum(len(head) + len(value) for head, value in encode(records))
    meta = build_meta(size=size, index=index, term=term, servers=servers)
    yield from tar_member("meta.json", meta, mtime)

    yield tar_header("state.bin", size, mtime)
    digest = hashlib.sha256()
    for head, value in encode(records):
        digest.update(head)
        digest.update(value)
        yield head
        yield value
    yield bytes(-size % BLOCK)

    sums = build_sums({"meta.json": hashlib.sha256(meta).hexdigest(), "state.bin": digest.hexdigest()})
    yield from tar_member("SHA256SUMS", sums, mtime)
    yield from tar_member("SHA256SUMS.sealed", sealed, mtime)
    yield bytes(2 * BLOCK)


def build_meta(*, size: int, index: int, term: int, servers: Iterable[Server] = ()) -> bytes:
    """`meta.json` as the Raft library encodes it: Go's names, suffrage as a number, a line end."""
    listed = [
        {"Suffrage": SUFFRAGES.index(server.suffrage), "ID": server.id, "Address": server.address}
        for server in servers
    ]
    meta = {
        "Version": 1,
        "ID": "bolt-snapshot",
        "Index": index,
        "Term": term,
        "Peers": None,
        "Configuration": {"Servers": listed},
        "ConfigurationIndex": 1,
        "Size": size,
    }
    return msgspec.json.encode(meta) + b"\n"


def build_sums(digests: dict[str, str]) -> bytes:
    """`SHA256SUMS`: a line for each member, as sha256sum writes it."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def encode(records: Records) -> Iterator[Record]:
    """Each record as the bytes before its value, and the value itself, uncopied."""
    for key, value in records() if callable(records) else records:
        inner = b"\x0a" + varint(len(key)) + key
        if value:  # protobuf leaves out an empty field
            inner += b"\x12" + varint(len(value))
        yield varint(len(inner) + len(value)) + inner, value


def varint(number: int) -> bytes:
    """A protobuf varint: seven bits a byte, the lowest first, the high bit on all but the last."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def tar_member(name: str, body: bytes, mtime: int = 0) -> Iterator[bytes]:
    """Header, body, padding."""
    yield tar_header(name, len(body), mtime)
    yield body
    yield bytes(-len(body) % BLOCK)


def tar_header(name: str, size: int, mtime: int = 0) -> bytes:
    """What Go's archive/tar writes: one USTAR block; from 8 GiB on, a PAX size before it."""
    if size < OCTAL_LIMIT:
        return ustar_block(name, size, mtime, mode=0o600, kind=b"0")
    body = pax_record("size", str(size))
    pax = ustar_block(f"PaxHeaders.0/{name}", len(body), 0, mode=0, kind=b"x")
    padding = bytes(-len(body) % BLOCK)
    return pax + body + padding + ustar_block(name, 0, mtime, mode=0o600, kind=b"0")


def pax_record(keyword: str, value: str) -> bytes:
    """A line of a PAX header, which begins with its own length."""
    rest = f" {keyword}={value}\n"
    length = len(rest) + 1
    while length != len(f"{length}{rest}"):
        length = len(f"{length}{rest}")
    return f"{length}{rest}".encode()


def ustar_block(name: str, size: int, mtime: int, *, mode: int, kind: bytes) -> bytes:
    """One header block of POSIX 1003.1-1988 with its checksum."""
    block = b"".join(
        (
            name.encode().ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0 * 2,
            b"%011o\0" % size,
            b"%011o\0" % mtime,
            b" " * 8,
            kind.ljust(101, b"\0"),
            b"ustar\x0000".ljust(72, b"\0"),
            bytes(16) if kind == b"x" else b"%07o\0" % 0 * 2,  # Go leaves out a PAX header's device
        )
    ).ljust(BLOCK, b"\0")
    return with_checksum(block)


def with_checksum(block: bytes) -> bytes:
    """A header block with the sum of its own bytes, its checksum field counted as spaces."""
    total = sum(block[:148]) + sum(b" " * 8) + sum(block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:]


def in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Gather small pieces, since a call to zlib for each costs more than the copy."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= WRITE_SIZE:
            yield b"".join(held)
            held.clear()
            size = 0
    yield b"".join(held)
