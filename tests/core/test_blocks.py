"""Streams in blocks, each with the sum of all until its end."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from bao_backup.core.blocks import Block, Blocks

SIZE = 5


@given(st.lists(st.binary(max_size=13), max_size=12))
def test_blocks_do_not_depend_on_the_chunks(chunks: list[bytes]) -> None:
    """Each has its bytes, and the SHA-256 until its end; together they are the stream."""
    fed = Blocks(SIZE)
    found = [block for chunk in chunks for block in fed.feed(chunk)]
    rest, whole = fed.rest(), b"".join(chunks)
    assert [block.content for block in found] == [
        whole[start : start + SIZE] for start in range(0, len(whole) - SIZE + 1, SIZE)
    ]
    assert rest == Block(whole[len(found) * SIZE :], hashlib.sha256(whole).digest())
    for number, block in enumerate(found, 1):
        assert block.sum == hashlib.sha256(whole[: number * SIZE]).digest()
