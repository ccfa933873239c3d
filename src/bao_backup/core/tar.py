"""Reads a tar stream in pieces of any size, strictly: one pass, bounded memory, no I/O.

POSIX 1003.1-1988 (ustar) with what Go's archive/tar adds for a member of 8 GiB and more: a PAX
header with its size (POSIX 1003.1-2001), or GNU's binary size. Links, folders, long names and
sparse files are refused, since a snapshot has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bao_backup.core.errors import ArchiveError, ArchiveTruncatedError

READING = "read the snapshot archive"
BLOCK = 512
ZEROS = bytes(BLOCK)
#: Go writes a few dozen bytes.
PAX_LIMIT = 16 << 10
#: Zeros at the end: two blocks are due; some writers fill up to 10 KiB.
END_LIMIT = 1 << 20
SIZE_LIMIT = 1 << 63
#: PAX keywords that change neither what a member is called nor what is in it.
HARMLESS = frozenset({"mtime", "atime", "ctime", "uid", "gid", "uname", "gname"})


class Members(Protocol):
    """What takes the members of an archive as they pass. Each method may raise ArchiveError."""

    def begin(self, name: str, size: int) -> None:
        """A regular file's header was read."""
        ...

    def take(self, piece: bytes) -> None:
        """The next bytes of its body."""
        ...

    def end(self) -> None:
        """Its body is whole."""
        ...

    def close(self) -> None:
        """No further member comes."""
        ...


class TarReader:
    """Fed with a tar stream, tells `members` what passes; raises ArchiveError where it is wrong.

    Attributes:
        place: where in the archive it is, for people: "inside state.bin".
        ended: whether the two end blocks have passed.
    """

    def __init__(self, members: Members) -> None:
        self.place = "before the first member"
        self.ended = False
        self._members = members
        self._state: Callable[[bytes, int], int] = self._read_header
        self._gathered = bytearray()
        self._name = ""
        self._left = 0
        self._padding = 0
        self._pax_size: int | None = None
        self._after_pax = False
        self._zeros = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        position = 0
        while position < len(data):
            position = self._state(data, position)

    def finish(self) -> None:
        """Say that nothing comes any more; raises ArchiveTruncatedError before the end blocks."""
        if not self.ended:
            raise ArchiveTruncatedError(READING, f"its gzip stream is whole, but the tar ends {self.place}")
        if self._zeros % BLOCK:
            raise ArchiveError(READING, "it does not end at a whole block")

    # Each state reads from `position` on, at least one byte, and says how far it got.

    def _read_header(self, data: bytes, position: int) -> int:
        position = self._gather(data, position, BLOCK)
        if len(self._gathered) == BLOCK:
            block = bytes(self._gathered)
            self._gathered.clear()
            if block == ZEROS:
                self._begin_end()
            else:
                self._begin_member(block)
        return position

    def _begin_end(self) -> None:
        if self._after_pax:
            raise ArchiveError(READING, "a PAX header has no member after it")
        self._members.close()
        self.place = "inside its end blocks"
        self._zeros = BLOCK
        self._state = self._read_end

    def _begin_member(self, block: bytes) -> None:
        check_header(block, self.place)
        kind = block[156:157]
        size = read_size(block[124:136])
        name = read_name(block)
        if kind == b"x":
            self._begin_pax(size)
            return
        if kind not in {b"0", b"\0"}:
            raise ArchiveError(READING, f"{name!r} is not a regular file (type {kind!r})")
        if self._pax_size is not None:
            size = self._pax_size
        self._pax_size = None
        self._after_pax = False
        self._name = name
        self._members.begin(name, size)
        self.place = f"inside {name}"
        self._left = size
        self._padding = -size % BLOCK
        self._state = self._read_body
        if not size:
            self._end_body()

    def _begin_pax(self, size: int) -> None:
        if self._after_pax:
            raise ArchiveError(READING, "two PAX headers follow each other")
        if not 0 < size <= PAX_LIMIT:
            raise ArchiveError(READING, f"a PAX header is {size:,} bytes, not 1 to {PAX_LIMIT:,}")
        self._after_pax = True
        self._left = size
        self._padding = -size % BLOCK
        self._state = self._read_pax

    def _read_pax(self, data: bytes, position: int) -> int:
        position = self._gather(data, position, self._left)
        if len(self._gathered) == self._left:
            self._pax_size = read_pax_size(bytes(self._gathered))
            self._gathered.clear()
            self._state = self._read_padding if self._padding else self._read_header
        return position

    def _read_body(self, data: bytes, position: int) -> int:
        piece = data if not position and len(data) <= self._left else data[position : position + self._left]
        self._members.take(piece)
        self._left -= len(piece)
        if not self._left:
            self._end_body()
        return position + len(piece)

    def _end_body(self) -> None:
        self.place = f"after {self._name}"
        self._members.end()
        self._state = self._read_padding if self._padding else self._read_header

    def _read_padding(self, data: bytes, position: int) -> int:
        piece = data[position : position + self._padding]
        if any(piece):
            raise ArchiveError(READING, f"the padding {self.place} is not zeros")
        self._padding -= len(piece)
        if not self._padding:
            self._state = self._read_header
        return position + len(piece)

    def _read_end(self, data: bytes, position: int) -> int:
        count = len(data) - position
        if data.count(0, position) != count:
            raise ArchiveError(READING, "it goes on after its end block")
        self._zeros += count
        if self._zeros > END_LIMIT:
            raise ArchiveError(READING, f"more than {END_LIMIT:,} zeros follow the last member")
        self.ended = self._zeros >= 2 * BLOCK
        return len(data)

    def _gather(self, data: bytes, position: int, size: int) -> int:
        piece = data[position : position + size - len(self._gathered)]
        self._gathered += piece
        return position + len(piece)


def check_header(block: bytes, place: str) -> None:
    """Refuse a header whose checksum or format is wrong."""
    stated = read_octal(block[148:156])
    if stated != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ArchiveError(READING, f"the tar header {place} has a wrong checksum")
    if block[257:265] not in {b"ustar\x0000", b"ustar  \x00"}:
        raise ArchiveError(READING, f"the tar header {place} is not of the ustar format")


def read_name(block: bytes) -> str:
    """The member's name; a path's prefix field must be empty, as no member needs it."""
    name, _, rest = block[:100].partition(b"\0")
    if any(rest) or any(block[345:]):
        raise ArchiveError(READING, "a tar header has bytes where zeros belong")
    return name.decode("ascii", "backslashreplace")


def read_octal(field: bytes) -> int | None:
    """An octal number, ended by spaces or zero bytes; None when it is none."""
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def read_size(field: bytes) -> int:
    """A member's size: octal, or GNU's big-endian binary with the highest bit set."""
    size = int.from_bytes(field, "big") - (0x80 << 88) if field[0] & 0x80 else read_octal(field)
    if size is None or size >= SIZE_LIMIT:
        raise ArchiveError(READING, "a tar header has a size that is no number in range")
    return size


def read_pax_size(body: bytes) -> int | None:
    """The `size` of a PAX header, whose records are "LENGTH KEYWORD=VALUE" and a line end."""
    size = None
    while body:
        length, _, _ = body[:6].partition(b" ")
        if not length.isdigit() or not len(length) + 3 <= int(length) <= len(body):
            raise ArchiveError(READING, "a PAX header has a record of a wrong length")
        record, body = body[: int(length)], body[int(length) :]
        keyword, equals, value = record[len(length) + 1 : -1].partition(b"=")
        name = keyword.decode("ascii", "backslashreplace")
        if record[-1:] != b"\n" or not equals:
            raise ArchiveError(READING, "a PAX header has a record that is no KEYWORD=VALUE")
        if name == "size":
            if size is not None or not value.isdigit() or len(value) > 19 or int(value) >= SIZE_LIMIT:
                raise ArchiveError(READING, "a PAX header has a size that is no number in range")
            size = int(value)
        elif name not in HARMLESS:
            raise ArchiveError(READING, f"a PAX header sets {name[:40]!r}, which no snapshot needs")
    return size
