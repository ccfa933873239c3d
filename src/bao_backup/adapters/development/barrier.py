"""A pretence of the barrier: values in the form that a real one gives them, and open to its key.

The form is that of OpenBao 2.4.4: four bytes of key term, one of version, twelve of nonce, the
text, sixteen of tag. It hides values from a reader's eye, not from an attacker.
"""

from __future__ import annotations

import hashlib

TERM_SIZE, NONCE_SIZE, TAG_SIZE = 4, 12, 16
HEAD_SIZE = TERM_SIZE + 1 + NONCE_SIZE
VERSION = b"\x02"


class BarrierError(Exception):
    """Another key sealed this, or nothing did."""


class Barrier:
    """Seals and opens values; the same value always becomes the same bytes."""

    def __init__(self, key: bytes, term: int = 1) -> None:
        self._key = key
        self.term = term

    def seal(self, plain: bytes) -> bytes:
        """Hide a value."""
        nonce = self._digest(plain, NONCE_SIZE)
        text = self._mix(nonce, plain)
        head = self.term.to_bytes(TERM_SIZE, "big") + VERSION + nonce
        return head + text + self._digest(nonce + text, TAG_SIZE)

    def open(self, sealed: bytes) -> bytes:
        """Show a value again. Raises BarrierError."""
        nonce = sealed[TERM_SIZE + 1 : HEAD_SIZE]
        text, tag = sealed[HEAD_SIZE:-TAG_SIZE], sealed[-TAG_SIZE:]
        if len(sealed) < HEAD_SIZE + TAG_SIZE or self._digest(nonce + text, TAG_SIZE) != tag:
            raise BarrierError("another key sealed this, or nothing did")
        return self._mix(nonce, text)

    def _digest(self, content: bytes, size: int) -> bytes:
        return hashlib.blake2b(content, key=self._key, digest_size=size).digest()

    def _mix(self, nonce: bytes, content: bytes) -> bytes:
        stream = hashlib.shake_256(self._key + nonce).digest(len(content))
        mixed = int.from_bytes(content, "big") ^ int.from_bytes(stream, "big")
        return mixed.to_bytes(len(content), "big")
