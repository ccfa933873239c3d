"""The four members of a snapshot archive: their order, their bounds, and that they agree.

`SHA256SUMS` lists its two lines in any order (the server goes over a map of Go).
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

import msgspec

from bao_backup.core.errors import ArchiveError
from bao_backup.core.inventory import InventoryReader
from bao_backup.core.model import Server, SnapshotMeta
from bao_backup.core.tar import READING

META, STATE, SUMS, SEALED = MEMBERS = ("meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed")
#: What is held in memory; the server itself reads at most 8 KiB of each.
LIMITS = {META: 1 << 20, SUMS: 64 << 10, SEALED: 64 << 10}
SUMS_LINE = re.compile(rb"([0-9a-f]{64})  ([ -~]{1,100})")
SUFFRAGES = {0: "Voter", 1: "Nonvoter", 2: "Staging"}

Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class RaftServer(
    msgspec.Struct, frozen=True, rename={"suffrage": "Suffrage", "id": "ID", "address": "Address"}
):
    """A server in `meta.json`, as Go encodes hashicorp/raft's type."""

    id: str
    address: str
    suffrage: int = 0


class RaftConfiguration(msgspec.Struct, frozen=True, rename="pascal"):
    """Its list of them."""

    servers: tuple[RaftServer, ...] | None = None


class RaftMeta(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`meta.json`: hashicorp/raft's SnapshotMeta. Fields of a later server do no harm."""

    version: Count
    id: str = msgspec.field(name="ID")
    index: Count
    term: Count
    size: Count
    configuration: RaftConfiguration = RaftConfiguration()
    configuration_index: Count = 0


class SnapshotMembers:
    """Takes the members as a TarReader finds them.

    Attributes:
        digests: member name -> SHA-256, of those that have passed.
        meta: what `meta.json` says, once it has passed.
        inventory: what reads `state.bin`.
    """

    def __init__(self, inventory: InventoryReader) -> None:
        self.inventory = inventory
        self.digests: dict[str, str] = {}
        self.meta: SnapshotMeta | None = None
        self._name = ""
        self._digest = hashlib.sha256()
        self._body = bytearray()

    def begin(self, name: str, size: int) -> None:
        """Refuse a member that is not the next one, or is too large."""
        due = MEMBERS[len(self.digests)] if len(self.digests) < len(MEMBERS) else None
        if name not in MEMBERS:
            raise ArchiveError(READING, f"it has a member that is no part of a snapshot: {name!r}")
        if name in self.digests:
            raise ArchiveError(READING, f"it has {name} twice")
        if name != due:
            raise ArchiveError(READING, f"it has {name} where {due} belongs")
        if name == STATE and self.meta and size != self.meta.size:
            why = f"meta.json says that state.bin has {self.meta.size:,} bytes, the tar header {size:,}"
            raise ArchiveError(READING, why)
        if name in LIMITS and not 0 < size <= LIMITS[name]:
            raise ArchiveError(READING, f"{name} has {size:,} bytes, not 1 to {LIMITS[name]:,}")
        self._name = name
        self._digest = hashlib.sha256()

    def take(self, piece: bytes) -> None:
        """Hash it, and read or keep it."""
        self._digest.update(piece)
        if self._name == STATE:
            self.inventory.feed(piece)
        else:
            self._body += piece

    def end(self) -> None:
        """Check what the member says."""
        self.digests[self._name] = self._digest.hexdigest()
        body = bytes(self._body)
        self._body.clear()
        if self._name == META:
            self.meta = read_meta(body)
        elif self._name == SUMS:
            check_sums(read_sums(body), self.digests)

    def close(self) -> None:
        """Refuse an archive that ends with fewer members."""
        for name in MEMBERS:
            if name not in self.digests:
                raise ArchiveError(READING, f"it has no {name}")


def read_meta(body: bytes) -> SnapshotMeta:
    """Decode `meta.json`, each known field of its right type."""
    try:
        meta = msgspec.json.decode(body, type=RaftMeta)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(READING, f"meta.json does not decode: {error}") from error
    return SnapshotMeta(
        id=meta.id,
        index=meta.index,
        term=meta.term,
        version=meta.version,
        size=meta.size,
        configuration_index=meta.configuration_index,
        servers=tuple(
            Server(id=s.id, address=s.address, suffrage=SUFFRAGES.get(s.suffrage, str(s.suffrage)))
            for s in meta.configuration.servers or ()
        ),
    )


def read_sums(body: bytes) -> dict[str, str]:
    """Decode `SHA256SUMS`: lines of a digest, two spaces, a name, each ended."""
    *lines, rest = body.split(b"\n")
    sums: dict[str, str] = {}
    if rest:
        raise ArchiveError(READING, "SHA256SUMS does not end with a line end")
    for line in lines:
        match = SUMS_LINE.fullmatch(line)
        if not match:
            raise ArchiveError(READING, "SHA256SUMS has a line that is no digest and name")
        digest, name = match[1].decode(), match[2].decode()
        if name in sums:
            raise ArchiveError(READING, f"SHA256SUMS lists {name} twice")
        sums[name] = digest
    return sums


def check_sums(sums: dict[str, str], digests: dict[str, str]) -> None:
    """Compare what is stated with what was computed, of exactly meta.json and state.bin."""
    for name in sums:
        if name not in {META, STATE}:
            raise ArchiveError(READING, f"SHA256SUMS lists {name!r}")
    for name in (META, STATE):
        if name not in sums:
            raise ArchiveError(READING, f"SHA256SUMS has no line for {name}")
        if sums[name] != digests[name]:
            raise ArchiveError(READING, f"SHA-256 of {name} differs from SHA256SUMS")
