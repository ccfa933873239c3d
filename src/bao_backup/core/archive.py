"""Proves one snapshot archive while it passes, and says what is in it. Sans-I/O, bounded memory.

An archive, as OpenBao 2.4 and Vault 1.21 send it, is one gzip member with a tar of `meta.json`,
`state.bin`, `SHA256SUMS`, `SHA256SUMS.sealed`, in that order and nothing else
(`physical/raft/snapshot/archive.go` of OpenBao).

What is proved is the content. A few bits say nothing and are protected by nothing: time, hints and
the text flag of the gzip header (RFC 1952), padding in deflate, other spellings of a run of zeros.
Only the digest of the whole object tells those apart.
"""

from __future__ import annotations

import hashlib
import zlib

from bao_backup.core.errors import ArchiveError, ArchiveTruncatedError
from bao_backup.core.inventory import InventoryReader, OnKey
from bao_backup.core.members import SnapshotMembers
from bao_backup.core.model import Contents
from bao_backup.core.tar import READING, TarReader

GZIP_MAGIC = b"\x1f\x8b"
GZIP = 31
#: Measured: what one output buffer of zlib holds, so that nothing is joined or copied again.
INPUT_SIZE = 32 << 10
OUTPUT_LIMIT = 256 << 10
#: A gzip header has no end mark: a name in it may go on for ever.
HEADER_LIMIT = 1 << 20


class ArchiveReader:
    """Fed with chunks of any size, proves one snapshot archive while it passes.

    Args:
        on_key: told each key and the size of its value, for `inspect --keys` only.

    Attributes:
        size: bytes fed so far.
    """

    def __init__(self, *, on_key: OnKey | None = None) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._gzip = zlib.decompressobj(GZIP)
        self._members = SnapshotMembers(InventoryReader(on_key))
        self._tar = TarReader(self._members)
        self._first = b""
        self._unpacked = 0
        self._failure: ArchiveError | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; raises ArchiveError as soon as something is wrong, and ever after."""
        if self._failure:
            raise self._failure
        try:
            self._feed(chunk)
        except ArchiveError as error:
            self._failure = error
            raise

    def finish(self) -> Contents:
        """Say that the stream ended; raises ArchiveError when it was not one whole archive."""
        if self._failure:
            raise self._failure
        if not self._gzip.eof or not self._members.meta:
            raise ArchiveTruncatedError(READING, f"it ends after {self.size:,} bytes, {self._place}")
        return Contents(
            size=self.size,
            sha256=self._digest.hexdigest(),
            meta=self._members.meta,
            members=self._members.digests,
            inventory=self._members.inventory.finish(),
        )

    @property
    def _place(self) -> str:
        if not self._unpacked:
            return "inside the gzip header"
        return "before the end of its gzip stream" if self._tar.ended else self._tar.place

    def _feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._digest.update(chunk)
        if len(self._first) < len(GZIP_MAGIC):
            self._first += chunk[: len(GZIP_MAGIC) - len(self._first)]
            if not GZIP_MAGIC.startswith(self._first):
                raise ArchiveError(READING, "it is not gzip")
        view = memoryview(chunk)
        for start in range(0, len(chunk), INPUT_SIZE):
            if self._gzip.eof:
                raise ArchiveError(READING, "bytes follow the end of its gzip stream")
            self._unpack(view[start : start + INPUT_SIZE])
        if not self._unpacked and self.size > HEADER_LIMIT:
            raise ArchiveError(READING, f"nothing can be unpacked from its first {HEADER_LIMIT:,} bytes")

    def _unpack(self, packed: memoryview | bytes) -> None:
        # What zlib holds back with no input left comes with the next bytes: a trailer must follow.
        while packed:
            try:
                data = self._gzip.decompress(packed, OUTPUT_LIMIT)
            except zlib.error as error:
                why = f"its gzip stream is corrupt within its first {self.size:,} bytes"
                raise ArchiveError(READING, why, details=str(error)) from error
            self._unpacked += len(data)
            self._tar.feed(data)
            packed = self._gzip.unconsumed_tail
        if self._gzip.unused_data:
            raise ArchiveError(READING, "bytes follow the end of its gzip stream")
        if self._gzip.eof:
            self._tar.finish()
