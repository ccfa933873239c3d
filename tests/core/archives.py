"""Archives to read in tests: a genuine one, and ones put together member by member, right or wrong."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.archive_writer import BLOCK, Record, build_meta, build_sums, encode, tar_member
from bao_backup.core.errors import ArchiveError
from bao_backup.core.model import Contents

GENUINE = Path(__file__).parents[1] / "data/openbao-2.4.4/snapshot.snap"
END = bytes(2 * BLOCK)
MOUNT = b"logical/c0f7965e-fdd8-6df8-c8fa-9a5380de59ba/"
RECORDS: tuple[Record, ...] = ((b"core/lock", b"somebody"), (MOUNT + b"a", b"\0\0\0\1\2" + bytes(40)))


def prove(data: bytes, *, sizes: Sequence[int] = ()) -> Contents:
    """Read a whole archive: in pieces of `sizes`, then what is left at once."""
    reader = ArchiveReader()
    for piece in cut(data, sizes):
        reader.feed(piece)
    return reader.finish()


def refusal(data: bytes) -> ArchiveError:
    """How the reader refuses `data`."""
    try:
        contents = prove(data)
    except ArchiveError as error:
        return error
    raise AssertionError(f"it was accepted: {contents}")


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Cut `data` into pieces of `sizes` and a last one."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def state_of(records: Iterable[Record] = RECORDS) -> bytes:
    """`state.bin` of some records."""
    return b"".join(head + value for head, value in encode(list(records)))


def parts(state: bytes | None = None, **changed: bytes) -> dict[str, bytes]:
    """The bodies of the four members, right but for `changed` (meta, sums, sealed)."""
    state = state_of() if state is None else state
    meta = changed.get("meta", build_meta(size=len(state), index=7, term=2))
    digests = {"meta.json": sha256(meta), "state.bin": sha256(state)}
    return {
        "meta.json": meta,
        "state.bin": state,
        "SHA256SUMS": changed.get("sums", build_sums(digests)),
        "SHA256SUMS.sealed": changed.get("sealed", b"sealed"),
    }


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar of members, without its end blocks."""
    return b"".join(b"".join(tar_member(name, body)) for name, body in members)


def archive_of(members: Iterable[tuple[str, bytes]], end: bytes = END) -> bytes:
    """A whole archive."""
    return gzip.compress(tar_of(members) + end, mtime=0)


def sha256(data: bytes) -> str:
    """The digest as the reader gives it."""
    return hashlib.sha256(data).hexdigest()
