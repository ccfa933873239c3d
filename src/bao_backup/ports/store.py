"""The port of object stores and folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from bao_backup.core.errors import StorageError
from bao_backup.core.model import Stored
from bao_backup.core.store_facts import StoreFacts


class Store(Protocol):
    """Where backups are kept: one bucket, container or folder. Keys are slash-separated, relative.

    All failures are `core.errors.StorageError` types, but for a key that not every store can hold
    (`core.storage.check_key`): that is a ConfigurationError. Retries of single requests are the store's
    own business, and are over when a method raises. Nothing here creates a bucket.
    """

    @property
    def location(self) -> str:
        """Where this is, for people: "s3://bucket", "file:///backups". Never a credential."""
        ...

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        """Stream `chunks` (each a fresh `bytes`) into `key`, in memory that does not grow with them.

        The object becomes visible at once and whole, only after the iterator ended normally. When
        the iterator raises, the upload is aborted and that exception surfaces unchanged; when the
        store fails, the upload is aborted, the iterator is closed, and a StorageError is raised.
        What it answers is what was sent, and until when it is locked where the target locks objects;
        `head` says what is stored. Where the store's own checksum is not that of what was sent, the
        object does not stay, and StoredDiffersError is raised.
        """
        ...

    def create(self, key: str, body: bytes) -> Stored:
        """Write a small object, only if there is none: else ObjectExistsError, and nothing changes.

        After a lost answer, the object that exists may be the one of this very call.
        """
        ...

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read an object in chunks, going on where a broken connection left off.

        Every chunk is of the same object, `etag`'s where given: else ObjectChangedError. A missing
        one is ObjectNotFoundError, raised at the first chunk at the latest.
        """
        ...

    def head(self, key: str) -> Stored:
        """Describe an object, or raise ObjectNotFoundError."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """All objects below the folder `prefix` ("" for all), by key, in pages; none is no error."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object. That it is not there is no error."""
        ...

    def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
        """Delete objects, in no order, many with one request where the store takes that.

        What it gives are the keys of those that may still be there, and why; nothing that the store
        refuses is raised.
        """
        ...

    def sweep(self, prefix: str) -> int:
        """Remove what uploads that were killed left behind below `prefix`, invisible to `list`.

        Returns how many. Never touches an upload that may still be under way.
        """
        ...

    def describe(self) -> StoreFacts:
        """What the store tells of itself: versions, locks, its own rules; nothing is changed by asking.

        What the identity may not see, or the store has not, is a fact, too (`Unseen`). Raises StorageError
        where the store does not answer at all, or not to this identity.
        """
        ...
