"""Cuts a stream into blocks, and sums up all that came until the end of each.

Who keeps the sums of a first reading can tell of a second one, block by block, that it is the same, before
the block goes anywhere. A sum at the end alone comes too late for a server that takes a whole snapshot
which is at the beginning of something longer.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

#: Bytes of a block; its sum takes 32 for each of them.
BLOCK = 1 << 20


class Block(NamedTuple):
    """A piece of the stream."""

    content: bytes
    #: SHA-256 of the stream until its end.
    sum: bytes


class Blocks:
    """Fed with chunks of any size; `size` is that of a block, in bytes."""

    def __init__(self, size: int = BLOCK) -> None:
        self._size = size
        self._digest = hashlib.sha256()
        self._held: list[bytes] = []
        self._room = size

    def feed(self, chunk: bytes) -> list[Block]:
        """The blocks that are whole now, each of `size` bytes."""
        whole = []
        while len(chunk) >= self._room:
            self._hold(chunk[: self._room])
            chunk = chunk[self._room :]
            whole.append(self.rest())
        if chunk:
            self._hold(chunk)
            self._room -= len(chunk)
        return whole

    def rest(self) -> Block:
        """What is left; of no byte where the stream ended with a block."""
        block = Block(b"".join(self._held), self._digest.digest())
        self._held, self._room = [], self._size
        return block

    def _hold(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._held.append(piece)
