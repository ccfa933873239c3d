"""The cluster's state as a snapshot archive, and back."""

from __future__ import annotations

import functools
import random
import tarfile
import uuid
from collections.abc import Iterator
from typing import IO
from urllib.parse import urlsplit

import msgspec

from bao_backup.adapters.development.barrier import HEAD_SIZE, Barrier, BarrierError
from bao_backup.adapters.development.state import VERSION, DevelopmentCluster, Secret
from bao_backup.core.archive import ArchiveReader
from bao_backup.core.archive_writer import Record, build_archive
from bao_backup.core.errors import ArchiveError
from bao_backup.core.model import Server

_SPACE = uuid.UUID("5b1e9a4c-6f1d-4c53-9a49-0f3b6e5f2d10")
MOUNT = f"logical/{uuid.uuid5(_SPACE, 'secret/')}"
PAD_SIZE = 64 << 10
_READ_SIZE = 1 << 20


class ForeignError(Exception):
    """A whole archive, but of another cluster."""


def take(cluster: DevelopmentCluster) -> Iterator[bytes]:
    """Stream the state as it is now."""
    with cluster.lock:
        records = functools.partial(_records, _state(cluster), cluster.barrier, cluster.padding)
        index, term = cluster.index, cluster.term
        servers = [Server(id=node.name, address=raft_address(node.address)) for node in cluster.nodes]
        sealed = cluster.barrier.seal(cluster.id.encode())
    return build_archive(records, index=index, term=term, servers=servers, sealed=sealed, level=cluster.level)


def put_back(cluster: DevelopmentCluster, file: IO[bytes]) -> None:
    """Take the secrets of a snapshot in place of those that are there.

    Raises ArchiveError for what is no whole snapshot, ForeignError for one of another cluster.
    """
    reader = ArchiveReader()
    while chunk := file.read(_READ_SIZE):
        reader.feed(chunk)
    reader.finish()
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:gz") as archive:
        try:
            cluster.barrier.open(_member(archive, "SHA256SUMS.sealed").read())
        except BarrierError as error:
            raise ForeignError from error
        state = _member(archive, "state.bin")
        found = {
            key.removeprefix(f"{MOUNT}/data/"): msgspec.json.decode(cluster.barrier.open(value), type=Secret)
            for key, value in _read_records(state)
            if key.startswith(f"{MOUNT}/data/")
        }
    with cluster.lock:
        cluster.secrets = found
        cluster.index += 1


def raft_address(address: str) -> str:
    """Where a node speaks Raft: by custom the next port."""
    parts = urlsplit(address)
    return f"{parts.hostname}:{(parts.port or 0) + 1}"


def _state(cluster: DevelopmentCluster) -> dict[bytes, bytes]:
    """The plain records, under the names and with the areas that a real state has."""
    seal = {"type": "shamir", "secret_shares": 1, "secret_threshold": 1, "pgp_keys": None, "nonce": ""}
    hidden: dict[str, object] = {
        "core/keyring": {"term": cluster.barrier.term},
        "core/mounts": ["secret/", "sys/", "cubbyhole/"],
        "core/cluster/local/info": {"name": cluster.name, "id": cluster.id},
        f"core/versions/{VERSION}": {"version": VERSION},
        **{f"sys/policy/{name}": rules for name, rules in cluster.policies.items()},
        **{f"{MOUNT}/data/{path}": secret for path, secret in cluster.secrets.items()},
    }
    for token, policies in cluster.tokens.items():
        name = uuid.uuid5(_SPACE, token).hex
        hidden[f"sys/token/id/h{name}"] = {"policies": policies}
        hidden[f"sys/expire/id/auth/token/create/h{name}"] = {"ttl": 0}
    sealed = {key: cluster.barrier.seal(msgspec.json.encode(value)) for key, value in hidden.items()}
    sealed["core/seal-config"] = msgspec.json.encode(seal)
    return {key.encode(): sealed[key] for key in sorted(sealed)}


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


def _read_records(state: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Key and value of each record: a length, then fields of a tag, a length, and their bytes."""
    while (size := _varint(state)) is not None:
        end = state.tell() + size
        fields = {b"\x0a": b"", b"\x12": b""}
        while state.tell() < end:
            tag = state.read(1)
            fields[tag] = state.read(_varint(state) or 0)
        yield fields[b"\x0a"].decode(), fields[b"\x12"]


def _varint(file: IO[bytes]) -> int | None:
    number = shift = 0
    while byte := file.read(1):
        number |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return number
    return None
