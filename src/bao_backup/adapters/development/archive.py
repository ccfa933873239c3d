"""The cluster's state as a snapshot archive, and back."""

from __future__ import annotations

import functools
import random
import tarfile
from collections.abc import Iterator
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from bao_backup.adapters.development.barrier import HEAD_SIZE, Barrier, BarrierError
from bao_backup.adapters.development.content import MOUNT, open_records
from bao_backup.adapters.development.state import VERSION, DevelopmentCluster
from bao_backup.core.archive import ArchiveReader
from bao_backup.core.archive_writer import Record, build_archive
from bao_backup.core.errors import ArchiveError
from bao_backup.core.model import Server

PAD_SIZE = 64 << 10
_READ_SIZE = 1 << 20


class Restored(NamedTuple):
    """A snapshot that was read and not put back yet."""

    records: dict[bytes, bytes]
    raft_index: int
    #: Other keys sealed it.
    foreign: bool


class ForeignError(Exception):
    """A whole archive, but of another cluster."""


def take(cluster: DevelopmentCluster) -> Iterator[bytes]:
    """Stream the state as it is now."""
    with cluster.lock:
        records = functools.partial(
            _records, cluster.content.records(cluster.barrier, VERSION), cluster.barrier, cluster.padding
        )
        index, term = cluster.index, cluster.term
        servers = [Server(id=node.name, address=raft_address(node.address)) for node in cluster.nodes]
        sealed = cluster.barrier.seal(cluster.id.encode())
    return build_archive(records, index=index, term=term, servers=servers, sealed=sealed, level=cluster.level)


def read(cluster: DevelopmentCluster, file: IO[bytes], *, force: bool) -> Restored:
    """Check a snapshot, and read what is to be put back.

    Raises ArchiveError for what is no whole snapshot, and without `force` ForeignError for one that
    other keys have sealed.
    """
    reader = ArchiveReader()
    while chunk := file.read(_READ_SIZE):
        reader.feed(chunk)
    contents = reader.finish()
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:gz") as archive:
        try:
            cluster.barrier.open(_member(archive, "SHA256SUMS.sealed").read())
            foreign = False
        except BarrierError as error:
            if not force:
                raise ForeignError from error
            foreign = True
        found = {key: value for key, value in _read_records(_member(archive, "state.bin")) if _is_kept(key)}
    return Restored(found, contents.meta.index, foreign)


def put_back(cluster: DevelopmentCluster, restored: Restored) -> None:
    """Have the snapshot's state, and none of what was there before; sealed where its keys are others."""
    with cluster.lock:
        # As Raft does it: the snapshot gets the index behind the newest, and writes follow it.
        cluster.index = max(cluster.index, restored.raft_index) + 2
        if restored.foreign:
            cluster.take_foreign(restored.records)
        else:
            cluster.replace(open_records(cluster.barrier, restored.records))


def raft_address(address: str) -> str:
    """Where a node speaks Raft: by custom the next port."""
    parts = urlsplit(address)
    return f"{parts.hostname}:{(parts.port or 0) + 1}"


def _is_kept(key: bytes) -> bool:
    return not key.startswith(f"{MOUNT}/padding/".encode())


def _records(state: dict[bytes, bytes], barrier: Barrier, padding: int) -> Iterator[Record]:
    yield from state.items()
    head = barrier.seal(b"")[:HEAD_SIZE]
    # Slices of one random block at ever other places: they do not compress, and cost next to nothing.
    block = random.Random(padding).randbytes(2 * PAD_SIZE + 1)  # noqa: S311 - filling, not a secret
    for number in range(-(-padding // PAD_SIZE)):
        size = min(PAD_SIZE, padding - number * PAD_SIZE)
        start = number * 4099 % PAD_SIZE
        yield f"{MOUNT}/padding/{number:08}".encode(), head + block[start : start + size]


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.extractfile(name)
    if member is None:
        raise ArchiveError("restore a snapshot", f"{name} is no file")
    return member


def _read_records(state: IO[bytes]) -> Iterator[Record]:
    """Key and value of each record: a length, then fields of a tag, a length, and their bytes."""
    while (size := _varint(state)) is not None:
        end = state.tell() + size
        fields = {b"\x0a": b"", b"\x12": b""}
        while state.tell() < end:
            tag = state.read(1)
            fields[tag] = state.read(_varint(state) or 0)
        yield fields[b"\x0a"], fields[b"\x12"]


def _varint(file: IO[bytes]) -> int | None:
    number = shift = 0
    while byte := file.read(1):
        number |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return number
    return None
