"""Fetches a backup, proven while it comes."""

from __future__ import annotations

from collections.abc import Callable

from bao_backup.core.archive import ArchiveReader
from bao_backup.core.model import Contents
from bao_backup.core.storage_errors import ObjectNotFoundError
from bao_backup.flows.read import about_stored, compare, read_receipt
from bao_backup.flows.stop import Stop
from bao_backup.ports import Reporter, Store


def download(
    store: Store,
    key: str,
    write: Callable[[bytes], object],
    *,
    stop: Stop,
    reporter: Reporter,
) -> Contents:
    """Give each chunk to `write`; answers with what was proven, or raises.

    Only a normal return says that all that was written is the whole backup: ArchiveError or
    StoredDiffersError otherwise. A backup without a receipt is proven by itself alone.
    """
    head = store.head(key)
    try:
        receipt = read_receipt(store, key)
    except ObjectNotFoundError:
        receipt = None
        reporter.say(f"{key} has no receipt: proven by its own checksums alone")
    reporter.say(f"reading {store.location}/{key}")
    reader = ArchiveReader()
    with about_stored(store, key):
        for chunk in store.get(key, etag=head.etag):
            stop.check()
            reader.feed(chunk)
            write(chunk)
            reporter.moved(reader.size)
        contents = reader.finish()
    if receipt is not None:
        compare(receipt, contents)
    return contents
