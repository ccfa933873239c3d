"""Moves proven chunks into the store in a thread of its own, so that signals are answered at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from bao_backup.core.model import Contents, Stored
from bao_backup.flows.stop import Stop
from bao_backup.ports import Store

#: How often the waiting thread looks whether the run must end, in seconds.
LOOK_EVERY = 0.25


class _Upload(threading.Thread):
    """`store.put` of the chunks; the last thing that comes is what was proven of them."""

    def __init__(self, store: Store, key: str, chunks: Iterator[bytes | Contents]) -> None:
        super().__init__(name="upload", daemon=True)
        self._store = store
        self._key = key
        self._chunks = chunks
        self.contents: Contents | None = None
        self.stored: Stored | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.stored = self._store.put(self._key, self._bytes())
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            self.error = error

    def _bytes(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, bytes):
                yield chunk
            else:
                self.contents = chunk


def transfer(
    store: Store, key: str, chunks: Iterator[bytes | Contents], stop: Stop
) -> tuple[Stored, Contents]:
    """Put the chunks under `key`; the chunks end with their proven Contents.

    Returns when the store has the whole object, or raises what ended it, after the upload was
    aborted. A request to end is seen by the source at its next chunk; the source closes itself.
    """
    upload = _Upload(store, key, chunks)
    upload.start()
    while upload.is_alive():
        upload.join(LOOK_EVERY)
        if stop.error() is not None:
            stop.wake()
    if upload.error is not None:
        raise upload.error
    assert upload.stored is not None and upload.contents is not None  # noqa: S101, PT018 - a normal end has both
    return upload.stored, upload.contents
