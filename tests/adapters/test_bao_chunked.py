"""The chunked coding, fed in every way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bao_backup.adapters.bao.chunked import ChunkedBody

# A chunk's content may look like anything, the end of a body included.
CONTENTS = st.one_of(st.binary(min_size=1, max_size=40), st.just(b"\r\n0\r\n\r\n"), st.just(b"5\r\n"))
HEADERS = st.sampled_from(["%x\r\n", "%X\r\n", "%04x\r\n", "%x;name=value\r\n", "%x \t\r\n"])
TRAILERS = st.sampled_from([b"", b"Name: value\r\n", b"A: 1\r\nB: 2\r\n"])


def decode(coded: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    """The body of what is fed in pieces, and whether it ended."""
    body, received = ChunkedBody(), bytearray(coded)
    edges = [0, *sorted({cut % (len(coded) + 1) for cut in cuts}), len(coded)]
    parts = [b"".join(body.feed(received, start, end)) for start, end in pairwise(edges)]
    return b"".join(parts), body.ended


@given(
    chunks=st.lists(st.tuples(CONTENTS, HEADERS), max_size=8),
    trailers=TRAILERS,
    after=st.binary(max_size=5),
    cuts=st.lists(st.integers(0, 500), max_size=20),
)
def test_whole(chunks: list[tuple[bytes, str]], trailers: bytes, after: bytes, cuts: list[int]) -> None:
    """However it is cut, the body comes out as it went in, ends at its end, and what follows is left."""
    coded = b"".join((header % len(content)).encode() + content + b"\r\n" for content, header in chunks)
    whole = b"".join(content for content, _ in chunks)
    assert decode(coded + b"0\r\n" + trailers + b"\r\n" + after, cuts) == (whole, True)
    assert decode(coded + b"0\r\n" + trailers, cuts) == (whole, False)


@pytest.mark.parametrize(
    "coded",
    [b"x\r\n", b"\r\n", b"-1\r\n", b"0x5\r\n", b"1_0\r\n", b"5\n", b"5 5\r\n", b"1\r\nab\r\n", b"f" * 16],
)
def test_wrong(coded: bytes) -> None:
    """What is no chunk is refused, and nothing is guessed."""
    with pytest.raises(ValueError, match="chunk"):
        decode(coded + b"\r\n" + b"x" * 5000, list(range(5000)))


def test_every_prefix() -> None:
    """No part of a body but the whole is taken for whole."""
    coded = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    for end in range(len(coded)):
        assert decode(coded[:end], [])[1] is False
    assert decode(coded, []) == (b"hello world", True)
