"""HTTP's chunked coding without I/O: which of the received bytes are of the body, and where it ends.

http.client does it as well, and takes 0.25 s more of processor time for each GiB of chunks as Vault
sends them (docs/decisions/0010-reading-chunks.md); it also takes a body for whole that ends within
the last chunk. Source: RFC 9112, section 7.1.
"""

from __future__ import annotations

import re

#: The end of a chunk and the header of the next one, in one piece: nearly all of them are.
_BETWEEN = re.compile(rb"\r\n([0-9A-Fa-f]{1,15})\r\n")
_HEADER = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
#: A chunk's header may have extensions, and trailers may follow the last chunk; nobody sends long ones.
_LINE_LIMIT = 4096


class ChunkedBody:
    """Fed with what is received, says which parts of it are the body's.

    Attributes:
        ended: the last chunk and its line end have been received.
    """

    def __init__(self) -> None:
        self.ended = False
        self._left = 0
        self._line = b""
        self._expect = self._read_size

    def feed(self, received: bytearray, start: int, end: int) -> list[memoryview]:
        """Take `received[start:end]`; gives the body's parts in it, uncopied.

        Raises ValueError where a chunk's header or end must be and is not.
        """
        view = memoryview(received)
        parts = []
        left = self._left
        while start < end and not self.ended:
            if left:
                stop = min(start + left, end)
                parts.append(view[start:stop])
                left -= stop - start
                start = stop
                if not left and (found := _BETWEEN.match(received, start, end)):
                    start = found.end()
                    left = self._begin(int(found[1], 16))
            else:
                start, left = self._read_line(received, start, end)
        self._left = left
        return parts

    def _read_line(self, received: bytearray, start: int, end: int) -> tuple[int, int]:
        """Read a line that is rare, or in two pieces: where it ends, and how much of a chunk follows."""
        stop = received.find(b"\n", start, end) + 1 or end
        self._line += received[start:stop]
        if len(self._line) > _LINE_LIMIT:
            raise ValueError("a chunk's header is too long")
        if not self._line.endswith(b"\n"):
            return stop, 0
        line, self._line = self._line, b""
        return stop, self._expect(line)

    def _begin(self, size: int) -> int:
        self._expect = self._read_end if size else self._read_trailer
        return size

    def _read_size(self, line: bytes) -> int:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise ValueError("no chunk's header where one must be")
        return self._begin(int(header[1], 16))

    def _read_end(self, line: bytes) -> int:
        if line != b"\r\n":
            raise ValueError("a chunk is longer than its header says")
        self._expect = self._read_size
        return 0

    def _read_trailer(self, line: bytes) -> int:
        self.ended = line == b"\r\n"
        return 0
