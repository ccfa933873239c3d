"""Says what is inside `state.bin` while it passes, without any key: counts, seal, key term, version.

`state.bin` is records, each a protobuf varint length and a message {1: key, 2: value}
(`physical/raft/fsm.go` of OpenBao and Vault). Keys are readable; most values are encrypted by
the barrier: its key's term (4 bytes, big-endian), a version byte 1 or 2, a nonce of 12 bytes,
the cipher text, a tag of 16 bytes (`barrier_aes_gcm.go`).

Nothing here decides whether a snapshot is good: its checksums do. A server of tomorrow may write
something else, and then the inventory is not complete, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import msgspec

from bao_backup.core.areas import Areas
from bao_backup.core.model import Inventory, Seal

OnKey = Callable[[bytes, int], None]

#: bbolt, the server's storage, takes no longer key.
KEY_LIMIT = 32768
#: The server's own reader takes no longer record.
RECORD_LIMIT = (1 << 31) - 1
SEAL_KEY = b"core/seal-config"
SEAL_LIMIT = 16 << 10
VERSION_PREFIX = b"core/versions/"
KEY_TAG = 0x0A
VALUE_TAG = 0x12
TERM_SIZE = 4
#: Term, version, nonce, tag: the encrypted form of nothing.
ENCRYPTED_SIZE = 33
VERSION_LIMIT = 80

VERSION = re.compile(
    r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?"
)


class NotRecordsError(Exception):
    """These bytes are no records that we know; never leaves this module."""


class SealConfig(msgspec.Struct, frozen=True):
    """The plain JSON of `core/seal-config`; what else is in it does not matter here."""

    type: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    secret_shares: Annotated[int, msgspec.Meta(ge=0, le=255)]
    secret_threshold: Annotated[int, msgspec.Meta(ge=0, le=255)]


class InventoryReader:
    """Fed with `state.bin` in pieces of any size. Never raises; memory is bounded by KEY_LIMIT.

    Args:
        on_key: told each key and the size of its value, for `inspect --keys` only.
    """

    def __init__(self, on_key: OnKey | None = None) -> None:
        self._on_key = on_key
        self._areas = Areas()
        self._size = 0
        #: Bytes of the last record that are still to come, and of no interest.
        self._skip = 0
        #: The beginning of a record whose key did not fit into the piece.
        self._held = b""
        self._broken = False
        self._term = bytes(TERM_SIZE)
        self._seal: Seal | None = None
        self._version = ""
        #: Of the area of the last record: its counts, and the prefix that its keys share.
        self._count = [0, 0]
        self._prefix = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        if self._broken:
            return
        if self._skip >= len(data):
            self._skip -= len(data)
            return
        if self._held:
            data = self._held + data
            self._held = b""
        self._read(data, self._skip)

    def finish(self) -> Inventory:
        """What was seen; `complete` is false when not all of it was records."""
        if self._skip:  # it ended inside a value that was counted whole
            self._count[1] -= self._skip
            self._skip, self._broken = 0, True
        areas = self._areas.listed()
        return Inventory(
            entries=sum(area.entries for area in areas),
            size=self._size,
            areas=areas,
            seal=self._seal,
            barrier_term=int.from_bytes(self._term, "big"),
            server_version=self._version,
            complete=not (self._broken or self._held),
        )

    def _read(self, data: bytes, position: int) -> None:  # noqa: C901, PLR0912, PLR0915 - a call costs as much as a record
        """Go over the records that begin in `data`.

        The hot loop, 0.9 µs a record: it reads short varints in place, looks up an area only
        where a key leaves the one before, and copies nothing but the four bytes of a term.
        """
        end = len(data)
        on_key, term, count, prefix = self._on_key, self._term, self._count, self._prefix
        run, entries = position, 0  # of the same area, one after the other
        while position < end:
            start = position
            try:
                length = data[position]
                position += 1
                if length > 127:
                    high = data[position]
                    if high < 128:
                        length += (high << 7) - 128
                        position += 1
                    else:
                        length, position = read_varint(data, start)
                stop = position + length
                if data[position] != KEY_TAG:
                    raise NotRecordsError
                length = data[position + 1]
                key = position + 2
                if length > 127:
                    high = data[key]
                    if high < 128:
                        length += (high << 7) - 128
                        key += 1
                    else:
                        length, key = read_varint(data, position + 1)
                key_end = value = key + length
                if key_end > stop or not 0 < length <= KEY_LIMIT:
                    raise NotRecordsError
                length = 0
                if key_end == stop:  # an empty value is left out
                    prefix = b""
                    if stop > end:
                        raise IndexError
                elif data[key_end] == VALUE_TAG:
                    length = data[key_end + 1]
                    value = key_end + 2
                    if length > 127:
                        high = data[value]
                        if high < 128:
                            length += (high << 7) - 128
                            value += 1
                        else:
                            length, value = read_varint(data, key_end + 1)
                    if value + length > stop:
                        raise NotRecordsError
                    if value + TERM_SIZE >= end and stop > end:
                        raise IndexError
                    if data[value : value + TERM_SIZE] > term and is_encrypted(data, value, length):
                        self._term = term = data[value : value + TERM_SIZE]
                if not prefix or not data.startswith(prefix, key):
                    count[0] += entries
                    count[1] += start - run
                    run, entries = start, 0
                    count, prefix = self._look(data[key:key_end], data[value : value + length], length)
            except IndexError:  # the rest of what is wanted of it is in the next piece
                self._held = data[start:]
                position = start
                break
            except NotRecordsError:
                self._broken = True
                position = start
                break
            entries += 1
            if on_key:
                on_key(data[key:key_end], length)
            position = stop
        count[0] += entries
        count[1] += position - run
        self._count, self._prefix, self._skip = count, prefix, max(position - end, 0)

    def _look(self, key: bytes, value: bytes, size: int) -> tuple[list[int], bytes]:
        """Find the area of `key`, and take what two plain kinds of records say of the server.

        Raises IndexError when `value` is wanted and is not all of its `size`.
        """
        if key == SEAL_KEY and size <= SEAL_LIMIT:
            if len(value) < size:
                raise IndexError
            self._seal = read_seal(value) or self._seal
        elif key.startswith(VERSION_PREFIX):
            version = key[len(VERSION_PREFIX) : len(VERSION_PREFIX) + VERSION_LIMIT].decode(
                "ascii", "replace"
            )
            if version_order(version) > version_order(self._version):
                self._version = version
        return self._areas.find(key)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Read the varint at `position`: the number, and where it ends."""
    number = 0
    for shift in (0, 7, 14, 21, 28):
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128 and number <= RECORD_LIMIT:
            return number, position
    raise NotRecordsError


def is_encrypted(data: bytes, value: int, length: int) -> bool:
    """Whether the value at `value` has the barrier's form.

    Plain values are few (seal-wrapped keys, locks). A term above 2^24 would need a rotation every
    minute for thirty years, so a first byte that is not zero tells them apart.
    """
    return length >= ENCRYPTED_SIZE and data[value] == 0 and data[value + TERM_SIZE] in {1, 2}


def read_seal(value: bytes) -> Seal | None:
    """The seal, or None when this is no seal configuration that we know."""
    try:
        config = msgspec.json.decode(value, type=SealConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Seal(type=config.type, shares=config.secret_shares, threshold=config.secret_threshold)


def version_order(version: str) -> tuple[object, ...]:
    """Sorts versions as semver.org says (2.0.0); what is no version comes before all."""
    match = VERSION.fullmatch(version)
    if not match:
        return ()
    major, minor, patch, pre = match.groups()
    parts = tuple((not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in pre.split(".")) if pre else ()
    return (int(major), int(minor), int(patch), not pre, parts)
