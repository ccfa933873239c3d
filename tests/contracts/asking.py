"""What the tests of stores ask of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bao_backup.ports import Store

T = TypeVar("T")
MIB = 1024 * 1024
KEY = "backups/production/bao/2026-11-22T02-00-00Z-0123abcd.snap"


def blocks(count: int, size: int = MIB, seed: int = 7) -> Iterator[bytes]:
    """Fresh blocks that differ from one another and are the same each time."""
    source = random.Random(seed)
    for _ in range(count):
        yield source.randbytes(size)


def read(store: Store, key: str = KEY) -> bytes:
    """A whole object."""
    return b"".join(store.get(key))


def keys(store: Store, prefix: str = "") -> list[str]:
    """The keys that `list` gives."""
    return [stored.key for stored in store.list(prefix)]


def beside(look: Callable[[], T]) -> T:
    """What another thread sees now: a source must not use the store that is reading it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(look).result()


class StopError(Exception):
    """Something that is no error of the store."""
