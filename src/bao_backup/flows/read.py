"""Reads a stored backup and its receipt, and proves the one against the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.errors import ArchiveError, StoredDiffersError
from bao_backup.core.model import Contents, Stored
from bao_backup.core.naming import receipt_key
from bao_backup.core.receipt import MAXIMUM_RECEIPT_SIZE, Receipt, decode_receipt
from bao_backup.flows.stop import Stop
from bao_backup.ports import Reporter

#: What to do with what is no whole snapshot.
_OF_STORES = "do not restore from it; take another backup, and look at who else writes to the store"
_OF_FILES = "do not restore from it; see that it is whole, and as bao-backup download or the server wrote it"


class Readable(Protocol):
    """The reading half of the Store port: also a file of this machine can be read so."""

    @property
    def location(self) -> str:
        """As of a Store; empty where a key says it all."""
        ...

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """As of a Store."""
        ...

    def head(self, key: str) -> Stored:
        """As of a Store."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """As of a Store."""
        ...


def read_receipt(store: Readable, key: str) -> Receipt:
    """The receipt of the backup `key`; ObjectNotFoundError when there is none."""
    body = bytearray()
    for chunk in store.get(receipt_key(key)):
        body += chunk
        if len(body) > MAXIMUM_RECEIPT_SIZE:
            break
    return decode_receipt(bytes(body), key)


def read_whole(
    store: Readable,
    stored: Stored,
    stop: Stop,
    reporter: Reporter,
    seen: Callable[[bytes], None] | None = None,
) -> Contents:
    """Read an object to its end, and prove it; ArchiveError when it is not one whole snapshot.

    `seen` is shown each chunk.
    """
    reader = ArchiveReader()
    with about_stored(store, stored.key):
        for chunk in store.get(stored.key, etag=stored.etag):
            stop.check()
            reader.feed(chunk)
            if seen is not None:
                seen(chunk)
            reporter.moved(reader.size)
        return reader.finish()


@contextmanager
def about_stored(store: Readable, key: str) -> Iterator[None]:
    """What is wrong with an archive is told of the object that it was read from."""
    try:
        yield
    except ArchiveError as error:
        place = f"{store.location}/{key}" if store.location else key
        hint = _OF_STORES if store.location else _OF_FILES
        raise type(error)(f"prove {place}", error.why, hint=hint) from error


def compare(receipt: Receipt, contents: Contents) -> None:
    """StoredDiffersError when what was read is not what the receipt promises."""
    doing = f"compare {receipt.key} with its receipt"
    if contents.size != receipt.size:
        raise StoredDiffersError(doing, f"{contents.size} bytes, the receipt says {receipt.size}")
    if contents.sha256 != receipt.sha256:
        raise StoredDiffersError(doing, "its SHA-256 is not the receipt's")
