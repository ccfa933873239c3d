"""How the bytes of an object are cut, and framed, for uploads to Google Cloud Storage.

Source: Cloud Storage documentation, "Perform resumable uploads" and "Upload objects".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

#: All parts but the last are multiples of this many bytes.
QUANTUM = 256 * 1024


class Part(NamedTuple):
    """Some bytes of an object, at an offset; `last`: nothing comes after it."""

    body: bytes
    offset: int
    last: bool

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.offset + len(self.body)


def parts(chunks: Iterator[bytes], size: int) -> Iterator[Part]:
    """Parts of this many bytes; the last one, marked as such, has what is left, nothing perhaps."""
    waiting: list[bytes] = []
    offset = length = 0
    for chunk in chunks:
        rest = chunk
        # More than a part has to be there: only then is it not the last.
        while length + len(rest) > size:
            room = size - length
            waiting.append(rest[:room])
            rest = rest[room:]
            yield Part(_joined(waiting), offset, last=False)
            offset, length = offset + size, 0
        waiting.append(rest)
        length += len(rest)
    yield Part(_joined(waiting), offset, last=True)


def _joined(waiting: list[bytes]) -> bytes:
    """All of it as one, and nothing of it twice: a part is large."""
    body = b"".join(waiting)
    waiting.clear()
    return body


def multipart(boundary: str, about: bytes, body: bytes) -> bytes:
    """What is said of an object, and the object (Cloud Storage documentation, "Upload objects")."""
    return b"".join(
        (
            f"--{boundary}\r\nContent-Type: application/json\r\n\r\n".encode(),
            about,
            f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
            body,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
