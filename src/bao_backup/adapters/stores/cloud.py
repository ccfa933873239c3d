"""Any object store that the obstore library speaks to, behind the port `Store`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import obstore
from msgspec.structs import replace

from bao_backup.adapters.stores.failures import Translator
from bao_backup.adapters.stores.source import Source, close
from bao_backup.core.errors import InternalError, StorageError
from bao_backup.core.model import Stored
from bao_backup.core.storage import MAX_PARTS, MIB, StoreSettings, check_key, check_prefix
from bao_backup.core.storage_errors import ObjectChangedError, ObjectNotFoundError, StorageUnavailableError
from bao_backup.core.store_facts import StoreFacts

if TYPE_CHECKING:
    # Types that the library has for the checker alone.
    from obstore import GetOptions, GetResult, ObjectMeta, PutResult
    from obstore.store import ObjectStore

#: Bytes of each chunk read, and objects of each page listed.
CHUNK = MIB
PAGE = 1000
#: How often a broken read is taken up again without a single byte in between, and the first wait.
READ_TRIES = 3
READ_WAIT = 0.2

Sweep = Callable[[str], int]
#: Keys, and what deletes one by itself -> those that may still be there, and why.
DeleteMany = Callable[[Sequence[str], Callable[[str], None]], Mapping[str, StorageError]]
#: Locks an object that was just stored until then, or leaves that to the bucket; gives until when it
#: is locked, or raises StorageError.
Lock = Callable[[Stored, datetime], datetime | None]


class Place(NamedTuple):
    """An open bucket: the library's client, how it is called, and what must not be said."""

    client: ObjectStore
    location: str
    translator: Translator
    sweep: Sweep
    #: Gives a key back that this store keeps as it is, or raises ConfigurationError.
    check: Callable[[str], str] = check_key
    #: Deletes many with few requests, or by the other one; None: one with each request.
    delete_many: DeleteMany | None = None
    #: None: no objects are locked after they were stored.
    lock: Lock | None = None
    #: What the store tells of itself; raises StorageError.
    describe: Callable[[], StoreFacts] = StoreFacts


class CloudStore:
    """One bucket or container. Safe for use by several threads."""

    def __init__(self, place: Place, settings: StoreSettings) -> None:
        self._client = place.client
        self._location = place.location
        self._translator = place.translator
        self._sweep = place.sweep
        self._check = place.check
        self._delete_many = place.delete_many
        self._describe = place.describe
        self._settings = settings
        self._lock = place.lock
        of_class = {"Storage-Class": settings.storage_class} if settings.storage_class else {}
        self._attributes = {**of_class, **settings.metadata} or None

    @property
    def location(self) -> str:
        """Such as "s3://bucket"."""
        return self._location

    def put(self, key: str, chunks: Iterator[bytes]) -> Stored:
        """Upload in parts; the object appears when the last one is in and the upload is completed.

        The chunks come on the calling thread from within the library, which panics when it is called
        again there: so what makes them must not use a store of this kind on that thread.
        """
        source, begun = Source(chunks, self._settings.part_size * MAX_PARTS), datetime.now(UTC)
        # The library asks an iterator for its next chunk only, and lets go of it when a request fails.
        try:
            with self._translator.doing("upload", self._check(key)):
                result = obstore.put(
                    self._client,
                    key,
                    source,
                    attributes=self._attributes,
                    tags=self._settings.tags or None,
                    chunk_size=self._settings.part_size,
                    max_concurrency=self._settings.concurrency,
                )
        except BaseException:
            if source.raised is not None:
                raise source.raised from None
            raise
        finally:
            close(chunks)
        return self._locked(_sent(key, source.size, result), begun)

    def create(self, key: str, body: bytes) -> Stored:
        """One request that the store refuses when there is such an object."""
        begun = datetime.now(UTC)
        with self._translator.doing("create", self._check(key)):
            result = obstore.put(
                self._client,
                key,
                body,
                attributes=self._attributes,
                tags=self._settings.tags or None,
                mode="create",
                use_multipart=False,
            )
        return self._locked(_sent(key, len(body), result), begun)

    def _locked(self, stored: Stored, begun: datetime) -> Stored:
        """Lock it where that is wanted; one that cannot be locked does not stay."""
        if self._lock is None:
            return stored
        until = begun.replace(microsecond=0) + timedelta(days=self._settings.lock_days)
        try:
            return replace(stored, locked_until=self._lock(stored, until))
        except StorageError:
            with suppress(StorageError):
                self.delete(stored.key)
            raise

    def get(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Stream it; a broken connection is taken up again at the byte where it broke."""
        return self._read(self._check(key), etag)

    def head(self, key: str) -> Stored:
        """One request. A missing bucket looks like a missing object here: the answer does not say which."""
        with self._translator.doing("look at", self._check(key)):
            return _stored(obstore.head(self._client, key))

    def list(self, prefix: str) -> Iterator[Stored]:
        """Pages of 1,000, each asked for when it is needed."""
        folder = check_prefix(prefix)
        with self._translator.doing("list", folder):
            pages = obstore.list(self._client, folder or None, chunk_size=PAGE)
        while True:
            with self._translator.doing("list", folder):
                page = next(pages, None)
            if page is None:
                return
            for meta in page:
                yield _stored(meta)

    def delete(self, key: str) -> None:
        """One request for the one key. Some stores say that it was not there, some do not."""
        try:
            with self._translator.doing("delete", self._check(key)):
                obstore.delete(self._client, key)
        except ObjectNotFoundError:
            return

    def delete_many(self, keys: Sequence[str]) -> Mapping[str, StorageError]:
        """With few requests where the store takes that, else several at once."""
        for key in keys:
            self._check(key)
        if self._delete_many is not None:
            return self._delete_many(keys, self.delete)
        # Only who deletes many waits for it to be loaded.
        from bao_backup.adapters.stores.many import delete_each  # noqa: PLC0415

        return delete_each(self.delete, keys)

    def sweep(self, prefix: str) -> int:
        """Abort the uploads in which nothing has happened for `dead_after`."""
        return self._sweep(check_prefix(prefix))

    def describe(self) -> StoreFacts:
        """Some requests, or one."""
        return self._describe()

    def _read(self, key: str, etag: str | None) -> Iterator[bytes]:
        reading = _Reading(key, etag)
        tries = 0
        while not reading.done:
            before = reading.offset
            try:
                with self._translator.doing("read", key):
                    chunks = reading.open(self._client, f"read {self._location}/{key}")
                while True:
                    with self._translator.doing("read", key):
                        chunk = next(chunks, None)
                    if chunk is None:
                        break
                    reading.offset += len(chunk)
                    yield chunk
                reading.check_end(f"read {self._location}/{key}")
            except StorageError as error:
                tries = 1 if reading.offset > before else tries + 1
                if not (error.transient and reading.etag) or tries >= READ_TRIES:
                    raise
                time.sleep(READ_WAIT * 2 ** (tries - 1))


class _Reading:
    """How far the reading of one object has come, and which object it is."""

    def __init__(self, key: str, etag: str | None) -> None:
        self._key = key
        self.etag = etag
        self.offset = 0
        self._size: int | None = None

    @property
    def done(self) -> bool:
        return self._size is not None and self.offset >= self._size

    def open(self, client: ObjectStore, doing: str) -> Iterator[bytes]:
        """Ask for the rest, and for nothing else than the rest of the same object."""
        options: GetOptions = {}
        if self.etag is not None:
            options["if_match"] = self.etag
        if self.offset:
            options["range"] = {"offset": self.offset}
        result: GetResult = obstore.get(client, self._key, options=options)
        meta = result.meta
        if self.etag is not None and meta["e_tag"] not in (None, self.etag):
            raise ObjectChangedError(doing, "it was replaced while it was read")
        if result.range[0] != self.offset:
            raise InternalError(doing, f"asked for byte {self.offset}, got byte {result.range[0]}")
        self.etag, self._size = meta["e_tag"], meta["size"]
        return iter(result.stream(min_chunk_size=CHUNK))

    def check_end(self, doing: str) -> None:
        """A stream that ends early is a broken one."""
        if not self.done:
            raise StorageUnavailableError(doing, f"it ended at byte {self.offset} of {self._size}")


def _stored(meta: ObjectMeta) -> Stored:
    return Stored(
        key=meta["path"],
        size=meta["size"],
        modified=meta["last_modified"].astimezone(UTC),
        etag=_quoted(meta["e_tag"]),
        version=meta["version"],
    )


def _quoted(etag: str | None) -> str | None:
    """As in headers (RFC 9110, section 8.8.3): listings of Azure leave the quotes out."""
    return etag if etag is None or etag.endswith('"') else f'"{etag}"'


def _sent(key: str, size: int, result: PutResult) -> Stored:
    return Stored(
        key=key, size=size, modified=datetime.now(UTC), etag=result["e_tag"], version=result["version"]
    )
