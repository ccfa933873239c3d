"""Deletes many objects: several at once, where a store takes no more than one with each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bao_backup.core.errors import StorageError

#: So many requests are under way at once.
AT_ONCE = 8


def delete_each(delete: Callable[[str], None], keys: Sequence[str]) -> dict[str, StorageError]:
    """Call `delete` for each key, several at once; gives those of which it raised a StorageError."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = zip(keys, pool.map(lambda key: _failure(delete, key), keys), strict=True)
        return {key: error for key, error in found if error is not None}


def _failure(delete: Callable[[str], None], key: str) -> StorageError | None:
    try:
        delete(key)
    except StorageError as error:
        return error
    return None
